"""What commands print, and who reads it."""

import os
import subprocess
import sys

import pytest

from mailtier.cli import printing


def test_lines_are_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever follows a command reads each line as it comes, and the command hears that somebody does."""
    assert printing.write(["one\n", "two\n"])
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_reader_that_is_gone_is_told() -> None:
    """What would print for ever can end, and nothing is said of it."""
    code = "import sys; from mailtier.cli import printing; sys.exit(7 if not printing.write(['x\\n']) else 0)"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (7, "")

"""`mailtier sender` refuses what could not work before it begins."""

import pathlib
import subprocess
import sys

import pytest
from typer import testing

from mailtier.cli import failures
from mailtier.cli.commands import sender
from mailtier.sender import ports


def test_a_name_for_ehlo_that_servers_refuse_is_refused_here() -> None:
    """A single label is a usage error that says why, and not a 504 for each message."""
    result = testing.CliRunner().invoke(sender.app, ["--helo-name", "mailtier-0"])
    assert result.exit_code == failures.Status.USAGE
    assert "not a full name" in result.output


@pytest.mark.parametrize(("text", "says"), [("169h", "168h or less"), ("a week", "is not a duration")])
def test_what_failed_is_kept_no_longer_than_its_record(text: str, says: str) -> None:
    """A time beyond seven days, or none that is one, is a usage error that says what may be."""
    result = testing.CliRunner().invoke(sender.app, ["--keep-failed", text])
    assert result.exit_code == failures.Status.USAGE
    assert says in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--full-at=90",), "90 is not a part between 0.01 and 1, such as 0.8 for 80 %"),
        (("--full-at=nan",), "nan is not a part between 0.01 and 1"),
        (("mark-restored", "--made-at=yesterday"), "'yesterday' is not a time, such as 2026-03-01T12:00:00Z"),
        (("mark-restored", "--made-at=2026-03-01T12:00:00"), "has no time zone"),
        (("mark-restored", "--made-at=2999-01-01T00:00:00Z"), "is in the future"),
    ],
)
def test_what_may_be_named_instead_is_said(tmp_path: pathlib.Path, arguments: tuple[str, ...], says: str) -> None:
    """A value that cannot be meant is a usage error that shows one that can."""
    file = tmp_path / "dsn"
    file.write_text("postgresql://localhost/mailtier", encoding="utf-8")
    given = [*arguments, f"--queue-dsn-file={file}"]
    result = testing.CliRunner().invoke(sender.app, given)
    assert result.exit_code == failures.Status.USAGE
    assert says in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(("text", "says"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_file_with_the_address_of_a_database_holds_one(tmp_path: pathlib.Path, text: str | None, says: str) -> None:
    """A file that is missing or empty is a usage error that names the option and the file."""
    file = tmp_path / "dsn"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    result = testing.CliRunner().invoke(sender.app, ["--queue-dsn-file", str(file)])
    told = "".join(result.output.replace("│", " ").split())
    assert result.exit_code == failures.Status.USAGE
    assert "--queue-dsn-file" in told
    assert f"{file}{says}".replace(" ", "") in told


def test_what_the_help_says_of_quotas_is_so() -> None:
    """The numbers are words there, as the supervisor imports nothing of the queue; they are the queue's."""
    usual = ports.QueueQuota()
    text = " ".join(testing.CliRunner().invoke(sender.app, ["--help"]).output.split())
    assert f"{usual.messages:,} by default" in text
    assert f"{usual.payload_bytes // 2**20} MiB by default" in text
    assert f"{usual.stored_bytes // 2**20} MiB by default" in text


def test_the_supervisor_imports_nothing_of_its_children() -> None:
    """What stays in memory beside them is small: no client of Kubernetes, no SQLite, no models."""
    program = "import sys, mailtier.cli.commands.sender; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"kopf", "kubernetes", "sqlite3", "pydantic", "aiosmtplib", "mailtier.kube"} & set(modules)

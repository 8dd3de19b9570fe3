"""How the demo ends, well or not: what it says, and what it leaves behind."""

import contextlib
import pathlib
import subprocess
import sys
import tempfile

import pytest

from demo import failing, folders
from kit import wait


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def _fill(folder: pathlib.Path) -> None:
    (folder / "certificates").mkdir()
    (folder / "certificates" / "ca.key").write_text("a key", encoding="ascii")
    (folder / "cluster").mkdir()
    (folder / "cluster" / "kube-apiserver.log").write_text("a log", encoding="ascii")


def test_nothing_is_left_of_a_demo(tmp_path: pathlib.Path) -> None:
    """Whatever ended it, its folder is removed, with its keys."""
    with contextlib.suppress(KeyboardInterrupt), folders.opened(None) as folder:
        _fill(folder.path)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_of_a_demo_that_failed_the_logs_are_left(tmp_path: pathlib.Path) -> None:
    """They are where it says, and nothing else is: neither a key nor what the next demo would remove."""
    with folders.opened(None) as folder:
        _fill(folder.path)
        assert folder.keep_logs()
    with folders.opened(None):
        pass
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [folder.path / "cluster" / "kube-apiserver.log"]


def test_the_next_demo_removes_what_a_killed_one_left(tmp_path: pathlib.Path) -> None:
    """A demo that was killed removes nothing; one that runs keeps its own."""
    script = (
        "import os, signal, tempfile; from demo import folders\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with folders.opened(None): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], check=False, cwd=pathlib.Path(folders.__file__).parents[1])
    (left,) = tmp_path.iterdir()
    with folders.opened(None) as running, folders.opened(None):
        assert not left.exists()
        assert running.path.is_dir()


def test_a_demo_that_had_too_little_time_says_so() -> None:
    """What was waited for and for how long, that the machine may be busy, and how to allow more; no lines of a log."""
    with pytest.raises(wait.NotInTimeError) as raised:
        wait.until(lambda: False, within_seconds=0, why="the sender is ready")
    outer = RuntimeError(f"{raised.value}; /tmp/x.log ends with:\nnoise")
    outer.__cause__ = raised.value
    told = failing.told(outer)
    assert told.startswith("it waited 0 s for this, in vain: the sender is ready. The machine may be busy (load ")
    assert "`make demo PATIENCE=3`" in told
    assert failing.told(RuntimeError("a ended; /tmp/x.log ends with:\nnoise")) == "a ended; /tmp/x.log"

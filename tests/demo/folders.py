"""The folder that a demo writes into: gone afterwards, whatever ended the demo."""

import collections.abc
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shutil
import tempfile

_PREFIX = "mailtier-demo-"
_LOCK = "running"
"""Locked by the demo whose folder it is: a lock ends with the process, also where that is killed."""


@dataclasses.dataclass(slots=True, kw_only=True)
class DemoFolder:
    """Where a demo writes.

    Attributes:
        path: The folder.
        keeps_logs: Whether its logs stay.
    """

    path: pathlib.Path
    keeps_logs: bool = False

    def keep_logs(self) -> bool:
        """Have the logs stay when the rest is removed; return whether there are any."""
        self.keeps_logs = any(self.path.rglob("*.log"))
        return self.keeps_logs


@contextlib.contextmanager
def opened(chosen: pathlib.Path | None) -> collections.abc.Iterator[DemoFolder]:
    """Give a folder, and remove it at the end, with keys and kubeconfigs; those of demos that were killed go first.

    Args:
        chosen: One that somebody named, which stays as it is; None for one in the usual place.
    """
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield DemoFolder(path=chosen)
        return
    _sweep()
    folder = DemoFolder(path=pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX)))
    with (folder.path / _LOCK).open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            if folder.keeps_logs:
                _keep_only_logs(folder.path)
            else:
                shutil.rmtree(folder.path, ignore_errors=True)


def _keep_only_logs(folder: pathlib.Path) -> None:
    """Remove what is no log: keys, tokens and databases, and the lock, so that nobody takes the rest for left over."""
    for path in sorted(folder.rglob("*"), reverse=True):
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.suffix != ".log":
                path.unlink()


def _sweep() -> None:
    """Remove the folders of demos of this user that have ended without removing theirs."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("r", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)

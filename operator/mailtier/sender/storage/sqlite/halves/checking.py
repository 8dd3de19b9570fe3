"""One look at every page of the file for both halves: each leaves to the other, which starts with it, what it found.

It reads the whole file. A half that starts again looks again: that may be what it died of.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any, Final

_FOUND: Final = "checked"
"""Who looked at which file, and when; there until the other half has read it."""
_VALID_SECONDS: Final = 60.0
"""How long after the other half this one may start; both have one supervisor."""
_BOOT: Final = pathlib.Path("/proc/sys/kernel/random/boot_id")


@contextlib.contextmanager
def one_for_both(directory: pathlib.Path, *, half: str | None, database: pathlib.Path) -> Iterator[bool]:
    """Give whether the other half has just found the file whole; otherwise it is to be looked at meanwhile.

    It waits while the other half looks: never on the event loop.

    Args:
        directory: Of the queue.
        half: The name of this one; None where one process has both.
        database: The file.
    """
    # The folder itself is the lock: on a full volume no file can be made.
    lock = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Where a file system has no such locks, both look at worst.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        found = directory / _FOUND
        is_whole = half is not None and _is_of_other(_read(found), _mark(database, half))
        found.unlink(missing_ok=True)
        yield is_whole
        if half is not None and not is_whole:
            # Where it cannot be written, both look.
            with contextlib.suppress(OSError):
                descriptor = os.open(found, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    json.dump(_mark(database, half), file)
    finally:
        os.close(lock)


def _mark(database: pathlib.Path, half: str) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        return {
            "half": half,
            "file": database.stat().st_ino,
            "boot": _BOOT.read_text(),
            "at": time.clock_gettime(time.CLOCK_BOOTTIME),
        }
    return {}


def _is_of_other(found: dict[str, Any], own: dict[str, Any]) -> bool:
    if not found or not own or found["half"] == own["half"]:
        return False
    is_same = (found["file"], found["boot"]) == (own["file"], own["boot"])
    return is_same and bool(0 <= own["at"] - found["at"] < _VALID_SECONDS)


def _read(path: pathlib.Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict) and found.keys() == {"half", "file", "boot", "at"}:
            return found
    return {}

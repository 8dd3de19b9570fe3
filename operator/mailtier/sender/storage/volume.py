"""The queue's directory: opened by one process of each role at a time, and never quite full."""

import contextlib
import errno
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Final, Protocol

FULL_AT: Final = 0.8
"""Fraction of the volume in use at which new work is refused."""

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Held back for recording what was finished: a checkpoint writes at most the 8 MiB of the write-ahead log, and 8 MiB
are the outcomes of some 27,000 recipients, which mostly go into pages that their payloads have left."""

_LARGEST_RESERVE: Final = 0.1
"""Fraction of the volume that the reserve takes at most."""

_LOCK_AGAIN_SECONDS: Final = 0.05

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class InUseError(Exception):
    """Another sender has the queue open."""


class FullError(Exception):
    """The volume is full, and nothing is held back on it that could be given up; nothing was changed."""


class Lock:
    """A role's lock on a queue's directory. The kernel releases it when the process ends, however it ends."""

    def __init__(self, path: pathlib.Path, *, patience_seconds: float = 0.0) -> None:
        """Take the lock; blocks for as long as it waits for it.

        Args:
            path: The lock's file.
            patience_seconds: How long another process may have it still: one whose supervisor died ends a moment later.

        Raises:
            InUseError: Another process has it.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(_LOCK_AGAIN_SECONDS)
                    continue
                os.close(self._descriptor)
                raise InUseError(
                    f"another sender has the queue in {path.parent} open: run one replica, or give each its own volume"
                ) from None
            return

    def release(self) -> None:
        """Let another process open the queue."""
        os.close(self._descriptor)


class WriteTurns:
    """Turns at writing to the database, which two processes take.

    SQLite's own wait for a lock sleeps up to a tenth of a second, and is not fair; one behind the other at a lock of
    our own, the longest wait of a commit was a fifth of that. The kernel ends the turn of a process that dies.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have the turn while the context lasts. It blocks: never on the event loop."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class WorkRoom(Protocol):
    """Whether there is room for new work, and what is held back for the rest."""

    @property
    def reserved(self) -> bool:
        """Whether the reserve is held."""

    def takes_work(self, *, reusable_bytes: int) -> bool:
        """Return whether new work may be stored."""

    def give_up(self) -> None:
        """Give the reserve to whoever writes next, if it is ours to give."""

    def restore(self) -> None:
        """Hold the reserve again, if it is ours and there is room for it."""


class SharedRoom:
    """The room as the intake sees it, beside a delivery that has the reserve.

    Args:
        path: The reserve's file. Where there is none yet, nobody has given it up.
        full_at: Fraction of the volume in use at which new work is refused.
    """

    def __init__(self, path: pathlib.Path, *, full_at: float = FULL_AT) -> None:
        self._path = path
        self._full_at = full_at

    @property
    def reserved(self) -> bool:
        """Whether delivery holds the reserve, or did when it ended."""
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return True

    def takes_work(self, *, reusable_bytes: int) -> bool:
        """Return whether new work may be stored."""
        return self.reserved and _has_room(os.statvfs(self._path.parent), self._full_at, reusable_bytes)

    def give_up(self) -> None:
        """Do nothing: the reserve is delivery's, for what was finished."""

    def restore(self) -> None:
        """Do nothing, likewise."""


class Room:
    """Decides whether there is room for new work, and holds a reserve that is given up when the volume is full.

    The reserve is a file of its own rather than free pages within the database: it also serves the write-ahead log,
    and giving it up needs no transaction.
    """

    def __init__(self, path: pathlib.Path, *, full_at: float = FULL_AT, reserve_bytes: int = RESERVE_BYTES) -> None:
        """Hold the reserve, or as its absence shows, find that the volume is full already.

        Args:
            path: The reserve's file, on the volume that it speaks of.
            full_at: Fraction of the volume in use at which new work is refused.
            reserve_bytes: Size of the reserve; never more than a tenth of the volume.
        """
        self._full_at = full_at
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        volume = os.fstatvfs(self._descriptor)
        self._reserve_bytes = min(reserve_bytes, int(volume.f_blocks * volume.f_frsize * _LARGEST_RESERVE))
        self.reserved = False
        self.restore()

    def takes_work(self, *, reusable_bytes: int) -> bool:
        """Return whether new work may be stored.

        The volume is as full as df says (blocks kept for root are not there), but for what the database has freed:
        its file does not shrink, and a volume that it filled once would stay full.

        Args:
            reusable_bytes: Freed pages within the database.
        """
        return self.reserved and _has_room(os.fstatvfs(self._descriptor), self._full_at, reusable_bytes)

    def give_up(self) -> None:
        """Give the reserve to whoever writes next."""
        self.reserved = False
        os.ftruncate(self._descriptor, 0)

    def restore(self) -> None:
        """Hold the reserve again, if there is room for it."""
        try:
            os.posix_fallocate(self._descriptor, 0, self._reserve_bytes)
        except OSError as error:
            os.ftruncate(self._descriptor, 0)
            if error.errno not in _NO_SPACE:
                raise
        else:
            self.reserved = True

    def close(self) -> None:
        """Close the file; the reserve stays for whoever opens the queue next."""
        os.close(self._descriptor)


def _has_room(volume: os.statvfs_result, full_at: float, reusable_bytes: int) -> bool:
    used = volume.f_blocks - volume.f_bfree
    return used - reusable_bytes // volume.f_frsize < full_at * (used + volume.f_bavail)

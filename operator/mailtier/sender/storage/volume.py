"""The queue's directory: opened by one process at a time, and never quite full."""

import errno
import fcntl
import os
import pathlib
from typing import Final

FULL_AT: Final = 0.8
"""Fraction of the volume in use at which new work is refused."""

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Held back for recording what was finished: a checkpoint writes at most the 4 MiB of the write-ahead log, and 12 MiB
are the outcomes of some 40,000 recipients, which mostly go into pages that their payloads have left."""

_LARGEST_RESERVE: Final = 0.1
"""Fraction of the volume that the reserve takes at most."""

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class InUseError(Exception):
    """Another sender has the queue open."""


class Lock:
    """The lock on a queue's directory. The kernel releases it when the process ends, however it ends."""

    def __init__(self, path: pathlib.Path) -> None:
        """Take the lock.

        Raises:
            InUseError: Another process has it.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise InUseError(
                f"another sender has the queue in {path.parent} open: run one replica, or give each its own volume"
            ) from None

    def release(self) -> None:
        """Let another process open the queue."""
        os.close(self._descriptor)


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
        volume = os.fstatvfs(self._descriptor)
        used = volume.f_blocks - volume.f_bfree
        reusable = reusable_bytes // volume.f_frsize
        return self.reserved and used - reusable < self._full_at * (used + volume.f_bavail)

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

"""Which message is being built, in a file that outlives the process: so that one that kills it is known by that.

What builds a message runs in the process (templates of organizations among it), and a defect there may end it for all
tenants, again and again: the queue gives out what was not settled. So the recipient is marked while its message is
built, by a write into mapped memory, which survives SIGKILL without a sync; a start that finds a mark counts it.
"""

import collections
import dataclasses
import mmap
import os
import pathlib
import struct
from typing import Final, Self

from mailtier.sender import ports

_RECORD: Final = struct.Struct("<QI36s16s")
"""The recipient's number, how often its message killed a process, the notification's id (a number alone may be
another's, where the queue was moved or restored), and the end of the namespace's uid, which is where chance is."""

_ID_BYTES: Final = 36
_OWNER_BYTES: Final = 16

_BYTES: Final = mmap.PAGESIZE
_SUSPECTS: Final = _BYTES // _RECORD.size - 1
_NUMBER: Final = struct.Struct("<Q")
_NOBODY: Final = _NUMBER.pack(0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Suspect:
    """A recipient whose message was being built when a process died."""

    recipient_number: int
    id: bytes
    owner: bytes
    times: int


class BuildMark:
    """The mark of one process. The first record is that of the present, the others are those of earlier ones.

    Args:
        page: A page of memory that is kept.
    """

    def __init__(self, page: mmap.mmap) -> None:
        self._page = page
        self._suspects = {
            each.recipient_number: each for each in map(self._read, range(1, _SUSPECTS + 1)) if each.times
        }
        found = self._read(0)
        if found.recipient_number:
            before = self._suspects.pop(found.recipient_number, None)
            times = 1 + (before.times if before is not None and before.id == found.id else 0)
            self._suspects[found.recipient_number] = dataclasses.replace(found, times=times)
        self._write_suspects()
        self.end()

    @classmethod
    def open(cls, path: pathlib.Path) -> Self:
        """Return the mark that is kept in a file; what it finds there is counted.

        Raises:
            OSError: The file cannot be made, as on a full volume.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Before it is mapped: a page for which there is no room would end the process when it is written.
            os.posix_fallocate(file, 0, _BYTES)
            return cls(mmap.mmap(file, _BYTES))
        finally:
            os.close(file)

    def times(self, job: ports.Job) -> int:
        """Return how often a process died while the message of a recipient was built."""
        found = self._suspects.get(job.recipient_number)
        return found.times if found is not None and found.id == _id(job) else 0

    def begin(self, job: ports.Job) -> None:
        """Mark a recipient."""
        # The number last: it is that which says that there is one.
        self._page[_NUMBER.size : _RECORD.size] = _RECORD.pack(0, 0, _id(job), _owner(job))[_NUMBER.size :]
        self._page[: _NUMBER.size] = _NUMBER.pack(job.recipient_number)

    def end(self) -> None:
        """Take the mark away: the process lives."""
        self._page[: _NUMBER.size] = _NOBODY

    def clear(self, job: ports.Job) -> None:
        """Forget what was counted of a recipient: its message could be built, or never will be."""
        if self._suspects.pop(job.recipient_number, None) is not None:
            self._write_suspects()

    def close(self) -> None:
        """Give the memory back."""
        self._page.close()

    def _read(self, index: int) -> _Suspect:
        number, times, id_, owner = _RECORD.unpack_from(self._page, index * _RECORD.size)
        return _Suspect(recipient_number=number, times=times, id=id_, owner=owner)

    def _write_suspects(self) -> None:
        while len(self._suspects) > _SUSPECTS:
            self._forget_one()
        records = [
            _RECORD.pack(each.recipient_number, each.times, each.id, each.owner) for each in self._suspects.values()
        ]
        self._page[_RECORD.size : (_SUSPECTS + 1) * _RECORD.size] = b"".join(records).ljust(
            _SUSPECTS * _RECORD.size, b"\0"
        )

    def _forget_one(self) -> None:
        """Forget the earliest of the namespace that has the most: whoever has many pushes out no one else's."""
        counts = collections.Counter(each.owner for each in self._suspects.values())
        most = max(counts.values())
        earliest = next(number for number, each in self._suspects.items() if counts[each.owner] == most)
        del self._suspects[earliest]


def _id(job: ports.Job) -> bytes:
    return job.notification_id.encode()[:_ID_BYTES].ljust(_ID_BYTES, b"\0")


def _owner(job: ports.Job) -> bytes:
    return job.lane.namespace_uid.encode()[-_OWNER_BYTES:].ljust(_OWNER_BYTES, b"\0")

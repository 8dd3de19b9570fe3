"""The completion journal: which messages may have been taken, in a file that survives SIGKILL without a sync.

A commit costs a sync, and many outcomes share one; until it is done, the database does not know what the wire has
seen. So each final dot and each reply to one is noted here first, by one write of 32 bytes into the page cache.
A note says which recipient and which snapshot, never what the message says (R11).

The file is an array of slots, one for each recipient whose outcome is not committed, rather than a log: it stays as
small as the number of open connections, is allocated in advance so that a full disk cannot refuse a note, and need
not be rotated while notes are open. A slot has two records, for the dot and for the reply, so that a reply that is
torn leaves the dot. A slot is not cleared when its outcome is committed; the commit stores the note's serial
instead (`recipients.noted`), and a note that is not newer than that says nothing any more.
"""

import contextlib
import dataclasses
import os
import pathlib
import struct
import zlib
from collections.abc import Iterator
from typing import Final, Self

from mailtier.sender.queueing import crashes

# Recipient, serial, snapshot, kind, padding; then the CRC-32 of all that. 32 bytes divide a page, so that no record
# lies across two. The checksum of zeros is not zero: an empty record is never mistaken for a note.
_BODY: Final = struct.Struct("<QQII4x")
_CHECKSUM: Final = struct.Struct("<I")
RECORD_BYTES: Final = _BODY.size + _CHECKSUM.size
_SLOT_BYTES: Final = 2 * RECORD_BYTES
_BLOCK_BYTES: Final = 4096
_BLOCK_SLOTS: Final = _BLOCK_BYTES // _SLOT_BYTES
_FIRST_BLOCKS: Final = 16

_DOT: Final = 1
_ACCEPTED: Final = 2

_EPOCH_SHIFT: Final = 32


@dataclasses.dataclass(slots=True, kw_only=True)
class _Open:
    """A note and the slot it stands in."""

    slot: int
    note: crashes.Note


class Journal:
    """The open journal of one process. Every method is called from one thread.

    Attributes:
        epoch: How often the queue was opened, this time included.
    """

    def __init__(self, descriptor: int, *, epoch: int) -> None:
        self._descriptor = descriptor
        self.epoch = epoch
        self._serial = epoch << _EPOCH_SHIFT
        self._open: dict[int, _Open] = {}
        self._free: list[int] = []
        self._slots = 0

    @classmethod
    def create(cls, path: pathlib.Path, *, epoch: int) -> Self:
        """Return an empty journal in the place of one whose notes were recovered.

        Args:
            epoch: How often the queue was opened, this time included; greater than in every note ever made.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        journal = cls(descriptor, epoch=epoch)
        try:
            # Overwritten, not truncated: a full volume would not give the blocks back. Notes that stayed would be
            # harmless beside their own database, and wrong beside a new one.
            os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
            for _ in range(_FIRST_BLOCKS):
                journal._grow()
        except BaseException:
            os.close(descriptor)
            raise
        return journal

    def note_dot(self, recipient_number: int, snapshot: int) -> None:
        """Note that the final dot of a recipient's message is about to be written.

        Raises:
            OSError: The note could not be written; the dot must not be sent.
        """
        self._serial += 1
        note = crashes.Note(recipient_number=recipient_number, serial=self._serial, snapshot=snapshot, accepted=False)
        earlier = self._open.get(recipient_number)
        slot = self._take_slot() if earlier is None else earlier.slot
        self._open[recipient_number] = _Open(slot=slot, note=note)
        self._write(slot * _SLOT_BYTES, note)

    def note_accepted(self, recipient_number: int) -> None:
        """Note that the next hop took a recipient's message.

        Raises:
            OSError: The note could not be written; a crash would find the recipient in doubt.
        """
        opened = self._open.get(recipient_number)
        if opened is None:
            self._serial += 1
            note = crashes.Note(recipient_number=recipient_number, serial=self._serial, snapshot=None, accepted=True)
            opened = self._open[recipient_number] = _Open(slot=self._take_slot(), note=note)
        else:
            opened.note = dataclasses.replace(opened.note, accepted=True)
        self._write(opened.slot * _SLOT_BYTES + RECORD_BYTES, opened.note)

    def find(self, recipient_number: int) -> crashes.Note | None:
        """Return the note of a recipient that no commit has answered; None without one."""
        opened = self._open.get(recipient_number)
        return None if opened is None else opened.note

    def settle(self, note: crashes.Note) -> None:
        """Free the slot of a note whose answer is committed, unless the recipient's next attempt has taken it over."""
        opened = self._open.get(note.recipient_number)
        if opened is not None and opened.note.serial == note.serial:
            del self._open[note.recipient_number]
            self._free.append(opened.slot)

    @property
    def snapshots(self) -> frozenset[int]:
        """The snapshots that notes speak of which no commit has answered."""
        notes = (opened.note for opened in self._open.values())
        return frozenset(note.snapshot for note in notes if note.snapshot is not None)

    def close(self) -> None:
        """Close the file; what is noted in it stays for whoever opens the queue next."""
        os.close(self._descriptor)

    def _take_slot(self) -> int:
        if not self._free:
            self._grow()
        return self._free.pop()

    def _grow(self) -> None:
        os.posix_fallocate(self._descriptor, self._slots * _SLOT_BYTES, _BLOCK_BYTES)
        self._free.extend(range(self._slots, self._slots + _BLOCK_SLOTS))
        self._slots += _BLOCK_SLOTS

    def _write(self, offset: int, note: crashes.Note) -> None:
        body = _BODY.pack(note.recipient_number, note.serial, note.snapshot or 0, _ACCEPTED if note.accepted else _DOT)
        record = body + _CHECKSUM.pack(zlib.crc32(body))
        if os.pwrite(self._descriptor, record, offset) != RECORD_BYTES:
            raise OSError("the journal took only a part of a note")


def read(path: pathlib.Path) -> tuple[crashes.Note, ...]:
    """Return what a journal says, the latest note of each recipient; records that are torn or empty say nothing.

    Stale notes are among them: the reader compares their serials with what was committed.
    """
    with contextlib.suppress(FileNotFoundError):
        return _merge(path.read_bytes())
    return ()


def _merge(content: bytes) -> tuple[crashes.Note, ...]:
    notes: dict[int, crashes.Note] = {}
    for found in _records(content):
        known = notes.get(found.recipient_number)
        if known is None or (known.serial, known.accepted) < (found.serial, found.accepted):
            notes[found.recipient_number] = found
    return tuple(notes.values())


def _records(content: bytes) -> Iterator[crashes.Note]:
    for offset in range(0, len(content) - RECORD_BYTES + 1, RECORD_BYTES):
        body = content[offset : offset + _BODY.size]
        (checksum,) = _CHECKSUM.unpack_from(content, offset + _BODY.size)
        if zlib.crc32(body) != checksum:
            continue
        recipient_number, serial, snapshot, kind = _BODY.unpack(body)
        yield crashes.Note(
            recipient_number=recipient_number, serial=serial, snapshot=snapshot or None, accepted=kind == _ACCEPTED
        )

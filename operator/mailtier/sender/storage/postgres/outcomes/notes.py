"""What may have been taken and is not stored yet, in rows that whoever takes over reads.

Before a final dot leaves, its note is committed, though not waited for on the disk: what the database's own crash may
lose of it are messages that are sent twice, and a wait for the disk before every dot would cost more than the message.
Those that come at the same time are noted by one statement, for which nothing else has to be waited for.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import Final

from mailtier.sender.queueing import crashes
from mailtier.sender.storage.postgres.database import connections

_LATE_SECONDS: Final = 0.05
"""An acceptance is noted where its outcome is not stored within this time, which stores it as well."""
_AGAIN_SECONDS: Final = 1.0
"""After how long that is tried again where it failed."""

_EPOCH_SHIFT: Final = 32

# The sender's row is held against being removed by who takes over: either that sees the note, or nothing is noted.
_NOTE: Final = """
    WITH unsynced AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
    own AS MATERIALIZED (SELECT number FROM mailtier.senders WHERE number = $1 FOR KEY SHARE)
    INSERT INTO mailtier.notes (recipient, serial, snapshot, accepted, sender)
    SELECT u.recipient, u.serial, u.snapshot, u.accepted, own.number
    FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[]) AS u (recipient, serial, snapshot, accepted)
    CROSS JOIN own CROSS JOIN unsynced
    ON CONFLICT (recipient) DO UPDATE SET serial = EXCLUDED.serial, snapshot = EXCLUDED.snapshot,
        accepted = EXCLUDED.accepted, sender = EXCLUDED.sender
    RETURNING recipient
"""


class Notes:
    """The notes of one sender.

    Args:
        pool: Connections.
        sender: Its number.
    """

    def __init__(self, pool: connections.Connections, *, sender: int) -> None:
        self._pool = pool
        self._sender = sender
        self._serial = sender << _EPOCH_SHIFT
        self._open: dict[int, crashes.Note] = {}
        self._dots: list[tuple[crashes.Note, asyncio.Future[None]]] = []
        # Since when each is to be noted: the first one first.
        self._accepted: dict[int, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None

    async def note_dot(self, recipient_number: int, snapshot: int) -> None:
        """Note that the final dot of a recipient's message is about to be written.

        Raises:
            OSError: It could not be noted; the dot must not be sent.
        """
        self._serial += 1
        note = crashes.Note(recipient_number=recipient_number, serial=self._serial, snapshot=snapshot, accepted=False)
        # At once: an outcome without an attempt answers it as well.
        self._open[recipient_number] = note
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._dots.append((note, noted))
        self._begin()
        await noted

    def note_accepted(self, recipient_number: int) -> None:
        """Note that the next hop took a recipient's message; stored a little later, if its outcome is not before."""
        note = self._open.get(recipient_number)
        if note is None:
            self._serial += 1
            note = crashes.Note(recipient_number=recipient_number, serial=self._serial, snapshot=None, accepted=True)
        self._open[recipient_number] = dataclasses.replace(note, accepted=True)
        self._accepted[recipient_number] = time.monotonic()
        self._look_later()

    def find(self, recipient_number: int) -> crashes.Note | None:
        """Return the note of a recipient that no commit has answered; None without one."""
        return self._open.get(recipient_number)

    def settle(self, note: crashes.Note) -> None:
        """Forget a note whose answer is committed, unless the recipient's next attempt has made another."""
        current = self._open.get(note.recipient_number)
        if current is not None and current.serial == note.serial:
            del self._open[note.recipient_number]
            self._accepted.pop(note.recipient_number, None)

    async def flush(self) -> None:
        """Store what is noted of acceptances, at the end."""
        self._stop_looking()
        while self._task is not None:
            await self._task
        if accepted := self._late(0.0):
            await self._store(accepted)

    async def abandon(self) -> None:
        """Stop at once, as a process that dies does."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._stop_looking()

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._write(), name="queue-notes")

    def _look_later(self) -> None:
        """Have acceptances stored once they are late, if nothing else is noted by then."""
        if self._looking is None and self._accepted:
            at = next(iter(self._accepted.values())) + _LATE_SECONDS
            pause = max(at - time.monotonic(), 0.0)
            self._looking = asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        self._looking = None
        if self._accepted and next(iter(self._accepted.values())) <= time.monotonic() - _LATE_SECONDS:
            self._begin()
        else:
            self._look_later()

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _write(self) -> None:
        try:
            while True:
                dots, self._dots = self._dots, []
                late = self._late(_LATE_SECONDS)
                if not dots and not late:
                    return
                latest = {note.recipient_number: note for note in [*late, *(note for note, _ in dots)]}
                error: Exception | None = None
                try:
                    await self._store(list(latest.values()))
                except Exception as found:  # noqa: BLE001 - whoever waits is told; its dot is not sent.
                    error = found
                    again_at = time.monotonic() + _AGAIN_SECONDS
                    self._accepted |= dict.fromkeys((note.recipient_number for note in late), again_at)
                for _, noted in dots:
                    _answer(noted, error)
        finally:
            self._task = None
            self._look_later()

    def _late(self, seconds: float) -> list[crashes.Note]:
        """Return acceptances of so long ago that are not stored in any way."""
        before = time.monotonic() - seconds
        found = [number for number, at in self._accepted.items() if at <= before]
        for number in found:
            del self._accepted[number]
        return [self._open[number] for number in found if number in self._open]

    async def _store(self, notes: Sequence[crashes.Note]) -> None:
        async with self._pool.lend() as session:
            stored = await session.fetch(
                _NOTE,
                self._sender,
                [note.recipient_number for note in notes],
                [note.serial for note in notes],
                [note.snapshot for note in notes],
                [note.accepted for note in notes],
            )
        if len(stored) != len(notes):
            raise PermissionError("another sender has taken over what this one delivered")


def _answer(noted: asyncio.Future[None], error: Exception | None) -> None:
    # Also where it failed, it may be noted: what becomes of the attempt answers it.
    if noted.done():
        return
    if error is None:
        noted.set_result(None)
    else:
        refused = OSError("the final dot could not be noted in the queue's database")
        refused.__cause__ = error
        noted.set_exception(refused)

"""Queues for tests: every storage backend by name, a clock that is set by hand, and notifications to put in.

Run as a program it keeps a queue busy until it is killed: `python -m kit.queues BACKEND PLACE`.
"""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import itertools
import pathlib
import sqlite3
import sys
import threading
import typing
from typing import Final

from kit import postgres
from mailtier.api import feed, vocabulary
from mailtier.mail import states as recipient_states
from mailtier.sender import ports
from mailtier.sender.between import displays, filing, queued, requests
from mailtier.sender.secrets import logins
from mailtier.sender.storage import upkeep
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.sqlite import embedded
from mailtier.telemetry import logs

START: Final = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)

LIMITS: Final = embedded.VolumeLimits(
    # Whatever else fills the disk of the machine that runs the tests.
    full_at=2.0,
    reserve_bytes=64 * 1024,
    # Closing truncates; what happens in between is a test of its own.
    truncate_every=dt.timedelta(hours=1),
)

LANE: Final = ports.LaneKey(namespace_uid="uid-a", namespace="team-a", organization="default")
QUOTA: Final = ports.QueueQuota()
SNAPSHOT: Final = ports.Snapshot(settings='{"from":"noreply@example.org"}')


class WholeQueue(
    upkeep.UpkeepQueue,
    ports.Queue,
    filing.FilingQueue,
    filing.DroppingQueue,
    queued.CountingQueue,
    requests.AskingQueue,
    requests.AnsweringQueue,
    displays.ShowingQueue,
    displays.ShownQueue,
    logins.Memory,
    typing.Protocol,
):
    """All that a backend does, for the intake and for delivery."""


Opener = collections.abc.Callable[[str, "Clock", dt.timedelta], collections.abc.Awaitable[WholeQueue]]


@dataclasses.dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    now: dt.datetime = START

    def __call__(self) -> dt.datetime:
        """Return the time that it was set to."""
        return self.now


async def _open_sqlite(place: str, clock: Clock, keep_failed: dt.timedelta) -> WholeQueue:
    return await embedded.open_queue(pathlib.Path(place), now=clock, limits=LIMITS, keep_failed=keep_failed)


async def _open_postgres(place: str, clock: Clock, keep_failed: dt.timedelta) -> WholeQueue:
    options = shared_queue.SharedOptions(dsn=lambda: place, name="sender-0")
    return await shared_queue.open_queue(options, now=clock, keep_failed=keep_failed)


BACKENDS: Final[collections.abc.Mapping[str, Opener]] = {"postgres": _open_postgres, "sqlite": _open_sqlite}

_KEEP_FAILED: Final = dt.timedelta(days=7)


@dataclasses.dataclass(slots=True)
class Factory:
    """Opens queues of one backend on one storage, and closes those that the test leaves open.

    Attributes:
        place: The folder of an embedded queue; the address of the database of a shared one.
    """

    backend: str
    place: str
    clock: Clock = dataclasses.field(default_factory=Clock)
    _opened: list[WholeQueue] = dataclasses.field(default_factory=list)

    @property
    def directory(self) -> pathlib.Path:
        """The folder of an embedded queue."""
        assert self.backend == "sqlite", "only the embedded queue has a folder"
        return pathlib.Path(self.place)

    async def open(self, *, keep_failed: dt.timedelta = _KEEP_FAILED) -> WholeQueue:
        """Return the queue, open."""
        queue = await BACKENDS[self.backend](self.place, self.clock, keep_failed)
        self._opened.append(queue)
        return queue

    async def close(self) -> None:
        """Close the queue that is open."""
        await self._opened.pop().close()

    async def reopen(self) -> WholeQueue:
        """Return the queue after a restart in good order."""
        await self.close()
        return await self.open()

    async def close_all(self) -> None:
        """Close what is open still."""
        while self._opened:
            await self.close()


_numbers = itertools.count(1)


def notification(**changes: object) -> ports.NewNotification:
    """Return a notification with an id of its own, and the given fields changed."""
    number = next(_numbers)
    usual = ports.NewNotification(
        id=f"ntf-{number:06d}",
        lane=LANE,
        category=vocabulary.Category.JOB_ALERT,
        severity=vocabulary.Severity.ERROR,
        locale=vocabulary.Locale.ENGLISH,
        recipients=("ops@example.org",),
        subject=f"Job {number} failed",
        text="It ran out of memory.",
        data={"job": f"nightly-{number}"},
        accepted_at=START,
        expires_at=START + dt.timedelta(days=1),
        idempotency_key=None,
        digest=f"{number:064x}",
        source=None,
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]  # Fields by name, for the tests' brevity.


def source(name: str = "backup", *, object_uid: str = "object-1", spec_hash: str = "spec-1") -> ports.ObjectSource:
    """Return the object that a notification came from."""
    return ports.ObjectSource(name=name, object_uid=object_uid, spec_hash=spec_hash)


def outcome(
    recipient_number: int, state: vocabulary.RecipientState, *, at: dt.datetime = START, attempted: bool = True
) -> ports.Outcome:
    """Return an outcome at a time; what is not final is due five minutes later."""
    final = state in {
        vocabulary.RecipientState.ACCEPTED,
        vocabulary.RecipientState.FAILED,
        vocabulary.RecipientState.EXPIRED,
        vocabulary.RecipientState.SUPPRESSED,
    }
    return ports.Outcome(
        recipient_number=recipient_number,
        state=state,
        due_at=None if final else at + dt.timedelta(minutes=5),
        attempted=attempted,
        reason="Tested",
        message="This is a test.",
        at=at,
    )


async def enqueue(queue: ports.IntakeQueue, new: ports.NewNotification, *, quota: ports.QueueQuota) -> ports.Enqueued:
    """Store a notification, or find the same one; raise why it was not stored."""
    (verdict,) = await queue.enqueue_all([(new, quota)])
    if not isinstance(verdict, ports.Enqueued):
        raise verdict
    return verdict


async def put(queue: ports.Queue, **changes: object) -> tuple[str, list[int]]:
    """Enqueue a notification; return its id and its recipients' numbers."""
    enqueued = await enqueue(queue, notification(**changes), quota=QUOTA)
    return enqueued.id, [pending.recipient_number for pending in enqueued.pending]


def settle(queue: ports.DeliveryQueue, outcome: ports.Outcome) -> asyncio.Future[None]:
    """Store one outcome; it is on its way when this returns, and the future has its error."""
    return asyncio.ensure_future(_only(queue.settle([outcome])))


async def _only(storing: collections.abc.Awaitable[collections.abc.Sequence[Exception | None]]) -> None:
    (error,) = await storing
    if error is not None:
        raise error


async def claim(queue: ports.DeliveryQueue, **changes: object) -> list[ports.Claimed]:
    """Claim whatever has no final state, at whatever time, by the backlogs' order; demands may be changed."""
    usual = {"due_by": None, "states": recipient_states.UNFINISHED, "limit": 100_000, "limit_bytes": 10**12} | changes
    demands = [ports.Demand(backlog=key, **usual) for key in sorted(await queue.backlogs())]  # type: ignore[arg-type]
    return list((await queue.claim(demands)).claimed)


async def look(queue: ports.Queue) -> list[ports.Claimed]:
    """Return whatever has no final state and is not claimed, by its number, and leave it as it is."""
    found = await claim(queue)
    queue.unclaim([each.pending.recipient_number for each in found])
    return sorted(found, key=lambda each: each.pending.recipient_number)


async def unfinished(queue: ports.Queue) -> list[ports.Pending]:
    """Return every recipient without a final state that is not claimed, by its number."""
    return [each.pending for each in await look(queue)]


async def find_job(queue: ports.Queue, recipient_number: int) -> ports.Job | None:
    """Return the job of a recipient; None if its state is final."""
    return next((each.job for each in await look(queue) if each.pending.recipient_number == recipient_number), None)


async def job(queue: ports.Queue, recipient_number: int) -> ports.Job:
    """Return the job of a recipient that must have one."""
    found = await find_job(queue, recipient_number)
    assert found is not None, f"recipient {recipient_number} has no job"
    return found


async def record(queue: ports.Queue, notification_id: str) -> ports.Record:
    """Return a notification that must be there."""
    found = await queue.find(LANE, notification_id)
    assert found is not None, f"{notification_id} is not in the queue"
    return found


async def states(queue: ports.Queue, notification_id: str) -> list[str]:
    """Return the states of a notification's recipients, in their order."""
    return [recipient_number.state.value for recipient_number in (await record(queue, notification_id)).recipients]


async def changed_objects(queue: ports.Queue, after: int) -> list[feed.Taken]:
    """Return the objects that changed after a cursor."""
    return [item for item in (await queue.changes(after)).items if isinstance(item, feed.Taken)]


async def read_everything(queue: ports.Queue) -> None:
    """Read the feed to its end, and come back with the cursor as the operator does."""
    cursor = 0
    while (found := await queue.changes(cursor)).cursor != cursor:
        cursor = found.cursor


def watched(queue: WholeQueue) -> tuple[WholeQueue, list[str]]:
    """Return a queue, and which outcomes the table of states refused: those are defects of whoever reported them."""
    refused: list[str] = []
    return typing.cast("WholeQueue", _Watched(queue, refused)), refused


class _Watched:
    """A queue whose outcomes are looked at once they are stored or refused."""

    def __init__(self, queue: ports.Queue, refused: list[str]) -> None:
        self._queue = queue
        self._refused = refused

    def __getattr__(self, name: str) -> object:
        return getattr(self._queue, name)

    def settle(
        self, outcomes: collections.abc.Sequence[ports.Outcome]
    ) -> asyncio.Future[collections.abc.Sequence[Exception | None]]:
        """Store outcomes."""
        future = self._queue.settle(outcomes)
        future.add_done_callback(self._note)
        return future

    def _note(self, future: asyncio.Future[collections.abc.Sequence[Exception | None]]) -> None:
        if future.cancelled() or future.exception():
            return
        for error in future.result():
            if isinstance(error, recipient_states.IllegalTransition):
                self._refused.append(str(error))


@contextlib.asynccontextmanager
async def stalled(queue: embedded.EmbeddedQueue) -> collections.abc.AsyncIterator[None]:
    """Let nothing be committed within this context: what is recorded is under way, as at a crash under load."""
    begun, go_on = threading.Event(), threading.Event()

    def stall(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    # The port has no way to make a commit wait.
    waiting = queue._writer.submit(stall)
    await asyncio.to_thread(begun.wait)
    try:
        yield
    finally:
        go_on.set()
        await waiting


async def keep_busy(queue: ports.Queue, *, workers: int) -> None:
    """Enqueue and deliver until the process is killed; print each id when it is acknowledged.

    Lines: `queued ID` after the commit, `dot ID` before the dot is noted, `accepted ID` after the reply is noted.
    Outcomes are not awaited, as in the delivery loop.
    """

    async def work(worker: int) -> None:
        for number in itertools.count():
            id_, (recipient_number,) = await put(queue, id=f"{worker}-{number}")
            print("queued", id_, flush=True)
            if number % 3 == 0:
                continue
            print("dot", id_, flush=True)
            await queue.note_dot(recipient_number, SNAPSHOT)
            if number % 3 == 1:
                queue.note_accepted(recipient_number)
                print("accepted", id_, flush=True)
                settle(queue, outcome(recipient_number, vocabulary.RecipientState.ACCEPTED))

    await asyncio.gather(*(work(worker) for worker in range(workers)))


async def holds(factory: Factory, mark: str) -> bool:
    """Return whether a text lies anywhere in what a queue has stored, or may; an embedded one has to be closed."""
    return bool(await held(factory, [mark]))


async def held(factory: Factory, marks: collections.abc.Iterable[str]) -> list[str]:
    """Return which of some texts lie anywhere in what a queue has stored, or may."""
    if factory.backend == "postgres":
        return await postgres.held(factory.place, marks)
    content = b"".join(path.read_bytes() for path in factory.directory.iterdir())
    return [mark for mark in marks if mark.encode() in content]


async def _main(backend: str, place: str) -> None:
    # What is printed is read.
    logs.configure(level="ERROR", style="json")
    await keep_busy(await BACKENDS[backend](place, Clock(), _KEEP_FAILED), workers=8)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))

"""Any sequence of operations on a queue, and what it must know after each: a model that every backend is held to."""

import abc
import asyncio
import datetime as dt
import typing

from hypothesis import stateful
from hypothesis import strategies as st

from kit import queues, recipient_states
from mailtier.api import feed, vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import quotas

S = vocabulary.RecipientState

_REPORTED = st.sampled_from(list(S))
_AGAIN = recipient_states.AGAIN
_ATTEMPTABLE = {S.QUEUED, S.DEFERRED, S.IN_DOUBT}


class QueueStorage(abc.ABC):
    """Where a queue lies, how it crashes, and what is stored."""

    @abc.abstractmethod
    async def open(self) -> queues.WholeQueue:
        """Return the queue, open."""

    @abc.abstractmethod
    async def crash(self, queue: typing.Any, under_way: list[int], dots: list[int]) -> None:
        """Die while outcomes are under way and dots are noted."""

    @abc.abstractmethod
    def read(self, statement: str) -> list[tuple[typing.Any, ...]]:
        """Return rows of the tables."""

    @abc.abstractmethod
    def close(self) -> None:
        """Remove it."""


class Sequences(stateful.RuleBasedStateMachine):
    """A queue, and what it must know."""

    # Where a sender on another machine goes on, what it read of the feed is known as well.
    forgets_what_was_read = True

    def __init__(self) -> None:
        super().__init__()
        self.storage = self._storage()
        self.runner = asyncio.Runner()
        self.told: set[str] = set()
        self.queue = self._open()
        self.ids: dict[int, str] = {}
        self.known: dict[int, S] = {}
        self.notes: dict[int, str] = {}
        self.objects: set[str] = set()

    @abc.abstractmethod
    def _storage(self) -> QueueStorage:
        """Return an empty one."""

    def _open(self) -> queues.WholeQueue:
        if self.forgets_what_was_read:
            self.told = set()
        return self.runner.run(self.storage.open())

    def _run(self, awaitable: typing.Any) -> typing.Any:
        async def wait() -> typing.Any:
            return await awaitable

        return self.runner.run(wait())

    @stateful.rule(count=st.integers(1, 3), from_object=st.booleans())
    def put(self, count: int, from_object: bool) -> None:
        """Enqueue a notification."""
        source = queues.source(f"object-{len(self.ids)}") if from_object else None
        id_, recipients = self._run(queues.put(self.queue, recipients=("a@x.org",) * count, source=source))
        for recipient_number in recipients:
            self.ids[recipient_number] = id_
            self.known[recipient_number] = S.QUEUED
        if from_object:
            self.objects.add(id_)

    @stateful.rule()
    def read(self) -> None:
        """Read the feed to its end, as the operator does."""
        self._run(queues.read_everything(self.queue))
        self.told = self.objects & self._finished()

    @stateful.rule(count=st.integers(1, 3), key=st.booleans(), share=st.sampled_from([1_500, 4_000, 20_000]))
    def put_within_a_share(self, count: int, key: bool, share: int) -> None:
        """Enqueue while the namespace has little room: finished ones may be forgotten, and nothing else."""
        new = queues.notification(
            recipients=("a@x.org",) * count, idempotency_key=f"key-{len(self.ids)}-{count}" if key else None
        )
        try:
            enqueued = self._run(queues.enqueue(self.queue, new, quota=ports.QueueQuota(stored_bytes=share)))
        except (ports.QuotaExceededError, ports.IdempotencyConflictError):
            pass
        else:
            for pending in enqueued.pending:
                self.ids[pending.recipient_number] = new.id
                self.known[pending.recipient_number] = S.QUEUED
        for id_ in self._finished():
            found = self._run(self.queue.find(queues.LANE, id_))
            if found is None or not found.recipients:
                self._expect_totals(id_, found)
                self._forget(id_)

    def _expect_totals(self, id_: str, found: ports.Record | None) -> None:
        """An object is forgotten only after its end was read, and how it ended is not forgotten."""
        if id_ in self.objects:
            ended = [self.known[recipient_number] for recipient_number, of in self.ids.items() if of == id_]
            assert id_ in self.told
            assert found is not None
            assert found.totals == feed.Tally(accepted=ended.count(S.ACCEPTED), recipients=len(ended))
        else:
            assert found is None

    def _finished(self) -> set[str]:
        return {
            id_
            for id_ in set(self.ids.values())
            if all(self.known[one] in states.FINAL for one, of in self.ids.items() if of == id_)
        }

    def _forget(self, id_: str) -> None:
        for recipient_number in [one for one, of in self.ids.items() if of == id_]:
            del self.ids[recipient_number], self.known[recipient_number]
            self.notes.pop(recipient_number, None)

    @stateful.precondition(lambda self: self.known)
    @stateful.rule(data=st.data(), state=_REPORTED)
    def record(self, data: st.DataObject, state: S) -> None:
        """Record any outcome; it is stored exactly if the tests' own table has it."""
        recipient_number = data.draw(st.sampled_from(sorted(self.known)))
        recorded = self.runner.run(self._record(recipient_number, state))
        assert recorded == recipient_states.PAIRS[self.known[recipient_number], state]
        if recorded:
            self.known[recipient_number] = state
            self.notes.pop(recipient_number, None)

    async def _record(self, recipient_number: int, state: S) -> bool:
        try:
            await queues.settle(self.queue, queues.outcome(recipient_number, state))
        except states.IllegalTransition:
            return False
        return True

    @stateful.precondition(lambda self: self.known)
    @stateful.rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Send again what failed of a notification, where its text is there."""
        id_ = data.draw(st.sampled_from(sorted(set(self.ids.values()))))
        again = [one for one, of in self.ids.items() if of == id_ and (self.known[one], S.QUEUED) in _AGAIN]
        later = queues.START + dt.timedelta(days=1)
        retrying = self.queue.retry(
            queues.LANE.namespace_uid, id_, at=queues.START, expires_at=later, quota=queues.QUOTA
        )
        try:
            pending = self._run(retrying)
        except filing.NotRetryableError:
            assert not again or id_ in self._finished()
        else:
            assert [each.recipient_number for each in pending] == sorted(again) != []
            self.known |= dict.fromkeys(again, S.QUEUED)
            self.told.discard(id_)

    @stateful.precondition(lambda self: self.known)
    @stateful.rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """Wipe what is kept of a notification, if it has ended."""
        id_ = data.draw(st.sampled_from(sorted(set(self.ids.values()))))
        self._run(self.queue.drop(queues.LANE.namespace_uid, id_))

    def _attemptable(self) -> list[int]:
        return sorted(
            recipient_number
            for recipient_number, state in self.known.items()
            if state in _ATTEMPTABLE and self.notes.get(recipient_number) != "accepted"
        )

    @stateful.precondition(lambda self: self._attemptable())
    @stateful.rule(data=st.data(), accepted=st.booleans())
    def attempt(self, data: st.DataObject, accepted: bool) -> None:
        """Send a final dot, and perhaps get its reply."""
        recipient_number = data.draw(st.sampled_from(self._attemptable()))
        self._run(self.queue.note_dot(recipient_number, queues.SNAPSHOT))
        self.notes[recipient_number] = "accepted" if accepted else "dot"
        if accepted:
            self._run(self._note_accepted(recipient_number))

    async def _note_accepted(self, recipient_number: int) -> None:
        # On the loop, as delivery does.
        self.queue.note_accepted(recipient_number)

    @stateful.rule(days=st.integers(0, 9))
    def purge(self, days: int) -> None:
        """Remove what is past its retention."""
        self._run(self.queue.purge(now=queues.START + dt.timedelta(days=days)))
        if days > 7:
            for id_ in self._finished():
                self._forget(id_)

    @stateful.rule()
    def restart(self) -> None:
        """Close the queue and open it."""
        self._run(self.queue.close())
        self._expect_recovery()
        self.queue = self._open()

    @stateful.rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Die while any outcomes are under way."""
        under_way = data.draw(st.lists(st.sampled_from(sorted(self.known)), unique=True)) if self.known else []
        attemptable = sorted(set(self._attemptable()) - set(under_way))
        dots = data.draw(st.lists(st.sampled_from(attemptable), unique=True)) if attemptable else []
        self.runner.run(self.storage.crash(self.queue, under_way, dots))
        self.notes |= {recipient_number: "dot" for recipient_number in dots if recipient_number not in self.notes}
        self._expect_recovery()
        self.queue = self._open()

    def _expect_recovery(self) -> None:
        for recipient_number, note in self.notes.items():
            if self.known[recipient_number] not in states.FINAL:
                self.known[recipient_number] = S.ACCEPTED if note == "accepted" else S.IN_DOUBT
        self.notes.clear()

    @stateful.invariant()
    def nothing_is_lost(self) -> None:
        """Each recipient stands where the model has it, and can be claimed; in doubt may have ended as failed."""
        for id_ in set(self.ids.values()):
            recipients = sorted(one for one, of in self.ids.items() if of == id_)
            found = self._run(queues.states(self.queue, id_))
            for recipient_number, state in zip(recipients, found, strict=True):
                if self.known[recipient_number] is S.IN_DOUBT and state == "failed":
                    self.known[recipient_number] = S.FAILED
                assert state == self.known[recipient_number], f"{id_} recipient {recipient_number}"
        claimable = {each.recipient_number: each.state for each in self._run(queues.unfinished(self.queue))}
        assert claimable == {one: state for one, state in self.known.items() if state not in states.FINAL}

    @stateful.invariant()
    def sums_are_right(self) -> None:
        """The quota's counters are what counting gives, and payloads are there exactly while one is needed or kept."""
        used = self.storage.read("SELECT messages, payload_bytes, stored_bytes FROM {usage}")
        stored = self.storage.read(
            "SELECT n.stored_bytes, n.key_bytes, "
            "CASE WHEN n.unfinished > 0 OR n.payload_until IS NOT NULL THEN n.payload_bytes ELSE 0 END, "
            f"(SELECT coalesce(sum({quotas.RECIPIENT_BYTES} + length(r.address)), 0) FROM {{recipients}} r "
            "WHERE r.notification = n.number) FROM {notifications} n"
        )
        payloads = self.storage.read(
            "SELECT n.payload_until IS NOT NULL, p.body IS NOT NULL, n.payload_bytes, n.unfinished "
            "FROM {notifications} n JOIN {payloads} p ON p.notification = n.number"
        )
        failed = self.storage.read(
            # While it is sent again, what is kept has no failure.
            "SELECT n.failed, n.payload_until IS NOT NULL AND n.unfinished = 0, (SELECT count(*) FROM {recipients} r "
            "WHERE r.notification = n.number AND r.state IN ('failed', 'expired', 'suppressed')) "
            "FROM {notifications} n WHERE n.forgotten_recipients IS NULL AND n.stored_bytes > n.key_bytes"
        )
        assert all((unfinished > 0 or kept) == there for kept, there, _, unfinished in payloads)
        assert all(said == counted and (counted > 0 or not kept) for said, kept, counted in failed)
        messages, payload_bytes, stored_bytes = used[0] if used else (0, 0, 0)
        assert all(whole == key + payload + recipients for whole, key, payload, recipients in stored)
        assert stored_bytes == sum(whole for whole, *_ in stored)
        assert messages == sum(unfinished for *_, unfinished in payloads)
        assert payload_bytes == sum(size for *_, size, unfinished in payloads if unfinished)

    def teardown(self) -> None:
        """Close everything."""
        self._run(self.queue.close())
        self.runner.close()
        self.storage.close()

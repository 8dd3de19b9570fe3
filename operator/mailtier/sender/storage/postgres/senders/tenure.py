"""A sender's row: as long as it is there and in time, the sender may deliver; who removes it takes over its notes.

Times are the database's. The sender counts from before it asked, so that it believes to have less time than it has; in
the last third it starts no dot, and at the end it closes. Whoever removes the row of one whose time is over waits for
what that one is committing, and whatever it commits later finds no row and changes nothing.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import crashes
from mailtier.sender.storage import reporting, values
from mailtier.sender.storage.postgres.database import committing, connections
from mailtier.sender.storage.postgres.outcomes import settling
from mailtier.sender.storage.postgres.senders import between_rows
from mailtier.telemetry import logs

LEASE: Final = dt.timedelta(seconds=15)
"""How long a sender that is not heard of is waited for."""

_RENEWALS: Final = 6
"""In the time of a lease."""

_AT_ONCE: Final = 500

CHANNEL: Final = "mailtier_senders"
TELL: Final = f"SELECT pg_notify('{CHANNEL}', '')"
"""Tells all senders that one of them came, went, or owns something no longer."""

# Nobody renews meanwhile: whoever stands still with it, or waits long for it, lets go well before a lease is over.
_LOCK: Final = (
    "SET LOCAL idle_in_transaction_session_timeout = 2000; SET LOCAL lock_timeout = 2000; "
    "LOCK TABLE mailtier.senders IN SHARE ROW EXCLUSIVE MODE"
)
_ENTER: Final = """
    WITH added AS (
        INSERT INTO mailtier.senders (name, expires_at, shares)
        VALUES ($1, clock_timestamp() + $2::interval, true) RETURNING number
    )
    INSERT INTO mailtier.turns (sender, settled) SELECT number, 0 FROM added RETURNING sender
"""
_RENEW: Final = """
    UPDATE mailtier.senders SET expires_at = clock_timestamp() + $2::interval WHERE number = $1
    RETURNING (SELECT min(number) FROM mailtier.senders) = number,
        EXISTS (SELECT FROM mailtier.senders WHERE expires_at < clock_timestamp()),
        NOT EXISTS (SELECT FROM mailtier.senders WHERE NOT shares)
"""
_SUCCESSOR: Final = "SELECT FROM mailtier.senders WHERE name = $1 AND number > $2"
_ANSWER_SECONDS: Final = 2.0
"""For the database to say who came, where it is not away."""

# Its next life under the same name needs not wait: where names are given out one by one, as to the pods of a
# StatefulSet, the earlier one is gone.
_RETIRE_OVERDUE: Final = """
    DELETE FROM mailtier.senders WHERE expires_at < clock_timestamp() OR name = $1 RETURNING number
"""
# That they have no owner came with the row of that one.
_SET_FREE: Final = "UPDATE mailtier.rooms SET changed_at = now() WHERE owner IS NULL"
_NOTES: Final = """
    SELECT o.recipient, o.serial, o.snapshot, o.accepted, r.state, r.doubts, n.category, n.accepted_at, n.expires_at
    FROM mailtier.notes o
    LEFT JOIN mailtier.recipients r ON r.number = o.recipient
    LEFT JOIN mailtier.notifications n ON n.number = r.notification
    WHERE o.sender = ANY ($1::bigint[]) ORDER BY o.recipient LIMIT $2
"""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CrashRules:
    """How it is decided about what a sender left behind.

    Attributes:
        now: Returns the aware UTC time.
        in_doubt: Decides about those whose message may have been taken.
        keep_failed: How long the payloads of what failed are kept.
    """

    now: Callable[[], dt.datetime]
    in_doubt: crashes.InDoubtDecision
    keep_failed: dt.timedelta


class TenureLostError(ports.StorageBrokenError):
    """This sender was not heard of for too long, and another may have taken over: it starts again.

    Args:
        told: What else is so, where somebody knows.
    """

    def __init__(self, told: str = "") -> None:
        super().__init__(
            told or "this sender was not heard of for too long, and another may have taken over: it starts again"
        )


def _boottime() -> float:
    # It goes on while the machine sleeps, as the database's does.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Tenure:
    """The row of this sender. Made by `enter`.

    Attributes:
        number: Its number: greater than that of every sender before it.
        turn: Set when it has been here for longest: then it does what one sender alone has to do.
        lost: Set when its time is over, or the row is gone; nothing more may be sent.
    """

    def __init__(
        self,
        pool: connections.Connections,
        number: int,
        *,
        name: str,
        lease: dt.timedelta,
        until: float,
        rules: CrashRules,
    ) -> None:
        self.number = number
        self._name = name
        self.turn = asyncio.Event()
        self.lost = asyncio.Event()
        self._pool = pool
        self._lease = lease
        self._until = until
        self._rules = rules
        self._all_share = False
        self._renewed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def enter(
        cls, pool: connections.Connections, *, name: str, lease: dt.timedelta, rules: CrashRules
    ) -> "Tenure":
        """Return the row of a new sender, once what those left behind whose time is over is answered."""
        started = _boottime()

        async def retire(session: connections.DatabaseSession) -> None:
            await _retire(session, await session.fetch(_RETIRE_OVERDUE, name), rules)

        async def enter(session: connections.DatabaseSession) -> int:
            # After one that is entering and cannot be seen yet: the one with the greater number knows of the other.
            await session.execute(_LOCK)
            number = int(await session.fetchval(_ENTER, name, lease))
            await session.execute(TELL)
            return number

        await committing.step(pool, retire)
        number = await committing.step(pool, enter)
        tenure = cls(pool, number, name=name, lease=lease, until=started + lease.total_seconds(), rules=rules)
        await tenure.renew()
        tenure._task = asyncio.create_task(tenure._keep(), name="queue-lease")
        return tenure

    @property
    def leads(self) -> bool:
        """Whether it is the oldest; that ends with its time alone."""
        return self.turn.is_set()

    @property
    def may_own(self) -> bool:
        """Whether it may own anything: beside one that does not look who owns what, the oldest alone may."""
        return self._all_share or self.leads

    def may_send(self) -> bool:
        """Return whether a final dot may be started now."""
        return not self.lost.is_set() and _boottime() < self._until - self._lease.total_seconds() / 3

    async def wait_to_send(self) -> None:
        """Return when a message may begin: in the last third its dot could not leave, and a renewal is waited for.

        Raises:
            TenureLostError: There was none.
        """
        while not self.may_send():
            self.require()
            self._renewed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._until - _boottime(), 0.0)):
                    await self._renewed.wait()

    def require_dots(self) -> None:
        """Return while a final dot may be started.

        Raises:
            OSError: It may not.
        """
        if not self.may_send():
            raise OSError("the lease on what is delivered ends soon, and was not renewed")

    def require(self) -> None:
        """Return while the time is not over.

        Raises:
            TenureLostError: Another sender has taken over, or may.
        """
        if self.lost.is_set() or _boottime() >= self._until:
            self.lost.set()
            raise TenureLostError

    async def wait_lost(self) -> NoReturn:
        """Wait until nothing more may be sent.

        Raises:
            TenureLostError: It was not heard of, or another came under its name; the text says which.
        """
        await self.lost.wait()
        told = ""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_ANSWER_SECONDS):
                if await self._pool.fetch(_SUCCESSOR, self._name, self.number):
                    told = (
                        f"another sender started under the name {self._name}: give each a --sender-name of its own,"
                        " where that is not the next life of this one"
                    )
        raise TenureLostError(told)

    async def settle(self, session: connections.DatabaseSession, serial: int) -> None:
        """Note a batch of outcomes, in their transaction.

        Raises:
            TenureLostError: Another sender has taken over.
        """
        if await session.fetchval(
            "UPDATE mailtier.turns SET settled = $2 WHERE sender = $1 RETURNING sender", self.number, serial
        ):
            return
        self.lost.set()
        self.require()

    async def is_settled(self, session: connections.DatabaseSession, serial: int) -> bool:
        """Return whether a batch of outcomes is stored, once what may be storing it has come to its end."""
        return bool(
            await session.fetchval(
                "SELECT settled = $2 FROM mailtier.turns WHERE sender = $1 FOR NO KEY UPDATE", self.number, serial
            )
        )

    async def renew(self) -> None:
        """Have more time, and take over from others whose time is over."""
        started = _boottime()
        rows = await self._pool.fetch(_RENEW, self.number, self._lease)
        if not rows:
            self.lost.set()
            return
        self._until = started + self._lease.total_seconds()
        self._renewed.set()
        ((leads, is_overdue, self._all_share),) = rows
        if leads and not self.leads:
            _log.info("this sender is the oldest", sender=self.number)
            self.turn.set()
        if is_overdue:
            await committing.step(self._pool, self._take_over)

    async def leave(self) -> None:
        """Give up the row, and answer what is noted; at the end, after everything else."""
        await self.abandon()
        if not self.lost.is_set():
            await committing.step(self._pool, self._retire_self)

    async def abandon(self) -> None:
        """Stop, as a process that dies does: the row stays until its time is over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while not self.lost.is_set():
            await asyncio.sleep(self._lease.total_seconds() / _RENEWALS)
            try:
                # A renewal that takes longer is of no use.
                async with asyncio.timeout(self._lease.total_seconds() / 3):
                    await self.renew()
            except Exception as error:  # noqa: BLE001 - it is tried again as long as there is time.
                _log.warning("the lease was not renewed", error=connections.describe(error))
            if _boottime() >= self._until:
                self.lost.set()

    async def _take_over(self, session: connections.DatabaseSession) -> None:
        # No row has a name that is empty.
        gone = await session.fetch(_RETIRE_OVERDUE, "")
        await _retire(session, gone, self._rules)
        if gone:
            _log.warning("took over from senders that are not heard of", count=len(gone))

    async def _retire_self(self, session: connections.DatabaseSession) -> None:
        gone = await session.fetch("DELETE FROM mailtier.senders WHERE number = $1 RETURNING number", self.number)
        await _retire(session, gone, self._rules)


async def _retire(session: connections.DatabaseSession, gone: Sequence[Sequence[int]], rules: CrashRules) -> None:
    """Answer the notes of senders whose rows this transaction removed; what they owned nobody owns now."""
    numbers = [number for (number,) in gone]
    while numbers and (rows := await session.fetch(_NOTES, numbers, _AT_ONCE)):
        attempts: list[reporting.ReportedOutcome] = []
        for recipient, serial, snapshot, accepted, state, doubts, category, accepted_at, expires_at in rows:
            if state is None:
                continue
            note = crashes.Note(recipient_number=recipient, serial=serial, snapshot=snapshot, accepted=bool(accepted))
            found = crashes.Interrupted(
                state=vocabulary.RecipientState(state),
                answered=0,
                losses=doubts,
                category=vocabulary.Category(category),
                accepted_at=values.from_micros(accepted_at),
                expires_at=values.from_micros(expires_at),
            )
            answers = crashes.answer(note, found, now=rules.now(), in_doubt=rules.in_doubt)
            attempts += [reporting.ReportedOutcome(outcome=answer, note=note) for answer in answers]
        if attempts:
            for error in await settling.settle(session, attempts, keep_failed=rules.keep_failed):
                if error is not None:
                    raise error
        await session.execute(
            "DELETE FROM mailtier.notes WHERE recipient = ANY ($1::bigint[])", [row[0] for row in rows]
        )
    if numbers:
        await session.execute(_SET_FREE)
        await between_rows.take_back(session)
        await session.execute(TELL)

"""Whose message comes next over a slot, known when the dot of the one before leaves: its envelope leaves with that.

A round trip a message is saved so (RFC 2920 section 3.1). The server has only been told: no dot is noted, nothing is
counted as an attempt, and where its turn cannot be had after all, the connection ends before a byte of it has left.
"""

import dataclasses
from collections.abc import Callable
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import clock
from mailtier.sender.delivering import builder, plans, recorder, tries
from mailtier.sender.scheduling import lanes, standing
from mailtier.sender.secrets import tokens
from mailtier.sender.smtp import destination, slots
from mailtier.sender.smtp.servers import destination_key
from mailtier.sender.smtp.sessions import exchange
from mailtier.telemetry import logs

_S: Final = vocabulary.RecipientState

_FRESH: Final = frozenset({_S.QUEUED, _S.DEFERRED})
"""What waits for nothing but its turn: what is held or in doubt goes with more to do before."""

PATIENCE_SECONDS: Final = 2.0
"""How long somebody waits at most behind a message whose reply does not come, before others may take him along."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A message that is built, and the settings that it was built with."""

    usable: standing.Usable
    built: builder.Built
    letter: exchange.Letter


def letter(built: builder.Built, limits: destination_key.DestinationLimits) -> exchange.Letter:
    """Return what carries a message where these limits hold."""
    return exchange.Letter(mail_from=built.mail_from, rcpt_to=built.rcpt_to, message=built.data, rules=limits.replies)


class Preparer:
    """Prepares messages whose turn comes next, where nothing keeps them from it as far as is known.

    Args:
        found: How messages go.
        access: Access tokens.
        messages: Builds them.
        outcomes: Whether another may be begun.
        time: Clocks.
    """

    def __init__(
        self,
        *,
        found: plans.DeliveryPlans,
        access: tokens.Tokens,
        messages: builder.Builder,
        outcomes: recorder.Recorder,
        time: clock.Clock,
    ) -> None:
        self._plans = found
        self._tokens = access
        self._messages = messages
        self._outcomes = outcomes
        self._clock = time

    def prepare(self, entry: lanes.LaneEntry, target: destination.Destination, slot: slots.Slot) -> Prepared | None:
        """Return an entry's message where it may go over the session of a slot; None where that is not certain."""
        job = entry.job
        if entry.pending.state not in _FRESH or job.snapshot is not None or not self._outcomes.has_room:
            return None
        plan = self._plans.find(entry.organization.key, target.key)
        if plan is None or not self._may_go(entry, plan, target, slot):
            return None
        try:
            built = self._messages.build(job, plan.usable.from_, server=plan.server)
        except Exception:  # noqa: BLE001 - its own attempt says why.
            return None
        return Prepared(usable=plan.usable, built=built, letter=letter(built, target.limits_of(slot)))

    def _may_go(
        self, entry: lanes.LaneEntry, plan: plans.DeliveryPlan, target: destination.Destination, slot: slots.Slot
    ) -> bool:
        usable, found = plan.usable, self._plans.peek(plan)
        if found is None or not target.sessions.may_follow(slot, found.generation, usable.barred):
            return False
        now, category = self._clock.monotonic(), entry.pending.category
        if target.health.retry_at(entry.organization.key.namespace, category) > now:
            return False
        if target.throttles.holds(tries.user(usable, found.generation)):
            return False
        state = target.auth_state(found.generation)
        ready = self._tokens.peek(found) if state.refusal is None else None
        return ready is not None and ready.failure is None


class Follower:
    """Who comes next over one slot.

    Args:
        behind: The message at hand.
        choose: Returns whose turn it is behind a message; None for nobody.
        prepare: Returns a message that may go over the slot's session.
        time: Clocks.

    Attributes:
        behind: The message at hand.
        entry: Who was chosen, and is ACTIVE meanwhile; None for nobody.
        at: When, in seconds of the monotonic clock.
        prepared: What the message at hand was announced as; None where it was not.
    """

    def __init__(
        self,
        behind: lanes.LaneEntry,
        *,
        choose: Callable[[lanes.LaneEntry], lanes.LaneEntry | None],
        prepare: Callable[[lanes.LaneEntry], Prepared | None],
        time: clock.Clock,
    ) -> None:
        self._choose = choose
        self._prepare = prepare
        self._clock = time
        self._next: Prepared | None = None
        self.behind = behind
        self.entry: lanes.LaneEntry | None = None
        self.at = 0.0
        self.prepared: Prepared | None = None

    def announce(self) -> exchange.Letter | None:
        """Return what is to be announced behind the message at hand, whose dot leaves now; None for nothing."""
        if self.entry is not None:
            return None
        try:
            self.entry, self.at = self._choose(self.behind), self._clock.monotonic()
            self._next = None if self.entry is None else self._prepare(self.entry)
        except Exception as error:  # noqa: BLE001 - the dot at hand is to leave all the same.
            _log.error("a defect kept the next message from being announced", error=tries.place(error))
            return None
        return None if self._next is None else self._next.letter

    def take(self) -> lanes.LaneEntry | None:
        """Return who comes next, which is the message at hand from now on."""
        self.prepared, self._next = self._next, None
        entry, self.entry = self.entry, None
        return entry

    def withdraw(self) -> lanes.LaneEntry | None:
        """Return who was chosen, and is not any more."""
        self._next = None
        entry, self.entry = self.entry, None
        return entry

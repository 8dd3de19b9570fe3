"""What an attempt that has ended means, for its recipient and for everything else that it concerns; pure.

known = Circumstances(...)             # read once, when the attempt has ended
decided = decide(event, known)         # nothing is read while it is decided
await applier.apply(decided, ...)      # `applying` carries it out
"""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import patience, prose, text, vocabulary
from mailtier.mail import classify, congestion, reasons, states, transaction
from mailtier.sender import ports
from mailtier.sender.delivering import tries
from mailtier.sender.delivering.attempting import verdicts
from mailtier.sender.net import faults
from mailtier.sender.scheduling import refusals, standing, waits

_S: Final = vocabulary.RecipientState

_TRIAL_SECONDS: Final = 900.0
"""How long a lane is held until one of its messages is tried again; a recovery no longer than it ever is."""

_BUILDS: Final = 2
_REBUILT_AFTER: Final = dt.timedelta(seconds=30)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything that the consequences of an attempt depend on beside its end.

    Attributes:
        usable: The settings that it was made with.
        is_current: Whether those are still the organization's.
        state: The recipient's, as it is stored.
        lane_refusals: What the server said against the settings since it last took a message of the lane.
        losses: How often it broke off at this message.
        crashes: How often building the message failed before.
        served_at: When the server last did what it was asked to; seconds of the monotonic clock.
        monotonic: Its seconds now.
        context: The wall clock, chance, and who may read what the server said.
    """

    job: ports.Job
    usable: standing.Usable
    is_current: bool
    state: vocabulary.RecipientState
    lane_refusals: refusals.SettingsRefusals
    losses: refusals.Losses
    crashes: int
    served_at: float
    monotonic: float
    context: verdicts.VerdictContext


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StillInDoubt:
    """The recipient stays in doubt as it is stored: any other state would say that it was certainly not delivered.

    Attributes:
        due_at: Aware UTC time of the next attempt.
    """

    due_at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AwaitsToken:
    """The recipient was not tried; it is put back, and its organization waits for another token."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The server did what a server does.

    Attributes:
        namespace: For whom; None for the host.
    """

    namespace: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Faulted:
    """The server did not do what a server does.

    Attributes:
        phase: In which; with a session, any in which it knew for whom it was.
        failure: What it did instead.
        namespace: Whose fault it may be; None for the host's.
    """

    phase: classify.Phase
    failure: classify.Failure
    namespace: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoginTroubled:
    """The server answers, and could not check a login that is not the host's, or broke off at it."""

    trouble: classify.Failure


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeNews:
    """What the settings' probe is to know.

    Attributes:
        requests: Whether they are to be probed soon.
        contradicts: What was said of them where no probe gets to; None for nothing.
        agrees: Whether the server took a message, so that what was said against them is over.
    """

    requests: bool = False
    contradicts: classify.Failure | None = None
    agrees: bool = False


NO_NEWS: Final = ProbeNews()
_AGREED: Final = ProbeNews(agrees=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AskedForLess:
    """The server might have taken it, had it been given fewer connections or messages.

    Attributes:
        namespace: Whose message or credentials they were; None for the host's.
        is_for_all: Whether it was said before it knew for whom the connection was.
        is_paced: Whether the session goes on, so that fewer messages in a while may be all that it asks for.
    """

    namespace: str | None
    is_for_all: bool
    is_paced: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What an attempt means.

    Attributes:
        for_recipient: What to store of it, or why nothing is.
        waits_for_server: Whether it is not due before the server may be used again, which `destination` decides.
        destination: What its breaker and its witnesses are to know; None for nothing.
        lane_refusals: What is remembered of the lane from now on.
        holds_lane: Until when, and why; None where it is not to be held.
        frees_lane: Whether the lane is held no more, if it was: the server takes its messages.
        confirms: Whether settings and credentials work, as far as they can hold the organization. That a session was
            opened says no such thing: a server may demand a login of who sends.
        losses: What is remembered of the recipient from now on.
        crashes: How often building its message has failed now.
        probe: What the settings' probe is to know.
        refused: Why the organization is held unless its Secret, which is to be read again, holds something newer;
            None where the credentials were neither refused nor in trouble.
        drops_token: Whether the access token is not to be used again.
        asked_for_less: What the server said, if it might have taken it, had it been given less; None where it did not.
    """

    for_recipient: ports.Outcome | StillInDoubt | AwaitsToken
    waits_for_server: bool = False
    destination: Served | Faulted | LoginTroubled | None = None
    lane_refusals: refusals.SettingsRefusals
    holds_lane: waits.Wait | None = None
    frees_lane: bool = False
    confirms: bool = False
    losses: refusals.Losses
    crashes: int
    probe: ProbeNews = NO_NEWS
    refused: waits.Wait | None = None
    drops_token: bool = False
    asked_for_less: AskedForLess | None = None


def decide(event: tries.AttemptEvent, known: Circumstances) -> Consequences:
    """Return what an attempt means that ended so.

    Raises:
        ValueError: A transaction's result says neither that the recipient was accepted nor why it was not.
    """
    decided, asked = _meaning(event, known), _asked_for_less(event, known)
    if asked is not None:
        decided = dataclasses.replace(decided, asked_for_less=asked)
    if known.is_current:
        return decided
    # What was said of settings that have changed since says nothing of those that hold now.
    return dataclasses.replace(
        decided,
        lane_refusals=known.lane_refusals,
        holds_lane=None,
        frees_lane=False,
        confirms=False,
        probe=ProbeNews(requests=decided.probe.requests),
        refused=None,
    )


def _meaning(event: tries.AttemptEvent, known: Circumstances) -> Consequences:
    match event:
        case tries.NotBuilt(message=message):
            return _not_built(message, known)
        case tries.NotOpened(failure=failure, phase=phase):
            return _failed(failure, known, phase=phase, was_open=False)
        case tries.StaleToken():
            served = Served(namespace=known.usable.witness(classify.Phase.AUTH))
            return dataclasses.replace(_only(AwaitsToken(), known), destination=served, drops_token=True)
        case transaction.RecipientResult(verdict=transaction.RecipientVerdict.ACCEPTED):
            return Consequences(
                for_recipient=verdicts.accepted(known.job, event, known.context),
                destination=Served(namespace=known.usable.witness(classify.Phase.DOT)),
                lane_refusals=refusals.NO_REFUSALS,
                frees_lane=True,
                confirms=True,
                losses=known.losses,
                crashes=known.crashes,
                probe=_AGREED,
            )
        case transaction.RecipientResult(
            verdict=transaction.RecipientVerdict.IN_DOUBT, failure=classify.Failure() as failure
        ):
            phase = classify.Phase.DOT
            return dataclasses.replace(
                _only(verdicts.in_doubt(known.job, failure, known.context), known),
                destination=Faulted(phase=phase, failure=failure, namespace=known.usable.witness(phase)),
            )
        case transaction.RecipientResult(
            verdict=transaction.RecipientVerdict.FAILED, failure=classify.Failure() as failure
        ):
            return _failed(failure, known, phase=classify.Phase.RCPT, was_open=True)
        case _:
            raise ValueError("a transaction that has ended says what became of its recipient, and why")


def _asked_for_less(event: tries.AttemptEvent, known: Circumstances) -> AskedForLess | None:
    """Return what the server asked for, if it did."""
    is_open = isinstance(event, transaction.RecipientResult)
    failure = event.failure if isinstance(event, (tries.NotOpened, transaction.RecipientResult)) else None
    if failure is None or not congestion.asks_for_less(failure):
        return None
    phase = classify.Phase.RCPT if not isinstance(event, tries.NotOpened) else event.phase
    return AskedForLess(
        namespace=known.usable.witness(phase),
        is_for_all=phase in classify.BEFORE_AUTH,
        is_paced=is_open and failure.scope is not classify.Scope.SERVER,
    )


def _only(for_recipient: ports.Outcome | StillInDoubt | AwaitsToken, known: Circumstances) -> Consequences:
    """Return that the attempt concerns its recipient alone."""
    return Consequences(
        for_recipient=for_recipient, lane_refusals=known.lane_refusals, losses=known.losses, crashes=known.crashes
    )


def _or_still_in_doubt(outcome: ports.Outcome, known: Circumstances) -> ports.Outcome | StillInDoubt:
    """Return an outcome, or that a recipient in doubt was not tried and stays as it is."""
    if outcome.due_at is None or states.may_follow(known.state, outcome.state):
        return outcome
    return StillInDoubt(due_at=outcome.due_at)


def _not_built(message: str, known: Circumstances) -> Consequences:
    crashes = known.crashes + 1
    again = _REBUILT_AFTER if crashes < _BUILDS else None
    meaning = reasons.MEANINGS[reasons.DeliveryReason.NOT_BUILDABLE]
    told = prose.continued(meaning, message) if message else meaning
    outcome = verdicts.not_built(known.job, told, known.context, again_after=again)
    return dataclasses.replace(_only(_or_still_in_doubt(outcome, known), known), crashes=crashes)


def _failed(failure: classify.Failure, known: Circumstances, *, phase: classify.Phase, was_open: bool) -> Consequences:
    """Return why an attempt failed, and whom else that concerns."""
    losses = known.losses
    if was_open and failure.scope is classify.Scope.SERVER:
        losses = losses.after(failure, known.monotonic)
        if losses != known.losses and losses.are_of_message(served_at=known.served_at):
            charged = dataclasses.replace(failure, scope=classify.Scope.MESSAGE)
            # Neither served nor at fault: it goes on as it is for the others.
            return dataclasses.replace(_only(_outcome(charged, known), known), losses=losses)
    namespace = known.usable.witness(phase)
    served = None if failure.reason in faults.UNASKED else Served(namespace=namespace)
    # After MAIL no probe gets to where it was said.
    is_demand = was_open and failure.reason is reasons.DeliveryReason.AUTHENTICATION_REQUIRED
    contradiction = failure if is_demand else None
    match failure.scope:
        case classify.Scope.SERVER if phase is classify.Phase.AUTH and known.usable.has_own_login:
            # Others log in there as somebody else: it is these credentials that wait, and are tried again.
            trouble = dataclasses.replace(failure, scope=classify.Scope.CREDENTIALS)
            return dataclasses.replace(
                _only(_outcome(trouble, known), known),
                destination=LoginTroubled(trouble=trouble),
                probe=ProbeNews(requests=True),
                refused=tries.wait(trouble, known.usable),
            )
        case classify.Scope.SERVER:
            backoff = patience.POLICIES[known.job.category].minimal_backoff * (1 + known.context.jitter)
            return dataclasses.replace(
                _only(_outcome(failure, known, backoff=backoff if was_open else dt.timedelta()), known),
                waits_for_server=True,
                destination=Faulted(phase=phase, failure=failure, namespace=namespace),
                losses=losses,
                # What deliveries have met is soon told by Verified too, and not only after the next half hour.
                probe=ProbeNews(requests=True),
            )
        case classify.Scope.CREDENTIALS:
            return dataclasses.replace(
                _only(_outcome(failure, known), known),
                destination=served,
                probe=ProbeNews(requests=True, contradicts=contradiction),
                refused=tries.wait(failure, known.usable),
            )
        case classify.Scope.SETTINGS:
            refused = _settings_refused(failure, known, served=served, contradiction=contradiction)
            return dataclasses.replace(refused, confirms=was_open and served is not None)
        case classify.Scope.RECIPIENT | classify.Scope.MESSAGE:
            confirms = was_open and served is not None
            return dataclasses.replace(_only(_outcome(failure, known), known), destination=served, confirms=confirms)


def _settings_refused(
    failure: classify.Failure, known: Circumstances, *, served: Served | None, contradiction: classify.Failure | None
) -> Consequences:
    """Return that a lane is held, once it is clear that the settings are refused and no recipient is to blame."""
    now = known.monotonic
    remembered = known.lane_refusals.after(text.lower_ascii(known.job.rcpt_to), failure, now)
    is_recovery = known.job.category is vocabulary.Category.PASSWORD_RECOVERY
    held_until = now + (patience.RECOVERY_HELD.total_seconds() if is_recovery else _TRIAL_SECONDS)
    is_believed = failure.is_permanent and remembered.are_believed
    return dataclasses.replace(
        _only(_outcome(failure, known), known),
        destination=served,
        lane_refusals=remembered,
        holds_lane=tries.wait(failure, known.usable, until=held_until) if is_believed else None,
        probe=ProbeNews(contradicts=failure if is_believed else contradiction),
    )


def _outcome(
    failure: classify.Failure, known: Circumstances, *, backoff: dt.timedelta = dt.timedelta()
) -> ports.Outcome | StillInDoubt:
    not_before = known.context.now + backoff
    return _or_still_in_doubt(verdicts.failed(known.job, failure, known.context, server_back_at=not_before), known)

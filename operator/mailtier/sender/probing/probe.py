"""One probe of an endpoint: dns, tcp, tls, ehlo, auth, mail, and what each failure is called.

It opens a session as delivery does, with the same credentials and the same memory of refusals, offers the sender
address and takes it back. Nothing is sent to anybody.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Final

from mailtier.api import addresses, feed, prose, reasons, vocabulary
from mailtier.mail import classify, congestion
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender import clock
from mailtier.sender.net import faults, shares
from mailtier.sender.scheduling import standing
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, slots
from mailtier.sender.smtp.servers import server_room
from mailtier.sender.smtp.sessions import opening

_Stage = vocabulary.ProbeStage
_R: Final = delivery_reasons.DeliveryReason

_STAGES: Final = {
    classify.Phase.CONNECT: _Stage.TCP,
    classify.Phase.TLS: _Stage.TLS,
    classify.Phase.GREETING: _Stage.EHLO,
    classify.Phase.EHLO: _Stage.EHLO,
    classify.Phase.AUTH: _Stage.AUTH,
}

# What says more than the phase in which it happened.
_BY_CAUSE: Final = {
    _R.NAME_NOT_RESOLVED: reasons.DNS_FAILED,
    _R.NAME_NOT_ABSOLUTE: reasons.NAME_NOT_ABSOLUTE,
    _R.ADDRESS_DENIED: reasons.ADDRESS_DENIED,
    _R.HOST_RELAY: reasons.HOST_RELAY,
    _R.HOST_RELAY_UNKNOWN: reasons.HOST_RELAY_UNKNOWN,
    _R.HOST_SERVER: reasons.HOST_SERVER,
    _R.TOO_MANY_REFUSED_LOGINS: reasons.TOO_MANY_REFUSED_LOGINS,
    _R.STARTTLS_NOT_OFFERED: reasons.STARTTLS_NOT_OFFERED,
    _R.TLS_NOT_SPOKEN: reasons.TLS_NOT_SPOKEN,
    _R.TLS_EXPECTED: reasons.TLS_EXPECTED,
    _R.TLS_TOO_OLD: reasons.TLS_TOO_OLD,
    _R.TLS_NO_COMMON_CIPHER: reasons.TLS_NO_COMMON_CIPHER,
    _R.MECHANISM_NOT_OFFERED: reasons.AUTH_NOT_OFFERED,
    _R.PROMPT_NOT_RECOGNIZED: reasons.PROMPT_NOT_RECOGNIZED,
    _R.CLIENT_NAME_REFUSED: reasons.CLIENT_NAME_REFUSED,
    _R.AUTHENTICATION_REQUIRED: reasons.AUTH_REQUIRED,
    _R.ACCOUNT_DISABLED: reasons.ACCOUNT_DISABLED,
    _R.LIMIT_REACHED: reasons.LIMIT_REACHED,
    _R.RELAY_DENIED: reasons.RELAY_DENIED,
    _R.TIMED_OUT: reasons.PROBE_TIMEOUT,
    _R.TOKEN_FAILED: reasons.TOKEN_FAILED,
    _R.TOKEN_REFUSED: reasons.TOKEN_REFUSED,
}
_BY_PHASE: Final = {
    classify.Phase.CONNECT: reasons.CONNECT_FAILED,
    classify.Phase.TLS: reasons.TLS_FAILED,
    classify.Phase.GREETING: reasons.GREETING_FAILED,
}
_REFUSED: Final = {
    classify.Phase.EHLO: reasons.EHLO_FAILED,
    classify.Phase.AUTH: reasons.AUTH_FAILED,
    classify.Phase.MAIL: reasons.SENDER_REFUSED,
}
REFUSED: Final = {
    reasons.AUTH_FAILED.name: _R.CREDENTIALS_REFUSED,
    reasons.TOKEN_REFUSED.name: _R.TOKEN_REFUSED,
    reasons.PROMPT_NOT_RECOGNIZED.name: _R.PROMPT_NOT_RECOGNIZED,
}
"""Reasons after which the credentials are not used again (R12), and what deliveries call them."""

_TRIES: Final = 3
"""How many tokens a probe tries, or servers to which one name leads: more than two are only needed where deliveries
use the same token meanwhile, or where the name leads elsewhere each time."""

_SESSION_PROOF_SECONDS: Final = 300.0
"""How long one probe's new session stands for the connection of all probes with the same credentials: thousands of
organizations with sender addresses of their own on one relay differ in the stage mail alone."""

_TOKEN_CAUSES: Final = frozenset({_R.TOKEN_FAILED, _R.TOKEN_REFUSED})
"""What another server than the endpoint is to blame for."""

_BY_DELIVERY: Final = "A delivery was told so; one message is tried again every 15 minutes."

_DNS_CAUSES: Final = frozenset(
    {
        _R.NAME_NOT_RESOLVED,
        _R.NAME_NOT_ABSOLUTE,
        _R.ADDRESS_DENIED,
        _R.HOST_RELAY,
        _R.HOST_RELAY_UNKNOWN,
        _R.HOST_SERVER,
    }
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe found.

    Attributes:
        server: Its name or address.
        endpoint: The server's host and port, for people.
        phase: The phase that failed; None when all went through.
        failure: Why.
    """

    server: str
    endpoint: str
    secret_version: str
    phase: classify.Phase | None
    failure: classify.Failure | None
    certificate_expires_at: dt.datetime | None


async def look(
    usable: standing.Usable,
    target: destination.Destination,
    found: credentials.Credentials,
    *,
    access: tokens.Tokens,
    time: clock.Clock,
    fresh: bool = False,
    observe: Callable[[classify.Phase], None] = lambda _phase: None,
) -> ProbeResult:
    """Probe an endpoint and return what was found; tells the breaker as a delivery does.

    Args:
        usable: The settings.
        target: Their destination.
        found: Their credentials.
        access: Where they get their tokens.
        time: For the breaker.
        fresh: Whether it has to be a new session, however lately another probe opened one.
        observe: Told each phase as it begins.
    """
    progress = opening.OpeningProgress(observe)
    state = target.auth_state(found.generation)
    failed: tuple[classify.Phase | None, classify.Failure | None] = (None, None)
    for _ in range(_TRIES):
        # Before the slot is taken, which others need while a token server thinks.
        ready = dataclasses.replace(found, failure=state.refusal) if state.refusal else await access.get(found)
        seat, ticket = await _ticket(target, ready)
        try:
            return await _look(
                usable, target, ready, progress, seat=seat, time=time, fresh=fresh or ready.failure is not None
            )
        except slots.MovedError:
            failed = classify.Phase.CONNECT, classify.classify_fault(classify.Phase.CONNECT, classify.Fault.TIMED_OUT)
        except faults.StaleTokenError as error:
            access.drop(ready)
            failed = classify.Phase.AUTH, error.failure
        finally:
            ticket.give_back()
    return _finding(target, found, progress, failed)


async def _ticket(
    target: destination.Destination, found: credentials.Credentials
) -> tuple[server_room.Seat, shares.ShareSlot]:
    """Return leave to log in, and where, once others of its kind are over; before a slot is taken, which they need."""
    while (ticket := target.at.login(found, seat := target.at.seat)) is None:
        over = asyncio.Event()
        target.at.when_login_over(seat, over.set)
        await over.wait()
    return seat, ticket


async def _look(
    usable: standing.Usable,
    target: destination.Destination,
    found: credentials.Credentials,
    progress: opening.OpeningProgress,
    *,
    seat: server_room.Seat,
    time: clock.Clock,
    fresh: bool,
) -> ProbeResult:
    """Return what one session finds.

    Raises:
        faults.StaleTokenError: It takes another token to tell.
        slots.MovedError: It takes leave, and a slot, of another server.
    """
    # First of all: with a connection in hand that others could use, it would be waited for at their cost.
    with await target.sessions.take_room(usable.payer) as room:
        return await _look_with(usable, target, found, progress, room, seat=seat, time=time, fresh=fresh)


async def _look_with(
    usable: standing.Usable,
    target: destination.Destination,
    found: credentials.Credentials,
    progress: opening.OpeningProgress,
    room: shares.ShareSlot,
    *,
    seat: server_room.Seat,
    time: clock.Clock,
    fresh: bool,
) -> ProbeResult:
    state = target.auth_state(found.generation)
    slot = await target.reserve_for_probe(usable.settings.organization.namespace)
    try:
        if slot.seat is not seat:
            raise slots.MovedError
        # Only now: who had the slot before may have opened a session just now.
        fresh = fresh or state.probed_at + _SESSION_PROOF_SECONDS <= time.monotonic()
        phase, failure = await _go_through(usable, target, found, slot, progress, room=room, fresh=fresh)
        if not fresh and failure is not None and failure.reason is _R.CONNECTION_LOST:
            # The server had ended the idle session meanwhile.
            phase, failure = await _go_through(usable, target, found, slot, progress, room=room, fresh=True)
        if fresh and progress.phase is classify.Phase.MAIL:
            state.probed_at = time.monotonic()
        is_host_s = not usable.settings.organization.namespace
        if failure is not None and is_host_s and congestion.asks_for_less(failure):
            target.throttles.lessen_for_all()
        if failure is not None and failure.scope is classify.Scope.SERVER:
            phase = phase or classify.Phase.MAIL
            if phase is classify.Phase.AUTH and usable.has_own_login:
                target.note_login_trouble(found.generation, failure)
            else:
                target.health.note_fault(phase, failure, namespace=usable.witness(phase))
        elif failure is None or failure.reason not in faults.UNASKED:
            # Before the slot is given back: whoever gets it next has to know.
            target.health.note_served(usable.settings.organization.namespace or None)
    finally:
        await target.give_back(slot)
    return _finding(target, found, progress, (phase, failure))


def _finding(
    target: destination.Destination,
    found: credentials.Credentials,
    progress: opening.OpeningProgress,
    failed: tuple[classify.Phase | None, classify.Failure | None],
) -> ProbeResult:
    return ProbeResult(
        server=target.key.endpoint.host,
        endpoint=str(target.key.endpoint),
        secret_version=found.generation.version,
        phase=failed[0],
        failure=failed[1],
        certificate_expires_at=progress.certificate_expires_at,
    )


async def _go_through(
    usable: standing.Usable,
    target: destination.Destination,
    found: credentials.Credentials,
    slot: slots.Slot,
    progress: opening.OpeningProgress,
    *,
    room: shares.ShareSlot,
    fresh: bool,
) -> tuple[classify.Phase | None, classify.Failure | None]:
    """Return the phase that failed and why, or twice None."""
    try:
        current = await target.sessions.get(
            slot, found, payer=usable.payer, room=room, barred=usable.barred, progress=progress, fresh=fresh
        )
    except faults.StaleTokenError:
        raise
    except faults.DeliveryError as error:
        return error.phase, error.failure
    progress.phase, progress.certificate_expires_at = classify.Phase.MAIL, current.certificate_expires_at
    sender = addresses.parse(usable.from_.envelope).wire
    failure = await current.check_sender(sender, within=target.limits_of(slot).envelope_timeout)
    return (None, None) if failure is None else (classify.Phase.MAIL, failure)


def report(key: str, finding: ProbeResult, *, at: dt.datetime) -> feed.Probe:
    """Return what is told of a finding.

    Args:
        key: The probe key of the settings.
        finding: Of the probe.
        at: Aware UTC time of the probe.
    """
    failure, phase = finding.failure, finding.phase
    if failure is None or phase is None:
        return feed.Probe(
            key=key,
            secret_version=finding.secret_version,
            reason=reasons.VERIFIED.name,
            stage=None,
            owner_message=reasons.VERIFIED.meaning,
            tenant_message=reasons.VERIFIED.meaning,
            certificate_expires_at=finding.certificate_expires_at,
            probed_at=at,
        )
    reason = _reason(phase, failure)
    stage = _Stage.DNS if failure.reason in _DNS_CAUSES else _STAGES.get(phase, _Stage.MAIL)
    return feed.Probe(
        key=key,
        secret_version=finding.secret_version,
        reason=reason.name,
        stage=stage,
        owner_message=_for_owner(finding, failure),
        tenant_message=faults.describe(failure, for_owner=False),
        certificate_expires_at=finding.certificate_expires_at,
        probed_at=at,
    )


def pending(key: str, *, secret_version: str, at: dt.datetime) -> feed.Probe:
    """Return what is told of settings that were not probed.

    Args:
        key: The probe key of the settings.
        secret_version: Of the Secret that they would be probed with; "" where it cannot be used.
        at: Aware UTC time.
    """
    return feed.Probe(
        key=key,
        secret_version=secret_version,
        reason=reasons.PROBE_PENDING.name,
        stage=None,
        owner_message=reasons.PROBE_PENDING.meaning,
        tenant_message=reasons.PROBE_PENDING.meaning,
        certificate_expires_at=None,
        probed_at=at,
    )


def accusation(key: str, finding: ProbeResult, *, at: dt.datetime) -> feed.Probe:
    """Return what is told of a refusal that a delivery met after MAIL; see `report`."""
    told = report(key, finding, at=at)
    # At MAIL, where nothing but the sender has been named, the same words are about the sender.
    is_unnamed = finding.failure is not None and finding.failure.reason is _R.POLICY_REFUSED
    reason = reasons.POLICY_REFUSED.name if is_unnamed else told.reason
    return told.model_copy(
        update={"reason": reason, "owner_message": prose.sentences(told.owner_message, _BY_DELIVERY)}
    )


def _for_owner(finding: ProbeResult, failure: classify.Failure) -> str:
    """Return what the endpoint's owner is told: where, what was found, and what to do if the provider is known."""
    told = faults.describe(failure, for_owner=True, server=finding.server)
    is_elsewhere = failure.reason in _TOKEN_CAUSES or finding.server in told
    return told if is_elsewhere else f"{finding.endpoint}: {told}"


def _reason(phase: classify.Phase, failure: classify.Failure) -> reasons.Reason:
    named = _BY_CAUSE.get(failure.reason) or _BY_PHASE.get(phase)
    if named is not None:
        return named
    if phase is classify.Phase.AUTH and failure.reason is _R.CREDENTIALS_REFUSED:
        return reasons.AUTH_FAILED
    # A server that falls silent, or says that it cannot now, has refused neither credentials nor sender.
    is_refusal = failure.code is not None and (failure.scope is not classify.Scope.SERVER or failure.is_permanent)
    return _REFUSED[phase] if is_refusal else reasons.SERVER_UNAVAILABLE


def refusal_of(known: feed.Probe) -> classify.Failure | None:
    """Return the refusal of credentials that an earlier process reported, so that this one does not repeat AUTH."""
    reason = REFUSED.get(known.reason)
    if reason is None:
        return None
    return classify.Failure(
        scope=classify.Scope.CREDENTIALS,
        permanence=classify.Permanence.PERMANENT,
        phase=classify.Phase.AUTH,
        reason=reason,
        text=known.owner_message,
    )

"""Attempts for tests of what follows from them: what is known of one, and how it may end."""

import dataclasses
import datetime as dt

from kit import mailbags, sending
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons, replies, transaction
from mailtier.sender import ports
from mailtier.sender.delivering import tries
from mailtier.sender.delivering.attempting import consequences, verdicts
from mailtier.sender.scheduling import refusals, standing
from mailtier.settings import effective

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
MONOTONIC = 1_000.0
ADDRESS = "Anna@example.org"
_SECRET = effective.SecretReference(namespace="ns", name="smtp", version="1", key="password")


def usable(login_of: vocabulary.Origin = vocabulary.Origin.ORG) -> standing.Usable:
    """Return settings that inherit the host's endpoint, with a login of the organization's own or the host's."""
    endpoint = effective.Endpoint(
        host="smtp.example.com",
        port=587,
        tls=sending.PLAIN,
        addresses=sending.PUBLIC,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )
    auth = sending.login(_SECRET, origin=login_of)
    settings = sending.settings("ns", endpoint, auth=auth)
    assert settings.from_ is not None
    return standing.Usable(settings=settings, endpoint=endpoint, auth=auth, from_=settings.from_)


JOB = ports.Job(
    recipient_number=1,
    notification_id="n-1",
    lane=mailbags.lane("ns"),
    category=vocabulary.Category.JOB_ALERT,
    severity=vocabulary.Severity.ERROR,
    locale=vocabulary.Locale.ENGLISH,
    rcpt_to=ADDRESS,
    subject=None,
    text=None,
    data={},
    accepted_at=NOW - dt.timedelta(minutes=1),
    expires_at=NOW + dt.timedelta(hours=1),
    attempts=0,
    doubts=0,
    snapshot=None,
)
KNOWN = consequences.Circumstances(
    job=JOB,
    usable=usable(),
    is_current=True,
    state=vocabulary.RecipientState.QUEUED,
    lane_refusals=refusals.NO_REFUSALS,
    losses=refusals.NO_LOSSES,
    crashes=0,
    served_at=float("-inf"),
    monotonic=MONOTONIC,
    context=verdicts.VerdictContext(now=NOW, jitter=0.5, expiry_paused=False, for_owner=False),
)
"""A first attempt at one recipient, of which nothing is remembered."""

IN_DOUBT = dataclasses.replace(KNOWN, state=vocabulary.RecipientState.IN_DOUBT, job=dataclasses.replace(JOB, doubts=1))
"""The same, after a loss behind the dot."""


def failure(
    scope: classify.Scope, *, permanent: bool = False, reason: reasons.DeliveryReason = reasons.DeliveryReason.TIMED_OUT
) -> classify.Failure:
    """Return why an attempt failed."""
    permanence = classify.Permanence.PERMANENT if permanent else classify.Permanence.TRANSIENT
    return classify.Failure(scope=scope, permanence=permanence, phase=classify.Phase.RCPT, reason=reason)


def refused(why: classify.Failure) -> transaction.RecipientResult:
    """Return that an attempt failed in a session."""
    return transaction.RecipientResult(rcpt_to=ADDRESS, verdict=transaction.RecipientVerdict.FAILED, failure=why)


def closed(why: classify.Failure, phase: classify.Phase = classify.Phase.CONNECT) -> tries.NotOpened:
    """Return that no session came about."""
    return tries.NotOpened(failure=why, phase=phase)


def against_settings(*addresses: str, at: float = MONOTONIC) -> refusals.SettingsRefusals:
    """Return that some recipients were refused once, for good."""
    return refusals.SettingsRefusals(
        addresses=tuple(refusals.AddressRefusals(address=each, first_at=at, last_at=at) for each in addresses)
    )


(_REPLY,) = replies.ReplyParser().receive(b"250 2.0.0 Ok\r\n")
ACCEPTED = transaction.RecipientResult(rcpt_to=ADDRESS, verdict=transaction.RecipientVerdict.ACCEPTED, reply=_REPLY)
LOST = transaction.RecipientResult(
    rcpt_to=ADDRESS,
    verdict=transaction.RecipientVerdict.IN_DOUBT,
    failure=classify.classify_fault(classify.Phase.DOT, classify.Fault.CONNECTION_LOST),
)

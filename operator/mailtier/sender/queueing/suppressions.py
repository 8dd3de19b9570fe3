"""Addresses to which an organization sends nothing for a while, because servers refused them as unknown.

Whoever goes on sending to addresses that do not exist is taken for a spammer by the server, at everybody's cost. Two
messages have to be refused, as one may have met a directory that was just being mended. A password recovery is neither
held back nor counted: somebody waits before a screen, and strangers can ask for one in anybody's name.
"""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import text, vocabulary
from mailtier.mail import classify, states
from mailtier.sender import ports

_S: Final = vocabulary.RecipientState

KEPT: Final = dt.timedelta(days=7)
"""How long nothing is sent after the last refusal; and how long a first refusal waits for a second."""

REFUSALS: Final = 2
"""Messages that have to be refused."""

MOST: Final = 5_000
"""Addresses that are known of one namespace (R15); the ones refused longest ago go first."""

_UNKNOWN: Final = "5.1.1"
"""Bad destination mailbox address (RFC 3463 section 3.2)."""

_SAID_IN: Final = frozenset({classify.Phase.RCPT.value, classify.Phase.DOT.value})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAddress:
    """What is known of an address that was refused.

    Attributes:
        refusals: Messages that were refused, at most `REFUSALS`.
        notification: The number of the last one that was.
        refused_at: Aware UTC time of that.
        until: Aware UTC time until when it is known.
    """

    refusals: int
    notification: int
    refused_at: dt.datetime
    until: dt.datetime


def normalized(address: str) -> str:
    """Return how an address is compared: no server of today tells letters by their case."""
    return text.lower_ascii(address)


def is_refusal(outcome: ports.Outcome, category: vocabulary.Category) -> bool:
    """Return whether an outcome says that there is no such address, and counts."""
    failure = outcome.failure
    return (
        outcome.state is _S.FAILED
        and category is not vocabulary.Category.PASSWORD_RECOVERY
        and failure is not None
        and failure.enhanced == _UNKNOWN
        and failure.phase in _SAID_IN
        and failure.scope == classify.Scope.RECIPIENT.value
    )


def after(known: RefusedAddress | None, *, notification: int, at: dt.datetime) -> RefusedAddress:
    """Return what is known of an address after it was refused.

    Args:
        known: What was known before; None for nothing.
        notification: The number of the notification that was refused; the same one again tells nothing new.
        at: Aware UTC time.
    """
    if known is None or known.until <= at:
        return RefusedAddress(refusals=1, notification=notification, refused_at=at, until=at + KEPT)
    if known.notification == notification:
        return known
    refusals = min(known.refusals + 1, REFUSALS)
    return RefusedAddress(refusals=refusals, notification=notification, refused_at=at, until=at + KEPT)


def is_suppressed(claimed: ports.Claimed, *, now: dt.datetime) -> bool:
    """Return whether a recipient ends without an attempt; one in doubt does not, as it may have been delivered.

    Args:
        now: Aware UTC time.
    """
    pending, until = claimed.pending, claimed.suppressed_until
    return (
        until is not None
        and now < until
        and pending.category is not vocabulary.Category.PASSWORD_RECOVERY
        and states.may_follow(pending.state, _S.SUPPRESSED)
    )

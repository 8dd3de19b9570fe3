"""When a recipient is tried again: full jitter by category, a max age, and a schedule of its own when in doubt."""

import dataclasses
import datetime as dt
import types
from collections.abc import Mapping
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import reasons

_C: Final = vocabulary.Category


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patiently one category is delivered.

    Attributes:
        minimal_backoff: The shortest delay between two attempts; Postfix's name for it.
        maximal_backoff: The longest delay.
        max_age: How long after its acceptance a recipient is still tried.
        in_doubt_delays: The delays after each loss behind the final dot; when they are used up, the recipient
            fails as InDoubt. Empty where arriving twice is worse than not at all.
    """

    minimal_backoff: dt.timedelta
    maximal_backoff: dt.timedelta
    max_age: dt.timedelta
    in_doubt_delays: tuple[dt.timedelta, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The recipient is tried again.

    Attributes:
        at: Aware UTC time, not before `now` and not after the max age.
    """

    at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The recipient is not tried again."""

    reason: reasons.DeliveryReason


RetryDecision = Retry | GiveUp

# Where late is worse than twice. Two resends cover a restart of the server (minutes) and a failover (a quarter
# of an hour); a third would only add to the copies.
_RESEND: Final = (dt.timedelta(minutes=5), dt.timedelta(minutes=15))

_ALERT: Final = RetryPolicy(
    # A relay that restarts is back within minutes, and an alert is read while it matters: after a day the
    # incident is known or over.
    minimal_backoff=dt.timedelta(minutes=1),
    maximal_backoff=dt.timedelta(minutes=30),
    max_age=dt.timedelta(hours=24),
    in_doubt_delays=_RESEND,
)

POLICIES: Final[Mapping[vocabulary.Category, RetryPolicy]] = types.MappingProxyType(
    {
        _C.PASSWORD_RECOVERY: RetryPolicy(
            # Somebody waits before a screen. A reset link lives about an hour (OWASP Forgot Password Cheat Sheet:
            # expire after an appropriate period); one that arrives dead only sends them round again.
            minimal_backoff=dt.timedelta(seconds=10),
            maximal_backoff=dt.timedelta(minutes=5),
            max_age=dt.timedelta(hours=1),
            in_doubt_delays=_RESEND,
        ),
        _C.JOB_ALERT: _ALERT,
        _C.ROBOT_ALERT: _ALERT,
        _C.LICENSE_STATUS: RetryPolicy(
            # Three days outlast a weekend without staff, and leave time to renew a licence that runs out.
            minimal_backoff=dt.timedelta(minutes=5),
            maximal_backoff=dt.timedelta(hours=1),
            max_age=dt.timedelta(days=3),
            in_doubt_delays=_RESEND,
        ),
        _C.PRODUCT_UPDATE: RetryPolicy(
            # Postfix: minimal_backoff_time 300s, maximal_backoff_time 4000s, maximal_queue_lifetime 5d; RFC 5321
            # section 4.5.4.1 asks for 4-5 days.
            minimal_backoff=dt.timedelta(seconds=300),
            maximal_backoff=dt.timedelta(seconds=4000),
            max_age=dt.timedelta(days=5),
            in_doubt_delays=(),
        ),
    }
)


def policy_for(category: vocabulary.Category, *, max_age: dt.timedelta | None = None) -> RetryPolicy:
    """Return the policy of a category under an organization's settings.

    Args:
        category: What the notification is about.
        max_age: The effective `delivery.maxAge`; it replaces the category's own, but never lengthens the life
            of a password recovery.
    """
    policy = POLICIES[category]
    if max_age is None:
        return policy
    if category is _C.PASSWORD_RECOVERY:
        max_age = min(max_age, policy.max_age)
    return dataclasses.replace(policy, max_age=max_age)


def next_attempt(
    policy: RetryPolicy, *, queued_at: dt.datetime, attempts: int, now: dt.datetime, jitter: float
) -> RetryDecision:
    """Return when a deferred recipient is tried again, or that it has expired.

    The delay is drawn evenly from the whole range between the minimal backoff and a ceiling that doubles with
    each attempt, so that what failed together does not come back together.

    Args:
        policy: Limits of the recipient's category.
        queued_at: Aware UTC time of acceptance.
        attempts: Finished attempts, at least 1. A fault of the server is not charged.
        now: Aware UTC time, supplied by the caller.
        jitter: Random number in [0, 1), supplied by the caller.

    Raises:
        ValueError: `attempts` is less than 1, or `jitter` outside its range.

    Source:
        RFC 5321 section 4.5.4.1; Postfix `minimal_backoff_time`; "full jitter" in Brooker, Exponential Backoff
        And Jitter (AWS Architecture Blog, 2015).
    """
    if attempts < 1:
        raise ValueError("attempts counts finished attempts and is at least 1")
    if not 0 <= jitter < 1:
        raise ValueError("jitter is a random number in [0, 1)")
    deadline = queued_at + policy.max_age
    if now >= deadline:
        return GiveUp(reason=reasons.DeliveryReason.EXPIRED)
    ceiling = _ceiling(policy, attempts)
    delay = policy.minimal_backoff + (ceiling - policy.minimal_backoff) * jitter
    return Retry(at=min(now + delay, deadline))


def next_in_doubt(policy: RetryPolicy, *, queued_at: dt.datetime, losses: int, now: dt.datetime) -> RetryDecision:
    """Return when a recipient in doubt is resent, byte for byte the same, or that it fails as InDoubt.

    Args:
        policy: Limits of the recipient's category.
        queued_at: Aware UTC time of acceptance.
        losses: How often the connection was lost after the final dot, at least 1.
        now: Aware UTC time, supplied by the caller.

    Raises:
        ValueError: `losses` is less than 1.
    """
    if losses < 1:
        raise ValueError("losses counts losses after the final dot and is at least 1")
    if losses > len(policy.in_doubt_delays):
        return GiveUp(reason=reasons.DeliveryReason.IN_DOUBT)
    at = now + policy.in_doubt_delays[losses - 1]
    if at > queued_at + policy.max_age:
        return GiveUp(reason=reasons.DeliveryReason.IN_DOUBT)
    return Retry(at=at)


def _ceiling(policy: RetryPolicy, attempts: int) -> dt.timedelta:
    # Doubling stops at the cap instead of computing 2**attempts, which overflows a timedelta.
    ceiling = policy.minimal_backoff
    for _ in range(attempts):
        ceiling *= 2
        if ceiling >= policy.maximal_backoff:
            return policy.maximal_backoff
    return ceiling

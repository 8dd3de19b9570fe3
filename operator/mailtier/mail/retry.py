"""When a recipient is tried again: full jitter by category, a max age, and a schedule of its own when in doubt."""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import doubling, patience, vocabulary
from mailtier.mail import reasons

_C: Final = vocabulary.Category


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


def policy_for(category: vocabulary.Category, *, max_age: dt.timedelta | None = None) -> patience.RetryPolicy:
    """Return the policy of a category under an organization's settings.

    Args:
        category: What the notification is about.
        max_age: The effective `delivery.maxAge`; it replaces the category's own, but never lengthens the life
            of a password recovery.
    """
    policy = patience.POLICIES[category]
    if max_age is None:
        return policy
    if category is _C.PASSWORD_RECOVERY:
        max_age = min(max_age, policy.max_age)
    return dataclasses.replace(policy, max_age=max_age)


def next_attempt(
    policy: patience.RetryPolicy, *, queued_at: dt.datetime, attempts: int, now: dt.datetime, jitter: float
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
    # Twice the minimal backoff after the first attempt: full jitter needs a range.
    backoff = doubling.Backoff(first=policy.minimal_backoff, most=policy.maximal_backoff)
    ceiling = backoff.ceiling(attempts + 1)
    delay = policy.minimal_backoff + (ceiling - policy.minimal_backoff) * jitter
    return Retry(at=min(now + delay, deadline))


def next_in_doubt(
    policy: patience.RetryPolicy, *, queued_at: dt.datetime, losses: int, now: dt.datetime
) -> RetryDecision:
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

"""When recipients are tried again, and when they are given up."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import patience, vocabulary
from mailtier.mail import reasons, retry

C = vocabulary.Category
QUEUED_AT = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
CATEGORIES = st.sampled_from(C)
JITTER = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("category", "max_age"),
    [
        (C.PASSWORD_RECOVERY, dt.timedelta(hours=1)),
        (C.JOB_ALERT, dt.timedelta(hours=24)),
        (C.ROBOT_ALERT, dt.timedelta(hours=24)),
        (C.LICENSE_STATUS, dt.timedelta(days=3)),
        (C.PRODUCT_UPDATE, dt.timedelta(days=5)),
    ],
)
def test_each_category_has_its_max_age(category: vocabulary.Category, max_age: dt.timedelta) -> None:
    """A reset link is worth an hour, news are worth five days."""
    assert retry.policy_for(category).max_age == max_age


def test_settings_replace_the_max_age_but_never_lengthen_a_password_recovery() -> None:
    """An organization may ask for less or more patience, except with links that are dead by then."""
    day = dt.timedelta(days=1)
    assert retry.policy_for(C.JOB_ALERT, max_age=2 * day).max_age == 2 * day
    assert retry.policy_for(C.PRODUCT_UPDATE, max_age=day).max_age == day
    assert retry.policy_for(C.PASSWORD_RECOVERY, max_age=day).max_age == dt.timedelta(hours=1)
    assert retry.policy_for(C.PASSWORD_RECOVERY, max_age=5 * MINUTE).max_age == 5 * MINUTE


@pytest.mark.parametrize(
    ("attempts", "jitter", "minutes"),
    [(1, 0, 1), (1, 0.5, 1.5), (2, 0, 1), (2, 0.5, 2.5), (3, 0.5, 4.5), (5, 0.5, 15.5), (60, 0.5, 15.5)],
)
def test_the_delay_is_drawn_below_a_ceiling_that_doubles(attempts: int, jitter: float, minutes: float) -> None:
    """An alert's delay lies between one minute and 2, 4, 8 ... minutes, at most 30."""
    decision = retry.next_attempt(
        retry.policy_for(C.JOB_ALERT), queued_at=QUEUED_AT, attempts=attempts, now=QUEUED_AT, jitter=jitter
    )
    assert decision == retry.Retry(at=QUEUED_AT + minutes * MINUTE)


@given(CATEGORIES, st.integers(1, 10_000), st.integers(0, 6 * 86_400), JITTER)
def test_a_retry_lies_between_its_bounds(
    category: vocabulary.Category, attempts: int, age_seconds: int, jitter: float
) -> None:
    """A retry comes neither before the minimal backoff nor after the max age; past that it has expired."""
    policy = retry.policy_for(category)
    now = QUEUED_AT + dt.timedelta(seconds=age_seconds)
    deadline = QUEUED_AT + policy.max_age
    decision = retry.next_attempt(policy, queued_at=QUEUED_AT, attempts=attempts, now=now, jitter=jitter)
    if now >= deadline:
        assert decision == retry.GiveUp(reason=reasons.DeliveryReason.EXPIRED)
    else:
        assert isinstance(decision, retry.Retry)
        assert min(now + policy.minimal_backoff, deadline) <= decision.at <= deadline
        assert decision.at <= now + policy.maximal_backoff


@given(CATEGORIES, st.lists(JITTER, min_size=1, max_size=50))
def test_every_recipient_is_given_up_in_the_end(category: vocabulary.Category, jitters: list[float]) -> None:
    """Attempts that always fail come to an end at the max age, and not before (R4)."""
    policy = retry.policy_for(category)
    now, attempts = QUEUED_AT, 0
    while True:
        attempts += 1
        jitter = jitters[attempts % len(jitters)]
        decision = retry.next_attempt(policy, queued_at=QUEUED_AT, attempts=attempts, now=now, jitter=jitter)
        if isinstance(decision, retry.GiveUp):
            break
        assert decision.at > now
        now = decision.at
    assert now == QUEUED_AT + policy.max_age


@pytest.mark.parametrize(("attempts", "jitter"), [(0, 0.5), (-1, 0.5), (1, 1.0), (1, -0.1)])
def test_nonsense_is_refused(attempts: int, jitter: float) -> None:
    """No finished attempt, or a random number that is none, is a defect of the caller."""
    with pytest.raises(ValueError, match=r"attempts|jitter"):
        retry.next_attempt(
            retry.policy_for(C.JOB_ALERT), queued_at=QUEUED_AT, attempts=attempts, now=QUEUED_AT, jitter=jitter
        )


@pytest.mark.parametrize("category", [C.PASSWORD_RECOVERY, C.JOB_ALERT, C.ROBOT_ALERT, C.LICENSE_STATUS])
def test_in_doubt_is_resent_twice_where_late_is_worse_than_twice(category: vocabulary.Category) -> None:
    """After 5 and after 15 minutes; a third loss fails as InDoubt."""
    policy = retry.policy_for(category)
    decisions = [retry.next_in_doubt(policy, queued_at=QUEUED_AT, losses=losses, now=QUEUED_AT) for losses in (1, 2, 3)]
    assert decisions == [
        retry.Retry(at=QUEUED_AT + 5 * MINUTE),
        retry.Retry(at=QUEUED_AT + 15 * MINUTE),
        retry.GiveUp(reason=reasons.DeliveryReason.IN_DOUBT),
    ]


def test_product_updates_in_doubt_are_not_resent() -> None:
    """News that may have arrived are not sent twice."""
    decision = retry.next_in_doubt(retry.policy_for(C.PRODUCT_UPDATE), queued_at=QUEUED_AT, losses=1, now=QUEUED_AT)
    assert decision == retry.GiveUp(reason=reasons.DeliveryReason.IN_DOUBT)


def test_in_doubt_beyond_the_max_age_fails_as_in_doubt_not_as_expired() -> None:
    """What may have been delivered is never said to have expired."""
    decision = retry.next_in_doubt(
        retry.policy_for(C.PASSWORD_RECOVERY), queued_at=QUEUED_AT, losses=1, now=QUEUED_AT + 56 * MINUTE
    )
    assert decision == retry.GiveUp(reason=reasons.DeliveryReason.IN_DOUBT)


def test_a_loss_that_did_not_happen_is_refused() -> None:
    """Counting losses from zero is a defect of the caller."""
    with pytest.raises(ValueError, match="losses"):
        retry.next_in_doubt(retry.policy_for(C.JOB_ALERT), queued_at=QUEUED_AT, losses=0, now=QUEUED_AT)


@pytest.mark.parametrize("policy", patience.POLICIES.values())
def test_policies_are_sound(policy: patience.RetryPolicy) -> None:
    """Every default policy has room for several attempts, and both resends fit into the max age."""
    assert dt.timedelta(0) < policy.minimal_backoff < policy.maximal_backoff < policy.max_age
    assert sum(policy.in_doubt_delays, dt.timedelta(0)) < policy.max_age
    assert dataclasses.replace(policy) == policy

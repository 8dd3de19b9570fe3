"""Who meets trouble at a server waits alone, for longer and longer; a password recovery a minute at most."""

import pytest

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender.net import breaker, pause

_C = vocabulary.Category
_TROUBLE = classify.classify_fault(classify.Phase.AUTH, classify.Fault.CONNECTION_LOST)


@pytest.mark.parametrize(
    ("category", "longest"), [(_C.JOB_ALERT, breaker.LONGEST_PAUSE_SECONDS), (_C.PASSWORD_RECOVERY, 60)]
)
def test_trouble_is_waited_for_longer_and_longer(category: vocabulary.Category, longest: float) -> None:
    """Each trouble in a row doubles the pause; a recovery waits a minute at most."""
    alone, now, pauses = pause.Pause(), 0.0, []
    for _ in range(12):
        alone.fail(_TROUBLE, now, jitter=1.0)
        pauses.append(alone.retry_at(category) - now)
        now += breaker.LONGEST_PAUSE_SECONDS
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == longest


def test_a_hold_is_looked_at_when_a_recovery_might_have_come() -> None:
    """After a minute of a longer pause, and then at its end."""
    alone = pause.Pause()
    for number in range(10):
        alone.fail(_TROUBLE, number * 1_000.0, jitter=1.0)
    assert alone.looked_at(9_001.0) == 9_060.0
    assert alone.looked_at(9_061.0) == 9_300.0
    assert alone.looked_at(9_301.0) is None


def test_who_is_served_waits_no_more() -> None:
    """The next trouble begins with the shortest pause."""
    alone = pause.Pause()
    for at in (0.0, 10.0, 20.0):
        alone.fail(_TROUBLE, at, jitter=1.0)
    alone.succeed()
    assert alone.trouble is None
    assert alone.retry_at(_C.JOB_ALERT) < 0
    alone.fail(_TROUBLE, 100.0, jitter=1.0)
    assert alone.retry_at(_C.JOB_ALERT) == 101.0

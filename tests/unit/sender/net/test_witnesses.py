"""Whose fault it is that a server breaks off after it has greeted."""

from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender.net import breaker, witnesses

_ALERT = vocabulary.Category.JOB_ALERT
_TROUBLE = classify.classify_fault(classify.Phase.MAIL, classify.Fault.CONNECTION_LOST)
_MINUTE = witnesses.TOGETHER_SECONDS
_TESTIMONIES = st.lists(st.tuples(st.sampled_from("abc"), st.floats(min_value=0.0, max_value=90.0)), max_size=30)


def test_one_namespace_waits_alone() -> None:
    """However often it meets a fault, it is not the server's, and nobody else waits for it (R15)."""
    seen = witnesses.Witnesses()
    assert not any(seen.testify("team-a", _TROUBLE, float(at), jitter=0.0) for at in range(300))
    assert seen.pause("team-a").retry_at(_ALERT) > 300
    assert seen.pause("team-b").retry_at(_ALERT) < 0


def test_two_within_a_minute_blame_the_server() -> None:
    """At a minute it still counts, and then no more."""
    for apart, expected in ((0.0, True), (_MINUTE, True), (_MINUTE + 0.1, False)):
        seen = witnesses.Witnesses()
        assert not seen.testify("team-a", _TROUBLE, 10.0, jitter=0.0)
        assert seen.testify("team-b", _TROUBLE, 10.0 + apart, jitter=0.0) is expected


def test_a_witness_of_long_ago_is_not_renewed_by_the_other_one() -> None:
    """What one met an hour ago does not count because another one meets something each minute."""
    seen = witnesses.Witnesses()
    seen.testify("team-a", _TROUBLE, 0.0, jitter=0.0)
    assert [seen.testify("team-b", _TROUBLE, at, jitter=0.0) for at in (50.0, 90.0, 130.0)] == [True, False, False]


def test_the_pause_grows_and_ends() -> None:
    """It is a breaker's, of the namespace's own, and over as soon as the server serves it."""
    seen, now = witnesses.Witnesses(), 0.0
    pauses = []
    for _ in range(12):
        seen.testify("team-a", _TROUBLE, now, jitter=0.0)
        pauses.append(seen.pause("team-a").retry_at(_ALERT) - now)
        now = seen.pause("team-a").retry_at(_ALERT)
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1]
    assert pauses[-1] == breaker.LONGEST_PAUSE_SECONDS / 2
    seen.acquit("team-a")
    assert seen.pause("team-a").retry_at(_ALERT) < 0


@given(_TESTIMONIES)
def test_the_server_is_blamed_when_two_met_it_within_a_minute(steps: list[tuple[str, float]]) -> None:
    """Compared with looking at every testimony that there was."""
    seen, now = witnesses.Witnesses(), 0.0
    past: list[tuple[str, float]] = []
    for namespace, pause in steps:
        now += pause
        expected = any(other != namespace and now - at <= _MINUTE for other, at in past)
        assert seen.testify(namespace, _TROUBLE, now, jitter=0.5) is expected
        past.append((namespace, now))

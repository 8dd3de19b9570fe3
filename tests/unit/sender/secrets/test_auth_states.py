"""What is known of credentials: a share for each namespace, and what is under way stays."""

import pytest

from kit import sending
from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender.net import breaker
from mailtier.sender.secrets import auth_states, credentials
from mailtier.settings import effective

_MOST = 100

_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.ORG,
    is_host_s=False,
)


def _get(known: auth_states.AuthStates, namespace: str, version: int) -> auth_states.AuthState:
    generation = credentials.Generation(
        mechanism=vocabulary.Mechanism.PLAIN,
        identity="robot",
        source=(namespace, "smtp", "password"),
        version=f"uid/{version}",
    )
    return known.get(_ENDPOINT, generation)


def test_one_namespace_s_credentials_bring_no_other_s_to_be_forgotten() -> None:
    """However many versions of a Secret a namespace brings, what others know of theirs stays (R12, R15)."""
    known = auth_states.AuthStates(most=_MOST)
    others = [_get(known, f"team-{number}", 1) for number in range(_MOST // 2)]
    for version in range(10 * _MOST):
        _get(known, "intruder", version)
    assert [_get(known, f"team-{number}", 1) for number in range(_MOST // 2)] == others
    assert len(known) == _MOST


def test_what_was_not_needed_for_longest_goes_first() -> None:
    """Within a namespace the credentials in use stay."""
    known = auth_states.AuthStates(most=_MOST)
    first = [_get(known, "team-a", version) for version in range(_MOST)]
    assert _get(known, "team-a", 0) is first[0]
    _get(known, "team-a", _MOST)
    assert _get(known, "team-a", 0) is first[0]
    assert _get(known, "team-a", 1) is not first[1]


async def test_an_auth_that_is_under_way_is_not_forgotten() -> None:
    """Another session with the same credentials waits for its end: one attempt, and not two (R12)."""
    known = auth_states.AuthStates(most=_MOST)
    held = _get(known, "team-a", 0)
    async with held.lock:
        for version in range(1, 3 * _MOST):
            _get(known, "team-a", version)
        assert _get(known, "team-a", 0) is held


_C = vocabulary.Category
_TROUBLE = classify.classify_fault(classify.Phase.AUTH, classify.Fault.CONNECTION_LOST)


@pytest.mark.parametrize(
    ("category", "longest"), [(_C.JOB_ALERT, breaker.LONGEST_PAUSE_SECONDS), (_C.PASSWORD_RECOVERY, 60)]
)
def test_trouble_is_waited_for_longer_and_longer(category: vocabulary.Category, longest: float) -> None:
    """Each time that a login cannot be checked doubles its pause; a recovery waits a minute at most."""
    state, now, pauses = auth_states.AuthState(), 0.0, []
    for _ in range(12):
        state.note_trouble(_TROUBLE, now, jitter=1.0)
        trial_at = state.trial_at(category)
        assert trial_at is not None
        pauses.append(trial_at - now)
        now += breaker.LONGEST_PAUSE_SECONDS
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == longest


def test_a_hold_is_looked_at_when_a_recovery_might_have_come() -> None:
    """After a minute of a longer pause, and then at its end."""
    state = auth_states.AuthState()
    for number in range(10):
        state.note_trouble(_TROUBLE, number * 1_000.0, jitter=1.0)
    assert state.looked_at(9_001.0) == 9_060.0
    assert state.looked_at(9_061.0) == 9_300.0
    assert state.looked_at(9_301.0) is None


def test_a_login_that_succeeds_waits_no_more() -> None:
    """Its next trouble begins with the shortest pause."""
    state = auth_states.AuthState()
    for at in (0.0, 10.0, 20.0):
        state.note_trouble(_TROUBLE, at, jitter=1.0)
    state.note_success()
    assert (state.trouble, state.trial_at(_C.JOB_ALERT)) == (None, None)
    state.note_trouble(_TROUBLE, 100.0, jitter=1.0)
    assert state.trial_at(_C.JOB_ALERT) == 101.0

"""What is known of credentials: a share for each namespace, and what is under way stays."""

from kit import sending
from mailtier.api import vocabulary
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

"""What is remembered of token servers, and what makes room first."""

from mailtier.api import vocabulary
from mailtier.mail import oauth
from mailtier.sender.secrets import credentials, token_states

_REFUSAL = oauth.judge(oauth.Unusable(problem="refused in a test"))


def _generation(number: int) -> credentials.Generation:
    return credentials.Generation(mechanism=vocabulary.Mechanism.XOAUTH2, identity=f"robot-{number}")


def test_what_was_used_longest_ago_makes_room() -> None:
    """One more than are remembered costs the one that nobody has used for longest."""
    states = token_states.States(remembered=2)
    states.use(_generation(1))
    states.use(_generation(2))
    states.use(_generation(1))
    states.use(_generation(3))
    assert {generation for generation, _ in states} == {_generation(1), _generation(3)}


def test_a_refusal_is_forgotten_last() -> None:
    """However many others come, a refused generation is known as such (R12); only refusals displace refusals."""
    states = token_states.States(remembered=3)
    states.refuse(_generation(0), states.use(_generation(0)), _REFUSAL)
    for number in range(1, 20):
        states.use(_generation(number))
    assert states.use(_generation(0)).refusal is _REFUSAL
    assert len(states) == 3
    for number in range(1, 4):
        states.refuse(_generation(number), states.use(_generation(number)), _REFUSAL)
    assert states.get(_generation(0)) is None
    assert states.use(_generation(9)).refusal is None
    assert len(states) == 3


def test_a_refusal_of_what_made_room_meanwhile_is_kept() -> None:
    """The answer of a server may come after the state was forgotten, and counts all the same."""
    states = token_states.States(remembered=1)
    asking = states.use(_generation(1))
    states.use(_generation(2))
    assert states.get(_generation(1)) is None
    states.refuse(_generation(1), asking, _REFUSAL)
    assert states.use(_generation(1)).refusal is _REFUSAL
    states.forget(_generation(1))
    assert len(states) == 0

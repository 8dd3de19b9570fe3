"""When refusals that speak of the settings are believed, and losses are held to be the message's."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.mail import classify, replies
from mailtier.sender.scheduling import refusals


def _failure(code: int, text: str) -> classify.Failure:
    (reply,) = replies.ReplyParser().receive(f"{code} {code // 100}.7.1 {text}\r\n".encode())
    return classify.classify_reply(classify.Phase.RCPT, reply)


_FOR_GOOD = _failure(550, "no")
_GREYLISTED = _failure(450, "come back later")
_NAME = _failure(450, "Helo command rejected: Host not found")


def _believed(*noted: tuple[str, classify.Failure, float]) -> list[bool]:
    """Return whether refusals are believed after each of these."""
    seen, believed = refusals.NO_REFUSALS, []
    for rcpt_to, failure, at in noted:
        seen = seen.after(rcpt_to, failure, at)
        believed.append(seen.are_believed)
    return believed


def test_three_recipients_are_believed() -> None:
    """Two may be to blame themselves, and one of them twice is still two."""
    assert _believed(*((each, _FOR_GOOD, 0.0) for each in ("a", "b", "a", "c"))) == [False, False, False, True]


@pytest.mark.parametrize(
    "failure",
    [
        _failure(504, "Helo command rejected: need fully-qualified hostname"),
        _failure(550, "Your account is disabled"),
        _failure(550, "Sender address rejected: not owned by user"),
    ],
)
def test_what_no_recipient_is_to_blame_for_is_believed_of_one(failure: classify.Failure) -> None:
    """Three times to the same list is enough; of a policy, which may be the recipient's, it is not."""
    assert _believed(*(("a", failure, float(at)) for at in range(3))) == [False, False, True]
    assert not any(_believed(*(("a", _FOR_GOOD, float(at)) for at in range(9))))


def test_one_recipient_is_believed_after_ten_minutes() -> None:
    """What lasts is not the recipient's."""
    assert _believed(*(("a", _FOR_GOOD, at) for at in (0.0, 599.0, 600.0))) == [False, False, True]


def test_greylisting_is_never_believed() -> None:
    """Servers that put off every new sender for a while say so for each recipient."""
    assert not any(_believed(*((str(number), _GREYLISTED, number * 100.0) for number in range(50))))


def test_a_named_cause_that_is_put_off_is_never_believed() -> None:
    """Only what is refused for good counts, whatever it names and however long it lasts."""
    assert not any(_believed(*(("a", _NAME, number * 700.0) for number in range(5))))


def test_ten_minutes_are_one_recipient_s() -> None:
    """Two that were refused once each, long after one another, may both be to blame; what 4yz is said to is not."""
    assert _believed(("a", _FOR_GOOD, 0.0), ("b", _FOR_GOOD, 900.0)) == [False, False]
    assert _believed(("a", _FOR_GOOD, 0.0), ("a", _GREYLISTED, 900.0), ("b", _GREYLISTED, 901.0)) == [False] * 3


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([_FOR_GOOD, _GREYLISTED, _NAME]))))
def test_no_more_is_remembered_than_it_takes(noted: list[tuple[str, classify.Failure]]) -> None:
    """However many are refused, three addresses are enough; and what was remembered before stays as it was."""
    seen = refusals.NO_REFUSALS
    for rcpt_to, failure in noted:
        before, copy = seen, dataclasses.replace(seen)
        seen = seen.after(rcpt_to, failure, 0.0)
        assert before == copy
        assert len(seen.addresses) <= 3
        assert before.addresses == seen.addresses[: len(before.addresses)]


@pytest.mark.parametrize(
    ("lost_at", "served_at", "is_its_own"),
    [
        ([], 100.0, False),
        ([1.0, 2.0], 100.0, False),
        ([1.0, 2.0, 3.0], 100.0, True),
        ([1.0, 2.0, 3.0, 4.0], 100.0, True),
        ([1.0, 2.0, 3.0], 1.5, True),
        ([1.0, 2.0, 3.0], 1.0, False),
        ([1.0, 2.0, 3.0], float("-inf"), False),
    ],
)
def test_three_losses_are_the_message_s_where_others_are_served(
    lost_at: list[float], served_at: float, *, is_its_own: bool
) -> None:
    """A server that has served nobody since the first loss is down, whatever the message says."""
    seen = refusals.NO_LOSSES
    for at in lost_at:
        seen = seen.after(classify.classify_fault(classify.Phase.RCPT, classify.Fault.CONNECTION_LOST), at)
    assert seen.are_of_message(served_at=served_at) is is_its_own


def test_losses_are_counted_in_one_phase() -> None:
    """A loss in another phase begins anew, with its own time; what was said with a code is none."""
    seen = refusals.NO_LOSSES
    for at, phase in enumerate((classify.Phase.RCPT, classify.Phase.RCPT, classify.Phase.MAIL), start=1):
        seen = seen.after(classify.classify_fault(phase, classify.Fault.CONNECTION_LOST), float(at))
    assert seen == refusals.Losses(phase=classify.Phase.MAIL, count=1, first_at=3.0)
    (reply,) = replies.ReplyParser().receive(b"451 4.3.0 Local error\r\n")
    assert seen.after(classify.classify_reply(classify.Phase.MAIL, reply), 4.0) == seen

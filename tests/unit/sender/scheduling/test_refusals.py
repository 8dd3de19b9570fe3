"""When refusals that speak of the settings are believed."""

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


def test_three_recipients_are_believed() -> None:
    """Two may be to blame themselves, and one of them twice is still two."""
    seen = refusals.SettingsRefusals()
    assert [seen.note(each, _FOR_GOOD, 0.0) for each in ("a", "b", "a", "c")] == [False, False, False, True]


def test_one_recipient_is_believed_after_ten_minutes() -> None:
    """What lasts is not the recipient's."""
    seen = refusals.SettingsRefusals()
    assert not seen.note("a", _FOR_GOOD, 0.0)
    assert not seen.note("a", _FOR_GOOD, 599.0)
    assert seen.note("a", _FOR_GOOD, 600.0)


def test_greylisting_is_never_believed() -> None:
    """Servers that put off every new sender for a while say so for each recipient."""
    seen = refusals.SettingsRefusals()
    assert not any(seen.note(str(number), _GREYLISTED, number * 100.0) for number in range(50))


def test_a_named_cause_that_is_put_off_is_believed_when_it_lasts() -> None:
    """Servers answer 4yz to a client's name that they cannot find, for as long as it has none."""
    seen = refusals.SettingsRefusals()
    assert [seen.note(str(number), _NAME, 0.0) for number in range(5)] == [False] * 5
    assert seen.note("a", _NAME, 600.0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([_FOR_GOOD, _GREYLISTED, _NAME]))))
def test_a_success_begins_anew(noted: list[tuple[str, classify.Failure]]) -> None:
    """Whatever was noted before, the next refusal is the first one."""
    seen = refusals.SettingsRefusals()
    for recipient, failure in noted:
        seen.note(recipient, failure, 0.0)
    seen.forget()
    assert not seen.note("a", _FOR_GOOD, 10_000.0)

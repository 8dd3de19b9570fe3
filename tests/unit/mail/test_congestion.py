"""Which replies ask for fewer connections or messages."""

import pytest

from mailtier.mail import classify, congestion, replies

_P = classify.Phase


@pytest.mark.parametrize(
    ("phase", "line", "expected"),
    [
        (_P.GREETING, b"421 4.7.0 Too many connections", True),
        (_P.MAIL, b"421 4.7.28 Unusual rate", True),
        (_P.AUTH, b"454 4.7.0 Too many logins", True),
        (_P.MAIL, b"452 4.3.1 Insufficient system storage", True),
        (_P.DOT, b"432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", True),
        (_P.DOT, b"451 4.4.5 Mail system congestion", True),
        (_P.RCPT, b"450 4.3.2 Not now", True),
        (_P.RCPT, b"452 4.2.2 Mailbox full", False),
        (_P.RCPT, b"450 4.2.0 Greylisted", False),
        (_P.DOT, b"451 4.3.0 Local error", False),
        (_P.DOT, b"554 5.3.2 Never", False),
        (_P.AUTH, b"535 5.7.8 Wrong", False),
    ],
)
def test_what_asks_for_less(phase: classify.Phase, line: bytes, *, expected: bool) -> None:
    """Codes and enhanced codes say it; what is said of a recipient, or for good, does not."""
    (reply,) = replies.ReplyParser().receive(line + b"\r\n")
    assert congestion.asks_for_less(classify.classify_reply(phase, reply)) is expected


def test_without_a_reply_nothing_is_asked_for() -> None:
    """A connection that is lost says nothing of how many there may be."""
    assert not congestion.asks_for_less(classify.classify_fault(_P.MAIL, classify.Fault.CONNECTION_LOST))

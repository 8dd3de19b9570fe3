"""The transaction of a message that is too large to leave with its dot."""

from mailtier.mail import classify, replies, transaction, transaction_table, wire

V, W, T = transaction.RecipientVerdict, transaction.SessionAfter, transaction_table.TransactionState
LARGE = b"x" * 70_000 + b"\r\n"


def _reply(text: str) -> replies.Reply:
    (reply,) = replies.ReplyParser().receive(f"{text} text\r\n".encode())
    return reply


def _at_its_body() -> transaction.Transaction:
    """Return a transaction whose message has been handed out, and its dot has not."""
    machine = transaction.Transaction(mail_from="s@x.y", rcpt_to=("r@x.y",), message=LARGE, offered=wire.Extensions())
    machine.start()
    machine.receive(_reply("250"))
    machine.receive(_reply("250"))
    assert machine.receive(_reply("354")) == LARGE
    return machine


def test_the_dot_of_a_large_message_waits_until_it_has_left() -> None:
    """A loss in the middle of it is none after the dot; the dot is known before it is handed out."""
    machine = _at_its_body()
    assert (machine.state, machine.dot_sent) == (T.BODY, False)
    machine.lose(classify.Fault.CONNECTION_LOST)
    assert machine.results[0].verdict is V.FAILED
    machine = _at_its_body()
    assert (machine.finish(), machine.state, machine.dot_sent) == (b".\r\n", T.DOT, True)
    machine.lose(classify.Fault.CONNECTION_LOST)
    assert machine.results[0].verdict is V.IN_DOUBT


def test_a_large_message_may_be_refused_on_its_way() -> None:
    """What is said in the middle of a message counts as at its dot, and the session has come to its end."""
    machine = _at_its_body()
    machine.receive(_reply("552 5.3.4"))
    assert (machine.is_ended, machine.session, machine.dot_sent) == (True, W.CLOSE, False)
    assert machine.results[0].failure is not None
    assert machine.results[0].failure.reason == "MessageTooLarge"
    machine = _at_its_body()
    machine.receive(_reply("250"))
    assert machine.results[0].failure is not None
    assert machine.results[0].failure.reason == "ProtocolError"


def test_what_comes_before_the_dot_is_no_reply_to_it() -> None:
    """A dot that was withheld leaves no doubt: a refusal counts, and what reads as taken does not (R4)."""
    ends = {"250": "ProtocolError", "554 5.6.0": "MessageRefused", "451 4.3.0": "MessageDeferred"}
    for said, reason in ends.items():
        machine = _at_its_body()
        machine.finish()
        machine.withhold()
        assert not machine.dot_sent
        machine.receive(_reply(said))
        (result,) = machine.results
        assert (machine.is_ended, machine.session, result.verdict) == (True, W.CLOSE, V.FAILED)
        assert result.failure is not None
        assert result.failure.reason == reason
    machine = _at_its_body()
    machine.finish()
    machine.withhold()
    machine.lose(classify.Fault.CONNECTION_LOST)
    assert machine.results[0].verdict is V.FAILED

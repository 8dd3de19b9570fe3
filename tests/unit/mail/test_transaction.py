"""The transaction machine: every course of it, with and without pipelining."""

import dataclasses
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.mail import classify, quoting, replies, transaction, transaction_table, wire

MESSAGE = b"Subject: x\r\n\r\n.dot\r\nbody\r\n"
DATA = b"Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\n"
LARGE = b"x" * 70_000 + b"\r\n"
SEQUENTIAL = wire.Extensions()
PIPELINED = wire.Extensions(pipelining=True)
V, W, T = transaction.RecipientVerdict, transaction.SessionAfter, transaction_table.TransactionState
OK, GO, DEFER, REFUSE, LEAVE = 250, 354, 450, 550, 421
LOST = 0

Machine = transaction.Transaction


def _machine(rcpt_to: tuple[str, ...] = ("r@x.y",), offered: wire.Extensions = SEQUENTIAL, **other: object) -> Machine:
    values: dict[str, object] = {"mail_from": "s@x.y", "rcpt_to": rcpt_to, "message": MESSAGE, "offered": offered}
    return Machine(**(values | other))  # type: ignore[arg-type]


def _reply(code: int, enhanced: str = "") -> replies.Reply:
    (reply,) = replies.ReplyParser().receive(f"{code} {enhanced} text\r\n".replace("  ", " ").encode())
    return reply


def _verdicts(machine: Machine) -> list[transaction.RecipientVerdict]:
    return [result.verdict for result in machine.results]


def _play(machine: Machine, codes: list[int]) -> list[bytes]:
    """Start the machine and answer with the codes; 0 stands for a lost connection."""
    sent = [machine.start()]
    for code in codes:
        if code == LOST:
            machine.lose(classify.Fault.CONNECTION_LOST)
        else:
            sent.append(machine.receive(_reply(code)))
    return sent


def test_a_message_is_handed_over_step_by_step() -> None:
    """Without PIPELINING each command waits for the reply to the one before."""
    machine = _machine(("r@x.y", "q@x.y"))
    assert _play(machine, [OK, OK, OK, GO, OK]) == [
        b"MAIL FROM:<s@x.y>\r\n",
        b"RCPT TO:<r@x.y>\r\n",
        b"RCPT TO:<q@x.y>\r\n",
        b"DATA\r\n",
        DATA,
        b"",
    ]
    assert machine.is_ended
    assert machine.session is W.REUSE
    assert [result.rcpt_to for result in machine.results] == ["r@x.y", "q@x.y"]
    assert _verdicts(machine) == [V.ACCEPTED, V.ACCEPTED]
    assert machine.results[0].reply == _reply(OK)


def test_with_pipelining_all_commands_up_to_data_go_out_at_once() -> None:
    """MAIL, RCPT and DATA are one group; the message waits for the reply to DATA."""
    machine = _machine(("r@x.y", "q@x.y"), PIPELINED)
    assert _play(machine, [OK, OK, OK, GO, OK]) == [
        b"MAIL FROM:<s@x.y>\r\nRCPT TO:<r@x.y>\r\nRCPT TO:<q@x.y>\r\nDATA\r\n",
        b"",
        b"",
        b"",
        DATA,
        b"",
    ]
    assert _verdicts(machine) == [V.ACCEPTED, V.ACCEPTED]


@pytest.mark.parametrize(
    ("codes", "verdict", "scope", "session", "dot_sent"),
    [
        ([OK, OK, GO, OK], V.ACCEPTED, None, W.REUSE, True),
        ([251, 251, GO, 251], V.ACCEPTED, None, W.REUSE, True),
        ([REFUSE], V.FAILED, "Settings", W.REUSE, False),
        ([DEFER], V.FAILED, "Server", W.REUSE, False),
        ([LEAVE], V.FAILED, "Server", W.CLOSE, False),
        ([LOST], V.FAILED, "Server", W.CLOSE, False),
        ([GO], V.FAILED, "Server", W.CLOSE, False),
        ([OK, REFUSE], V.FAILED, "Recipient", W.RESET, False),
        ([OK, DEFER], V.FAILED, "Recipient", W.RESET, False),
        ([OK, LEAVE], V.FAILED, "Server", W.CLOSE, False),
        ([OK, LOST], V.FAILED, "Server", W.CLOSE, False),
        ([OK, GO], V.FAILED, "Server", W.CLOSE, False),
        ([OK, OK, REFUSE], V.FAILED, "Message", W.RESET, False),
        ([OK, OK, DEFER], V.FAILED, "Message", W.RESET, False),
        ([OK, OK, LEAVE], V.FAILED, "Server", W.CLOSE, False),
        ([OK, OK, LOST], V.FAILED, "Server", W.CLOSE, False),
        ([OK, OK, OK], V.FAILED, "Server", W.CLOSE, False),
        ([OK, OK, GO, REFUSE], V.FAILED, "Recipient", W.REUSE, True),
        ([OK, OK, GO, DEFER], V.FAILED, "Message", W.REUSE, True),
        ([OK, OK, GO, LEAVE], V.FAILED, "Server", W.CLOSE, True),
        ([OK, OK, GO, LOST], V.IN_DOUBT, "Server", W.CLOSE, True),
        ([OK, OK, GO, GO], V.IN_DOUBT, "Server", W.CLOSE, True),
    ],
)
def test_one_recipient_every_ending(
    codes: list[int],
    verdict: transaction.RecipientVerdict,
    scope: str | None,
    session: transaction.SessionAfter,
    dot_sent: bool,
) -> None:
    """Each way a transaction can end gives a verdict, a scope, and what may be done with the session."""
    machine = _machine()
    _play(machine, codes)
    (result,) = machine.results
    assert machine.is_ended
    assert result.verdict is verdict
    assert (result.failure.scope if result.failure else None) == scope
    assert machine.session is session
    assert machine.dot_sent is dot_sent


def test_refused_recipients_do_not_stop_the_others() -> None:
    """Each recipient has its own result, and the message goes to those who are left."""
    machine = _machine(("a@x.y", "b@x.y", "c@x.y"))
    _play(machine, [OK, REFUSE, OK, DEFER, GO, OK])
    assert _verdicts(machine) == [V.FAILED, V.ACCEPTED, V.FAILED]
    first, _, last = machine.results
    assert first.failure is not None
    assert first.failure.is_permanent
    assert last.failure is not None
    assert not last.failure.is_permanent


def test_a_loss_after_the_dot_leaves_refused_recipients_refused() -> None:
    """Only those that the server had agreed to are in doubt."""
    machine = _machine(("a@x.y", "b@x.y"))
    _play(machine, [OK, REFUSE, OK, GO])
    machine.lose(classify.Fault.TIMED_OUT)
    assert _verdicts(machine) == [V.FAILED, V.IN_DOUBT]
    assert machine.results[1].failure is not None
    assert machine.results[1].failure.reason == "InDoubt"


def test_the_dot_is_known_before_the_data_is_handed_out() -> None:
    """Whoever gets the bytes already finds `dot_sent`: a crash between the two is in doubt, never the reverse (R4)."""
    machine = _machine()
    _play(machine, [OK, OK])
    assert not machine.dot_sent
    data = machine.receive(_reply(GO))
    assert machine.dot_sent
    assert data.endswith(b"\r\n.\r\n")
    assert machine.phase is classify.Phase.DOT


def test_a_pipelined_refusal_of_mail_waits_for_the_other_replies() -> None:
    """Replies to commands that were sent already are taken before the session is used again."""
    machine = _machine(("a@x.y", "b@x.y"), PIPELINED)
    _play(machine, [REFUSE])
    assert not machine.is_ended
    assert _verdicts(machine) == [V.FAILED, V.FAILED]
    for code in (503, 503):
        assert machine.receive(_reply(code)) == b""
        assert not machine.is_ended
    assert machine.receive(_reply(503)) == b""
    assert machine.is_ended
    assert machine.session is W.RESET
    assert [result.failure.code for result in machine.results if result.failure] == [REFUSE, REFUSE]


def test_data_that_is_agreed_to_without_a_recipient_is_ended_with_an_empty_message() -> None:
    """RFC 2920 3.1: the server waits for data, and gets a lone dot that is no final dot of the message."""
    machine = _machine(("a@x.y",), PIPELINED)
    sent = _play(machine, [OK, REFUSE, GO])
    assert sent[-1] == b".\r\n"
    assert not machine.dot_sent
    assert machine.receive(_reply(554)) == b""
    assert machine.is_ended
    assert machine.session is W.RESET
    assert _verdicts(machine) == [V.FAILED]


def test_a_loss_while_draining_changes_no_outcome() -> None:
    """What was refused stays refused for its own reason; the session is gone."""
    machine = _machine(("a@x.y",), PIPELINED)
    _play(machine, [OK, REFUSE, LOST])
    (result,) = machine.results
    assert result.failure is not None
    assert result.failure.scope is classify.Scope.RECIPIENT
    assert machine.session is W.CLOSE


WRITTEN, WITHHELD = -1, -2


def _kinds_of_reply(machine: Machine) -> list[int]:
    own = {T.BODY: [WRITTEN], T.DOT: [WITHHELD]}
    return [OK, GO, DEFER, REFUSE, LEAVE, LOST, *own.get(machine.state, [])]


def _walk(
    build: Callable[[], Machine], prefix: list[int]
) -> set[tuple[transaction_table.TransactionState, transaction_table.TransactionState]]:
    """Return every pair of consecutive states that any sequence of replies brings about."""
    machine = build()
    before = machine.state
    machine.start()
    seen = {(before, machine.state)}
    for code in prefix:
        before = machine.state
        if code == LOST:
            machine.lose(classify.Fault.CONNECTION_LOST)
        elif code == WRITTEN:
            machine.finish()
        elif code == WITHHELD:
            machine.withhold()
        else:
            machine.receive(_reply(code))
        seen.add((before, machine.state))
    if machine.is_ended:
        assert V.PENDING not in _verdicts(machine)
        return seen
    return seen.union(*(_walk(build, [*prefix, code]) for code in _kinds_of_reply(machine)))


def test_the_table_is_what_the_machine_does() -> None:
    """Every transition of the table is taken by some course, every course ends, and no other step occurs."""
    taken = set()
    for count, offered in itertools.product((1, 2), (SEQUENTIAL, PIPELINED)):
        recipients = tuple(f"{number}@x.y" for number in range(count))
        taken |= _walk(lambda r=recipients, o=offered: _machine(r, o), [])  # type: ignore[misc]
    taken |= _walk(lambda: _machine(message=LARGE), [])
    taken |= _walk(lambda: _machine(("ä@x.y",)), [])
    assert taken == {(state, target) for (state, _), target in transaction_table.TRANSITIONS.items()}


@given(st.integers(1, 4), st.lists(st.sampled_from([OK, GO, DEFER, REFUSE, LEAVE, LOST]), max_size=9), st.booleans())
def test_whatever_the_server_does_the_outcomes_are_true(count: int, codes: list[int], pipelined: bool) -> None:
    """Accepted means 2yz at RCPT and dot; in doubt means the data was handed out; the end knows every result."""
    machine = _machine(tuple(f"{n}@x.y" for n in range(count)), PIPELINED if pipelined else SEQUENTIAL)
    sent = machine.start()
    agreed = 0
    taken = False
    for code in codes:
        if machine.is_ended:
            break
        phase = machine.state
        if code == LOST:
            machine.lose(classify.Fault.CONNECTION_LOST)
            continue
        agreed += phase is T.RCPT and code == OK
        taken |= phase is T.DOT and code == OK
        sent += machine.receive(_reply(code))
    assert machine.dot_sent == (DATA in sent)
    verdicts = _verdicts(machine)
    assert verdicts.count(V.ACCEPTED) == (agreed if taken else 0)
    assert V.IN_DOUBT not in verdicts or (machine.dot_sent and verdicts.count(V.IN_DOUBT) == agreed)
    if machine.is_ended:
        assert V.PENDING not in verdicts
    else:
        assert machine.session is W.CLOSE
    for result in machine.results:
        assert (result.failure is not None) == (result.verdict in {V.FAILED, V.IN_DOUBT})
        assert (result.reply is not None) == (result.verdict is V.ACCEPTED)


@given(
    st.sampled_from([OK, DEFER, REFUSE, LEAVE]),
    st.lists(st.sampled_from([OK, DEFER, REFUSE]), min_size=1, max_size=4),
    st.sampled_from([GO, DEFER, REFUSE]),
    st.sampled_from([OK, DEFER, REFUSE, LEAVE, LOST]),
)
def test_pipelining_changes_no_verdict(mail: int, rcpts: list[int], data: int, dot: int) -> None:
    """A server that answers each command alike gets the message for the same recipients, grouped or not."""
    recipients = tuple(f"{number}@x.y" for number in range(len(rcpts)))
    ends = []
    for offered in (SEQUENTIAL, PIPELINED):
        machine = _machine(recipients, offered)
        machine.start()
        answers = {T.MAIL: mail, T.DATA: data, T.DOT: dot, T.DRAIN: 503, T.EMPTY_DOT: 554}
        pending = iter(rcpts)
        while not machine.is_ended:
            code = next(pending) if machine.state is T.RCPT else answers[machine.state]
            if code == LOST:
                machine.lose(classify.Fault.CONNECTION_LOST)
            else:
                machine.receive(_reply(code))
        ends.append([(result.verdict, result.failure) for result in machine.results])
    assert ends[0] == ends[1]


def _snapshot(machine: Machine) -> tuple[object, ...]:
    return (machine.state, machine.dot_sent, machine.session, machine.results)


def test_illegal_input_raises_and_changes_nothing() -> None:
    """Before the start and after the end nothing is taken; starting twice is not either."""
    calls: list[Callable[[Machine], object]] = [
        lambda machine: machine.receive(_reply(OK)),
        lambda machine: machine.lose(classify.Fault.CONNECTION_LOST),
        lambda machine: machine.withhold(),
    ]
    fresh, ended = _machine(), _machine()
    _play(ended, [OK, OK, GO, OK])
    for machine in (fresh, ended):
        for call in calls:
            before = _snapshot(machine)
            with pytest.raises(transaction.IllegalInput):
                call(machine)
            assert _snapshot(machine) == before
    fresh.start()
    for machine in (fresh, ended):
        before = _snapshot(machine)
        with pytest.raises(transaction.IllegalInput):
            machine.start()
        assert _snapshot(machine) == before


@pytest.mark.parametrize(
    ("offered", "mail_from", "message", "reasons"),
    [
        (wire.Extensions(size=True, size_limit_bytes=10), "s@x.y", MESSAGE, ["MessageTooLarge", "MessageTooLarge"]),
        (SEQUENTIAL, "s@x.y", b"\xc3\xa4\r\n", ["EightBitNotOffered", "EightBitNotOffered"]),
        (SEQUENTIAL, "ä@x.y", MESSAGE, ["SmtpUtf8NotOffered", "SmtpUtf8NotOffered"]),
    ],
)
def test_what_the_server_cannot_take_fails_before_mail(
    offered: wire.Extensions, mail_from: str, message: bytes, reasons: list[str]
) -> None:
    """Size, 8-bit lines and a sender outside ASCII are known to fail: nothing is sent, and it is permanent."""
    machine = _machine(("a@x.y", "b@x.y"), offered, mail_from=mail_from, message=message)
    assert machine.start() == b""
    assert machine.is_ended
    assert machine.session is W.REUSE
    failures = [result.failure for result in machine.results]
    assert [failure.reason for failure in failures if failure] == reasons
    assert all(f is not None and f.is_permanent and f.scope is classify.Scope.MESSAGE for f in failures)


def test_only_recipients_outside_ascii_fail_without_smtputf8() -> None:
    """The others get the message, and the failure is the recipient's."""
    machine = _machine(("ä@x.y", "b@x.y"))
    assert _play(machine, [OK, OK, GO, OK])[1] == b"RCPT TO:<b@x.y>\r\n"
    assert _verdicts(machine) == [V.FAILED, V.ACCEPTED]
    failure = machine.results[0].failure
    assert failure is not None
    assert (failure.scope, failure.is_permanent) == (classify.Scope.RECIPIENT, True)


def test_extensions_are_used_where_they_are_offered() -> None:
    """SIZE, 8BITMIME and SMTPUTF8 go with MAIL when the message needs them."""
    offered = wire.Extensions(size=True, size_limit_bytes=1000, eight_bit_mime=True, smtputf8=True)
    machine = _machine(("ä@x.y",), offered, message=b"\xc3\xa4\r\n")
    assert machine.start() == b"MAIL FROM:<s@x.y> SIZE=4 BODY=8BITMIME SMTPUTF8\r\n"
    assert machine.receive(_reply(OK)) == "RCPT TO:<ä@x.y>\r\n".encode()


@pytest.mark.parametrize(
    "values",
    [
        {"rcpt_to": ()},
        {"mail_from": "s@x.y>\r\nRCPT TO:<evil@x.y"},
        {"rcpt_to": ("r@x.y\r\nDATA",)},
        {"message": b"no line end"},
        {"message": b"a\n.\r\nMAIL FROM:<evil@x.y>\r\n"},
    ],
)
def test_what_is_unsafe_on_the_wire_is_refused_at_once(values: dict[str, object]) -> None:
    """R5: no machine is built that could write a second command."""
    with pytest.raises(ValueError, match=r"recipient|command|CRLF"):
        _machine(**values)  # type: ignore[arg-type]


def test_nothing_private_is_shown() -> None:
    """R1: neither addresses nor message nor secrets stand in the machine's repr, nor in quoted replies."""
    machine = _machine(("r@x.y",), secrets=quoting.KnownSecrets(["hunter2hunter2"]))
    assert "x.y" not in repr(machine)
    _play(machine, [OK])
    machine.receive(dataclasses.replace(_reply(REFUSE), lines=("who is hunter2hunter2?",)))
    (result,) = machine.results
    assert result.failure is not None
    assert result.failure.text == "who is [removed]?"

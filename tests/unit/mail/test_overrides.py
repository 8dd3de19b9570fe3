"""What an endpoint's owner makes of replies: every rule by itself, the first that matches, and where none acts."""

import pytest

from mailtier.api import overrides as rules
from mailtier.api import vocabulary
from mailtier.mail import classify, overrides, replies, transaction, wire

P, A = classify.Phase, vocabulary.ReplyAction
_ACTING = (P.MAIL, P.RCPT, P.DATA, P.DOT)


def _rule(
    action: vocabulary.ReplyAction, *, code: int | None = None, enhanced: str | None = None, text: str | None = None
) -> rules.ReplyOverride:
    return rules.ReplyOverride(code=code, enhanced=enhanced, text=text, action=action)


def _told(phase: classify.Phase, said: str, *given: rules.ReplyOverride) -> tuple[str, str, str]:
    """Return scope, permanence and reason of a reply."""
    (reply,) = replies.ReplyParser().receive(f"{said}\r\n".encode())
    failure = overrides.override(classify.classify_reply(phase, reply), phase, reply, given)
    return failure.scope, failure.permanence, failure.reason


@pytest.mark.parametrize(
    ("phase", "said", "action", "expected"),
    [
        (P.MAIL, "553 5.7.1 No", A.DEFER, ("Message", "Transient", "MessageDeferred")),
        (P.MAIL, "553 5.7.1 No", A.FAIL, ("Message", "Permanent", "MessageRefused")),
        (P.MAIL, "451 4.3.0 Later", A.HOLD, ("Settings", "Permanent", "PolicyRefused")),
        (P.MAIL, "535 5.7.8 Log in", A.DEFER, ("Message", "Transient", "MessageDeferred")),
        (P.RCPT, "550 5.1.1 Nobody", A.DEFER, ("Recipient", "Transient", "RecipientUnavailable")),
        (P.RCPT, "554 5.7.1 Blocked", A.FAIL, ("Recipient", "Permanent", "RecipientRefused")),
        (P.RCPT, "450 4.2.1 Later", A.FAIL, ("Recipient", "Permanent", "RecipientRefused")),
        (P.RCPT, "550 5.1.1 Nobody", A.HOLD, ("Settings", "Permanent", "PolicyRefused")),
        (P.RCPT, "421 4.7.0 Slower", A.DEFER, ("Recipient", "Transient", "RecipientUnavailable")),
        (P.DATA, "554 5.5.1 No", A.DEFER, ("Message", "Transient", "MessageDeferred")),
        (P.DOT, "554 5.7.1 Spam", A.DEFER, ("Message", "Transient", "MessageDeferred")),
        (P.DOT, "550 5.7.60 May not send as", A.FAIL, ("Message", "Permanent", "MessageRefused")),
        (P.DOT, "550 5.1.1 Nobody", A.DEFER, ("Recipient", "Transient", "RecipientUnavailable")),
        (P.DOT, "554 5.6.0 Bad content", A.HOLD, ("Settings", "Permanent", "PolicyRefused")),
    ],
)
def test_each_action_in_each_phase(
    phase: classify.Phase, said: str, action: vocabulary.ReplyAction, expected: tuple[str, str, str]
) -> None:
    """Defer and Fail are for the recipient at RCPT and for the message else; Hold is a refusal of the settings."""
    assert _told(phase, said, _rule(action, code=int(said[:3]))) == expected


@pytest.mark.parametrize(
    ("phase", "said", "action", "reason"),
    [
        (P.DOT, "552 5.3.4 Too big", A.FAIL, "MessageTooLarge"),
        (P.RCPT, "550 5.7.1 Your account is disabled", A.HOLD, "AccountDisabled"),
    ],
)
def test_a_rule_that_says_the_same_keeps_the_closer_reason(
    phase: classify.Phase, said: str, action: vocabulary.ReplyAction, reason: str
) -> None:
    """Where the reply means by itself what the rule says, its own reason tells people more."""
    assert _told(phase, said) == _told(phase, said, _rule(action, code=int(said[:3])))
    assert _told(phase, said)[2] == reason


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "matches"),
    [
        (554, None, None, True),
        (550, None, None, False),
        (None, "5.7.1", None, True),
        (None, "5.7.10", None, False),
        (None, "5.7.2", None, False),
        (None, None, "GREY", True),
        (None, None, "greylisted, come", True),
        (None, None, "554", False),
        (None, None, "blue", False),
        # ASCII alone has two cases: the KELVIN SIGN is no k.
        (None, None, "bac\u212a", False),
        (554, "5.7.1", "again", True),
        (550, "5.7.1", "again", False),
        (554, "5.7.2", "again", False),
        (554, "5.7.1", "blue", False),
    ],
)
def test_all_that_a_rule_names_must_match(
    code: int | None, enhanced: str | None, text: str | None, matches: bool
) -> None:
    """Code and enhanced code match as a whole, text as a part in upper or lower case; what is absent matches all."""
    said = "554 5.7.1 Greylisted, come back AGAIN"
    rule = _rule(A.FAIL, code=code, enhanced=enhanced, text=text)
    assert (_told(P.RCPT, said, rule) != _told(P.RCPT, said)) is matches


def test_a_reply_without_an_enhanced_code_matches_no_rule_on_one() -> None:
    """The code alone is not taken for an enhanced one."""
    rule = _rule(A.FAIL, enhanced="5.7.1")
    assert _told(P.DATA, "554 Refused", rule) == _told(P.DATA, "554 Refused")


def test_the_lines_of_a_reply_are_one_text() -> None:
    """Words that a line break divides are found."""
    (reply,) = replies.ReplyParser().receive(b"554-5.7.1 Message\r\n554 5.7.1 looks like spam\r\n")
    judged = classify.classify_reply(P.DOT, reply)
    rule = _rule(A.HOLD, text="message looks")
    assert overrides.override(judged, P.DOT, reply, [rule]).scope is classify.Scope.SETTINGS


def test_the_first_rule_that_matches_decides() -> None:
    """Later rules on the same reply do nothing."""
    given = (_rule(A.HOLD, code=550), _rule(A.DEFER, code=554), _rule(A.FAIL, enhanced="5.7.1"))
    assert _told(P.DOT, "554 5.7.1 Spam", *given)[1:] == ("Transient", "MessageDeferred")
    assert _told(P.DOT, "550 5.7.1 Spam", *given)[0] == "Settings"
    assert _told(P.DOT, "552 5.7.1 Spam", *given)[1:] == ("Permanent", "MessageRefused")


@pytest.mark.parametrize("phase", [phase for phase in P if phase not in _ACTING])
def test_before_mail_no_rule_acts(phase: classify.Phase) -> None:
    """What is said to whoever connects, or of credentials, no rule changes (R12)."""
    assert _told(phase, "535 5.7.8 No", _rule(A.DEFER, code=535)) == _told(phase, "535 5.7.8 No")


@pytest.mark.parametrize("phase", _ACTING)
def test_what_is_no_refusal_is_no_rule_s(phase: classify.Phase) -> None:
    """A reply that was not expected stays a fault of the protocol, whatever its words."""
    assert _told(phase, "251 Hello", _rule(A.FAIL, text="hello")) == _told(phase, "251 Hello")


def test_what_the_server_said_is_kept() -> None:
    """Codes and words are told as they were, whatever is made of them."""
    (reply,) = replies.ReplyParser().receive(b"554 5.7.1 Spam\r\n")
    failure = overrides.override(classify.classify_reply(P.DOT, reply), P.DOT, reply, [_rule(A.HOLD, code=554)])
    assert (failure.code, failure.enhanced, failure.text) == (554, "5.7.1", "Spam")


@pytest.mark.parametrize("is_pipelined", [False, True])
@pytest.mark.parametrize(
    ("size", "codes"),
    [
        (10, [550, 503, 503]),
        (10, [250, 550, 503]),
        (10, [250, 250, 550]),
        (10, [250, 250, 354, 550]),
        (70_000, [250, 250, 354, 550]),
    ],
    ids=["mail", "rcpt", "data", "dot", "early"],
)
def test_a_transaction_goes_by_its_rules_from_mail_to_the_dot(
    *, is_pipelined: bool, size: int, codes: list[int]
) -> None:
    """Whatever refuses the message with that code, also before its dot has left, is what the rule says."""
    machine = transaction.Transaction(
        mail_from="s@x.y",
        rcpt_to=("r@x.y",),
        message=b"x" * size + b"\r\n",
        offered=wire.Extensions(pipelining=is_pipelined),
        rules=(_rule(A.DEFER, code=550),),
    )
    machine.start()
    for code in codes:
        if not machine.is_ended:
            machine.receive(replies.Reply(code=code))
    (failure,) = [result.failure for result in machine.results]
    assert failure is not None
    assert failure.scope in {classify.Scope.RECIPIENT, classify.Scope.MESSAGE}
    assert failure.permanence is classify.Permanence.TRANSIENT


def test_the_entry_that_decided_is_named() -> None:
    """The first one that matches, by its place in the list; nothing where the reply means the same by itself."""
    (reply,) = replies.ReplyParser().receive(b"550 5.1.1 Nobody\r\n")
    judged = classify.classify_reply(P.RCPT, reply)
    given = [_rule(A.FAIL, code=421), _rule(A.DEFER, code=550), _rule(A.HOLD, code=550)]
    assert overrides.override(judged, P.RCPT, reply, given).decided_by == "delivery.replies[1] (Defer)"
    assert overrides.override(judged, P.RCPT, reply, [_rule(A.FAIL, code=550)]).decided_by == ""

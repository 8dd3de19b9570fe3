"""Whose fault a failure is, and whether trying again can help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.mail import classify, quoting, reasons, replies

P, S = classify.Phase, classify.Scope
SERVER, CREDENTIALS, SETTINGS, RECIPIENT, MESSAGE = S.SERVER, S.CREDENTIALS, S.SETTINGS, S.RECIPIENT, S.MESSAGE


def _reply(code: int, enhanced: str = "", text: str = "no") -> replies.Reply:
    line = f"{code} {enhanced} {text}\r\n" if enhanced else f"{code} {text}\r\n"
    (reply,) = replies.ReplyParser().receive(line.encode())
    return reply


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "scope", "reason"),
    [
        # Server: connect, TLS, greeting, and 421 wherever it comes.
        (P.GREETING, 554, "", SERVER, "ServerRefused"),
        (P.GREETING, 450, "", SERVER, "ServerUnavailable"),
        (P.GREETING, 421, "4.3.2", SERVER, "ServerUnavailable"),
        (P.EHLO, 550, "5.7.1", SERVER, "ServerRefused"),
        (P.EHLO, 502, "", SERVER, "ServerRefused"),
        # Of EHLO nothing but its argument can be wrong by these codes.
        (P.EHLO, 501, "", SERVER, "ClientNameRefused"),
        (P.EHLO, 504, "5.5.2", SERVER, "ClientNameRefused"),
        (P.EHLO, 553, "", SERVER, "ClientNameRefused"),
        (P.TLS, 454, "4.7.0", SERVER, "TlsFailed"),
        (P.TLS, 502, "5.5.1", SERVER, "TlsFailed"),
        (P.AUTH, 421, "4.7.0", SERVER, "ServerUnavailable"),
        (P.MAIL, 421, "4.7.0", SERVER, "ServerUnavailable"),
        (P.RCPT, 421, "4.1.1", SERVER, "ServerUnavailable"),
        (P.DATA, 421, "", SERVER, "ServerUnavailable"),
        (P.DOT, 421, "4.4.2", SERVER, "ServerUnavailable"),
        # Credentials: 535, 534, 530, 538, and every permanent refusal of AUTH.
        (P.AUTH, 535, "5.7.8", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 534, "5.7.9", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 530, "5.7.0", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 538, "5.7.11", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 504, "5.5.4", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 501, "", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 432, "4.7.12", CREDENTIALS, "CredentialsRefused"),
        (P.AUTH, 454, "4.7.0", SERVER, "AuthenticationUnavailable"),
        (P.MAIL, 530, "5.7.57", CREDENTIALS, "AuthenticationRequired"),
        (P.MAIL, 535, "", CREDENTIALS, "CredentialsRefused"),
        (P.MAIL, 538, "", CREDENTIALS, "CredentialsRefused"),
        (P.DATA, 530, "5.7.0", CREDENTIALS, "AuthenticationRequired"),
        (P.DOT, 530, "5.7.0", CREDENTIALS, "AuthenticationRequired"),
        # MAIL names a sender and a size, nothing else.
        (P.MAIL, 550, "5.1.8", SETTINGS, "SenderRefused"),
        (P.MAIL, 553, "5.7.1", SETTINGS, "PolicyRefused"),
        (P.MAIL, 553, "", SETTINGS, "SenderRefused"),
        (P.MAIL, 501, "5.1.7", SETTINGS, "SenderRefused"),
        (P.MAIL, 550, "5.1.1", SETTINGS, "SenderRefused"),
        (P.MAIL, 450, "4.1.8", SETTINGS, "SenderRefused"),
        (P.MAIL, 450, "4.7.1", SETTINGS, "PolicyRefused"),
        (P.MAIL, 550, "5.4.5", SETTINGS, "LimitReached"),
        (P.MAIL, 552, "", MESSAGE, "MessageTooLarge"),
        (P.MAIL, 552, "5.3.4", MESSAGE, "MessageTooLarge"),
        (P.MAIL, 452, "4.3.1", SERVER, "ServerUnavailable"),
        (P.MAIL, 451, "", SERVER, "ServerUnavailable"),
        # Recipient: at RCPT only x.1.x (not x.1.7, x.1.8), x.2.x, or an unenhanced 550/551.
        (P.RCPT, 550, "5.1.1", RECIPIENT, "RecipientRefused"),
        (P.RCPT, 550, "5.1.10", RECIPIENT, "RecipientRefused"),
        (P.RCPT, 553, "5.1.3", RECIPIENT, "RecipientRefused"),
        (P.RCPT, 554, "5.1.2", RECIPIENT, "RecipientRefused"),
        (P.RCPT, 552, "5.2.2", RECIPIENT, "RecipientUnavailable"),
        (P.RCPT, 552, "", RECIPIENT, "RecipientUnavailable"),
        (P.DOT, 550, "5.2.2", RECIPIENT, "RecipientUnavailable"),
        (P.RCPT, 550, "5.2.1", RECIPIENT, "RecipientRefused"),
        (P.RCPT, 450, "4.2.0", RECIPIENT, "RecipientUnavailable"),
        (P.RCPT, 452, "4.2.2", RECIPIENT, "RecipientUnavailable"),
        (P.RCPT, 450, "4.1.1", RECIPIENT, "RecipientUnavailable"),
        (P.RCPT, 550, "", RECIPIENT, "RecipientRefused"),
        (P.RCPT, 551, "", RECIPIENT, "RecipientRefused"),
        # Policy: 530, 535, 554, 553 and x.7.x at RCPT, where Postfix reports client, HELO and sender.
        (P.RCPT, 550, "5.1.7", SETTINGS, "SenderRefused"),
        (P.RCPT, 550, "5.1.8", SETTINGS, "SenderRefused"),
        (P.RCPT, 450, "4.1.8", SETTINGS, "SenderRefused"),
        (P.RCPT, 550, "5.7.1", SETTINGS, "PolicyRefused"),
        (P.RCPT, 454, "4.7.1", SETTINGS, "PolicyRefused"),
        (P.RCPT, 554, "", SETTINGS, "PolicyRefused"),
        (P.RCPT, 554, "5.7.1", SETTINGS, "PolicyRefused"),
        (P.RCPT, 553, "", SETTINGS, "PolicyRefused"),
        (P.RCPT, 530, "", SETTINGS, "PolicyRefused"),
        (P.RCPT, 535, "", SETTINGS, "PolicyRefused"),
        (P.RCPT, 550, "5.4.5", SETTINGS, "LimitReached"),
        # What RCPT refuses for another reason is no word on the recipient.
        (P.RCPT, 550, "5.3.4", MESSAGE, "MessageTooLarge"),
        (P.RCPT, 550, "5.3.0", MESSAGE, "MessageRefused"),
        (P.RCPT, 450, "", RECIPIENT, "RecipientUnavailable"),
        (P.RCPT, 451, "", MESSAGE, "MessageDeferred"),
        (P.DOT, 450, "", MESSAGE, "MessageDeferred"),
        (P.RCPT, 451, "4.3.0", MESSAGE, "MessageDeferred"),
        (P.RCPT, 452, "4.5.3", MESSAGE, "MessageDeferred"),
        (P.RCPT, 501, "", MESSAGE, "MessageRefused"),
        # Message: 552 and 554 at the dot, and whatever else is said of the data.
        (P.DOT, 552, "", MESSAGE, "MessageTooLarge"),
        (P.DOT, 552, "5.2.3", MESSAGE, "MessageTooLarge"),
        (P.DOT, 554, "", MESSAGE, "MessageRefused"),
        (P.DOT, 554, "5.7.1", SETTINGS, "PolicyRefused"),
        (P.DOT, 554, "5.7.0", SETTINGS, "PolicyRefused"),
        (P.DOT, 552, "5.7.1", SETTINGS, "PolicyRefused"),
        (P.DOT, 550, "5.1.1", RECIPIENT, "RecipientRefused"),
        (P.DOT, 550, "", RECIPIENT, "RecipientRefused"),
        (P.DOT, 550, "5.7.26", SETTINGS, "PolicyRefused"),
        (P.DOT, 554, "5.2.252", SETTINGS, "SenderRefused"),
        (P.DOT, 550, "5.7.60", SETTINGS, "SenderRefused"),
        (P.DOT, 550, "5.1.8", SETTINGS, "SenderRefused"),
        (P.RCPT, 504, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.RCPT, 501, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.MAIL, 503, "5.5.1", SETTINGS, "PolicyRefused"),
        (P.DOT, 451, "4.3.0", MESSAGE, "MessageDeferred"),
        (P.DOT, 452, "", MESSAGE, "MessageDeferred"),
        # 553, and 501 and 504 with X.5.2, are settings in whatever phase they come.
        (P.MAIL, 501, "5.5.2", SETTINGS, "SenderRefused"),
        (P.MAIL, 504, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.DATA, 553, "", SETTINGS, "PolicyRefused"),
        (P.DATA, 501, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.DATA, 504, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.DOT, 553, "", SETTINGS, "PolicyRefused"),
        (P.DOT, 553, "5.5.4", SETTINGS, "PolicyRefused"),
        (P.DOT, 501, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.DOT, 504, "5.5.2", SETTINGS, "PolicyRefused"),
        (P.DOT, 553, "5.1.3", RECIPIENT, "RecipientRefused"),
        (P.DOT, 501, "", MESSAGE, "MessageRefused"),
        # A filter judges content, and at DATA there was none.
        (P.DATA, 554, "5.7.1", SETTINGS, "PolicyRefused"),
        (P.DATA, 552, "5.7.0", SETTINGS, "PolicyRefused"),
        (P.DATA, 554, "5.5.1", MESSAGE, "MessageRefused"),
        (P.DATA, 451, "", MESSAGE, "MessageDeferred"),
        (P.DATA, 550, "5.4.5", SETTINGS, "LimitReached"),
        (P.DOT, 550, "5.4.5", SETTINGS, "LimitReached"),
    ],
)
def test_phase_and_codes_give_scope_and_reason(
    phase: classify.Phase, code: int, enhanced: str, scope: classify.Scope, reason: str
) -> None:
    """Each refusal concerns whom the phase and the enhanced code say, and carries its codes."""
    failure = classify.classify_reply(phase, _reply(code, enhanced))
    assert (failure.scope, failure.reason) == (scope, reason)
    assert failure.code == code
    assert failure.enhanced == (enhanced or None)


_ANY = [P.MAIL, P.RCPT, P.DOT]
_TAKEN = [P.MAIL, P.RCPT, P.DATA, P.DOT]
_BLOCKED = "Service unavailable; {} blocked using zen.spamhaus.org"
_HELO = "<mailtier-0>: Helo command rejected: need fully-qualified hostname"


@pytest.mark.parametrize(
    ("phases", "said", "scope", "reason"),
    [
        (_ANY, (504, "5.5.2", _HELO), SETTINGS, "ClientNameRefused"),
        (_ANY, (504, "", _HELO), SETTINGS, "ClientNameRefused"),
        (_ANY, (450, "4.7.1", "<mailtier-0>: Helo command rejected: Host not found"), SETTINGS, "ClientNameRefused"),
        (
            _ANY,
            (554, "5.2.252", "SendAsDenied; robot@x.test not allowed to send as a@x.test"),
            SETTINGS,
            "SenderRefused",
        ),
        (
            [P.MAIL, P.DOT],
            (554, "5.2.0", "STOREDRV.Submission.Exception:SendAsDeniedException"),
            SETTINGS,
            "SenderRefused",
        ),
        (
            _ANY,
            (550, "5.7.60", "SMTP; Client does not have permissions to send as this sender"),
            SETTINGS,
            "SenderRefused",
        ),
        (_ANY, (553, "5.7.1", "<a@x.test>: Sender address rejected: not owned by user b"), SETTINGS, "SenderRefused"),
        (_ANY, (550, "5.1.0", "<a@x.test>: Sender address rejected: User unknown"), SETTINGS, "SenderRefused"),
        (_ANY, (554, "", "Message rejected: Email address is not verified."), SETTINGS, "SenderRefused"),
        (_ANY, (554, "5.7.1", "<u@y.test>: Relay access denied"), SETTINGS, "RelayDenied"),
        (_ANY, (550, "", "relay not permitted"), SETTINGS, "RelayDenied"),
        (_ANY, (553, "", "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"), SETTINGS, "RelayDenied"),
        ([P.MAIL], (503, "", "Error: need EHLO and AUTH first"), CREDENTIALS, "AuthenticationRequired"),
        ([P.MAIL], (550, "5.7.1", "Client was not authenticated"), CREDENTIALS, "AuthenticationRequired"),
        ([P.RCPT, P.DOT], (550, "", "authentication required for relay"), SETTINGS, "AuthenticationRequired"),
        ([P.RCPT, P.DOT], (550, "5.7.57", "not yet"), SETTINGS, "AuthenticationRequired"),
        (_ANY, (550, "5.7.1", "This account has been disabled"), SETTINGS, "AccountDisabled"),
        ([P.MAIL], (554, "", "Account disabled"), SETTINGS, "AccountDisabled"),
        (_ANY, (550, "", "Your account is suspended"), SETTINGS, "AccountDisabled"),
        (
            [P.MAIL, P.DOT],
            (554, "5.2.0", "STOREDRV.Submission.Exception:SubmissionQuotaExceededException"),
            SETTINGS,
            "LimitReached",
        ),
        (_ANY, (450, "4.7.1", "Message rate limit exceeded"), SETTINGS, "LimitReached"),
        ([P.RCPT, P.DATA, P.DOT], (503, "5.5.1", "Error: need AUTH"), SETTINGS, "AuthenticationRequired"),
        # Of the client's address no message can be relieved, whatever else the words remind of.
        ([P.DATA, P.DOT], (553, "", "From address must be the authenticated user"), SETTINGS, "PolicyRefused"),
        (_TAKEN, (554, "5.7.1", "<x[192.0.2.1]>: Client host rejected: Access denied"), SETTINGS, "PolicyRefused"),
        (_TAKEN, (550, "5.7.606", "Access denied, banned sending IP [192.0.2.1]"), SETTINGS, "PolicyRefused"),
        (_TAKEN, (554, "5.7.1", _BLOCKED.format("Client host [192.0.2.1]")), SETTINGS, "PolicyRefused"),
        (_TAKEN, (550, "", _BLOCKED.format("Client host [192.0.2.1]")), SETTINGS, "PolicyRefused"),
        (_TAKEN, (554, "5.7.1", _BLOCKED.format("Helo command [mailtier-0]")), SETTINGS, "ClientNameRefused"),
        (_TAKEN, (554, "5.7.1", _BLOCKED.format("Sender address [a@x.test]")), SETTINGS, "SenderRefused"),
        # At DATA no filter has read anything yet.
        ([P.DATA], (554, "5.7.1", "Spam source"), SETTINGS, "PolicyRefused"),
        # What is a recipient's stays a recipient's.
        ([P.RCPT, P.DOT], (550, "5.1.1", "No such user; we do not relay"), RECIPIENT, "Recipient"),
        ([P.RCPT, P.DOT], (554, "5.1.2", "Bad destination; relaying denied"), RECIPIENT, "Recipient"),
        ([P.RCPT, P.DOT], (550, "5.1.1", "<content@y.test>: User unknown"), RECIPIENT, "Recipient"),
        ([P.RCPT, P.DOT], (552, "5.2.2", "mailbox full: your account is over quota"), RECIPIENT, "Recipient"),
        ([P.RCPT, P.DOT], (450, "4.2.1", "your account receives too much"), RECIPIENT, "Recipient"),
        ([P.RCPT], (550, "5.2.0", "your account takes no mail"), RECIPIENT, "Recipient"),
        ([P.RCPT, P.DOT], (550, "5.4.1", "Recipient address rejected: Access denied"), RECIPIENT, "Recipient"),
        (
            [P.RCPT, P.DOT],
            (504, "5.5.2", "<u>: Recipient address rejected: need fully-qualified address"),
            RECIPIENT,
            "Recipient",
        ),
        ([P.RCPT, P.DOT], (550, "5.4.5", "Recipient address rejected: daily limit"), SETTINGS, "LimitReached"),
        (
            [P.RCPT, P.DOT],
            (550, "5.2.1", "The email account that you tried to reach is disabled"),
            RECIPIENT,
            "Recipient",
        ),
        ([P.RCPT, P.DOT], (550, "", "User account is disabled"), RECIPIENT, "Recipient"),
        (
            [P.RCPT],
            (550, "5.1.1", "<u@y.test>: Recipient address rejected: undeliverable: 550 5.1.8 Sender address rejected"),
            RECIPIENT,
            "Recipient",
        ),
        # What is the message's stays the message's.
        ([P.DOT], (554, "5.7.1", "Spam message rejected"), MESSAGE, "Message"),
        ([P.DOT], (550, "5.7.1", "likely unsolicited mail"), MESSAGE, "Message"),
        ([P.DOT], (550, "", "This message contains a virus"), MESSAGE, "Message"),
        ([P.DOT], (553, "5.7.1", "Spam message rejected"), MESSAGE, "Message"),
        ([P.DOT], (552, "5.7.0", "This message was blocked because its content is a risk"), MESSAGE, "Message"),
        ([P.DOT], (554, "5.7.1", "Message rejected: BANNED FILE (invoice.exe)"), MESSAGE, "Message"),
        ([P.DOT], (554, "5.7.0", "Your attachment is not allowed"), MESSAGE, "Message"),
        ([P.DOT], (554, "", "Message rejected"), MESSAGE, "Message"),
        ([P.DOT], (550, "", "Message rejected"), MESSAGE, "Message"),
        # Words that speak of no content leave what X.7.X says: security or policy.
        ([P.DOT], (554, "5.7.1", "Message rejected"), SETTINGS, "PolicyRefused"),
        ([P.DOT], (554, "5.7.1", "Rejected by policy"), SETTINGS, "PolicyRefused"),
        ([P.DOT], (550, "5.7.1", "You are banned"), SETTINGS, "PolicyRefused"),
        ([P.DOT], (550, "5.7.9", "Message not accepted for policy reasons"), SETTINGS, "PolicyRefused"),
        # A server that refuses the name at once serves nobody who gives it.
        ([P.EHLO], (504, "5.5.2", _HELO), SERVER, "ClientNameRefused"),
    ],
)
def test_words_say_whose_fault_it_is_in_whatever_phase(
    phases: list[classify.Phase], said: tuple[int, str, str], scope: classify.Scope, reason: str
) -> None:
    """What a reply says of client name, sender, relaying, authentication and limits is the settings' fault."""
    for phase in phases:
        failure = classify.classify_reply(phase, _reply(*said))
        assert failure.scope is scope, phase
        assert failure.reason.value.startswith(reason), phase


@given(
    st.sampled_from(classify.Phase),
    st.integers(min_value=400, max_value=599),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 20)),
)
def test_the_basic_code_decides_permanence(phase: classify.Phase, code: int, status: tuple[int, int] | None) -> None:
    """4yz is transient and 5yz permanent, in every phase, but that a recipient's full mailbox passes."""
    enhanced = f"{code // 100}.{status[0]}.{status[1]}" if status else ""
    failure = classify.classify_reply(phase, _reply(code, enhanced))
    is_full = failure.scope is RECIPIENT and (status == (2, 2) or (phase is P.RCPT and code == 552))
    assert failure.is_permanent == (code >= 500 and not is_full)


@given(
    st.sampled_from([phase for phase in classify.Phase if phase not in {P.RCPT, P.DOT}]),
    st.integers(min_value=400, max_value=599),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 20)),
)
def test_a_recipient_is_to_blame_at_rcpt_and_the_dot_only(
    phase: classify.Phase, code: int, status: tuple[int, int] | None
) -> None:
    """No reply to another command suppresses or fails a recipient as such."""
    enhanced = f"{code // 100}.{status[0]}.{status[1]}" if status else ""
    assert classify.classify_reply(phase, _reply(code, enhanced)).scope is not RECIPIENT


@pytest.mark.parametrize("fault", classify.Fault)
@pytest.mark.parametrize("phase", [phase for phase in classify.Phase if phase is not P.DOT])
def test_a_fault_without_a_reply_is_the_servers(phase: classify.Phase, fault: classify.Fault) -> None:
    """Lost connections, time-outs and TLS failures charge the server; what its user may not do, the user."""
    failure = classify.classify_fault(phase, fault)
    is_user_s = fault in {
        classify.Fault.MECHANISM_NOT_OFFERED,
        classify.Fault.PROMPT_NOT_RECOGNIZED,
        classify.Fault.HOST_SERVER,
        classify.Fault.TOO_MANY_REFUSED_LOGINS,
    }
    assert failure.scope is (CREDENTIALS if is_user_s else SERVER)
    assert failure.is_permanent is is_user_s
    assert failure.reason.value == fault.value
    assert failure.text == reasons.MEANINGS[failure.reason]
    assert (failure.code, failure.enhanced) == (None, None)


def test_a_fault_after_the_dot_is_in_doubt() -> None:
    """Whatever ends the wait for the last reply, nobody knows whether the message was taken."""
    failure = classify.classify_fault(P.DOT, classify.Fault.TIMED_OUT)
    assert failure.reason is reasons.DeliveryReason.IN_DOUBT
    assert not failure.is_permanent


@pytest.mark.parametrize("code", [250, 354])
def test_a_reply_that_is_no_refusal_is_a_protocol_error(code: int) -> None:
    """A success where it makes no sense says nothing about the message."""
    failure = classify.classify_reply(P.DATA, _reply(code))
    assert (failure.scope, failure.reason) == (SERVER, "ProtocolError")


def test_the_text_is_quotable() -> None:
    """Secrets do not get into the text, and the codes stay (R7)."""
    failure = classify.classify_reply(
        P.AUTH, _reply(535, "5.7.8", "bad hunter2hunter2"), secrets=quoting.KnownSecrets(["hunter2hunter2"])
    )
    assert (failure.text, failure.code, failure.enhanced) == ("bad [removed]", 535, "5.7.8")


def test_every_reason_has_a_meaning() -> None:
    """The documentation has an entry for each reason."""
    assert set(reasons.MEANINGS) == set(reasons.DeliveryReason)

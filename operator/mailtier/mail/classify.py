"""What a failed step of a delivery means: whose fault it is, and whether trying again can help.

The basic code says transient or permanent; phase, enhanced code and words say the scope. Postfix draws the same line
between site, message and recipient errors. What a reply says of the settings is the settings' fault in every phase.
"""

import dataclasses
import enum
from typing import Final

from mailtier.mail import quoting, reasons, replies, wording


class Phase(enum.StrEnum):
    """The step of a delivery that was under way, in their order."""

    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


BEFORE_AUTH: Final = frozenset({Phase.CONNECT, Phase.TLS, Phase.GREETING, Phase.EHLO})
"""Phases in which a server does not know yet with whom it speaks, nor for whom: another of its addresses may do."""


class Scope(enum.StrEnum):
    """Whom a failure concerns, and so what has to stop."""

    SERVER = "Server"
    """The destination's breaker; no attempt is charged to the message."""
    CREDENTIALS = "Credentials"
    """One credential generation, which is held; its Secret is read again."""
    SETTINGS = "Settings"
    """What the settings say of client, sender or account; the lane is held when it goes on, and the messages wait."""
    RECIPIENT = "Recipient"
    """This recipient."""
    MESSAGE = "Message"
    """This message, whoever receives it."""


class Permanence(enum.StrEnum):
    """Whether the same attempt may succeed later (RFC 5321 section 4.2.1)."""

    TRANSIENT = "Transient"
    PERMANENT = "Permanent"


class Fault(enum.StrEnum):
    """What can go wrong without a reply of the server."""

    NAME_NOT_RESOLVED = "NameNotResolved"
    NAME_NOT_ABSOLUTE = "NameNotAbsolute"
    ADDRESS_DENIED = "AddressDenied"
    HOST_RELAY = "HostRelay"
    HOST_RELAY_UNKNOWN = "HostRelayUnknown"
    HOST_SERVER = "HostServer"
    TOO_MANY_REFUSED_LOGINS = "TooManyRefusedLogins"
    CONNECTION_FAILED = "ConnectionFailed"
    CONNECTION_LOST = "ConnectionLost"
    TIMED_OUT = "TimedOut"
    STARTTLS_NOT_OFFERED = "StartTlsNotOffered"
    TLS_FAILED = "TlsFailed"
    TLS_NOT_SPOKEN = "TlsNotSpoken"
    TLS_EXPECTED = "TlsExpected"
    TLS_TOO_OLD = "TlsTooOld"
    TLS_NO_COMMON_CIPHER = "TlsNoCommonCipher"
    CERTIFICATE_NOT_TRUSTED = "CertificateNotTrusted"
    PROTOCOL_ERROR = "ProtocolError"
    MECHANISM_NOT_OFFERED = "MechanismNotOffered"
    PROMPT_NOT_RECOGNIZED = "PromptNotRecognized"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a step failed.

    Attributes:
        scope: Whom it concerns.
        permanence: Whether trying again can help.
        phase: The step that failed.
        reason: The cause in one word.
        code: The reply's basic code; None where there was no reply.
        enhanced: The reply's enhanced code, such as `5.1.1`.
        token_error: The error code of a token server, one of RFC 6749 section 5.2; None where there was none.
        text: The server's words, already fit to be shown (R7), or a sentence of ours.
        decided_by: The entry of the owner's `delivery.replies` that made it what it is, with its action; "" for none.
    """

    scope: Scope
    permanence: Permanence
    phase: Phase
    reason: reasons.DeliveryReason
    code: int | None = None
    enhanced: str | None = None
    token_error: str | None = None
    text: str = ""
    decided_by: str = ""

    @property
    def is_permanent(self) -> bool:
        """Whether the same attempt is not worth repeating."""
        return self.permanence is Permanence.PERMANENT


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    scope: Scope
    reason: reasons.DeliveryReason


_R: Final = reasons.DeliveryReason
_UNAVAILABLE: Final = _Judgement(scope=Scope.SERVER, reason=_R.SERVER_UNAVAILABLE)
_SERVER_REFUSED: Final = _Judgement(scope=Scope.SERVER, reason=_R.SERVER_REFUSED)
_NAME_REFUSED: Final = _Judgement(scope=Scope.SERVER, reason=_R.CLIENT_NAME_REFUSED)
_TLS_FAILED: Final = _Judgement(scope=Scope.SERVER, reason=_R.TLS_FAILED)
_AUTH_UNAVAILABLE: Final = _Judgement(scope=Scope.SERVER, reason=_R.AUTHENTICATION_UNAVAILABLE)
_CREDENTIALS: Final = _Judgement(scope=Scope.CREDENTIALS, reason=_R.CREDENTIALS_REFUSED)
_POLICY: Final = _Judgement(scope=Scope.SETTINGS, reason=_R.POLICY_REFUSED)
_SENDER: Final = _Judgement(scope=Scope.SETTINGS, reason=_R.SENDER_REFUSED)
_LIMIT: Final = _Judgement(scope=Scope.SETTINGS, reason=_R.LIMIT_REACHED)
_DEMANDED: Final = _Judgement(scope=Scope.CREDENTIALS, reason=_R.AUTHENTICATION_REQUIRED)
_RECIPIENT: Final = _Judgement(scope=Scope.RECIPIENT, reason=_R.RECIPIENT_REFUSED)
_MESSAGE: Final = _Judgement(scope=Scope.MESSAGE, reason=_R.MESSAGE_REFUSED)
_TOO_LARGE: Final = _Judgement(scope=Scope.MESSAGE, reason=_R.MESSAGE_TOO_LARGE)

# RFC 4954 section 6, except 432 and 454, which that section says may pass by themselves. 530 demands credentials.
_CREDENTIAL_CODES: Final = frozenset({534, 535, 538})
_AUTHENTICATION_REQUIRED: Final = 530
_PASSWORD_TRANSITION: Final = 432

# Postfix reports a refused client, HELO name or sender at RCPT (`smtpd_delay_reject`), with these codes.
_SETTINGS_CODES: Final = frozenset({530, 535, 553, 554})
_NO_SUCH_RECIPIENT_CODES: Final = frozenset({550, 551})
_MAILBOX_UNAVAILABLE: Final = 450
"""RFC 5321 section 4.2.3: mailbox unavailable, busy or blocked for now; at the dot it may be about anything."""

# A command that is not understood or out of order says nothing of the sender that MAIL names.
_COMMAND_CODES: Final = frozenset({500, 502, 503, 504, 555})

# RFC 3463: X.1.7 bad sender's mailbox syntax, X.1.8 bad sender's system address; X.3.4 message too big for
# system, X.2.3 message length exceeds an administrative limit. 5.2.252 and 5.7.60 are what Exchange answers to a
# sender whose account may not send as From. 5.4.5 is what Gmail answers when an account's daily limit is reached; it
# ends by itself, and no recipient is to blame. 5.7.57 is Exchange's demand for authentication.
_STATUSES: Final[dict[tuple[int, int], _Judgement]] = {
    (1, 7): _SENDER,
    (1, 8): _SENDER,
    (2, 252): _SENDER,
    (7, 60): _SENDER,
    (4, 5): _LIMIT,
    (7, 57): _Judgement(scope=Scope.SETTINGS, reason=_R.AUTHENTICATION_REQUIRED),
}
_SIZE_STATUSES: Final = frozenset({(3, 4), (2, 3)})
_EXCEEDED_STORAGE: Final = 552
"""Of a recipient it is to be taken for 452 (RFC 5321 section 4.5.3.1.10)."""
_MAILBOX_FULL: Final = (2, 2)
"""RFC 3463 section 3.3 calls X.2.2 a persistent transient error: people clear their mailboxes."""
_SECURITY: Final = 7
"""RFC 3463 section 3.8: X.7.X, security or policy."""

# RFC 3463: X.5.2 syntax error. With these codes Postfix refuses a client's name or a sender that is not qualified.
_SYNTAX_CODES: Final = frozenset({501, 504})
_SYNTAX: Final = (5, 2)
_BAD_MAILBOX: Final = 553
"""RFC 5321: mailbox name not allowed. Of a recipient it comes with an enhanced code; else it is said of the sender."""

# What EHLO is answered where only its argument displeases (RFC 5321 section 4.3.2 and what Postfix gives).
_NAME_CODES: Final = _SYNTAX_CODES | {_BAD_MAILBOX}

# RFC 3463 and, of X.1.10, RFC 7505: these say of a recipient what no words beside them unsay. X.1.0 is undefined.
_RECIPIENT_STATUSES: Final = frozenset({*((1, detail) for detail in (*range(1, 7), 10)), (2, 1), (2, 2), (2, 4)})
_RCPT_STATUSES: Final = _RECIPIENT_STATUSES | {(2, 0), (2, 3)}
"""At the dot X.2.0 may be about the account that sends (Exchange), and X.2.3 about the message's size."""

_ROUTE_SUBJECTS: Final = frozenset({4, 5})
"""RFC 3463: routing and protocol; whose route or syntax it is the words say."""

_FAULT_SCOPES: Final[dict[Fault, Scope]] = dict.fromkeys(Fault, Scope.SERVER) | {
    # Another account may use another mechanism: the server is not to blame for this one's settings.
    Fault.MECHANISM_NOT_OFFERED: Scope.CREDENTIALS,
    # The dialogue was given up: a server may count that like a wrong password, and it asks the same next time.
    Fault.PROMPT_NOT_RECOGNIZED: Scope.CREDENTIALS,
    # The settings of one organization are not to be used there; nothing was asked of the server.
    Fault.HOST_SERVER: Scope.CREDENTIALS,
    Fault.TOO_MANY_REFUSED_LOGINS: Scope.CREDENTIALS,
}


# A server that says 4yz did not refuse for good; the record should not read as if it had.
_TRANSIENT_REASONS: Final = {
    _R.RECIPIENT_REFUSED: _R.RECIPIENT_UNAVAILABLE,
    _R.MESSAGE_REFUSED: _R.MESSAGE_DEFERRED,
    _R.SERVER_REFUSED: _R.SERVER_UNAVAILABLE,
}


def classify_reply(
    phase: Phase, reply: replies.Reply, *, secrets: quoting.KnownSecrets = quoting.NOTHING_SECRET
) -> Failure:
    """Return what a reply that refuses a step means.

    Args:
        phase: The step that it answers.
        reply: A reply of 4yz or 5yz; any other where it was not expected is a protocol error.
        secrets: What must not be quoted; see `quoting.quotable`.

    Source:
        RFC 5321 section 4.2, RFC 3463, RFC 4954 section 6.
    """
    if not (reply.is_transient or reply.is_permanent):
        return classify_fault(phase, Fault.PROTOCOL_ERROR)
    judgement = _judge(phase, reply)
    passes = reply.is_transient or _is_full(phase, reply, judgement)
    return Failure(
        scope=judgement.scope,
        permanence=Permanence.TRANSIENT if passes else Permanence.PERMANENT,
        phase=phase,
        reason=_TRANSIENT_REASONS.get(judgement.reason, judgement.reason) if passes else judgement.reason,
        code=reply.code,
        enhanced=str(reply.enhanced) if reply.enhanced else None,
        text=quoting.quotable(reply.text, secrets),
    )


def classify_fault(phase: Phase, fault: Fault) -> Failure:
    """Return what a fault without a reply means. After the final dot every one leaves the message in doubt."""
    reason = _R.IN_DOUBT if phase is Phase.DOT else _R(fault.value)
    permanent = _FAULT_SCOPES[fault] is Scope.CREDENTIALS
    return Failure(
        scope=_FAULT_SCOPES[fault],
        permanence=Permanence.PERMANENT if permanent else Permanence.TRANSIENT,
        phase=phase,
        reason=reason,
        text=reasons.MEANINGS[reason],
    )


def _is_full(phase: Phase, reply: replies.Reply, judgement: _Judgement) -> bool:
    """Return whether a 5yz says what may pass all the same: a mailbox that is full, or too many recipients at once."""
    if judgement.scope is not Scope.RECIPIENT:
        return False
    return _status(reply) == _MAILBOX_FULL or (phase is Phase.RCPT and reply.code == _EXCEEDED_STORAGE)


def _judge(phase: Phase, reply: replies.Reply) -> _Judgement:
    if reply.code == replies.SERVICE_NOT_AVAILABLE:
        return _UNAVAILABLE
    match phase:
        case Phase.CONNECT | Phase.GREETING:
            return _SERVER_REFUSED
        case Phase.EHLO:
            # Whoever gives this name gets no further: the breaker waits for all of them at once.
            is_name = reply.code in _NAME_CODES or wording.cause(reply.text) is _R.CLIENT_NAME_REFUSED
            return _NAME_REFUSED if is_name else _SERVER_REFUSED
        case Phase.TLS:
            return _TLS_FAILED
        case Phase.AUTH:
            # A 4yz is the server's trouble (454, RFC 4954 section 6). Any 5yz is about these credentials or
            # their mechanism (504, 501): trying again with them is what locks accounts.
            refused = reply.is_permanent or reply.code == _PASSWORD_TRANSITION
            return _CREDENTIALS if refused else _AUTH_UNAVAILABLE
        case Phase.MAIL:
            return _judge_mail(reply)
        case Phase.RCPT:
            return _judge_rcpt(reply)
        case Phase.DATA:
            return _judge_data(reply, had_content=False)
        case Phase.DOT:
            return _judge_dot(reply)


def _judge_mail(reply: replies.Reply) -> _Judgement:
    if reply.code in _CREDENTIAL_CODES:
        return _CREDENTIALS
    said = wording.cause(reply.text)
    if reply.code == _AUTHENTICATION_REQUIRED or said is _R.AUTHENTICATION_REQUIRED:
        return _DEMANDED
    status = _status(reply)
    if status in _SIZE_STATUSES or reply.code == _EXCEEDED_STORAGE:
        return _TOO_LARGE
    named = _named(said, status)
    if named is not None:
        return named
    if (status and status[0] == _SECURITY) or reply.code in _COMMAND_CODES:
        return _POLICY
    # Nothing but the sender has been named yet, so a refusal is about it, and trouble is the server's own.
    return _SENDER if reply.is_permanent else _UNAVAILABLE


def _judge_rcpt(reply: replies.Reply) -> _Judgement:
    status = _status(reply)
    if status in _RCPT_STATUSES:
        return _RECIPIENT
    is_security = status is not None and status[0] == _SECURITY
    named = _named(wording.cause(reply.text, of_recipient=not is_security), status)
    if named is not None:
        return named
    if (status and status[0] in {1, 2}) or _names_recipient(reply, status):
        return _RECIPIENT
    if is_security or _is_syntax(reply, status):
        return _POLICY
    if status is None and reply.code in {*_NO_SUCH_RECIPIENT_CODES, _MAILBOX_UNAVAILABLE, _EXCEEDED_STORAGE}:
        return _RECIPIENT
    if reply.code in _SETTINGS_CODES:
        return _POLICY
    return _TOO_LARGE if status in _SIZE_STATUSES else _MESSAGE


def _judge_data(reply: replies.Reply, *, had_content: bool) -> _Judgement:
    if reply.code in _CREDENTIAL_CODES:
        return _CREDENTIALS
    if reply.code == _AUTHENTICATION_REQUIRED:
        return _DEMANDED
    status = _status(reply)
    if status in _SIZE_STATUSES or (status is None and reply.code == _EXCEEDED_STORAGE):
        return _TOO_LARGE
    is_security = status is not None and status[0] == _SECURITY
    named = _named(wording.cause(reply.text, of_recipient=not is_security), status)
    if named is not None:
        return named
    # A filter that has read a message and a policy against who sends answer with the same X.7.X: only words tell. Taken
    # for the message's, the policy would fail all there is, one after the other; taken for policy, a filter that says
    # no more has a message or two wait until the next is accepted.
    if had_content and wording.speaks_of_content(reply.text):
        return _MESSAGE
    return _POLICY if is_security or reply.code == _BAD_MAILBOX or _is_syntax(reply, status) else _MESSAGE


def _judge_dot(reply: replies.Reply) -> _Judgement:
    # There was one RCPT, so that what is said of a recipient now is said of that one.
    status = _status(reply)
    if status in _RECIPIENT_STATUSES or _names_recipient(reply, status):
        return _RECIPIENT
    judgement = _judge_data(reply, had_content=True)
    if judgement is not _MESSAGE or wording.speaks_of_message(reply.text):
        return judgement
    is_recipient = reply.code in _NO_SUCH_RECIPIENT_CODES if status is None else status[0] in {1, 2}
    return _RECIPIENT if is_recipient else _MESSAGE


def _names_recipient(reply: replies.Reply, status: tuple[int, int] | None) -> bool:
    """Return whether the words give a route or a syntax error to the recipient's address."""
    is_route = status is not None and status[0] in _ROUTE_SUBJECTS and status not in _STATUSES
    return is_route and wording.speaks_of_recipient(reply.text)


def _is_syntax(reply: replies.Reply, status: tuple[int, int] | None) -> bool:
    return status == _SYNTAX and reply.code in _SYNTAX_CODES


def _named(said: reasons.DeliveryReason | None, status: tuple[int, int] | None) -> _Judgement | None:
    """Return the part of the settings that words or an enhanced code name."""
    if said is not None:
        return _Judgement(scope=Scope.SETTINGS, reason=said)
    return _STATUSES.get(status) if status else None


def _status(reply: replies.Reply) -> tuple[int, int] | None:
    return (reply.enhanced.subject, reply.enhanced.detail) if reply.enhanced else None

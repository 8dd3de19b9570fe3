"""One SMTP mail transaction as a state machine without I/O: replies in, bytes out, a result per recipient.

It always knows whether the final dot was sent: `dot_sent` is true before the bytes that hold the dot are handed
out, so a message that may have been taken is never counted as one that was not. A large message is handed out without
its dot, which follows once the message has left: what is lost in between was certainly not taken.

Replies come in the order of the commands, with PIPELINING too (RFC 2920): there the commands up to DATA are sent
as one group, and nothing is sent when their replies come in. One table serves both.
"""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Final

from mailtier.api import overrides as reply_overrides
from mailtier.mail import classify, overrides, preflight, quoting, replies, transaction_table, wire

_S: Final = transaction_table.TransactionState
_E: Final = transaction_table.TransactionEvent

_LARGE_BYTES: Final = 32 * 1024
"""A message of this size or less leaves with its dot: it fits into what the kernel takes at once."""


class RecipientVerdict(enum.StrEnum):
    """What is known of one recipient."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    FAILED = "failed"
    IN_DOUBT = "in doubt"


class SessionAfter(enum.StrEnum):
    """What may be done with the session now."""

    REUSE = "reuse"
    """The next MAIL may follow at once."""
    RESET = "reset"
    """The server may hold a half-made transaction: RSET first."""
    CLOSE = "close"
    """The server is leaving, replies can no longer be paired with commands, or the transaction has not ended."""


class IllegalInput(Exception):  # noqa: N818 - h11's LocalProtocolError; this word says whose mistake it is.
    """The transaction cannot take this now; nothing was changed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecipientResult:
    """What became of one recipient.

    Attributes:
        rcpt_to: The envelope address, as it was given.
        verdict: What is known.
        failure: Why it failed or is in doubt; else None.
        reply: The reply to the final dot where it was accepted; else None.
    """

    rcpt_to: str
    verdict: RecipientVerdict = RecipientVerdict.PENDING
    failure: classify.Failure | None = None
    reply: replies.Reply | None = None


class Transaction:
    """The machine: call `start`, send what it returns, and give `receive` each reply until `is_ended`.

    Args:
        mail_from: Envelope sender in wire form, or empty for the null reverse-path.
        rcpt_to: Envelope recipients in wire form, at least one.
        message: The whole message, CRLF at the end of every line, not dot-stuffed.
        offered: What the server offers.
        secrets: What must not be quoted from replies; see `quoting.quotable`.
        rules: What the owner of the endpoint makes of replies.

    Attributes:
        dot_sent: Whether the final dot was handed out. From then on, a loss leaves the message in doubt.
        session: What may be done with the session.

    Raises:
        ValueError: No recipient, or an address or message that would not be safe on the wire: defects of the
            caller, for what users write was refused long before.
    """

    __slots__ = (
        "_answered",
        "_mail_from",
        "_message",
        "_offered",
        "_rcpt_to",
        "_results",
        "_rules",
        "_secrets",
        "_state",
        "_targets",
        "dot_sent",
        "session",
    )

    def __init__(
        self,
        *,
        mail_from: str,
        rcpt_to: Sequence[str],
        message: bytes,
        offered: wire.Extensions,
        secrets: quoting.KnownSecrets = quoting.NOTHING_SECRET,
        rules: Sequence[reply_overrides.ReplyOverride] = (),
    ) -> None:
        if not rcpt_to:
            raise ValueError("a transaction needs a recipient")
        for address in (mail_from, *rcpt_to):
            wire.check_address(address)
        wire.check_message(message)
        self._mail_from = mail_from
        self._message = message
        self._offered = offered
        self._secrets = secrets
        self._rules = rules
        self._state = _S.IDLE
        self._rcpt_to = tuple(rcpt_to)
        # None as long as nothing is known.
        self._results: list[RecipientResult | None] = [None] * len(self._rcpt_to)
        # Indexes of the recipients that get a RCPT, and how many of those have been answered.
        self._targets: list[int] = []
        self._answered = 0
        self.dot_sent = False
        self.session = SessionAfter.CLOSE

    def __repr__(self) -> str:
        # No address, no message, no secret (R1).
        return f"<Transaction {self._state.value}, dot_sent={self.dot_sent}>"

    @property
    def is_ended(self) -> bool:
        """Whether every result is known and nothing more is to be sent or received."""
        return self._state is _S.ENDED

    @property
    def state(self) -> transaction_table.TransactionState:
        """Which command the next reply answers."""
        return self._state

    @property
    def phase(self) -> classify.Phase | None:
        """The step under way; None before the start and after the end."""
        return transaction_table.PHASES.get(self._state)

    @property
    def results(self) -> tuple[RecipientResult, ...]:
        """One for each recipient, in the order they were given."""
        known = zip(self._results, self._rcpt_to, strict=True)
        return tuple(found or RecipientResult(rcpt_to=address) for found, address in known)

    def start(self) -> bytes:
        """Return the first bytes to send; none if every recipient fails before MAIL.

        Raises:
            IllegalInput: It was started before.
        """
        self._require(_S.IDLE)
        offered, is_eight_bit = self._offered, not self._message.isascii()
        unsendable = preflight.find_unsendable(
            mail_from=self._mail_from,
            rcpt_to=self._rcpt_to,
            size_bytes=len(self._message),
            is_eight_bit=is_eight_bit,
            offered=offered,
        )
        for index, failure in enumerate(unsendable):
            if failure is not None:
                self._fail(index, failure)
        self._targets = self._pending()
        if not self._targets:
            return self._end(SessionAfter.REUSE)
        self._advance(_E.START)
        targets = [self._rcpt_to[index] for index in self._targets]
        mail = wire.mail(
            self._mail_from,
            size_bytes=len(self._message),
            is_eight_bit=is_eight_bit,
            is_utf8=not (self._mail_from.isascii() and "".join(targets).isascii()),
            offered=offered,
        )
        if not offered.pipelining:
            return mail
        # DATA ends the group: a client waits for its reply before the message (RFC 2920 section 3.1).
        return b"".join((mail, *map(wire.rcpt, targets), wire.DATA))

    def finish(self) -> bytes:
        """Return the final dot of a message that has left.

        Raises:
            IllegalInput: No message waits for its dot.
        """
        self._require(_S.BODY)
        self._advance(_E.PROCEED)
        self.dot_sent = True
        return wire.DOT

    def withhold(self) -> None:
        """Note that the dot that was handed out does not leave: what comes now came before it, and is no reply to it.

        Raises:
            IllegalInput: None was handed out, or its reply has come.
        """
        self._require(_S.DOT)
        self._advance(_E.WITHHOLD)
        self.dot_sent = False

    def receive(self, reply: replies.Reply) -> bytes:
        """Return what to send next; none where more replies are awaited, or nothing remains.

        In the state `body`, what it returned is to be sent, and `finish` to be called.

        Raises:
            IllegalInput: No reply is awaited.
        """
        if self._state not in transaction_table.PHASES:
            raise self._illegal()
        if reply.code == replies.SERVICE_NOT_AVAILABLE:
            self._fail_pending(self._classified(reply))
            return self._end(SessionAfter.CLOSE)
        match self._state:
            case _S.MAIL:
                return self._receive_mail(reply)
            case _S.RCPT:
                return self._receive_rcpt(reply)
            case _S.DATA:
                return self._receive_data(reply)
            case _S.BODY | _S.WITHHELD:
                return self._receive_early(reply)
            case _S.DOT:
                return self._receive_dot(reply)
            case _S.DRAIN:
                return self._receive_drained(reply)
            case _:
                return self._end(SessionAfter.RESET)

    def lose(self, fault: classify.Fault) -> None:
        """End the transaction because no further reply can be had: lost, timed out, cancelled, unreadable.

        Recipients without a result are in doubt if the final dot was sent, and have failed otherwise.

        Raises:
            IllegalInput: It has not been started, or has ended.
        """
        if self._state not in transaction_table.PHASES:
            raise self._illegal()
        self._break(fault)

    def _receive_mail(self, reply: replies.Reply) -> bytes:
        if reply.is_intermediate:
            return self._break(classify.Fault.PROTOCOL_ERROR)
        if reply.is_positive:
            self._advance(_E.PROCEED)
            return self._next_rcpt()
        self._fail_pending(self._classified(reply))
        return self._abandon(SessionAfter.REUSE)

    def _receive_rcpt(self, reply: replies.Reply) -> bytes:
        if reply.is_intermediate:
            return self._break(classify.Fault.PROTOCOL_ERROR)
        if not reply.is_positive:
            self._fail(self._targets[self._answered], self._classified(reply))
        self._answered += 1
        if self._answered < len(self._targets):
            self._advance(_E.REPEAT)
            return self._next_rcpt()
        if None not in self._results:
            return self._abandon(SessionAfter.RESET)
        self._advance(_E.PROCEED)
        return b"" if self._offered.pipelining else wire.DATA

    def _receive_data(self, reply: replies.Reply) -> bytes:
        if reply.is_positive:
            return self._break(classify.Fault.PROTOCOL_ERROR)
        if reply.is_intermediate:
            body = wire.body(self._message)
            if len(body) > _LARGE_BYTES:
                self._advance(_E.PART)
                return body
            self._advance(_E.PROCEED)
            self.dot_sent = True
            return body + wire.DOT
        self._fail_pending(self._classified(reply))
        return self._end(SessionAfter.RESET)

    def _receive_early(self, reply: replies.Reply) -> bytes:
        """Take a reply to a message whose dot has not left: a refusal counts, and nothing can follow it."""
        if not (reply.is_transient or reply.is_permanent):
            return self._break(classify.Fault.PROTOCOL_ERROR)
        self._fail_pending(self._judged(classify.Phase.DOT, reply))
        return self._end(SessionAfter.CLOSE)

    def _receive_dot(self, reply: replies.Reply) -> bytes:
        if reply.is_intermediate:
            return self._break(classify.Fault.PROTOCOL_ERROR)
        if reply.is_positive:
            for index in self._pending():
                self._conclude(index, verdict=RecipientVerdict.ACCEPTED, reply=reply)
        else:
            self._fail_pending(self._classified(reply))
        # Taken or refused, the server's buffers are empty (RFC 5321 section 4.1.1.4).
        return self._end(SessionAfter.REUSE)

    def _receive_drained(self, reply: replies.Reply) -> bytes:
        if self._answered < len(self._targets):
            self._answered += 1
            self._advance(_E.REPEAT)
            return b""
        if reply.is_positive:
            return self._break(classify.Fault.PROTOCOL_ERROR)
        if reply.is_intermediate:
            self._advance(_E.CLOSE_EMPTY)
            return wire.DOT
        return self._end(SessionAfter.RESET)

    def _next_rcpt(self) -> bytes:
        """Return the next RCPT; none where it left in a group."""
        return b"" if self._offered.pipelining else wire.rcpt(self._rcpt_to[self._targets[self._answered]])

    def _abandon(self, session: SessionAfter) -> bytes:
        """Go on without a recipient: to the end, or to the replies that a group still brings."""
        if not self._offered.pipelining:
            return self._end(session)
        self._advance(_E.ABANDON)
        return b""

    def _break(self, fault: classify.Fault) -> bytes:
        failure = classify.classify_fault(transaction_table.PHASES[self._state], fault)
        verdict = RecipientVerdict.IN_DOUBT if self.dot_sent else RecipientVerdict.FAILED
        for index in self._pending():
            self._conclude(index, verdict=verdict, failure=failure)
        return self._end(SessionAfter.CLOSE)

    def _end(self, session: SessionAfter) -> bytes:
        self._advance(_E.END)
        self.session = session
        return b""

    def _pending(self) -> list[int]:
        return [index for index, result in enumerate(self._results) if result is None]

    def _fail(self, index: int, failure: classify.Failure) -> None:
        self._conclude(index, verdict=RecipientVerdict.FAILED, failure=failure)

    def _fail_pending(self, failure: classify.Failure) -> None:
        for index in self._pending():
            self._fail(index, failure)

    def _conclude(
        self,
        index: int,
        *,
        verdict: RecipientVerdict,
        failure: classify.Failure | None = None,
        reply: replies.Reply | None = None,
    ) -> None:
        self._results[index] = RecipientResult(
            rcpt_to=self._rcpt_to[index], verdict=verdict, failure=failure, reply=reply
        )

    def _classified(self, reply: replies.Reply) -> classify.Failure:
        return self._judged(transaction_table.PHASES[self._state], reply)

    def _judged(self, phase: classify.Phase, reply: replies.Reply) -> classify.Failure:
        judged = classify.classify_reply(phase, reply, secrets=self._secrets)
        return overrides.override(judged, phase, reply, self._rules)

    def _require(self, state: transaction_table.TransactionState) -> None:
        if self._state is not state:
            raise self._illegal()

    def _illegal(self) -> IllegalInput:
        return IllegalInput(f"a transaction that is {self._state.value} cannot take this")

    def _advance(self, event: transaction_table.TransactionEvent) -> None:
        try:
            self._state = transaction_table.TRANSITIONS[self._state, event]
        except KeyError:
            raise IllegalInput(f"a transaction that is {self._state.value} cannot {event.value}") from None

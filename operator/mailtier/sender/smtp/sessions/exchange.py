"""One transaction on a connection: each reply moves the machine, and the machine's next bytes leave at once.

No coroutine takes part: whoever waits, waits for one future, which has the result.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mailtier.api import overrides
from mailtier.mail import classify, reasons, replies, transaction, transaction_table, wire
from mailtier.sender.queueing import noted
from mailtier.sender.smtp.sessions import connection

_S: Final = transaction_table.TransactionState

BeforeDot = Callable[[], Awaitable[Callable[[], None] | None]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a transaction carries.

    Attributes:
        mail_from: Envelope sender in wire form.
        rcpt_to: Envelope recipient in wire form.
        message: With CRLF line ends.
        rules: What the owner of the endpoint makes of replies.
    """

    mail_from: str
    rcpt_to: str
    message: bytes = dataclasses.field(repr=False)
    rules: Sequence[overrides.ReplyOverride] = ()


@dataclasses.dataclass(slots=True, kw_only=True)
class Terms:
    """How a transaction is carried out.

    Attributes:
        before_dot: Called before the final dot is written, and awaited unless it returns `noted.NOTED`; what comes of
            that is called at the last moment. What any of them raises ends the session, and the message was certainly
            not taken.
        envelope_timeout: Total until the reply to DATA (R10).
        message_timeout: Total for the message and the reply to its final dot (R10); for a large one each of them.
    """

    before_dot: BeforeDot
    envelope_timeout: dt.timedelta
    message_timeout: dt.timedelta


class Exchange:
    """Leads one transaction to its end; the connection's listener meanwhile.

    Args:
        line: Nobody else listens to it.
        machine: Not started, unless its envelope left behind the message before it.
        terms: How.
        resets: Whether the server may hold a half-made transaction, so that RSET goes first.
        pipelining: Whether commands may stand in one packet.
        announce: Returns the envelope that is to leave behind the message, so that its replies are there when its turn
            comes; empty for none. It is called when the dot leaves, and only with PIPELINING.

    Attributes:
        result: Has what became of the recipient when it is over; an error where the dot could not be noted.
        answered: Whether the server said anything to it, other than that it leaves.
        interrupted: Whether it ended because the connection did, or was of no more use.
        began_at: When its first command was sent, in seconds of the loop's clock.
        granted_at: When the message could be sent; None where it could not.
    """

    def __init__(
        self,
        line: connection.SessionConnection,
        machine: transaction.Transaction,
        terms: Terms,
        *,
        resets: bool,
        pipelining: bool,
        announce: Callable[[], bytes],
    ) -> None:
        self._line = line
        self._machine = machine
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._awaits_reset = resets
        self._is_grouped = pipelining
        self._began_with_reset = resets and pipelining
        self._announce = announce
        self._is_followed = False
        self._noting: asyncio.Task[Callable[[], None] | None] | None = None
        self.result: asyncio.Future[None] = self._loop.create_future()
        self.answered = False
        self.interrupted = False
        self.began_at = self._loop.time()
        self.granted_at: float | None = None

    @property
    def is_listening(self) -> bool:
        """Whether a reply is of use now: not while the dot is being noted."""
        return self._noting is None

    def begin(self) -> None:
        """Send the first commands."""
        self._line.listen(self)
        self._line.is_expecting = True
        self._expire_in(self._terms.envelope_timeout)
        if self._machine.state is not _S.IDLE:
            # The envelope left before, and replies to it may have come.
            self._line.hand_on()
        elif not self._awaits_reset:
            self._go_on(self._machine.start())
        elif self._is_grouped:
            # RFC 2920 section 3.1: RSET may stand in a group, before MAIL.
            self._write(wire.RSET + self._machine.start())
        else:
            self._write(wire.RSET)

    def take(self, reply: replies.Reply) -> None:
        """Take a reply, and send what follows it."""
        machine = self._machine
        if self._awaits_reset:
            self._take_reset(reply)
            return
        self.interrupted = reply.code == replies.SERVICE_NOT_AVAILABLE
        self.answered = self.answered or not self.interrupted
        if machine.state is _S.DATA and not self._line.is_quiet:
            # A reply to a message that was not sent yet is no reply to it.
            self._give_up(classify.Fault.PROTOCOL_ERROR)
            return
        if machine.state is _S.BODY:
            self._line.write_no_further()
        self._go_on(machine.receive(reply))

    def lose(self, fault: classify.Fault) -> None:
        """Learn that no further reply can be had."""
        if self.is_listening:
            self._give_up(fault)

    def abandon(self) -> None:
        """End the connection, since nobody waits any more."""
        if not self.result.done():
            self.result.cancel()
        self._cease()
        self._line.end(classify.Fault.CONNECTION_LOST)

    def _take_reset(self, reply: replies.Reply) -> None:
        self._awaits_reset = False
        if not reply.is_positive:
            self._give_up(classify.Fault.PROTOCOL_ERROR)
        elif self._machine.state is _S.IDLE:
            self._go_on(self._machine.start())

    def _go_on(self, data: bytes) -> None:
        match self._machine.state:
            case _S.ENDED:
                self._conclude()
            case _S.BODY:
                self.granted_at = self._loop.time()
                self._expire_in(self._terms.message_timeout)
                try:
                    self._line.write_out(data, self._body_is_out)
                except connection.LostError as error:
                    self._give_up(error.fault)
            case _S.DOT:
                if self.granted_at is None:
                    self.granted_at = self._loop.time()
                self._expire_in(self._terms.message_timeout)
                self._note(data)
            case _ if data:
                self._write(data)

    def _body_is_out(self) -> None:
        self._go_on(self._machine.finish())

    def _note(self, dot: bytes) -> None:
        """Have the dot noted, and then let it go."""
        try:
            noting = self._terms.before_dot()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever waits.
            self._fail(error)
            return
        if noting is noted.NOTED:
            self._let_go(dot)
            return
        self._noting = self._loop.create_task(_finished(noting), name="note a dot")
        self._noting.add_done_callback(lambda task: self._is_noted(task, dot))

    def _is_noted(self, task: asyncio.Task[Callable[[], None] | None], dot: bytes) -> None:
        if self._noting is not task:
            return
        self._noting = None
        try:
            if (ask_again := task.result()) is not None:
                ask_again()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as above.
            self._fail(error)
            return
        self._let_go(dot)
        self._line.hand_on()

    def _let_go(self, dot: bytes) -> None:
        """Send the dot; not where the server said something, or left, before it could leave."""
        if not self._line.is_alive or not self._line.is_quiet:
            self._machine.withhold()
            return
        if self._is_grouped:
            # RFC 2920 section 3.1: what follows a message may stand in a group with it.
            following = self._announce()
            self._is_followed = bool(following)
            dot += following
        self._write(dot)

    def _write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except connection.LostError as error:
            self._give_up(error.fault)

    def _expire_in(self, timeout: dt.timedelta) -> None:
        self._line.expire_at(self._loop.time() + timeout.total_seconds(), self._time_out)

    def _time_out(self) -> None:
        if self._noting is not None:
            self._machine.withhold()
        # A reused session that says nothing at all may have been dropped by whatever stands in between.
        self._give_up(classify.Fault.TIMED_OUT)

    def _give_up(self, fault: classify.Fault) -> None:
        if self.result.done():
            return
        self.interrupted = True
        machine = self._machine
        if machine.state is _S.IDLE:
            # The loss came before MAIL; the machine learns of it as if it had come with MAIL.
            machine.start()
        if not machine.is_ended:
            machine.lose(fault)
        self._conclude()

    def _fail(self, error: BaseException) -> None:
        if self.result.done():
            return
        self._machine.withhold()
        self.result.set_exception(error)
        self._cease()
        self._line.end(classify.Fault.CONNECTION_LOST)

    def _conclude(self) -> None:
        failure = self._machine.results[0].failure
        if self._began_with_reset and failure is not None and failure.reason is reasons.DeliveryReason.PROTOCOL_ERROR:
            # What came too much came with the reply to RSET, and was taken for the next one's: of a connection that
            # was no good before the message nothing is held against it.
            self.interrupted, self.answered = True, False
        self._cease()
        if self._machine.session is transaction.SessionAfter.CLOSE or not (self._is_followed or self._line.is_quiet):
            self._line.end(classify.Fault.CONNECTION_LOST)
        if not self.result.done():
            self.result.set_result(None)

    def _cease(self) -> None:
        """Leave the connection to others."""
        noting, self._noting = self._noting, None
        if noting is not None:
            noting.cancel()
        self._line.write_no_further()
        self._line.expire_at(None, self._time_out)
        self._line.listen(None)
        self._line.is_expecting = self._is_followed


async def _finished(noting: Awaitable[Callable[[], None] | None]) -> Callable[[], None] | None:
    return await noting

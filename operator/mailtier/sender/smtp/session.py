"""One open SMTP session, from the end of AUTH to QUIT: our own protocol on the connection, one transaction at a time.

aiosmtplib opens it (`opening`). From there on its protocol is replaced: it pairs replies with commands by order
alone, also after a command was cancelled, and does not tell a loss before the final dot from one after it.
"""

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from mailtier.api import overrides
from mailtier.mail import classify, replies, transaction, transaction_table, wire
from mailtier.sender.secrets import credentials

_QUIT_SECONDS: Final = 2.0

BeforeDot = Callable[[], Awaitable[None]]


class _LostError(Exception):
    """No further reply can be had."""

    def __init__(self, fault: classify.Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class _Connection(asyncio.Protocol):
    """Bytes to replies. What comes while none is awaited ends the connection: nothing could be paired with it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parser = replies.ReplyParser()
        self._replies: collections.deque[replies.Reply] = collections.deque()
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._fault: classify.Fault | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_expecting = False

    def data_received(self, data: bytes) -> None:
        if not self.is_expecting:
            self.end(classify.Fault.PROTOCOL_ERROR)
            return
        try:
            self._replies.extend(self._parser.receive(data))
        except replies.ReplyError:
            self.end(classify.Fault.PROTOCOL_ERROR)
        if self._parser.is_broken:
            # Behind a reply that could be read: nothing that comes later could be paired with its command.
            self.end(classify.Fault.PROTOCOL_ERROR)
        self._wake()

    def eof_received(self) -> bool:
        self.end(classify.Fault.CONNECTION_LOST)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._fault is None:
            self._fault = classify.Fault.CONNECTION_LOST
        self._writable.set()
        self._wake()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
        self._wake()

    @property
    def is_alive(self) -> bool:
        """Whether another command may be sent."""
        return self._fault is None and not self._transport.is_closing()

    @property
    def has_reply(self) -> bool:
        """Whether a reply has come that nobody has asked for yet."""
        return bool(self._replies)

    @property
    def is_quiet(self) -> bool:
        """Whether every byte the server sent has been made use of."""
        return not self._replies and self._parser.is_idle

    def require_quiet(self) -> None:
        """Return when every byte the server sent has been made use of."""
        if not self.is_quiet:
            raise _LostError(classify.Fault.PROTOCOL_ERROR)

    def end(self, fault: classify.Fault) -> None:
        """Drop the connection at once."""
        if self._fault is None:
            self._fault = fault
        self._transport.abort()
        self._wake()

    async def write(self, data: bytes) -> None:
        """Send bytes, as fast as the server takes them."""
        if not self.is_alive:
            raise _LostError(self._fault or classify.Fault.CONNECTION_LOST)
        self._transport.write(data)
        await self._writable.wait()

    async def write_out(self, data: bytes) -> None:
        """Send bytes, and return when the kernel has the last of them, or a reply came before that."""
        if not self.is_alive:
            raise _LostError(self._fault or classify.Fault.CONNECTION_LOST)
        self._transport.set_write_buffer_limits(high=0)
        try:
            self._transport.write(data)
            while not self._writable.is_set() and not self.has_reply:
                await self._until_woken()
        finally:
            self._transport.set_write_buffer_limits()
        if self._fault is not None and not self.has_reply:
            raise _LostError(self._fault)

    async def reply(self) -> replies.Reply:
        """Return the next reply; those that came before the connection was lost are not lost with it."""
        while not self._replies:
            if self._fault is not None:
                raise _LostError(self._fault)
            await self._until_woken()
        return self._replies.popleft()

    async def _until_woken(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Session:
    """An open session. It is used by one task at a time, and closed after any time-out, loss or cancellation.

    Attributes:
        generation: The credentials it was opened with.
        offered: What the server offers.
        messages: How many transactions it has carried.
        idle_until: Until when it is kept unused; for its keeper.
        is_at_host_s: Whether it leads to the host's server by another name; for its keeper.
        certificate_expires_at: notAfter of the server's certificate, aware UTC; None without TLS.
    """

    def __init__(
        self,
        transport: asyncio.BaseTransport,
        *,
        generation: credentials.Generation,
        offered: wire.Extensions,
        secrets: tuple[str, ...],
        certificate_expires_at: dt.datetime | None,
    ) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connection = _Connection(self._transport)
        self._transport.set_protocol(self._connection)
        self._secrets = secrets
        self._needs_reset = False
        self.generation = generation
        self.offered = offered
        self.messages = 0
        self.is_at_host_s = False
        self.idle_until = 0.0
        self.certificate_expires_at = certificate_expires_at

    @property
    def is_usable(self) -> bool:
        """Whether another transaction may begin, as far as is known."""
        return self._connection.is_alive

    async def send(
        self,
        *,
        mail_from: str,
        rcpt_to: str,
        message: bytes,
        before_dot: BeforeDot,
        envelope_timeout: dt.timedelta,
        message_timeout: dt.timedelta,
        rules: Sequence[overrides.ReplyOverride] = (),
    ) -> transaction.RecipientResult | None:
        """Carry out one transaction and return what became of its recipient.

        Args:
            mail_from: Envelope sender in wire form.
            rcpt_to: Envelope recipient in wire form.
            message: With CRLF line ends.
            before_dot: Awaited before the final dot is written; what it raises ends the session, and the message was
                certainly not taken.
            envelope_timeout: Total until the reply to DATA (R10).
            message_timeout: Total for the message and the reply to its final dot (R10); for a large one each of them.
            rules: What the owner of the endpoint makes of replies.

        Returns:
            Its result; None where an idle session was gone, or says nothing any more, before the transaction began:
            nobody's fault. A new session always has one.
        """
        machine = transaction.Transaction(
            mail_from=mail_from,
            rcpt_to=(rcpt_to,),
            message=message,
            offered=self.offered,
            secrets=self._secrets,
            rules=rules,
        )
        is_reused = self.messages > 0
        self.messages += 1
        answered = interrupted = False
        message_seconds = message_timeout.total_seconds()
        self._connection.is_expecting = True
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(envelope_timeout.total_seconds()) as limit:
                await self._reset_if_needed()
                data = machine.start()
                while not machine.is_ended:
                    if data:
                        await self._connection.write(data)
                    reply = await self._connection.reply()
                    interrupted = reply.code == replies.SERVICE_NOT_AVAILABLE
                    answered = answered or not interrupted
                    if machine.state is transaction_table.TransactionState.DATA:
                        # A reply to a message that was not sent yet is no reply to it.
                        self._connection.require_quiet()
                    data = machine.receive(reply)
                    if machine.state is transaction_table.TransactionState.BODY:
                        limit.reschedule(loop.time() + message_seconds)
                        data = await self._send_body(machine, data)
                    if machine.state is transaction_table.TransactionState.DOT:
                        limit.reschedule(loop.time() + message_seconds)
                        await before_dot()
        except TimeoutError:
            # A reused session that says nothing at all may have been dropped by whatever stands in between.
            interrupted = True
            self._give_up(machine, classify.Fault.TIMED_OUT)
        except _LostError as error:
            interrupted = True
            self._give_up(machine, error.fault)
        finally:
            self._connection.is_expecting = False
            if (
                not machine.is_ended
                or machine.session is transaction.SessionAfter.CLOSE
                or not self._connection.is_quiet
            ):
                self._connection.end(classify.Fault.CONNECTION_LOST)
            self._needs_reset = machine.session is transaction.SessionAfter.RESET
        is_stale = is_reused and interrupted and not answered
        return None if is_stale else machine.results[0]

    async def _send_body(self, machine: transaction.Transaction, body: bytes) -> bytes:
        """Send a large message, and return its dot; none where the server has refused it meanwhile."""
        await self._connection.write_out(body)
        if self._connection.has_reply:
            return machine.receive(await self._connection.reply())
        return machine.finish()

    async def check_sender(self, mail_from: str, *, within: dt.timedelta) -> classify.Failure | None:
        """Offer a sender address and take it back; return why it was refused, or None."""
        self.messages += 1
        failure: classify.Failure | None = classify.classify_fault(classify.Phase.MAIL, classify.Fault.CONNECTION_LOST)
        # Without SIZE, which belongs to a message.
        offered = dataclasses.replace(self.offered, size=False)
        command = wire.mail(
            mail_from, size_bytes=0, is_eight_bit=False, is_utf8=not mail_from.isascii(), offered=offered
        )
        self._connection.is_expecting = True
        is_paired = False
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._reset_if_needed()
                await self._connection.write(command)
                reply = await self._connection.reply()
                if reply.is_positive:
                    failure, self._needs_reset = None, True
                    await self._reset_if_needed()
                else:
                    failure = classify.classify_reply(classify.Phase.MAIL, reply, secrets=self._secrets)
                is_paired = reply.code != replies.SERVICE_NOT_AVAILABLE
        except TimeoutError:
            failure = classify.classify_fault(classify.Phase.MAIL, classify.Fault.TIMED_OUT)
        except _LostError as error:
            failure = classify.classify_fault(classify.Phase.MAIL, error.fault)
        finally:
            self._connection.is_expecting = False
            if not is_paired or not self._connection.is_quiet:
                self._connection.end(classify.Fault.CONNECTION_LOST)
        return failure

    async def quit(self) -> None:
        """Take leave, and return when the connection is gone on both ends or two seconds have passed.

        The server counts a connection until it has closed it; a new one must not be opened in place of this one
        before that, or its limit would be exceeded.
        """
        self._connection.is_expecting = True
        try:
            with contextlib.suppress(TimeoutError, _LostError):
                async with asyncio.timeout(_QUIT_SECONDS):
                    await self._connection.write(wire.QUIT)
                    await asyncio.shield(self._connection.lost)
        finally:
            self._connection.end(classify.Fault.CONNECTION_LOST)
        await self.abort()

    async def abort(self) -> None:
        """Drop the connection without a word."""
        self._connection.end(classify.Fault.CONNECTION_LOST)
        await asyncio.shield(self._connection.lost)

    async def _reset_if_needed(self) -> None:
        if not self._needs_reset:
            return
        await self._connection.write(wire.RSET)
        if not (await self._connection.reply()).is_positive:
            raise _LostError(classify.Fault.PROTOCOL_ERROR)
        self._needs_reset = False

    @staticmethod
    def _give_up(machine: transaction.Transaction, fault: classify.Fault) -> None:
        if machine.state is transaction_table.TransactionState.IDLE:
            # The loss came before MAIL; the machine learns of it as if it had come with MAIL.
            machine.start()
        if not machine.is_ended:
            machine.lose(fault)

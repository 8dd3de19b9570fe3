"""One open SMTP session, from the end of AUTH to QUIT: our own protocol on the connection, one transaction at a time.

aiosmtplib opens it (`opening`). From there on its protocol is replaced: it pairs replies with commands by order
alone, also after a command was cancelled, and does not tell a loss before the final dot from one after it.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from mailtier.api import overrides
from mailtier.mail import classify, quoting, replies, transaction, transaction_table, wire
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp.sessions import connection

_QUIT_SECONDS: Final = 0.5
"""A server takes leave within a round trip; while one does not, others wait for the connection."""

BeforeDot = Callable[[], Awaitable[None]]


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
        secrets: quoting.KnownSecrets,
        certificate_expires_at: dt.datetime | None,
    ) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connection = connection.SessionConnection(self._transport)
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
                        data = await self._let_go(machine, data, before_dot)
        except TimeoutError:
            # A reused session that says nothing at all may have been dropped by whatever stands in between.
            interrupted = True
            self._give_up(machine, classify.Fault.TIMED_OUT)
        except connection.LostError as error:
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

    async def _let_go(self, machine: transaction.Transaction, dot: bytes, before_dot: BeforeDot) -> bytes:
        """Return the dot once it is noted; none where the server said something, or left, before it could leave."""
        try:
            await before_dot()
        except BaseException:
            machine.withhold()
            raise
        if self._connection.is_alive and self._connection.is_quiet:
            return dot
        machine.withhold()
        return b""

    async def check_sender(self, mail_from: str, *, within: dt.timedelta) -> classify.Failure | None:
        """Offer a sender address and take it back; return why it was refused, or None."""
        self.messages += 1
        failure: classify.Failure | None = classify.classify_fault(classify.Phase.MAIL, classify.Fault.CONNECTION_LOST)
        # Without SIZE and RET, which belong to a message.
        offered = dataclasses.replace(self.offered, size=False, dsn=False)
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
        except connection.LostError as error:
            failure = classify.classify_fault(classify.Phase.MAIL, error.fault)
        finally:
            self._connection.is_expecting = False
            if not is_paired or not self._connection.is_quiet:
                self._connection.end(classify.Fault.CONNECTION_LOST)
        return failure

    async def quit(self) -> None:
        """Take leave, and return when the connection is gone on both ends or half a second has passed.

        The server counts a connection until it has closed it; a new one must not be opened in place of this one
        before that, or its limit would be exceeded.
        """
        self._connection.is_expecting = True
        try:
            with contextlib.suppress(TimeoutError, connection.LostError):
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
            raise connection.LostError(classify.Fault.PROTOCOL_ERROR)
        self._needs_reset = False

    @staticmethod
    def _give_up(machine: transaction.Transaction, fault: classify.Fault) -> None:
        if machine.state is transaction_table.TransactionState.IDLE:
            # The loss came before MAIL; the machine learns of it as if it had come with MAIL.
            machine.start()
        if not machine.is_ended:
            machine.lose(fault)

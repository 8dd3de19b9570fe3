"""One open SMTP session, from the end of AUTH to QUIT: our own protocol on the connection, one transaction at a time.

aiosmtplib opens it (`opening`). From there on its protocol is replaced: it pairs replies with commands by order
alone, also after a command was cancelled, and does not tell a loss before the final dot from one after it.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from typing import Final, cast

from mailtier.mail import classify, quoting, replies, transaction, wire
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp.sessions import connection, exchange

_QUIT_SECONDS: Final = 0.5
"""A server takes leave within a round trip; while one does not, others wait for the connection."""

_RESET_AFTER_SECONDS: Final = 2.0
"""After so long without use a session begins with RSET where that costs no round trip: its reply tells whether anybody
is still there before a message is at stake."""


class _Reader:
    """One reply at a time, for whoever awaits it."""

    def __init__(self, line: connection.SessionConnection) -> None:
        self._line = line
        self._waiter: asyncio.Future[replies.Reply] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether somebody waits."""
        return self._waiter is not None and not self._waiter.done()

    def take(self, reply: replies.Reply) -> None:
        """Give a reply to whoever waits."""
        assert self._waiter is not None
        self._waiter.set_result(reply)

    def lose(self, fault: classify.Fault) -> None:
        """Tell whoever waits that nothing more comes."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(connection.LostError(fault))

    async def reply(self) -> replies.Reply:
        """Return the next reply."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._line.listen(self)
        try:
            self._line.hand_on()
            return await self._waiter
        finally:
            self._line.listen(None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Announced:
    """What the server was told of a message that is not under way yet."""

    letter: exchange.Letter
    machine: transaction.Transaction


class Session:
    """An open session. It is used by one task at a time, and closed after any time-out, loss or cancellation.

    Attributes:
        generation: The credentials it was opened with.
        offered: What the server offers.
        messages: How many transactions it has carried.
        used_at: When the last one ended, in seconds of the loop's clock.
        wait_seconds: How long the reply to the last final dot took, where another envelope could have left with that.
        envelope_seconds: How long the replies to the last envelope took that had a round trip of its own.
        idle_until: Until when it is kept unused; for its keeper.
        opened_at: When it was opened, in seconds of its keeper's clock.
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
        self._reader = _Reader(self._connection)
        self._secrets = secrets
        self._needs_reset = False
        self._announced: _Announced | None = None
        self._dot_at: float | None = None
        self.used_at = asyncio.get_running_loop().time()
        self.generation = generation
        self.offered = offered
        self.messages = 0
        self.wait_seconds = 0.0
        self.envelope_seconds = 0.0
        self.is_at_host_s = False
        self.idle_until = 0.0
        self.opened_at = 0.0
        self.certificate_expires_at = certificate_expires_at

    @property
    def is_promised(self) -> bool:
        """Whether an envelope was announced, so that no other message can go over it."""
        return self._announced is not None

    @property
    def is_usable(self) -> bool:
        """Whether another transaction may begin, as far as is known."""
        return self._connection.is_alive

    async def send(
        self,
        letter: exchange.Letter,
        terms: exchange.Terms,
        *,
        following: Callable[[], exchange.Letter | None] = lambda: None,
    ) -> transaction.RecipientResult | None:
        """Carry out one transaction and return what became of its recipient.

        Args:
            letter: What it carries; the very one that was announced, where one was.
            terms: How.
            following: Returns what is to be sent over this session next; None where that is not known. It is asked once
                at most, where its envelope can leave with this message. What it returned is sent next, or
                `take_back` is called.

        Returns:
            Its result; None where an idle session was gone, or says nothing any more, before the transaction began:
            nobody's fault. A new session always has one.
        """
        announced, self._announced = self._announced, None
        if announced is not None and announced.letter is not letter:
            # The server waits for another message by now.
            self._connection.end(classify.Fault.CONNECTION_LOST)
            return None
        machine = self._machine(letter) if announced is None else announced.machine
        is_reused = self.messages > 0
        self.messages += 1
        loop = asyncio.get_running_loop()
        is_grouped = self.offered.pipelining
        was_idle = is_reused and is_grouped and loop.time() - self.used_at >= _RESET_AFTER_SECONDS
        under_way = exchange.Exchange(
            self._connection,
            machine,
            terms,
            resets=announced is None and (self._needs_reset or was_idle),
            pipelining=is_grouped,
            announce=functools.partial(self._announce, following),
        )
        try:
            under_way.begin()
            await under_way.result
        finally:
            if not machine.is_ended:
                under_way.abandon()
            self._needs_reset = machine.session is transaction.SessionAfter.RESET
            self.used_at = loop.time()
            if announced is None and under_way.granted_at is not None:
                self.envelope_seconds = under_way.granted_at - under_way.began_at
            if self._dot_at is not None:
                self.wait_seconds, self._dot_at = self.used_at - self._dot_at, None
        is_stale = is_reused and under_way.interrupted and not under_way.answered
        return None if is_stale else machine.results[0]

    def take_back(self) -> None:
        """End the connection if an envelope was announced: its message goes elsewhere, and was certainly not taken."""
        if self._announced is not None:
            self._announced = None
            self._connection.end(classify.Fault.CONNECTION_LOST)

    def _announce(self, following: Callable[[], exchange.Letter | None]) -> bytes:
        letter, self._dot_at = following(), asyncio.get_running_loop().time()
        if letter is None:
            return b""
        try:
            machine = self._machine(letter)
        except ValueError:
            # Whoever sends it meets it then; the dot at hand is to leave all the same.
            return b""
        envelope = machine.start()
        if envelope:
            self._announced = _Announced(letter=letter, machine=machine)
        return envelope

    def _machine(self, letter: exchange.Letter) -> transaction.Transaction:
        return transaction.Transaction(
            mail_from=letter.mail_from,
            rcpt_to=(letter.rcpt_to,),
            message=letter.message,
            offered=self.offered,
            secrets=self._secrets,
            rules=letter.rules,
        )

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
                self._connection.write(command)
                reply = await self._reader.reply()
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
        self.take_back()
        self._connection.is_expecting = True
        try:
            with contextlib.suppress(TimeoutError, connection.LostError):
                async with asyncio.timeout(_QUIT_SECONDS):
                    self._connection.write(wire.QUIT)
                    await asyncio.shield(self._connection.lost)
        finally:
            self._connection.end(classify.Fault.CONNECTION_LOST)
        await self.abort()

    async def abort(self) -> None:
        """Drop the connection without a word."""
        self._connection.end(classify.Fault.CONNECTION_LOST)
        await asyncio.shield(self._connection.lost)

    def break_off(self) -> None:
        """End the connection under whoever uses it: what was sent is lost like at a time-out."""
        self._connection.end(classify.Fault.TIMED_OUT)

    async def _reset_if_needed(self) -> None:
        if not self._needs_reset:
            return
        self._connection.write(wire.RSET)
        if not (await self._reader.reply()).is_positive:
            raise connection.LostError(classify.Fault.PROTOCOL_ERROR)
        self._needs_reset = False

"""One connection of a test server: bytes to commands, answers or scripted misbehaviour to bytes."""

import asyncio
import collections.abc
import socket
import struct
import time
import typing
import weakref

from kit.smtpd import content, dialogue, options, records, script

if typing.TYPE_CHECKING:
    import ssl

_LONGEST_LINE_BYTES = 64 * 1024
_LINES_AT_A_TIME = 64

# The server names that clients asked for, noted by the TLS context's callback.
_server_names: "weakref.WeakKeyDictionary[ssl.SSLObject | ssl.SSLSocket, str | None]" = weakref.WeakKeyDictionary()


def note_server_name(session: "ssl.SSLObject | ssl.SSLSocket", name: str | None, _: "ssl.SSLContext") -> None:
    """Remember which name a client asked for; the callback of a TLS context."""
    _server_names[session] = name


class Connection(asyncio.Protocol):
    """Speaks with one client.

    Args:
        settings: What the server offers.
        rules: How it is told to misbehave.
        recorder: Where everything is written down.
        opened: Told of the connection when it opens; returns whether there are too many.
        closed: Told when it has ended.
    """

    def __init__(
        self,
        settings: options.Options,
        rules: script.Script,
        recorder: records.Recorder,
        *,
        opened: "collections.abc.Callable[[Connection], bool]",
        closed: "collections.abc.Callable[[Connection], None]",
    ) -> None:
        self._options = settings
        self._script = rules
        self._recorder = recorder
        self._opened = opened
        self._closed = closed
        self._dialogue = dialogue.Dialogue(settings)
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._out = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport
        self._transcript: records.Transcript
        self._heard_body = False
        self._auth_line = ""
        self._credentials: dict[str, str] = {}
        self.lost = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, or begin TLS."""
        self._transport = typing.cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self._transcript = self._recorder.open_transcript((peer[0], peer[1]))
        crowded = self._opened(self)
        if self._options.tls is options.Tls.IMPLICIT:
            self._transport.pause_reading()
            self._spawn(self._greet_protected(crowded=crowded))
        else:
            self._greet(crowded=crowded)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._buffer += data
        self._pump()

    def pause_writing(self) -> None:
        """Hold a flood until the client has read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let a flood go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        if self.lost.done():
            return
        self._transcript.closed = True
        self._closed(self)
        if self._task:
            self._task.cancel()
        self.lost.set_result(None)

    def abort(self) -> None:
        """Drop the connection at once, with nothing said."""
        self._out.clear()
        self._transport.abort()

    # From bytes to commands.

    def _pump(self) -> None:
        """Work through what has arrived, until something slow begins or more bytes are needed."""
        while self._task is None and not self._transport.is_closing():
            if not (self._take_content() if self._dialogue.in_data else self._take_line()):
                break
        if self._task is None:
            self._flush()

    def _take_line(self) -> bool:
        """Handle the buffer's first line; False when it is not complete."""
        end = self._buffer.find(b"\n") + 1
        if not end:
            if len(self._buffer) > _LONGEST_LINE_BYTES:
                self._violation("a line without an end")
                self._reply(dialogue.Answer("500 5.5.2 Line too long", dialogue.Then.CLOSE))
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._record(records.Direction.CLIENT, line)
        if not line.endswith(b"\r\n"):
            self._violation("a bare LF ends a line")
        text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        if not self._options.answers_groups:
            self._buffer.clear()
        if self._dialogue.exchange:
            self._continue_auth(text)
        else:
            self._handle(text)
        return True

    def _handle(self, text: str) -> None:
        """Answer a command line."""
        verb = text.partition(" ")[0].upper()
        if self._buffer:
            if "PIPELINING" not in self._options.extensions:
                self._violation(f"{verb} is followed by more, and PIPELINING is not offered")
            elif verb in dialogue.LAST_IN_GROUP:
                self._violation(f"{verb} is followed by more, and its reply decides what comes next")
        if verb == "AUTH":
            self._auth_line = text
            answer = self._dialogue.command(text)
            self._ask_or_judge(answer)
        else:
            self._answer(text, lambda: self._dialogue.command(text))

    def _continue_auth(self, text: str) -> None:
        """Take a client's response within an AUTH exchange."""
        assert self._dialogue.exchange is not None
        if text == "*":
            self._dialogue.exchange = None
            self._reply(dialogue.Answer("501 5.7.0 Authentication cancelled"))
            return
        if self._dialogue.exchange.is_refused:
            if text:
                self._violation("the challenge that tells of a refusal is answered with more than an empty line")
            self._reply(self._dialogue.finish_auth(accepted=False))
            return
        self._dialogue.exchange.take(text)
        self._ask_or_judge(self._dialogue.next_challenge())

    def _ask_or_judge(self, answer: dialogue.Answer) -> None:
        """Send a challenge or a refusal, or end the exchange when it is complete."""
        exchange = self._dialogue.exchange
        if answer.reply or exchange is None:
            self._reply(answer)
            return
        username, password = exchange.credentials() or ("", "")
        self._credentials = {"payload": exchange.payload, "username": username, "password": password}
        behaviour = self._script.find(self._auth_line)
        known = self._options.accepts(exchange.mechanism, username, password)
        accepted = known and (behaviour is None or behaviour.has_effect())
        self._recorder.auth(
            records.AuthAttempt(
                connection=self._transcript.connection,
                mechanism=exchange.mechanism,
                username=username,
                password=password,
                accepted=accepted,
                tls=self._dialogue.protected,
                at=time.monotonic(),
            )
        )
        challenge = None if known or behaviour is not None else exchange.refuse()
        if challenge is not None:
            self._reply(dialogue.Answer(challenge))
            return
        verdict = self._dialogue.finish_auth(accepted=accepted)
        self._carry_out(behaviour, lambda: verdict)

    def _take_content(self) -> bool:
        """Handle the message's content when its final dot has come; False before."""
        if self._buffer and not self._heard_body:
            self._heard_body = True
            behaviour = self._script.find(script.BODY)
            if behaviour is not None:
                self._transport.pause_reading()
                self._spawn(self._misbehave(behaviour, lambda: dialogue.Answer("")))
                return False
        end = content.end(self._buffer)
        if end is None:
            return False
        self._heard_body = False
        wire = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._record(records.Direction.CLIENT, wire)
        text = content.unstuffed(wire)
        envelope = self._dialogue.envelope
        assert envelope is not None
        for violation in content.violations(text, envelope.parameters):
            self._violation(violation)
        # Even if its effect is scripted away, the dot has ended the transaction.
        answer, followed = self._dialogue.finish_data(text), bool(self._buffer)
        self._answer(script.DOT, lambda: self._take_over(envelope, text, answer, is_followed=followed))
        return True

    def _take_over(
        self, envelope: dialogue.Envelope, text: bytes, answer: dialogue.Answer, *, is_followed: bool
    ) -> dialogue.Answer:
        """Record a message unless it was refused, and return the answer."""
        if answer.reply.startswith("2"):
            self._recorder.message(
                records.Message(
                    connection=self._transcript.connection,
                    mail_from=envelope.mail_from,
                    mail_parameters=envelope.parameters,
                    rcpt_to=envelope.rcpt_to,
                    data=text,
                    username=self._dialogue.username,
                    tls=self._dialogue.protected,
                    at=time.monotonic(),
                    is_followed=is_followed,
                )
            )
        return answer

    # From answers to bytes.

    def _greet(self, *, crowded: bool) -> None:
        self._answer(script.GREETING, lambda: self._dialogue.greeting(crowded=crowded))
        if self._task is None:
            self._flush()

    async def _greet_protected(self, *, crowded: bool) -> None:
        await self._upgrade()
        if not self.lost.done():
            behaviour = self._script.find(script.GREETING)
            answer = self._dialogue.greeting(crowded=crowded)
            if behaviour is None:
                self._reply(answer)
            else:
                await self._misbehave(behaviour, lambda: answer)

    def _answer(self, command: str, effect: collections.abc.Callable[[], dialogue.Answer]) -> None:
        """Answer as the script has it, and else as a server does."""
        self._carry_out(self._script.find(command), effect)

    def _carry_out(
        self, behaviour: script.Behaviour | None, effect: collections.abc.Callable[[], dialogue.Answer]
    ) -> None:
        if behaviour is None:
            self._reply(effect())
        else:
            self._spawn(self._misbehave(behaviour, effect))

    def _reply(self, answer: dialogue.Answer) -> None:
        """Send an ordinary answer and do what follows it."""
        self._send(self._dialogue.polish(answer.reply))
        if answer.then is dialogue.Then.UPGRADE:
            # Before the client can know that it may begin its handshake, which is not for us to read.
            self._transport.pause_reading()
            self._spawn(self._upgrade())
        elif answer.then is dialogue.Then.CLOSE:
            self._close()

    async def _misbehave(
        self, behaviour: script.Behaviour, effect: collections.abc.Callable[[], dialogue.Answer]
    ) -> None:
        """Do with a command what the script says."""
        self._flush()
        await asyncio.sleep(behaviour.delay_seconds)
        if behaviour.reset:
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if behaviour.drop is script.Drop.BEFORE:
            self.abort()
            return
        answer = effect() if behaviour.has_effect() else dialogue.Answer("")
        if behaviour.drop is script.Drop.INSTEAD:
            self.abort()
            return
        reply = self._dialogue.polish(answer.reply) if behaviour.reply is None else behaviour.reply
        await self._flood(reply[:3], behaviour.flood_lines)
        if answer.then is dialogue.Then.UPGRADE:
            self._transport.pause_reading()
        self._send(self._with_credentials(reply) if isinstance(reply, str) else reply)
        if behaviour.behind:
            self._send(behaviour.behind)
        await self._drip(behaviour.drip_seconds)
        # A server that says 421 closes the connection (RFC 5321 section 3.8).
        says_goodbye = reply[:3] in {"421", b"421"}
        if behaviour.drop is script.Drop.AFTER or answer.then is dialogue.Then.CLOSE or says_goodbye:
            self._close()
        elif answer.then is dialogue.Then.UPGRADE:
            await self._upgrade()

    def _with_credentials(self, reply: str) -> str:
        for name, value in self._credentials.items():
            reply = reply.replace(f"{{{name}}}", value)
        return reply

    async def _flood(self, code: str | bytes, lines: int) -> None:
        """Send continuation lines as fast as the client reads them."""
        text = code if isinstance(code, str) else code.decode("ascii", "replace")
        for number in range(lines):
            self._send(f"{text}-{number} This reply has no end in sight")
            self._flush()
            await self._writable.wait()
            if number % _LINES_AT_A_TIME == 0:
                # An event that is set is waited for without a pause, in which nobody could hang up.
                await asyncio.sleep(0)

    async def _drip(self, pause_seconds: float) -> None:
        """Send what is due, a byte at a time if there is a pause between two."""
        while pause_seconds and self._out:
            self._transport.write(bytes(self._out[:1]))
            del self._out[:1]
            await asyncio.sleep(pause_seconds)
        self._flush()

    async def _upgrade(self) -> None:
        """Begin TLS on the connection; what the client sent before its handshake is not trusted."""
        assert self._options.context is not None
        if self._buffer:
            self._violation("bytes between STARTTLS and the handshake")
            self._buffer.clear()
        self._flush()
        try:
            upgraded = await self._loop.start_tls(self._transport, self, self._options.context, server_side=True)
        except OSError as error:
            self._transcript.tls_error = str(error)
            upgraded = None
        if upgraded is None:
            # asyncio tells a protocol nothing of a handshake that failed.
            self._task = None
            self._transport.abort()
            self.connection_lost(None)
            return
        self._transport = upgraded
        self._dialogue.became_protected()
        self._transcript.tls = True
        shown = upgraded.get_extra_info("peercert") or {}
        self._transcript.client_names = tuple(name for kind, name in shown.get("subjectAltName", ()) if kind == "DNS")
        self._transcript.sni = _server_names.get(upgraded.get_extra_info("ssl_object"))

    def _send(self, reply: str | bytes) -> None:
        """Put a reply in line for sending: text line by line, bytes as they are."""
        lines = [reply] if isinstance(reply, bytes) else [line.encode() + b"\r\n" for line in reply.split("\n")]
        for line in lines:
            self._record(records.Direction.SERVER, line)
            self._out += line

    def _flush(self) -> None:
        """Send what is in line, in one write however many replies it is."""
        if self._out:
            self._transport.write(bytes(self._out))
            self._out.clear()

    def _close(self) -> None:
        self._flush()
        self._transport.close()

    # Housekeeping.

    def _spawn(self, slow: collections.abc.Coroutine[typing.Any, typing.Any, None]) -> None:
        """Do something that takes time; until it is done, no further command is looked at."""
        self._task = self._loop.create_task(slow)
        self._task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            task.result()
            self._pump()

    def _record(self, direction: records.Direction, data: bytes) -> None:
        if self._recorder.wants_lines:
            line = records.Line(direction, data, time.monotonic(), self._dialogue.protected)
            self._recorder.line(self._transcript, line)

    def _violation(self, text: str) -> None:
        self._transcript.violations.append(text)

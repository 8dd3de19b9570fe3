"""One session against servers that break off, talk too much, or fall silent, on real sockets."""

import asyncio
import contextlib
import datetime as dt
import socket
import struct

import pytest

from kit import sessions, wait
from mailtier.mail import transaction
from mailtier.sender.smtp.sessions import exchange, session

_V = transaction.RecipientVerdict
_SMALL, _LARGE, _LONG = sessions.SMALL, sessions.LARGE, sessions.LONG
_letter, _answer = sessions.letter, sessions.answer


async def _send(
    opened: session.Session,
    message: bytes = _SMALL,
    *,
    envelope: dt.timedelta = _LONG,
    message_for: dt.timedelta = _LONG,
) -> tuple[transaction.RecipientResult | None, list[str]]:
    return await sessions.send(opened, _letter(message), envelope=envelope, message_for=message_for)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_a_reset_in_the_middle_of_a_large_message_is_no_doubt(open_: sessions.Opened) -> None:
    """The dot had not left, so that the message was not taken and may go again (R4)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.readexactly(100_000)
        _reset(writer)

    async with open_(talk) as opened:
        result, noted = await _send(opened, _LARGE)
    assert result.verdict is _V.FAILED
    assert result.failure is not None
    assert result.failure.reason == "ConnectionLost"
    assert noted == []


async def test_a_large_message_arrives_whole(open_: sessions.Opened) -> None:
    """Its dot is noted before it leaves, and the reply to it is the message's."""
    received = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        received.extend(await reader.readuntil(b"\r\n.\r\n"))
        writer.write(b"250 taken\r\n")
        await reader.read()
        writer.close()

    async with open_(talk) as opened:
        result, noted = await _send(opened, _LARGE)
        assert opened.is_usable
    assert result.verdict is _V.ACCEPTED
    assert bytes(received) == _LARGE + b".\r\n"
    assert noted == ["dot"]


async def test_a_refusal_in_the_middle_of_a_large_message_counts(open_: sessions.Opened) -> None:
    """A server that says 552 and reads no further is understood at once, not when the time is over."""
    refused = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.readexactly(1000)
        writer.write(b"552 5.3.4 too large\r\n")
        await refused.wait()
        writer.transport.abort()

    async with open_(talk) as opened:
        result, _ = await asyncio.wait_for(_send(opened, _LARGE), 20)
        refused.set()
        assert not opened.is_usable
    assert result.failure is not None
    assert (result.verdict, result.failure.reason) == (_V.FAILED, "MessageTooLarge")


@pytest.mark.parametrize("behind", [b"garbage\r\n", b"250-a\r\n251 b\r\n"])
async def test_what_cannot_be_read_behind_a_good_reply_ends_the_session_at_once(
    open_: sessions.Opened, behind: bytes
) -> None:
    """In one packet with a reply that can be read, it is not waited for until the time is over."""
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n" + behind)
        await reader.read()
        ended.set()
        writer.close()

    async with open_(talk) as opened:
        result, _ = await asyncio.wait_for(_send(opened), 20)
        await asyncio.wait_for(ended.wait(), 20)
    assert result.failure is not None
    assert (result.verdict, result.failure.reason) == (_V.FAILED, "ProtocolError")


@pytest.mark.parametrize("said", [b"250 ok " + b"x" * 5_000 + b"\r\n", b"250-ok\r\n" * 70 + b"250 ok\r\n"])
async def test_too_long_a_reply_to_the_dot_is_still_an_answer(open_: sessions.Opened, said: bytes) -> None:
    """Its code is known, so that the message is not in doubt; the session is not used again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(said)
        await reader.read()
        writer.close()

    async with open_(talk) as opened:
        result, _ = await _send(opened)
        assert not opened.is_usable
    assert result.verdict is _V.ACCEPTED


async def test_an_idle_session_that_fell_silent_is_stale(open_: sessions.Opened) -> None:
    """Something in between may have forgotten it: a time-out there says nothing of the server."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await reader.read()
        writer.close()

    async with open_(talk) as opened:
        first, _ = await _send(opened)
        second, _ = await _send(opened, envelope=dt.timedelta(seconds=0.2))
    assert first is not None
    assert first.verdict is _V.ACCEPTED
    assert second is None


async def test_a_new_session_that_says_nothing_is_not_stale(open_: sessions.Opened) -> None:
    """A server that was just connected to and answers nothing is slow itself."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with open_(talk) as opened:
        result, _ = await _send(opened, envelope=dt.timedelta(seconds=0.2))
    assert result is not None
    assert result.failure is not None
    assert result.failure.reason == "TimedOut"


async def test_more_replies_than_anybody_waits_for_end_the_session(open_: sessions.Opened) -> None:
    """A few are kept, for one of them may be the answer; behind them nothing is read (R10)."""
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        with contextlib.suppress(ConnectionError):
            while not ended.is_set():
                writer.write(b"250\r\n" * 10_000)
                await writer.drain()
        writer.close()

    async with open_(talk) as opened:
        result, _ = await _send(opened)
        assert not opened.is_usable
        ended.set()
    assert result.verdict is _V.ACCEPTED


async def test_a_farewell_that_is_not_answered_is_not_waited_for_long(open_: sessions.Opened) -> None:
    """The server's connection is for others half a second later at most."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with open_(talk) as opened:
        async with asyncio.timeout(1.5):
            await opened.quit()
        assert not opened.is_usable


@pytest.mark.parametrize("message", [_SMALL, _LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"250 taken\r\n", "ProtocolError"), (b"554 5.6.0 no\r\n", "MessageRefused"), (b"", "ConnectionLost")],
    ids=["unasked", "refused", "gone"],
)
async def test_what_comes_while_the_dot_is_noted_is_no_reply_to_it(
    open_: sessions.Opened, message: bytes, said: bytes, reason: str
) -> None:
    """The dot does not leave then, so that the message was certainly not taken, whatever the server says (R4)."""
    noting = asyncio.Event()
    behind = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        behind.extend(await reader.readexactly(len(message) if message is _LARGE else 0))
        await noting.wait()
        if said:
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                behind.extend(await reader.read())
        writer.close()

    async with open_(talk) as opened:

        async def before_dot() -> None:
            noting.set()
            heard = opened._connection
            await wait.until_async(
                lambda: heard.has_reply or not heard.is_alive, within_seconds=20, why="the server spoke or left"
            )

        terms = exchange.Terms(before_dot=before_dot, envelope_timeout=_LONG, message_timeout=_LONG)
        result = await opened.send(_letter(message), terms)
        assert not opened.is_usable
    assert result is not None
    assert result.failure is not None
    assert (result.verdict, result.failure.reason) == (_V.FAILED, reason)
    assert not behind.endswith(b".\r\n")


async def test_a_dot_that_cannot_be_noted_in_time_leaves_no_doubt(open_: sessions.Opened) -> None:
    """It has not left when the time is over (R4, R10)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.read()
        writer.close()

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async with open_(talk) as opened:
        short = dt.timedelta(seconds=0.1)
        terms = exchange.Terms(before_dot=never, envelope_timeout=_LONG, message_timeout=short)
        result = await opened.send(_letter(), terms)
    assert result is not None
    assert result.failure is not None
    assert (result.verdict, result.failure.reason) == (_V.FAILED, "TimedOut")


async def _without_recipient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuse the recipient of a pipelined group."""
    for _ in range(3):
        await reader.readline()
    writer.write(b"250 ok\r\n550 5.1.1 nobody\r\n503 no recipient\r\n")


async def test_rset_stands_in_the_packet_of_mail(open_: sessions.Opened) -> None:
    """After a transaction that a refusal left half made, the next one costs no round trip more (RFC 2920)."""
    said: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _without_recipient(reader, writer)
        said.extend([await reader.readline() for _ in range(4)])
        writer.write(b"250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await reader.read()
        writer.close()

    async with open_(talk, pipelining=True) as opened:
        first, _ = await _send(opened)
        second, _ = await asyncio.wait_for(_send(opened), 20)
        assert opened.is_usable
    assert (first.verdict, second.verdict) == (_V.FAILED, _V.ACCEPTED)
    assert [line.split()[0] for line in said] == [b"RSET", b"MAIL", b"RCPT", b"DATA"]


async def test_what_stands_behind_the_reply_to_rset_makes_the_session_stale(open_: sessions.Opened) -> None:
    """It is taken for MAIL's reply; when that shows, nothing is held against the message, which goes elsewhere."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _without_recipient(reader, writer)
        for _ in range(4):
            await reader.readline()
        writer.write(b"250 reset\r\n250 unasked\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        await reader.read()
        writer.close()

    async with open_(talk, pipelining=True) as opened:
        await _send(opened)
        second, noted = await asyncio.wait_for(_send(opened), 20)
        assert not opened.is_usable
    assert (second, noted) == (None, [])


async def test_a_session_that_was_not_used_begins_with_rset(open_: sessions.Opened) -> None:
    """The reply tells whether anybody is there before a message is at stake; in use it is not asked."""
    verbs: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            verbs.append(line.split()[0])
            if verbs[-1] == b"DATA":
                writer.write(b"250 ok\r\n" * (1 + verbs.count(b"RSET")) + b"250 ok\r\n354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
        writer.close()

    async with open_(talk, pipelining=True) as opened:
        for _ in range(2):
            await _send(opened)
        opened.used_at -= 3
        last, _ = await asyncio.wait_for(_send(opened), 20)
    assert last.verdict is _V.ACCEPTED
    assert verbs == [b"MAIL", b"RCPT", b"DATA"] * 2 + [b"RSET", b"MAIL", b"RCPT", b"DATA"]

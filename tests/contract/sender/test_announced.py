"""The next envelope with the body (RFC 2920): what the server makes of either message concerns no other."""

import asyncio
import collections.abc
import contextlib

import pytest

from kit import sessions, wait
from mailtier.mail import transaction
from mailtier.sender.smtp.sessions import exchange, session

_V = transaction.RecipientVerdict
_FIRST, _NEXT = sessions.letter(to="a@y.test"), sessions.letter(b"Subject: next\r\n\r\nbody\r\n", to="b@y.test")
_GO = b"250 ok\r\n250 ok\r\n354 go\r\n"


async def _first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
    """Take the first envelope, and return the message with what came behind it, before either is answered."""
    await sessions.lines(reader, 3)
    writer.write(_GO)
    message = await reader.readuntil(b"\r\n.\r\n")
    return [message, *await sessions.lines(reader, 3)]


async def _rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


async def _send_both(
    opened: session.Session, first: exchange.Letter = _FIRST
) -> tuple[transaction.RecipientResult | None, transaction.RecipientResult | None]:
    one, _ = await asyncio.wait_for(sessions.send(opened, first, following=lambda: _NEXT), 20)
    assert opened.is_promised or not opened.is_usable
    other, _ = await asyncio.wait_for(sessions.send(opened, _NEXT), 20)
    return one, other


@pytest.mark.parametrize("first", [_FIRST, sessions.letter(sessions.LARGE)], ids=["small", "large"])
async def test_the_next_envelope_leaves_with_the_dot(open_: sessions.Opened, first: exchange.Letter) -> None:
    """The server is told of the next message before it has answered the dot, and both arrive."""
    said: list[bytes] = []
    taken = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.extend(await _first(reader, writer))
        writer.write(b"250 taken\r\n" + _GO)
        taken.extend(await reader.readuntil(b"\r\n.\r\n"))
        writer.write(b"250 taken too\r\n")
        await _rest(reader, writer)

    async with open_(talk, pipelining=True) as opened:
        one, other = await _send_both(opened, first)
        assert opened.is_usable
        assert not opened.is_promised
    assert one is not None
    assert other is not None
    assert (one.verdict, other.verdict) == (_V.ACCEPTED, _V.ACCEPTED)
    assert said[0] == first.message + b".\r\n"
    assert said[1:] == [b"MAIL FROM:<s@x.test>\r\n", b"RCPT TO:<b@y.test>\r\n", b"DATA\r\n"]
    assert bytes(taken) == _NEXT.message + b".\r\n"


@pytest.mark.parametrize(
    ("said", "first", "then"),
    [
        (b"554 5.6.0 no\r\n" + _GO, "MessageRefused", "accepted"),
        (b"250 taken\r\n250 ok\r\n550 5.1.1 nobody\r\n503 no recipient\r\n", "accepted", "RecipientRefused"),
        (b"250 taken\r\n451 4.3.0 later\r\n503 no\r\n503 no\r\n", "accepted", "ServerUnavailable"),
        (b"250 taken\r\n250 ok\r\n250 ok\r\n451 4.3.0 later\r\n", "accepted", "MessageDeferred"),
        (b"250 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n250 unasked\r\n", "accepted", "ProtocolError"),
        (b"250 taken\r\nwhat?\r\n", "accepted", "stale"),
        (b"250 taken\r\n421 4.3.2 leaving\r\n", "accepted", "stale"),
        (b"250 taken\r\n", "accepted", "stale"),
        (b"421 4.3.2 leaving\r\n", "ServerUnavailable", "stale"),
        (b"", "InDoubt", "stale"),
    ],
)
async def test_what_is_said_concerns_the_message_that_it_answers(
    open_: sessions.Opened, said: bytes, first: str, then: str
) -> None:
    """Whatever becomes of one, the other's outcome is its own; nothing is held against one that was not answered."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _first(reader, writer)
        writer.write(said)
        if said.endswith(b"354 go\r\n"):
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 taken\r\n")
            await _rest(reader, writer)
        writer.close()

    async with open_(talk, pipelining=True) as opened:
        one, other = await _send_both(opened)
    assert sessions.told(one) == first
    assert sessions.told(other) == then


async def test_a_refused_envelope_leaves_the_session_in_use(open_: sessions.Opened) -> None:
    """Where it failed at RCPT the next transaction begins with RSET, as it would without."""
    verbs: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _first(reader, writer)
        writer.write(b"250 taken\r\n250 ok\r\n550 5.1.1 nobody\r\n503 no recipient\r\n")
        verbs.extend(line.split()[0] for line in await sessions.lines(reader, 4))
        writer.write(b"250 reset\r\n" + _GO)
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await _rest(reader, writer)

    async with open_(talk, pipelining=True) as opened:
        await _send_both(opened)
        third, _ = await sessions.send(opened, sessions.letter(to="c@y.test"))
    assert sessions.told(third) == "accepted"
    assert verbs == [b"RSET", b"MAIL", b"RCPT", b"DATA"]


@pytest.mark.parametrize("how", ["taken back", "another", "quit", "again"])
async def test_an_envelope_whose_message_goes_elsewhere_is_undone(open_: sessions.Opened, how: str) -> None:
    """The server waits for it: the connection ends before a byte of a message could be taken for it (R4)."""
    behind: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _first(reader, writer)
        writer.write(b"250 taken\r\n" + _GO)
        try:
            behind.set_result(await reader.read())
        except ConnectionError:
            behind.set_result(b"")
        writer.close()

    async with open_(talk, pipelining=True) as opened:
        await sessions.send(opened, _FIRST, following=lambda: _NEXT)
        match how:
            case "taken back":
                opened.take_back()
            case "quit":
                await opened.quit()
            case "again":
                # The same text in another letter was built by other settings.
                result, _ = await sessions.send(opened, sessions.letter(_NEXT.message, to=_NEXT.rcpt_to))
                assert result is None
            case _:
                result, _ = await sessions.send(opened, _FIRST)
                assert result is None
        assert not opened.is_usable
        assert await asyncio.wait_for(behind, 20) == b""


async def test_nothing_is_announced_where_that_is_not_offered(open_: sessions.Opened) -> None:
    """Without PIPELINING a command waits for the reply to the one before (RFC 5321 section 4.1.4)."""
    asked: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sessions.answer(reader, writer, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await _rest(reader, writer)

    def following() -> exchange.Letter:
        asked.append("next")
        return _NEXT

    async with open_(talk) as opened:
        await sessions.send(opened, _FIRST, following=following)
        assert not opened.is_promised
    assert asked == []


async def test_nothing_is_announced_behind_a_dot_that_does_not_leave(open_: sessions.Opened) -> None:
    """What is not noted does not go, and what would follow it is not asked for (R4)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sessions.lines(reader, 3)
        writer.write(_GO)
        await _rest(reader, writer)

    def full() -> collections.abc.Awaitable[None]:
        raise OSError("the volume is full")

    async with open_(talk, pipelining=True) as opened:
        with pytest.raises(OSError, match="full"):
            await opened.send(_FIRST, sessions.terms(before_dot=full), following=pytest.fail)
        assert not opened.is_usable


async def test_a_dot_that_may_leave_no_more_at_the_last_moment_does_not(open_: sessions.Opened) -> None:
    """It was noted, and then the process stood still: what it is asked once more keeps it back (R4)."""
    came: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sessions.lines(reader, 3)
        writer.write(_GO)
        body = bytearray()
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65_536):
                body += part
        writer.close()
        came.append(bytes(body))

    def late() -> None:
        raise OSError("the lease is over")

    async def noted() -> collections.abc.Callable[[], None]:
        return late

    async with open_(talk, pipelining=True) as opened:
        with pytest.raises(OSError, match="the lease is over"):
            await opened.send(_FIRST, sessions.terms(before_dot=noted), following=pytest.fail)
        assert not opened.is_usable
    await wait.until_async(lambda: came, within_seconds=5, why="the connection has ended")
    assert not came[0].endswith(b"\r\n.\r\n")


async def test_what_no_command_can_carry_is_not_announced(open_: sessions.Opened) -> None:
    """A defect in the next message concerns that one alone: the dot at hand leaves, and its reply counts (R5)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sessions.lines(reader, 3)
        writer.write(_GO)
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await _rest(reader, writer)

    unsafe = sessions.letter(to="b@y.test> SIZE=1\r\nRCPT TO:<c@y.test")
    async with open_(talk, pipelining=True) as opened:
        result, _ = await asyncio.wait_for(sessions.send(opened, _FIRST, following=lambda: unsafe), 20)
        assert sessions.told(result) == "accepted"
        assert opened.is_usable
        assert not opened.is_promised

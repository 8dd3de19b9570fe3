"""Sessions with servers that talk as they are told, on real sockets."""

import asyncio
import collections.abc
import contextlib
import datetime as dt
import functools
import ssl
import typing

from kit import certs
from mailtier.mail import quoting, transaction, wire
from mailtier.sender.queueing import noted
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp.sessions import exchange, session

Talk = collections.abc.Callable[[asyncio.StreamReader, asyncio.StreamWriter], collections.abc.Awaitable[None]]

SMALL = b"Subject: x\r\n\r\nbody\r\n"
LARGE = b"x" * 8_000_000 + b"\r\n"
"""More than both kernels keep between them."""
LONG = dt.timedelta(seconds=30)


class Opened(typing.Protocol):
    """How a test opens a session with a server that talks as it is told."""

    def __call__(
        self, talk: Talk, *, pipelining: bool = False
    ) -> contextlib.AbstractAsyncContextManager[session.Session]:
        """Give the session."""


def opening(*, ca: certs.Authority, leaf: certs.Leaf | None) -> Opened:
    """Return how a session is opened, under TLS where the server has a certificate."""
    if leaf is None:
        return functools.partial(_open, ours=None, theirs=None)
    return functools.partial(
        _open, ours=ssl.create_default_context(cafile=str(ca.ca_path)), theirs=leaf.server_context()
    )


@contextlib.asynccontextmanager
async def _open(
    talk: Talk, *, ours: ssl.SSLContext | None, theirs: ssl.SSLContext | None, pipelining: bool = False
) -> collections.abc.AsyncIterator[session.Session]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2 * len(LARGE), ssl=theirs)
    transport, _ = await asyncio.get_running_loop().create_connection(
        asyncio.Protocol,
        *server.sockets[0].getsockname(),
        ssl=ours,
        server_hostname=None if ours is None else "smtp.test",
    )
    opened = session.Session(
        transport,
        generation=credentials.ANONYMOUS.generation,
        offered=wire.Extensions(pipelining=pipelining),
        secrets=quoting.NOTHING_SECRET,
        certificate_expires_at=None,
    )
    try:
        yield opened
    finally:
        await opened.abort()
        server.close()
        await server.wait_closed()


def letter(message: bytes = SMALL, *, to: str = "r@y.test") -> exchange.Letter:
    """Return what a transaction carries."""
    return exchange.Letter(mail_from="s@x.test", rcpt_to=to, message=message)


def _nothing() -> collections.abc.Awaitable[None]:
    return noted.NOTED


def terms(
    *,
    before_dot: exchange.BeforeDot = _nothing,
    envelope: dt.timedelta = LONG,
    message_for: dt.timedelta = LONG,
) -> exchange.Terms:
    """Return how it is carried out."""
    return exchange.Terms(before_dot=before_dot, envelope_timeout=envelope, message_timeout=message_for)


async def send(
    opened: session.Session,
    carried: exchange.Letter,
    *,
    following: collections.abc.Callable[[], exchange.Letter | None] = lambda: None,
    envelope: dt.timedelta = LONG,
    message_for: dt.timedelta = LONG,
) -> tuple[transaction.RecipientResult | None, list[str]]:
    """Return what became of a letter, and what was noted before its dot; the note is waited for."""
    known: list[str] = []

    async def before_dot() -> None:
        known.append("dot")

    how = terms(before_dot=before_dot, envelope=envelope, message_for=message_for)
    return await opened.send(carried, how, following=following), known


def told(result: transaction.RecipientResult | None) -> str:
    """Return a result in one word: why it failed or is in doubt, or its verdict; `stale` where there is none."""
    if result is None:
        return "stale"
    return result.verdict.value if result.failure is None else result.failure.reason.value


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *replies: bytes) -> None:
    """Answer so many commands."""
    for reply in replies:
        await reader.readline()
        writer.write(reply)


async def lines(reader: asyncio.StreamReader, count: int) -> list[bytes]:
    """Return so many lines that the client said."""
    return [await reader.readline() for _ in range(count)]

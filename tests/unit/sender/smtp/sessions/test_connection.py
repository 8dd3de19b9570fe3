"""A connection's own bookkeeping: what waits below TLS, and how much is read of what nobody asked for."""

import asyncio
import collections.abc
import contextlib
import ssl
from typing import cast

import pytest

from kit import certs
from mailtier.mail import classify, replies
from mailtier.sender.smtp.sessions import connection

_MESSAGE = b"x" * 40_000
"""Less than asyncio's TCP transport takes before it says so."""


class _Transport(asyncio.Transport):
    """A transport that notes that it was aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


@contextlib.asynccontextmanager
async def _unread(
    ca: certs.Authority,
) -> collections.abc.AsyncIterator[tuple[asyncio.Transport, collections.abc.Callable[[], None]]]:
    """Give a transport under TLS of which the kernels take no more, for the server reads nothing; and what reads."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cast("asyncio.Transport", writer.transport).pause_reading()
        accepted.set_result(writer)
        await reader.read()
        writer.close()

    theirs = ca.issue("localhost", file_name="connection").server_context()
    ours = ssl.create_default_context(cafile=str(ca.ca_path))
    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=theirs)
    transport, _ = await asyncio.get_running_loop().create_connection(
        asyncio.Protocol, *server.sockets[0].getsockname(), ssl=ours, server_hostname="localhost"
    )
    writer = await accepted
    while not connection.below_tls(transport).get_write_buffer_size():
        transport.write(b"y" * 4096)
        await asyncio.sleep(0)
    try:
        yield transport, cast("asyncio.Transport", writer.transport).resume_reading
    finally:
        transport.abort()
        writer.transport.abort()
        server.close()
        await server.wait_closed()


async def test_what_waits_below_tls_is_waited_for(ca: certs.Authority) -> None:
    """A message has not left as long as the kernel has not taken it, whatever TLS says of its own buffer (R4)."""
    async with _unread(ca) as (transport, read):
        opened = connection.SessionConnection(transport)
        transport.set_protocol(opened)
        below = connection.below_tls(transport)
        assert below is not transport
        writing = asyncio.create_task(opened.write_out(_MESSAGE))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not writing.done()
        read()
        await asyncio.wait_for(writing, 20)
        # The last byte, in a record of its own.
        assert below.get_write_buffer_size() < 64
    await opened.lost


async def test_a_loss_ends_the_wait(ca: certs.Authority) -> None:
    """Whoever waits for the rest to leave learns that the connection is gone."""
    async with _unread(ca) as (transport, _):
        opened = connection.SessionConnection(transport)
        transport.set_protocol(opened)
        writing = asyncio.create_task(opened.write_out(_MESSAGE))
        await asyncio.sleep(0)
        opened.end(classify.Fault.CONNECTION_LOST)
        with pytest.raises(connection.LostError):
            await asyncio.wait_for(writing, 20)
    await opened.lost


async def test_few_replies_are_kept_for_nobody() -> None:
    """However they come, what nobody asked for ends the connection soon: also while nobody reads, as at QUIT (R10)."""
    transport = _Transport()
    opened = connection.SessionConnection(transport)
    opened.is_expecting = True
    for _ in range(replies.MAXIMUM_REPLIES):
        opened.data_received(b"221 bye\r\n")
        assert opened.is_alive
    opened.data_received(b"221 bye\r\n")
    assert not opened.is_alive
    assert transport.is_aborted
    # What had come is still there.
    assert (await opened.reply()).code == 221

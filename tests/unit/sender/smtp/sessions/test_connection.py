"""A connection's own bookkeeping: what waits below TLS, and how much is read of what nobody asked for."""

import asyncio
import collections.abc
import contextlib
import ssl
from typing import cast

from kit import certs, virtual_time
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


class _Listener:
    """Whoever is told; it wants replies only where it says so."""

    def __init__(self, *, is_listening: bool = True) -> None:
        self.is_listening = is_listening
        self.taken: list[replies.Reply] = []
        self.lost: list[classify.Fault] = []

    def take(self, reply: replies.Reply) -> None:
        self.taken.append(reply)

    def lose(self, fault: classify.Fault) -> None:
        self.lost.append(fault)


async def test_what_waits_below_tls_is_waited_for(ca: certs.Authority) -> None:
    """A message has not left as long as the kernel has not taken it, whatever TLS says of its own buffer (R4)."""
    async with _unread(ca) as (transport, read):
        opened = connection.SessionConnection(transport)
        transport.set_protocol(opened)
        below = connection.below_tls(transport)
        assert below is not transport
        is_out = asyncio.Event()
        opened.write_out(_MESSAGE, is_out.set)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not is_out.is_set()
        read()
        await asyncio.wait_for(is_out.wait(), 20)
        # The last byte, in a record of its own.
        assert below.get_write_buffer_size() < 64
    await opened.lost


async def test_a_loss_ends_the_wait(ca: certs.Authority) -> None:
    """Whoever waits for the rest to leave learns that the connection is gone, and not that all has left."""
    async with _unread(ca) as (transport, _):
        opened = connection.SessionConnection(transport)
        transport.set_protocol(opened)
        listener, is_out = _Listener(), asyncio.Event()
        opened.listen(listener)
        opened.write_out(_MESSAGE, is_out.set)
        await asyncio.sleep(0)
        opened.end(classify.Fault.CONNECTION_LOST)
        assert listener.lost == [classify.Fault.CONNECTION_LOST]
    await opened.lost
    assert not is_out.is_set()


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
    # What had come is still there, and comes before the loss.
    listener = _Listener()
    opened.listen(listener)
    opened.hand_on()
    assert [reply.code for reply in listener.taken] == [221] * replies.MAXIMUM_REPLIES
    assert listener.lost == [classify.Fault.PROTOCOL_ERROR]


async def test_a_reply_waits_until_it_is_wanted() -> None:
    """While a dot is being noted nobody listens, and nothing that comes meanwhile is lost."""
    opened = connection.SessionConnection(_Transport())
    listener = _Listener(is_listening=False)
    opened.listen(listener)
    opened.is_expecting = True
    opened.data_received(b"250 ok\r\n")
    assert opened.has_reply
    assert listener.taken == []
    listener.is_listening = True
    opened.hand_on()
    assert [reply.code for reply in listener.taken] == [250]


async def test_one_timer_serves_all_deadlines() -> None:
    """A deadline that moves on is met at its new time, an earlier one at its own, and none where there is none."""
    with contextlib.closing(virtual_time.SkippableLoop()) as loop:
        await asyncio.to_thread(loop.run_until_complete, _deadlines(loop))


async def _deadlines(loop: virtual_time.SkippableLoop) -> None:
    opened = connection.SessionConnection(_Transport())
    met: list[str] = []

    async def skip(seconds: float) -> None:
        loop.skip(seconds)
        for _ in range(3):
            await asyncio.sleep(0)

    opened.expire_at(loop.time() + 60, lambda: met.append("first"))
    opened.expire_at(loop.time() + 600, lambda: met.append("later"))
    await skip(61)
    assert met == []
    opened.expire_at(loop.time() + 60, lambda: met.append("sooner"))
    await skip(61)
    assert met == ["sooner"]
    opened.expire_at(loop.time() + 60, lambda: met.append("never"))
    opened.expire_at(None, lambda: met.append("none"))
    await skip(700)
    assert met == ["sooner"]

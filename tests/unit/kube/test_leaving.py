"""Who leaves a watch, in a test or at the end of the program, leaves nothing open behind."""

import asyncio
import collections.abc
import contextlib
import gc
import socket
import threading
import warnings

import pytest

from kit import certs
from mailtier.kube import client, configuration, paths

_EVENT = b'{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"2"}}}\n'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (
    len(_EVENT),
    _EVENT,
)


async def _no_credentials() -> str | None:
    return None


@pytest.fixture
def silent_port(ca: certs.Authority) -> collections.abc.Iterator[int]:
    """Return the port of an API server that shows one event over TLS, and reads and says nothing afterwards."""
    context = ca.issue(file_name="silent").server_context()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(10)

        def serve() -> None:
            accepted, _ = listener.accept()
            secured = stack.enter_context(context.wrap_socket(accepted, server_side=True))
            secured.recv(65536)
            secured.sendall(_ANSWER)

        serving = threading.Thread(target=serve)
        serving.start()
        yield listener.getsockname()[1]
        serving.join()


async def _leave_a_watch(connection: configuration.Connection) -> None:
    seen = asyncio.Event()

    async def follow(api: client.Client) -> None:
        async for _ in api.watch(paths.config_maps("a"), resource_version="1"):
            seen.set()

    async with client.Client(connection) as api:
        following = asyncio.create_task(follow(api))
        async with asyncio.timeout(10):
            await seen.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def test_no_socket_outlives_the_client_whose_watch_was_left(ca: certs.Authority, silent_port: int) -> None:
    """A peer that never says its last word of TLS keeps no connection open beyond the client and its loop."""
    connection = configuration.Connection(
        server=f"https://localhost:{silent_port}",
        namespace="default",
        tls=ca.client_context(),
        authorization=_no_credentials,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(_leave_a_watch(connection))
        gc.collect()
    assert [str(each.message) for each in caught if "unclosed" in str(each.message)] == []

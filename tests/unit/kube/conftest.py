"""A server in place of the apiserver, for answers that a healthy one does not give."""

import collections.abc
import contextlib

import pytest_asyncio
from aiohttp import test_utils, web

from mailtier.kube import client, configuration

Handler = collections.abc.Callable[[web.Request], collections.abc.Awaitable[web.StreamResponse]]
Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]


async def no_credentials() -> str | None:
    """Return no Authorization header."""
    return None


@pytest_asyncio.fixture
async def serve() -> collections.abc.AsyncIterator[Serve]:
    """Return a coroutine function that serves a handler for every request, and gives a client of it."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler, **options: float) -> client.Client:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = await stack.enter_async_context(test_utils.TestServer(app))
            connection = configuration.Connection(
                server=str(server.make_url("")).rstrip("/"), namespace="default", authorization=no_credentials
            )
            return await stack.enter_async_context(client.Client(connection, **options))  # type: ignore[arg-type]

        yield start

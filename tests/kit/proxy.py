"""A proxy before the API server that does what networks and busy servers do: cuts, refuses, and forgets history.

It terminates TLS with the API server's own certificate, and passes on what it is not told to disturb.
"""

import contextlib
import json
import pathlib
import typing

import aiohttp
from aiohttp import web

from kit import cluster as cluster_kit
from kit import ports

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_EXPIRED = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version",
        "reason": "Expired",
        "code": 410,
    },
}
_TOO_MANY = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "TooManyRequests", "code": 429}


class Proxy:
    """Stands before a cluster while its context is entered.

    Attributes:
        cuts: How many watches it has cut.
        expired: How many watches it has ended with 410.
        refused: How many requests it has refused with 429.
    """

    def __init__(self, cluster: cluster_kit.LocalCluster) -> None:
        self._cluster = cluster
        self._port = ports.free()
        self._watches: dict[web.StreamResponse, web.Request] = {}
        self._refusals_left = 0
        self._requests = 0
        self.cuts = self.expired = self.refused = 0

    @contextlib.asynccontextmanager
    async def running(self) -> typing.AsyncIterator[typing.Self]:
        """Pass on requests for the length of the context."""
        connector = aiohttp.TCPConnector(limit=0, ssl=self._cluster.tls)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, skip_auto_headers=[aiohttp.hdrs.CONTENT_TYPE]
        ) as self._session:
            application = web.Application(client_max_size=16 * 1024 * 1024)
            application.router.add_route("*", "/{path:.*}", self._pass_on)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._cluster.server_context).start()
            try:
                yield self
            finally:
                await runner.cleanup()

    def kubeconfig(self, folder: pathlib.Path) -> pathlib.Path:
        """Return the administrator's kubeconfig for this way to the API server."""
        path = folder / "kubeconfig-proxy"
        text = self._cluster.kubeconfig.read_text(encoding="utf-8")
        path.write_text(text.replace(self._cluster.url, f"https://127.0.0.1:{self._port}"), encoding="utf-8")
        return path

    @property
    def watches(self) -> int:
        """How many watches pass through it now."""
        return len(self._watches)

    def cut_watches(self) -> None:
        """Cut every watch in the middle, as a network does."""
        for request in self._watches.values():
            if request.transport is not None:
                request.transport.abort()
                self.cuts += 1
        self._watches.clear()

    async def expire_watches(self) -> None:
        """Tell every watch that the history it needs is compacted, and end it."""
        watches = list(self._watches.items())
        self._watches.clear()
        for response, request in watches:
            with contextlib.suppress(ConnectionError):
                await response.write(json.dumps(_EXPIRED).encode() + b"\n")
                await response.write_eof()
            if request.transport is not None:
                request.transport.close()
            self.expired += 1

    def refuse(self, count: int) -> None:
        """Refuse every other request, so many in all."""
        self._refusals_left = count

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self._requests += 1
        if self._refusals_left and self._requests % 2:
            self._refusals_left -= 1
            self.refused += 1
            return web.json_response(_TOO_MANY, status=429, headers={"Retry-After": "1"})
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"{self._cluster.url}{request.raw_path}"
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=await request.read() or None, timeout=aiohttp.ClientTimeout()
            ) as answer:
                return await self._answer(request, answer)
        except aiohttp.ClientError:
            # The API server is away: whoever asked sees a connection that ends.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        if "watch" in request.query:
            self._watches[response] = request
        try:
            async for chunk in answer.content.iter_any():
                if "watch" in request.query and response not in self._watches:
                    break  # Cut or expired meanwhile.
                await response.write(chunk)
            await response.write_eof()
        except (ConnectionError, aiohttp.ClientPayloadError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._watches.pop(response, None)
        return response

"""aiohttp's protocol of a connection, but for what it answers by itself: that would quote the request (R1)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs, http, streams, web

from mailtier.serving import wire
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)

IDENTITY: Final[Mapping[str, str]] = {hdrs.SERVER: wire.SERVER}

Refusal = Callable[[web.HTTPException | int], web.Response]
"""Returns what is answered in place of an exception of aiohttp's, or with a status."""

Shortcut = Callable[["Protocol", http.RawRequestMessage, streams.StreamReader, Callable[[bytes], None]], bool]
"""Takes a request that is there as a whole, and returns whether it does; what is not taken goes the usual way, unread.

What it is given last is called once, in a later turn of the loop, with the answer as it is sent; the connection goes on
after it. It raises nothing.
"""


class Protocol(web.RequestHandler):
    """Speaks HTTP on one connection.

    aiohttp reads a connection's requests; those that the shortcut takes are answered one after the other like all, but
    without its routes, requests, answers and tasks.

    Args:
        server: aiohttp's, with the application.
        refusal: What is answered where no route of the application was reached.
        shortcut: A quicker way for some requests.
        options: Of aiohttp's protocol.
    """

    def __init__(
        self, server: web.Server, *, refusal: Refusal, shortcut: Shortcut | None = None, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._refusal = refusal
        self._shortcut = shortcut
        # While the shortcut has a request: what is to be woken for the next one (`_waiter`, when there is none).
        self._parked: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Take in what came; whoever reads the body is told at once that it cannot be read, and not left to wait."""
        known = len(self._messages)
        # aiohttp would wake its task for each request.
        waiting, self._waiter = self._waiter, None
        super().data_received(data)
        self._waiter = waiting
        if len(self._messages) != known:
            self._end_body()
            self._go_on()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what the connection has; what the shortcut has taken goes on without."""
        if self._parked is not None:
            self._waiter, self._parked = self._parked, None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what could not be read, or failed outside the application; `message` would quote it."""
        del exc, message
        self.log_exception()
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        answer = self._refusal(status)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log that something failed; what aiohttp would log of it quotes the request, headers and all."""
        del args, kw
        _log.warning("a request could not be read, or its connection failed")

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; one of aiohttp's own making, as to an unknown expectation, is made anew."""
        if isinstance(resp, web.HTTPException):
            resp = self._refusal(resp)
            resp.force_close()
        if not resp.prepared:
            resp.headers.update(IDENTITY)
        return await super().finish_response(request, resp, start_time)

    def _end_body(self) -> None:
        """Tell whoever reads a body that it cannot be read, where that is what came."""
        request = self._current_request
        if request is None or request.content.is_eof():
            return
        message, _ = self._messages[-1]
        if not isinstance(message, http.RawRequestMessage):
            # Its answer is the request's: the body is what could not be read, and nothing can follow it.
            self._messages.pop()
            request.content.set_exception(web.RequestPayloadError("the body cannot be read"))
            self.close()

    def _go_on(self) -> None:
        """Begin the next request, if nothing is under way."""
        waiting = self._waiter
        if waiting is not None and not waiting.done() and not self._takes_shortcut():
            waiting.set_result(None)

    def _takes_shortcut(self) -> bool:
        # Whose client does not read its answers goes the way on which that is waited for.
        if self._shortcut is None or self._paused or self._close or self._force_close:
            return False
        message, content = self._messages[0]
        if not isinstance(message, http.RawRequestMessage) or not content.is_eof():
            return False
        if not self._shortcut(self, message, content, self._answer):
            return False
        self._messages.popleft()
        self._parked, self._waiter = self._waiter, None
        # As aiohttp does for each message that it begins.
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return True

    def _answer(self, answer: bytes) -> None:
        """Send the answer to what the shortcut took."""
        waiting, self._parked = self._parked, None
        if waiting is None or self.transport is None:
            # The connection is gone.
            return
        self._waiter = waiting
        self.transport.write(answer)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._close or self._force_close:
            # aiohttp's task, which whoever shuts down waits for, ends with the connection.
            self.transport.close()
        elif self._messages:
            self._go_on()

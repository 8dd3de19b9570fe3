"""aiohttp's protocol of a connection, but for what it answers by itself: that would quote the request (R1)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs, http, web

from mailtier.telemetry import logs

_log = logs.get_logger(__name__)

IDENTITY: Final[Mapping[str, str]] = {hdrs.SERVER: "mailtier"}
"""What an answer says of who gives it; aiohttp would name its version and Python's, for whoever looks for old ones."""

Refusal = Callable[[web.HTTPException | int], web.Response]
"""Returns what is answered in place of an exception of aiohttp's, or with a status."""


class Protocol(web.RequestHandler):
    """Speaks HTTP on one connection.

    Args:
        server: aiohttp's, with the application.
        refusal: What is answered where no route of the application was reached.
        options: Of aiohttp's protocol.
    """

    def __init__(self, server: web.Server, *, refusal: Refusal, **options: Any) -> None:
        super().__init__(server, **options)
        self._refusal = refusal

    def data_received(self, data: bytes) -> None:
        """Take in what came; whoever reads the body is told at once that it cannot be read, and not left to wait."""
        known = len(self._messages)
        super().data_received(data)
        request = self._current_request
        if request is None or request.content.is_eof() or len(self._messages) == known:
            return
        message, _ = self._messages[-1]
        if not isinstance(message, http.RawRequestMessage):
            # Its answer is the request's: the body is what could not be read, and nothing can follow it.
            self._messages.pop()
            request.content.set_exception(web.RequestPayloadError("the body cannot be read"))
            self.close()

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

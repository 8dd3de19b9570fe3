"""The handler that ends the hold of a queue that was restored from a backup."""

from typing import Final

from aiohttp import web

from mailtier.sender.intake import desk
from mailtier.sender.intake.http import entrance
from mailtier.telemetry import logs

_log: Final = logs.get_logger(__name__)


class Resuming:
    """The handler of `routes.RESUME`, for whoever may change the host's settings: it is everybody's mail.

    Args:
        asked: Where the queue is asked. Delivery looks each second whether it is still held.
        enter: Lets callers in.
    """

    def __init__(self, asked: desk.Desk, enter: entrance.Entrance) -> None:
        self._desk = asked
        self._enter = enter

    async def resume(self, request: web.Request) -> web.Response:
        """Have everything go on, and return of when the backup is; nothing where nothing is held."""
        caller = await self._enter.platform(request)
        made_at = await self._desk.resume()
        if made_at is not None:
            _log.info("a restored queue is to go on", caller=caller.username, made_at=made_at)
        return web.json_response({"resumed": made_at is not None, **({"backupOf": made_at} if made_at else {})})

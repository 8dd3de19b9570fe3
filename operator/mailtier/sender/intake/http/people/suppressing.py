"""The handlers of addresses that nothing is sent to for a while: listing them, and having them tried again."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from mailtier.sender.between import filing
from mailtier.sender.intake import desk
from mailtier.sender.intake.http import access, bodies, entrance, queue_turns, records
from mailtier.sender.intake.http.people import asking, handling
from mailtier.sender.queueing import suppressions
from mailtier.telemetry import logs

_UPDATE: Final[access.Verb] = "update"
_PAGE: Final = 500
_DIGEST: Final = 16

_log = logs.get_logger(__name__)


class Suppressing:
    """The handlers of `routes.SUPPRESSIONS` and `routes.CLEAR`.

    Args:
        asked: Where the queue is asked.
        enter: Lets callers in.
        room: For the bodies.
        turns: At the queue.
    """

    def __init__(
        self,
        asked: desk.Desk,
        enter: entrance.Entrance,
        room: bodies.Bodies,
        turns: queue_turns.QueueTurns,
    ) -> None:
        self._desk = asked
        self._enter = enter
        self._bodies = room
        self._turns = turns

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of the addresses to which a namespace's organizations send nothing."""
        await self._enter.namespace(request, "list")
        namespace, after = request.match_info["namespace"], asking.suppression_after(request)
        with await self._turns.take(namespace):
            try:
                page = await self._desk.suppressions(namespace, after=after, limit=_PAGE)
            except desk.UnknownNamespaceError as error:
                raise handling.unknown(error) from None
        answer: dict[str, Any] = {"items": [_document(each) for each in page.suppressions]}
        if page.following is not None:
            answer["continue"] = "/".join(page.following)
        return web.json_response(answer)

    async def clear(self, request: web.Request) -> web.Response:
        """Have addresses tried again."""
        caller = await self._enter.namespace(request, _UPDATE)
        namespace = request.match_info["namespace"]
        bodies.require_json(request)
        with request[entrance.CONNECTION].reading():
            body = await self._bodies.read(namespace, request.read)
        named = asking.cleared(body)
        with await self._turns.take(namespace):
            try:
                cleared = await self._desk.clear_suppressions(
                    namespace, organization=named.organization, addresses=named.addresses
                )
            except desk.UnknownNamespaceError as error:
                raise handling.unknown(error) from None
        _log.info(
            "suppressed addresses are cleared",
            caller=caller.username,
            namespace=namespace,
            organization=named.organization,
            addresses="all" if named.addresses is None else _digests(named.addresses),
            cleared=cleared,
        )
        return web.json_response({"cleared": cleared})


def _digests(addresses: Iterable[str]) -> list[str]:
    """Return what a log line calls addresses: who asks for one finds it, and who reads the log learns of none."""
    return [hashlib.sha256(suppressions.normalized(each).encode()).hexdigest()[:_DIGEST] for each in addresses]


def _document(suppression: filing.Suppression) -> dict[str, str]:
    return {
        "organization": suppression.organization,
        "address": suppression.address,
        "refusedAt": records.moment(suppression.refused_at),
        "until": records.moment(suppression.until),
    }

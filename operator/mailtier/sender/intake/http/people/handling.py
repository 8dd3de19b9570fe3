"""The handlers of what people ask of the queue."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.intake import desk, far_delivery
from mailtier.sender.intake.http import access, bodies, entrance, open_answers, problems, queue_turns, records
from mailtier.sender.intake.http.people import asking
from mailtier.sender.scheduling import standing, waits
from mailtier.telemetry import logs

_ACT_SECONDS: Final = 20.0
"""For all that one request names: a volume that is full lets it wait."""
_AGAIN_SECONDS: Final = 2

_log = logs.get_logger(__name__)


class People:
    """The handlers of the routes in `routes`.

    Args:
        asked: Where the queue is asked.
        enter: Lets callers in.
        room: For the bodies.
        turns: At the queue.
        delivery: What it shows.
    """

    def __init__(
        self,
        asked: desk.Desk,
        enter: entrance.Entrance,
        room: bodies.Bodies,
        turns: queue_turns.QueueTurns,
        *,
        delivery: far_delivery.FarDelivery,
    ) -> None:
        self._desk = asked
        self._delivery = delivery
        self._enter = enter
        self._bodies = room
        self._turns = turns

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of a namespace's notifications."""
        await self._enter.namespace(request, "list")
        namespace, asked = request.match_info["namespace"], asking.listing(request)
        wanted = asked.wanted
        if wanted.reason is not None:
            waiting = self._delivery.waiting_for(namespace, wanted.reason)
            wanted = dataclasses.replace(wanted, waiting=waiting)
        with await self._turns.take(namespace):
            try:
                page = await self._desk.page(
                    namespace,
                    wanted,
                    destination=asked.destination,
                    older_than=asked.older_than,
                    after=asked.after,
                    limit=asked.limit,
                )
            except desk.UnknownNamespaceError as error:
                raise unknown(error) from None
            except LookupError as error:
                raise problems.HttpProblem(problems.MALFORMED, f"{error}; begin anew without `continue`") from None
            # What is stored of those that wait may be the reason of another time.
            items = [item for record in page.records if _is_wanted(item := self._document(record), wanted)]
            answer: dict[str, Any] = {"items": items}
        if page.following is not None:
            answer["continue"] = page.following
        return web.json_response(answer)

    async def show(self, request: web.Request) -> web.Response:
        """Return where a notification of a namespace stands."""
        await self._enter.namespace(request, "get")
        namespace = request.match_info["namespace"]
        with await self._turns.take(namespace):
            try:
                record = await self._desk.look(namespace, request.match_info["id"])
            except desk.UnknownNamespaceError as error:
                raise unknown(error) from None
            except desk.NotFiledError as error:
                raise problems.HttpProblem(problems.NOT_FOUND, str(error)) from None
        return web.json_response(self._document(record))

    async def retry(self, request: web.Request) -> web.Response:
        """Send notifications again."""
        return await self._act(request, "notifications are sent again", self._desk.retry)

    async def drop(self, request: web.Request) -> web.Response:
        """Drop notifications."""
        return await self._act(request, "notifications are dropped", self._desk.drop)

    async def release(self, request: web.Request) -> web.Response:
        """Let an organization's messages be tried now."""
        caller, settings = await self._enter.organization_for(request, "update")
        with open_answers.answered():
            released = await self._desk.release(settings)
        _log.info("an organization is released", caller=caller.username, organization=str(settings.organization))
        answer: dict[str, Any] = {"organization": str(settings.organization), "waiting": released.is_waiting}
        # Delivery may not know the latest settings yet, of which the caller is told here.
        judged = standing.judge(settings, ports.LaneKey.of(settings))
        held = judged if isinstance(judged, waits.Wait) else released.held
        if held is not None:
            answer["held"] = {"reason": held.reason, "message": held.message}
        if released.tries_login:
            answer["triesLogin"] = True
        if released.hastened:
            answer["hastened"] = released.hastened
        return web.json_response(answer)

    async def _act(self, request: web.Request, told: str, act: Callable[[str, str], Awaitable[None]]) -> web.Response:
        caller = await self._enter.namespace(request, _UPDATE)
        namespace = request.match_info["namespace"]
        bodies.require_json(request)
        with request[entrance.CONNECTION].reading():
            body = await self._bodies.read(namespace, request.read)
        named = asking.ids(body)
        results = list[dict[str, Any]]()
        try:
            with await self._turns.take(namespace):
                async with asyncio.timeout(_ACT_SECONDS):
                    with open_answers.answered():
                        for id_ in named:
                            results.append(await _result(id_, act(namespace, id_)))
        except TimeoutError:
            raise problems.HttpProblem(
                problems.QUEUE_AWAY,
                "the queue did not answer in time, so that nobody knows what of it was done; look at the list, and"
                " send the request again",
                headers={"Retry-After": str(_AGAIN_SECONDS)},
            ) from None
        finally:
            # Also of what was broken off: somebody did it.
            done = [result["id"] for result in results if result["status"] == _DONE]
            _log.info(told, caller=caller.username, namespace=namespace, ids=done, left=len(named) - len(done))
        return web.json_response({"results": results})

    def _document(self, record: ports.Record) -> dict[str, Any]:
        document = records.status(record, self._delivery.wait_of(record.lane, record.category))
        document["organization"] = record.lane.organization
        if record.kept_until is not None:
            document["textKeptUntil"] = records.moment(record.kept_until)
        return document


_UPDATE: Final[access.Verb] = "update"
_DONE: Final = 200
_KINDS: Final[Mapping[type[Exception], problems.ProblemKind]] = {
    desk.NotFiledError: problems.NOT_FOUND,
    desk.NotAllowedAgainError: problems.NOT_TAKEN,
    desk.UnderWayError: problems.UNDER_WAY,
    filing.NotRetryableError: problems.NOT_RETRYABLE,
    filing.NotDroppableError: problems.NOT_DROPPABLE,
    ports.QuotaExceededError: problems.TOO_MANY,
    ports.StorageFullError: problems.FULL,
}
"""What is so of one notification, and not of all that are asked for."""


def _is_wanted(item: Mapping[str, Any], wanted: filing.Filter) -> bool:
    """Return whether a recipient is shown with the reason, and in the state, that are asked for."""
    return wanted.reason is None or any(
        recipient["reason"] == wanted.reason and wanted.state in {None, recipient["state"]}
        for recipient in item["recipients"]
    )


async def _result(id_: str, acting: Awaitable[None]) -> dict[str, Any]:
    """Return what became of one notification.

    Raises:
        HttpProblem: It is the same for all others.
    """
    try:
        await acting
    except desk.UnknownNamespaceError as error:
        raise unknown(error) from None
    except tuple(_KINDS) as error:
        kind, detail = _KINDS[type(error)], str(error)
    except LookupError:
        kind, detail = problems.NOT_FOUND, "it was just removed"
    else:
        return {"id": id_, "status": _DONE}
    return {"id": id_, "status": kind.status, "problem": problems.HttpProblem(kind, detail).document()}


def unknown(error: desk.UnknownNamespaceError) -> problems.HttpProblem:
    """Return the problem of a namespace in which no organization is known."""
    return problems.HttpProblem(
        problems.UNKNOWN_ORGANIZATION, f"{error}: create an OrgEmailSettings in it, or look at the name"
    )

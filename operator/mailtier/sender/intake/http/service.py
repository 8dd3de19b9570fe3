"""What a request to the intake goes through: caller, organization, body, settings, commit, answer."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from mailtier.api import notification, vocabulary
from mailtier.sender import ports, settings_source
from mailtier.sender.intake import desk, far_delivery, taking
from mailtier.sender.intake.http import (
    access,
    bodies,
    body,
    decoding,
    entrance,
    openapi,
    problems,
    queue_turns,
    records,
    rejections,
)
from mailtier.sender.scheduling import standing, waits
from mailtier.settings import effective

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
_JSON: Final = "application/json; charset=utf-8"
_ITEM: Final = openapi.ITEM.format(namespace="%s", organization="%s", id="%s")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the intake works with.

    Attributes:
        taking: Takes notifications in.
        desk: Where people ask of the queue.
        delivery: Delivery, as it is seen from here.
    """

    gate: access.Gate
    settings: settings_source.SettingsSource
    queue: ports.IntakeQueue
    taking: taking.Taking
    desk: desk.Desk
    delivery: far_delivery.FarDelivery


class Service:
    """The handlers of single notifications.

    Args:
        parts: What the intake works with.
        enter: Lets callers in.
        room: For the bodies.
        turns: Of whoever looks where theirs stand.
    """

    def __init__(
        self, parts: Parts, enter: entrance.Entrance, room: bodies.Bodies, turns: queue_turns.QueueTurns
    ) -> None:
        self._parts = parts
        self._enter = enter
        self._bodies = room
        self._turns = turns

    async def create(self, request: web.Request) -> web.Response:
        """Queue a notification; the answer 202 means that it is on disk."""
        caller, settings = await self._enter.organization(request)
        organization = settings.organization
        key = idempotency_key(request.headers.getall(KEY_HEADER, []))
        bodies.require_json(request)
        if request.content.is_eof():
            # All of it is there, as it mostly is: it waits for no room, and holds none that a slow one could use.
            read = await request.read()
        else:
            # While it waits for room too: else requests that wait would hold places which no newcomer gets.
            with request[entrance.CONNECTION].reading():
                read = await self._bodies.read(organization.namespace, request.read)
        content = body.parse(read, decoding.SINGLE)
        try:
            enqueued = await self._parts.taking.take(
                content, settings, taking.HttpsRequest(caller=caller.username, key=key)
            )
        except taking.NOT_TAKEN as error:
            raise rejections.problem_of(error, content.category, organization) from None
        headers, answer = answer_to(self._parts, enqueued, settings, content.category)
        return web.Response(status=202, body=answer, headers=headers)

    async def look_up(self, request: web.Request) -> web.Response:
        """Return where a notification's recipients stand."""
        _, settings = await self._enter.organization(request)
        lane = ports.LaneKey.of(settings)
        with await self._turns.take(settings.organization.namespace):
            record = await self._parts.queue.find(lane, request.match_info["id"])
        if record is None or record.totals is not None:
            raise problems.HttpProblem(
                problems.NOT_FOUND,
                f"{settings.organization} has no notification with this id, or none any more",
            )
        return web.json_response(
            records.status(
                record,
                hold_of(self._parts, settings, record.category) or self._parts.delivery.brief_wait(lane),
            )
        )


def hold_of(
    parts: Parts, settings: effective.Effective, category: vocabulary.Category | None = None
) -> waits.Wait | None:
    """Return why an organization's messages, or those of a category, do not go.

    By its settings at once, before delivery has looked.
    """
    lane = ports.LaneKey.of(settings)
    judged = standing.judge(settings, lane)
    return judged if isinstance(judged, waits.Wait) else parts.delivery.hold_of(lane, category)


def answer_to(
    parts: Parts, enqueued: ports.Enqueued, settings: effective.Effective, category: vocabulary.Category
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of the answer 202: the notification is on disk."""
    organization = settings.organization
    path = _ITEM % (organization.namespace, organization.name, enqueued.id)
    headers = {"Location": path, "Content-Type": _JSON}
    if enqueued.repeated:
        headers[REPLAYED_HEADER] = "true"
    answer: dict[str, Any] = {"id": enqueued.id, "status": path}
    if (held := hold_of(parts, settings, category)) is not None:
        answer["held"] = {"reason": held.reason, "message": held.message}
    return headers, msgspec.json.encode(answer)


def idempotency_key(found: Sequence[str]) -> str | None:
    """Return the idempotency key of a request by what its headers of that name say; None without one.

    Raises:
        HttpProblem: It is not what a key has to be.
    """
    if not found:
        return None
    if len(found) > 1 or not notification.KEY.is_kept(found[0]):
        raise problems.HttpProblem(problems.MALFORMED, f"{KEY_HEADER} {notification.KEY.message}")
    return found[0]

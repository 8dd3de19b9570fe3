"""What a batch goes through: one caller and organization for all, and for each notification an answer of its own."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import aiohttp
from aiohttp import web

from mailtier.api import notification
from mailtier.sender import ports
from mailtier.sender.intake import taking
from mailtier.sender.intake.http import batch, bodies, body, decoding, entrance, problems, rejections, service
from mailtier.settings import effective

_QUEUED: Final = 202
_READ_AT_ONCE_BYTES: Final = 16 * 1024
"""Of notifications that are read before others have their turn on the event loop."""


class Batching:
    """The handler of the batch's route.

    Args:
        parts: What the intake works with.
        enter: Lets callers in.
        room: For the bodies.
    """

    def __init__(self, parts: service.Parts, enter: entrance.Entrance, room: bodies.Bodies) -> None:
        self._parts = parts
        self._enter = enter
        self._bodies = room

    async def create(self, request: web.Request) -> web.Response:
        """Queue notifications; each has its own status in the answer, and those with 202 are on disk."""
        caller, settings = await self._enter.organization(request)
        if service.KEY_HEADER in request.headers:
            raise problems.HttpProblem(
                problems.MALFORMED,
                f"{service.KEY_HEADER} stands for one notification; in a batch each has an `idempotencyKey` of its own",
            )
        bodies.require_json(request)
        announced = request.content_length
        if announced is not None and announced > batch.MAXIMUM_BYTES:
            raise _too_many_bytes()
        # What is not announced may become as large as is allowed.
        size_bytes = batch.MAXIMUM_BYTES if announced is None else announced
        reading = request[entrance.CONNECTION].reading
        with reading():
            room = await self._bodies.room(settings.organization.namespace, body_bytes=size_bytes)
        # Until all is stored: a batch is held in memory as long as that takes.
        with room:
            with reading():
                content = await self._bodies.arrive(lambda: _receive(request.content))
            results = await self._take(batch.split(content), settings, caller.username)
        answer: dict[str, Any] = {"results": results}
        if (held := service.hold_of(self._parts, settings)) is not None:
            answer["held"] = {"reason": held.reason, "message": held.message}
        return web.json_response(answer)

    async def _take(self, parts: Sequence[bytes], settings: effective.Effective, caller: str) -> list[dict[str, Any]]:
        read = await _read(parts)
        valid = [each for each in read if isinstance(each, notification.BatchedNotification)]
        batch.require_recipients(valid, settings)
        verdicts = await self._parts.taking.take_all(
            [(each, taking.HttpsRequest(caller=caller, key=each.idempotency_key)) for each in valid], settings
        )
        return list(_results(read, iter(verdicts), settings.organization))


async def _receive(content: aiohttp.StreamReader) -> bytes:
    received = bytearray()
    async for piece in content.iter_any():
        received += piece
        if len(received) > batch.MAXIMUM_BYTES:
            raise _too_many_bytes()
    return bytes(received)


async def _read(parts: Sequence[bytes]) -> list[notification.BatchedNotification | problems.HttpProblem]:
    """Return each notification, or what is wrong with it."""
    read: list[notification.BatchedNotification | problems.HttpProblem] = []
    at_once_bytes = 0
    for part in parts:
        if at_once_bytes >= _READ_AT_ONCE_BYTES:
            await asyncio.sleep(0)
            at_once_bytes = 0
        at_once_bytes += len(part)
        try:
            read.append(body.parse(part, decoding.BATCHED))
        except problems.HttpProblem as problem:
            read.append(problem)
    return read


def _results(
    read: Sequence[notification.BatchedNotification | problems.HttpProblem],
    verdicts: Iterator[taking.Verdict],
    organization: effective.OrganizationKey,
) -> Iterator[dict[str, Any]]:
    """Yield the answer to each notification; there is a verdict for each that is valid."""
    for each in read:
        if isinstance(each, problems.HttpProblem):
            yield _refused(each)
            continue
        verdict = next(verdicts)
        if isinstance(verdict, ports.Enqueued):
            yield {"status": _QUEUED, "id": verdict.id, **({"replayed": True} if verdict.repeated else {})}
        else:
            yield _refused(rejections.problem_of(verdict, each.category, organization))


def _refused(problem: problems.HttpProblem) -> dict[str, Any]:
    wait = problem.headers.get("Retry-After")
    later = {} if wait is None else {"retryAfter": int(wait)}
    return {"status": problem.kind.status, **later, "problem": problem.document()}


def _too_many_bytes() -> problems.HttpProblem:
    return batch.too_large(f"the batch has more than {batch.MAXIMUM_BYTES} bytes")

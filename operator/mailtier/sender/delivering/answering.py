"""Doing what the intake asks of delivery, and answering in the request's row (`between.requests`)."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn, Protocol, TypeAlias

from mailtier.sender import clock, ports
from mailtier.sender.between import filing, requests
from mailtier.sender.delivering import delivery
from mailtier.sender.probing import budget, prober, targets, telling
from mailtier.sender.scheduling import lane_display
from mailtier.sender.smtp import estate
from mailtier.settings import effective
from mailtier.telemetry import logs, tasks

_LOOK_SECONDS: Final = 1.0
"""How often it is looked for requests; a bell may not have been heard."""
_GRACE_SECONDS: Final = 2.0

_log = logs.get_logger(__name__)

_Handler: TypeAlias = Callable[[requests.TakenRequest, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]


class AnsweredQueue(requests.AnsweringQueue, filing.DroppingQueue, Protocol):
    """What is asked of the queue here."""

    async def wipe_namespace(self, namespace_uid: str) -> None:
        """Wipe what is kept of a namespace that is gone."""


class Answering:
    """Takes requests and carries them out, each by itself.

    Args:
        rows: The requests.
        deliverer: Delivery.
        probes: Probes.
        time: Clocks.
        on_reply: Called after each answer, so that who waits looks at it.
        whose: Whose mail it is; this sender's by default.
    """

    def __init__(
        self,
        rows: AnsweredQueue,
        *,
        deliverer: delivery.Deliverer,
        probes: prober.Prober,
        time: clock.Clock,
        on_reply: Callable[[], None],
        whose: estate.Whose | None = None,
    ) -> None:
        self._rows = rows
        self._whose = whose or estate.EverythingMine()
        self._delivery = deliverer
        self._probes = probes
        self._clock = time
        self._on_reply = on_reply
        self._asked = asyncio.Event()
        self._working = tasks.Background()
        self._handlers: Final[Mapping[requests.RequestKind, _Handler]] = {
            requests.RequestKind.PROBE: self._probe,
            requests.RequestKind.RELEASE: self._release,
            requests.RequestKind.DROP: self._drop,
            requests.RequestKind.END_NAMESPACE: self._end_namespace,
        }

    def note_asked(self) -> None:
        """Look for requests now: somebody asked."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Answer until cancelled."""
        try:
            while True:
                self._asked.clear()
                try:
                    for request in await self._rows.take_requests(now=self._clock.wall(), is_mine=self._is_mine):
                        self._working.spawn(self._answer(request))
                except Exception:  # noqa: BLE001 - Whatever it is may pass.
                    _log.exception("requests could not be read; trying again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._asked.wait()
        finally:
            await self._working.finish(within_seconds=_GRACE_SECONDS)

    def _is_mine(self, request: requests.TakenRequest) -> bool:
        """Return whether a request concerns what this sender delivers; one is taken by nobody while that passes on."""
        asked = json.loads(request.body)
        match request.kind:
            case requests.RequestKind.PROBE:
                return self._whose.serves(_organization(asked))
            case requests.RequestKind.RELEASE | requests.RequestKind.DROP:
                return self._whose.is_mine(ports.LaneKey(**asked["lane"]))
            case requests.RequestKind.END_NAMESPACE:
                # Its organizations have no settings any more, or will have none when this is asked again.
                return self._whose.does_rest()

    async def _answer(self, request: requests.TakenRequest) -> None:
        try:
            answer = await self._handlers[request.kind](request, json.loads(request.body))
        except Exception:  # noqa: BLE001 - Whatever it is, who asked shall not wait for it.
            _log.exception("a request of the intake failed", kind=request.kind)
            answer = {"failed": True}
        if answer is not None:
            await self._reply(request, json.dumps(answer), is_final=True)

    async def _reply(self, request: requests.TakenRequest, body: str, *, is_final: bool) -> None:
        await self._rows.reply(request.number, body, is_final=is_final)
        self._on_reply()

    async def _say_taken(self, request: requests.TakenRequest) -> None:
        """Answer that it is being done: a volume that is full may let the rest take long."""
        await self._reply(request, "{}", is_final=False)

    async def _probe(self, request: requests.TakenRequest, asked: Mapping[str, Any]) -> None:
        # An intake of the version before asks for the first server alone.
        which = effective.FallbackKey if asked.get("fallback") else effective.OrganizationKey
        key = which(namespace=asked["namespace"], name=asked["organization"])
        try:
            told = self._probes.demand(key, again=asked["again"])
        except (targets.StartingError, targets.NotProbeableError, budget.TooSoonError) as error:
            await self._reply(request, telling.encode_refusal(error), is_final=True)
            return
        # At once, as `_say_taken`.
        await self._reply(request, telling.encode(told), is_final=False)
        async for _ in told.follow():
            await self._reply(request, telling.encode(told), is_final=False)
        await self._reply(request, telling.encode(told), is_final=True)

    async def _release(self, _request: requests.TakenRequest, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return lane_display.encode_released(await self._delivery.release(ports.LaneKey(**asked["lane"])))

    async def _drop(self, request: requests.TakenRequest, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._say_taken(request)
        lane = ports.LaneKey(**asked["lane"])
        dropped = await self._delivery.drop(lane, asked["recipients"])
        await self._rows.drop(lane.namespace_uid, asked["id"])
        return {"dropped": dropped}

    async def _end_namespace(self, request: requests.TakenRequest, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._say_taken(request)
        self._delivery.note_namespace_deleted(asked["uid"])
        await self._rows.wipe_namespace(asked["uid"])
        return {}


def _organization(asked: Mapping[str, Any]) -> effective.OrganizationKey:
    return effective.OrganizationKey(namespace=asked["namespace"], name=asked["organization"])

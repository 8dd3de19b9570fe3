"""The ways in on a queue, without TLS, callers' rights or delivery: what they hand over is kept."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import os
import typing

import aiohttp
from aiohttp import test_utils, web

from kit import interruption, queues, sending, written
from mailtier.api import feed, notification, vocabulary
from mailtier.kube import reviews
from mailtier.sender import ports
from mailtier.sender.intake import far_delivery, feed_server, ids, taking
from mailtier.sender.intake.http import batching, bodies, entrance, openapi, queue_turns, service
from mailtier.serving import connection
from mailtier.settings import effective


def settings(namespace: str = "team-a", *, recipients: collections.abc.Sequence[str] = ()) -> effective.Effective:
    """Return settings of an organization that may notify, with the same recipients for each category."""
    endpoint = effective.Endpoint(
        host="127.0.0.1",
        port=25,
        tls=sending.PLAIN,
        addresses=sending.LOOPBACK,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )
    of_each = effective.CategorySettings(enabled=True, recipients=tuple(recipients))
    return dataclasses.replace(
        sending.settings(namespace, endpoint), notifications=dict.fromkeys(vocabulary.Category, of_each)
    )


def lane(namespace: str) -> ports.LaneKey:
    """Return the lane of such an organization."""
    return ports.LaneKey.of(settings(namespace))


def crowd(count: int) -> list[str]:
    """Return that many recipients."""
    return [f"user{number}@example.com" for number in range(count)]


@dataclasses.dataclass(slots=True)
class Handed:
    """What delivery was told."""

    pending: list[ports.Pending] = dataclasses.field(default_factory=list)

    def recipients(self) -> list[int]:
        """Return the queue's numbers of those that delivery knows."""
        return sorted(each.recipient_number for each in self.pending)


def taker(
    queue: ports.Queue,
    handed: Handed,
    *,
    commit_seconds: float = taking.COMMIT_SECONDS,
    stalled_seconds: float = taking.STALLED_SECONDS,
) -> taking.Taking:
    """Return what takes notifications in for a queue, and keeps what delivery is told."""
    return taking.Taking(
        queue,
        identifiers=ids.TimeSortedIds(now=queues.Clock(), entropy=os.urandom),
        on_pending=handed.pending.extend,
        quota=ports.QueueQuota(),
        now=queues.Clock(),
        commit_seconds=commit_seconds,
        stalled_seconds=stalled_seconds,
    )


class _Everybody:
    """Lets everybody in."""

    async def admit(self, _authorization: str | None, _namespace: str, *, client_address: str) -> reviews.Identity:
        """Return a caller."""
        del client_address
        return reviews.Identity(username="tester")


class WaysIn:
    """A client of each way in, whose requests can be given up on the server's side.

    Args:
        queue: Where notifications go.
        handed: What delivery is told.
    """

    def __init__(self, queue: queues.WholeQueue, handed: Handed) -> None:
        self.taking = taker(queue, handed)
        self._settings = written.WrittenSettings()
        self._settings.put(settings())
        self._objects = feed_server.FeedServer(
            queue,
            self._settings,
            taker=self.taking,
            end_namespace=typing.cast("typing.Any", None),
            hold_of=typing.cast("typing.Any", None),
        )
        everything = typing.cast("typing.Any", self._settings)
        enter = entrance.Entrance(typing.cast("typing.Any", _Everybody()), everything)
        parts = service.Parts(
            gate=typing.cast("typing.Any", None),
            settings=everything,
            queue=queue,
            taking=self.taking,
            desk=typing.cast("typing.Any", None),
            delivery=far_delivery.FarDelivery(
                typing.cast("typing.Any", queue),
                on_pending=handed.pending.extend,
                on_asked=lambda: None,
                now=queues.Clock(),
            ),
        )
        self._bodies = bodies.Bodies()
        self._single = service.Service(parts, enter, self._bodies, queue_turns.QueueTurns("looks"))
        self._batches = batching.Batching(parts, enter, self._bodies)

    def room_taken(self) -> int:
        """Return how much of the room for bodies is taken."""
        return self._bodies._shares.taken("team-a")

    def is_storing(self) -> bool:
        """Return whether something is on its way into the queue."""
        return bool(self.taking._storing)

    async def request(self, interrupted: interruption.Interruption) -> None:
        """POST a notification."""
        await self._post(openapi.COLLECTION, self._single.create, _content(recipients=crowd(2)), interrupted)

    async def batch(self, interrupted: interruption.Interruption) -> None:
        """POST a batch that takes four commits."""
        body = {"notifications": [_content(recipients=crowd(20)) for _ in range(10)]}
        await self._post(openapi.BATCH, self._batches.create, body, interrupted)

    async def offer(self, interrupted: interruption.Interruption) -> None:
        """Offer a Notification object."""
        spec = notification.NotificationSpec.model_validate(_content(recipients=crowd(2)))
        offer = feed.Offer(
            namespace="team-a",
            namespace_uid="uid-team-a",
            name=f"alert-{os.urandom(4).hex()}",
            object_uid="object",
            spec_hash="0" * 64,
            spec=spec,
        )
        work = asyncio.create_task(interrupted.of(self._objects.offer(offer)))
        await asyncio.gather(work, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def looking(
        self, *namespaces: str
    ) -> collections.abc.AsyncIterator[collections.abc.Callable[[str, str], collections.abc.Awaitable[int]]]:
        """Give what asks where a notification of a namespace stands, and returns the status of the answer."""
        for namespace in namespaces:
            self._settings.put(settings(namespace))
        async with self._client("GET", openapi.ITEM, self._single.look_up) as client:

            async def look(namespace: str, notification_id: str) -> int:
                path = openapi.ITEM.format(namespace=namespace, organization="default", id=notification_id)
                async with client.get(path) as answer:
                    return answer.status

            yield look

    async def _post(
        self,
        route: str,
        handler: collections.abc.Callable[
            [web.Request], collections.abc.Coroutine[typing.Any, typing.Any, web.Response]
        ],
        body: object,
        interrupted: interruption.Interruption,
    ) -> None:
        path = route.format(namespace="team-a", organization="default")
        async with self._client("POST", route, lambda request: interrupted.of(handler(request))) as client:
            # Who is given up hears nothing.
            with contextlib.suppress(aiohttp.ClientError):
                await client.post(path, json=body)

    @staticmethod
    @contextlib.asynccontextmanager
    async def _client(
        method: str,
        route: str,
        handler: collections.abc.Callable[[web.Request], collections.abc.Awaitable[web.Response]],
    ) -> collections.abc.AsyncIterator[test_utils.TestClient[web.Request, web.Application]]:
        """Give a client of one handler."""

        async def handle(request: web.Request) -> web.Response:
            nobody = typing.cast("typing.Any", None)
            request[entrance.CONNECTION] = connection.ClientConnection(nobody, "127.0.0.1", nobody)
            return await handler(request)

        application = web.Application()
        application.router.add_route(method, route, handle)
        async with test_utils.TestClient(test_utils.TestServer(application)) as client:
            yield client


Way = collections.abc.Callable[[WaysIn, interruption.Interruption], collections.abc.Awaitable[None]]
"""One of them, as a test takes it."""


def _content(**fields: object) -> dict[str, object]:
    return {"category": "JobAlert", "text": "it failed", **fields}

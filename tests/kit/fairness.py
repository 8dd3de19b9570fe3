"""How soon the mail of organizations leaves, and how fast, whatever others' servers and queues are like.

Delivery works in this process on a real queue, all servers are processes of their own.
"""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import pathlib
import random
import time
import typing

from kit import dead_servers, queues, sending, timed_server, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

_HOST, _ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG
Organization = effective.Effective
_QUOTA = ports.QueueQuota(messages=10**7, payload_bytes=10**10, stored_bytes=10**10)
_SECONDS = 120.0
_QUIET_SECONDS = 0.5
_MAX_AGE = dt.timedelta(hours=1)
_AT_ONCE = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What organizations felt.

    Attributes:
        waits: Seconds from when each message was due to the server's reply, the shortest first.
        per_second: Messages of a burst, from its first to the reply to its last.
        cpu_seconds: What the sender used for one message of the burst.
    """

    waits: collections.abc.Sequence[float]
    per_second: float
    cpu_seconds: float

    def quantile(self, part: float) -> float:
        """Return the wait below which this part of all lies."""
        return self.waits[min(len(self.waits) - 1, int(part * len(self.waits)))]


class Field:
    """A sender with organizations, and servers that are alive or dead; at work while its context is entered.

    Args:
        folder: Where everything is written.
        delay_seconds: How long the servers that are alive take for their reply to a message.
        varies: By which part of that they may take less, or more.
        shared: The database that the queue is in; one of its own by default.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        delay_seconds: float = 0.0,
        varies: float = 0.0,
        shared: shared_queue.SharedOptions | None = None,
    ) -> None:
        self._folder = folder
        self._shared = shared
        self.alive = timed_server.TimedServer(
            folder, host=dead_servers.EVERYWHERE, delay_seconds=delay_seconds, varies=varies
        )
        self.dead = dead_servers.DeadServers(folder)
        self.sender: sending.Sender
        self._numbers = 0
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> typing.Self:
        async with contextlib.AsyncExitStack() as stack:
            for server in (self.alive, self.dead):
                stack.enter_context(server)
            self.sender = sending.Sender(self._folder / "queue", nameserver=self.dead.nameserver, shared=self._shared)
            # As in a process: what died together is not tried again at the same moments. The same in each run.
            self.sender.clock.draw = random.Random(1).random  # noqa: S311
            await stack.enter_async_context(self.sender)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    def healthy(self, number: int, **changes: typing.Any) -> effective.Effective:
        """Put an organization in a namespace of its own, with a server of its own that is alive."""
        return self._put(f"healthy-{number}", dead_servers.address(20, number), self.alive.port, **changes)

    def sharing(self, namespace: str, **changes: typing.Any) -> effective.Effective:
        """Put an organization in a namespace of its own that inherits the host's relay, which all share.

        Args:
            namespace: Its name; "" for the host's own settings, which come first.
            changes: What the host says of its relay.
        """
        return self._put(namespace, dead_servers.address(10, 0), self.alive.port, origin=_HOST, **changes)

    def lost(self, number: int) -> effective.Effective:
        """Put an organization in a namespace of its own, with a server of its own that is dead."""
        return self._put(f"lost-{number}", *self.dead.place(number))

    def leave(self, *gone: effective.Effective) -> None:
        """Take the settings of organizations away: their messages wait for somebody who applies them again."""
        for each in gone:
            self.sender.settings.remove(each.organization)

    def _put(
        self, namespace: str, host: str, port: int, *, origin: vocabulary.Origin = _ORG, **changes: typing.Any
    ) -> effective.Effective:
        at = effective.Endpoint(
            host=host,
            port=port,
            tls=sending.PLAIN,
            addresses=sending.LOOPBACK,
            origin=origin,
            is_host_s=origin is _HOST,
        )
        found = sending.settings(namespace, at, **changes)
        if not namespace:
            found = dataclasses.replace(found, organization=effective.HOST, namespace_uid="")
        return self.sender.settings.put(found)

    async def queue(self, each: collections.abc.Sequence[effective.Effective], count: int) -> range:
        """Queue so many messages of organizations, in turn, and return their numbers when delivery has been told."""
        first = self._numbers
        for start in range(0, count, _AT_ONCE):
            some = [each[at % len(each)] for at in range(start, min(start + _AT_ONCE, count))]
            verdicts = await self.sender.queue.enqueue_all([(self._new(of), _QUOTA) for of in some])
            stored = [verdict for verdict in verdicts if isinstance(verdict, ports.Enqueued)]
            assert len(stored) == len(some), verdicts
            self.sender.delivery.ring([pending for verdict in stored for pending in verdict.pending])
        return range(first, self._numbers)

    async def feel(
        self, each: collections.abc.Sequence[effective.Effective], *, rate: float, paced: int, burst: int
    ) -> Felt:
        """Return what organizations feel: messages that come at a rate, answered or not, and then many at once.

        Args:
            rate: Messages a second of all together.
            paced: How many come at that rate.
            burst: How many come at once afterwards.
        """
        numbers = range(self._numbers, self._numbers + paced)
        self._numbers += paced
        first = time.monotonic()
        due = {number: first + (number - numbers.start) / rate for number in numbers}
        under_way = set()
        for number, at in due.items():
            if (early := at - time.monotonic()) > 0:
                await asyncio.sleep(early)
            of = each[number % len(each)]
            under_way.add(asyncio.create_task(self._queue_one(of, number)))
        await asyncio.gather(*under_way)
        answered = await self._until_answered(numbers)
        waits = sorted(answered[number].at - at for number, at in due.items())
        started, used = time.monotonic(), time.process_time()
        numbers = await self.queue(each, burst)
        ends = await self._until_answered(numbers)
        seconds = max(ends[number].at for number in numbers) - started
        used = time.process_time() - used
        return Felt(waits=waits, per_second=burst / seconds, cpu_seconds=used / burst)

    async def _queue_one(self, of: effective.Effective, number: int) -> None:
        enqueued = await queues.enqueue(self.sender.queue, self._numbered(of, number), quota=_QUOTA)
        self.sender.delivery.ring(enqueued.pending)

    async def _until_answered(self, numbers: range) -> collections.abc.Mapping[int, timed_server.Answered]:
        def look() -> bool:
            found = self.alive.answered()
            return all(number in found for number in numbers)

        await wait.until_async(look, within_seconds=_SECONDS, why="all are answered", poll_seconds=0.2)
        return self.alive.answered()

    def _new(self, of: effective.Effective) -> ports.NewNotification:
        self._numbers += 1
        return self._numbered(of, self._numbers - 1)

    def _numbered(self, of: effective.Effective, number: int) -> ports.NewNotification:
        return queues.notification(
            lane=ports.LaneKey.of(of),
            recipients=(f"m{number}@example.org",),
            accepted_at=self.sender.clock.wall(),
            expires_at=self.sender.clock.wall() + _MAX_AGE,
        )


class Minutes:
    """Has a field's clock run ahead, and knows by it when each message was answered.

    Attributes:
        times: Seconds of the field's clock, in their order.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._known: set[int] = set()
        self._connections = 0
        self.times: list[float] = []

    async def pass_by(self, minutes: int, *, step_seconds: float = 5.0) -> None:
        """Let minutes pass in steps, and whatever may leave in each do so."""
        for _ in range(int(minutes * 60 / step_seconds)):
            await self._until_quiet()
            self._field.sender.skip(step_seconds)
        await self._until_quiet()

    def most_in_any(self) -> int:
        """Return the most messages of any minute."""
        return max(sum(start <= at < start + 60.0 for at in self.times) for start in self.times)

    def most_connections(self) -> int:
        """Return the most connections that the servers had when they answered a message."""
        return self._connections

    async def _until_quiet(self) -> None:
        """Note what is answered until nothing is for half a second."""
        last = time.monotonic()

        def look() -> bool:
            nonlocal last
            answered = self._field.alive.answered()
            new = sorted(answered[number].at for number in answered.keys() - self._known)
            if new:
                last = time.monotonic()
                self.times += [at + self._field.sender.clock.skipped_seconds for at in new]
                self._connections = max(each.connections for each in answered.values())
                self._known.update(answered)
            return time.monotonic() > last + _QUIET_SECONDS

        await wait.until_async(look, within_seconds=_SECONDS, why="nothing leaves any more", poll_seconds=0.1)

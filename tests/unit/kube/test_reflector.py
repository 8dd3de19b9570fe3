"""The reflector's copy becomes right again after whatever its watch missed."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import json
import typing

import pytest
from aiohttp import web

from kit import wait
from mailtier.kube import client, paths, reflector

_WITHIN_SECONDS = 10

Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]


@dataclasses.dataclass
class Collection:
    """A collection that can be listed and watched, with the faults that a test asks for."""

    objects: dict[str, int] = dataclasses.field(default_factory=dict)
    version: int = 10
    oldest: int = 0
    failing: int = 0
    lists: int = 0
    watches: int = 0
    events: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)
    changed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    cuts: int = 0

    def put(self, name: str) -> None:
        """Add or change an object."""
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self.version += 1
        self.objects[name] = self.version
        self._tell(kind, name)

    def remove(self, name: str) -> None:
        """Delete an object."""
        self.version += 1
        del self.objects[name]
        self._tell("DELETED", name)

    def cut(self, *, forget: bool = False) -> None:
        """End every watch, and perhaps forget all that has happened."""
        self.cuts += 1
        self.oldest = self.version if forget else self.oldest
        self.changed.set()

    def _tell(self, kind: str, name: str) -> None:
        self.events.append((self.version, kind, name))
        self.changed.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a list or a watch."""
        if self.failing:
            self.failing -= 1
            return web.json_response({}, status=503)
        if "watch" in request.query:
            return await self._watch(request)
        self.lists += 1
        items = [{"metadata": metadata(name, version)} for name, version in self.objects.items()]
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watches += 1
        told = int(request.query["resourceVersion"])
        if told < self.oldest:
            return web.json_response({"reason": "Expired"}, status=410)
        answer = web.StreamResponse()
        await answer.prepare(request)
        cuts = self.cuts
        with contextlib.suppress(ConnectionError):
            while cuts == self.cuts:
                self.changed.clear()
                for version, kind, name in self.events:
                    if version > told:
                        told = version
                        line = {"type": kind, "object": {"metadata": metadata(name, version)}}
                        await answer.write(json.dumps(line).encode() + b"\n")
                await self.changed.wait()
        return answer


def metadata(name: str, version: int) -> dict[str, typing.Any]:
    """Return an object's metadata."""
    return {"name": name, "resourceVersion": str(version), "managedFields": [{}]}


@contextlib.asynccontextmanager
async def running(
    api: client.Client, on_change: reflector.OnChange = lambda _name, _found: None, backoff_seconds: float = 0.01
) -> collections.abc.AsyncIterator[reflector.Reflector]:
    """Run a reflector."""
    made = reflector.Reflector(
        api,
        paths.config_maps("a"),
        on_change=on_change,
        jitter=lambda: 0.5,
        backoff_seconds=backoff_seconds,
    )
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: collections.abc.Callable[[], bool]) -> None:
    """Return once the condition holds."""
    await wait.until_async(condition, within_seconds=_WITHIN_SECONDS, why="the copy is as the collection")


async def test_vanished_object_is_told_after_a_gap(serve: Serve) -> None:
    """What was deleted while the watch was behind is found by comparing, and the unchanged is not told again (R8)."""
    collection = Collection()
    for name in ("kept", "gone", "changed"):
        collection.put(name)
    told: list[tuple[str, bool]] = []
    api = await serve(collection.handle)
    async with running(api, lambda name, found: told.append((name, found is not None))) as made:
        await made.synced.wait()
        await until(lambda: collection.watches == 1)
        told.clear()
        # The events come and go while no watch is there to take them.
        collection.events.clear()
        collection.version += 2
        del collection.objects["gone"]
        collection.objects["changed"] = collection.version
        collection.cut(forget=True)
        await until(lambda: sorted(told) == [("changed", True), ("gone", False)])
        assert sorted(made.objects) == ["changed", "kept"]
        assert collection.lists == 2


async def test_cut_watch_goes_on_without_a_listing(serve: Serve) -> None:
    """A watch that ends goes on from the last version seen."""
    collection = Collection()
    api = await serve(collection.handle)
    async with running(api) as made:
        await made.synced.wait()
        for name in ("first", "second"):
            collection.put(name)
            await until(lambda wanted=name: wanted in made.objects)  # type: ignore[misc]
            collection.cut()
        assert collection.lists == 1


async def test_outage_is_survived(serve: Serve) -> None:
    """Failing lists and watches are tried again until they work."""
    collection = Collection(failing=3)
    collection.put("first")
    api = await serve(collection.handle)
    async with running(api) as made:
        await until(lambda: list(made.objects) == ["first"])
        collection.failing = 2
        collection.cut()
        collection.put("second")
        await until(lambda: "second" in made.objects)


async def test_watch_that_keeps_failing_leads_to_a_listing(serve: Serve) -> None:
    """A version that the apiserver cannot make sense of is given up after three failures."""
    collection = Collection()
    api = await serve(collection.handle)
    async with running(api) as made:
        await made.synced.wait()
        await until(lambda: collection.watches == 1)
        collection.objects["restored"] = 1
        collection.failing = 3
        collection.cut()
        await until(lambda: "restored" in made.objects)


async def test_watches_that_end_at_once_do_not_make_it_hurry(serve: Serve) -> None:
    """A peer that ends each watch at once sees a request for each pause, not as many as it can answer."""
    requests = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if "watch" in request.query:
            return web.Response(body=b"")
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})

    async with running(await serve(handle), backoff_seconds=3600) as made:
        await made.synced.wait()
        await until(lambda: requests == 2)
        for _ in range(100):
            await asyncio.sleep(0)
        assert requests == 2


async def test_failing_callback_ends_the_run(serve: Serve) -> None:
    """A callback's exception is not swallowed: the copy and its reader would differ for ever."""
    collection = Collection()
    collection.put("first")

    def fail(_name: str, _found: client.Object | None) -> None:
        raise ValueError("broken")

    made = reflector.Reflector(
        await serve(collection.handle), paths.config_maps("a"), on_change=fail, jitter=lambda: 0.5
    )
    with pytest.raises(ValueError, match="broken"):
        await made.run()
    assert not made.synced.is_set()


async def test_what_is_kept_is_what_strip_returns(serve: Serve) -> None:
    """The copy holds no more of an object than its reader wants."""
    collection = Collection()
    collection.put("first")
    made = reflector.Reflector(
        await serve(collection.handle), paths.config_maps("a"), strip=lambda _found: {"seen": True}, jitter=lambda: 0.5
    )
    task = asyncio.create_task(made.run())
    await made.synced.wait()
    collection.put("first")
    collection.put("second")
    await until(lambda: "second" in made.objects)
    assert made.objects == {"first": {"seen": True}, "second": {"seen": True}}
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

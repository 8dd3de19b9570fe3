"""The client bears what a healthy apiserver does not do."""

import asyncio
import collections.abc
import contextlib
import itertools
import json
import random
import typing

import msgspec
import pytest
from aiohttp import web

from mailtier.kube import client, errors, listings, paths

_PATH = paths.config_maps("a", "b")
_SECRET = paths.secrets("a", "b")

Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]


def event(kind: str, version: int = 1, **rest: typing.Any) -> bytes:
    """Return a line of a watch."""
    found = {"metadata": {"name": "x", "resourceVersion": str(version)}, **rest}
    return json.dumps({"type": kind, "object": found}).encode() + b"\n"


async def watched(api: client.Client) -> list[client.WatchEvent]:
    """Return all events of a watch."""
    return [found async for found in api.watch(paths.config_maps("a"), resource_version="1")]


async def test_too_many_requests_are_asked_again(serve: Serve) -> None:
    """A 429 is asked again after Retry-After, and the caller sees only the answer."""
    statuses = iter([429, 429, 200])

    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"kind": "ConfigMap"}, status=next(statuses), headers={"Retry-After": "0"})

    assert await (await serve(handler)).get(_PATH) == {"kind": "ConfigMap"}


async def test_too_many_requests_for_ever_are_unavailable(serve: Serve) -> None:
    """An apiserver that keeps saying 429 is asked a bounded number of times."""
    asked = itertools.count()

    async def handler(_request: web.Request) -> web.Response:
        next(asked)
        return web.json_response({}, status=429, headers={"Retry-After": "0"})

    with pytest.raises(errors.UnavailableError):
        await (await serve(handler)).get(_PATH)
    assert next(asked) == 5


async def test_long_retry_after_ends_with_the_total(serve: Serve) -> None:
    """Waiting for a 429 counts towards the request's total."""

    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({}, status=429, headers={"Retry-After": "3600"})

    with pytest.raises(errors.UnavailableError, match="in time"):
        await (await serve(handler, timeout_seconds=0.05)).get(_PATH)


async def test_dripping_answer_ends_with_the_total(serve: Serve) -> None:
    """A peer that sends a byte now and then does not hold a request open (R10)."""

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b" ")
                await asyncio.sleep(0.01)
        return answer

    with pytest.raises(errors.UnavailableError, match="in time"):
        await (await serve(handler, timeout_seconds=0.1)).get(_PATH)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'"text"'])
async def test_answer_that_is_no_object_is_unavailable(serve: Serve, body: bytes) -> None:
    """What a proxy puts in place of an answer is an outage, and is not quoted."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    with pytest.raises(errors.UnavailableError, match="not a JSON object") as caught:
        await (await serve(handler)).get(_PATH)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_redirect_is_not_followed(serve: Serve) -> None:
    """Credentials do not follow a redirect."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    with pytest.raises(errors.ApiError, match="307"):
        await (await serve(handler)).get(_PATH)
    assert asked == [_PATH]


async def test_errors_about_secrets_quote_nothing(serve: Serve) -> None:
    """A refused read of a Secret names the path and the status alone (R1)."""

    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"message": "hunter2", "reason": "Invalid"}, status=422)

    with pytest.raises(errors.InvalidError) as caught:
        await (await serve(handler)).get(_SECRET)
    assert str(caught.value) == f"get {_SECRET} was answered with 422 Invalid"


async def test_a_listing_that_falls_behind_begins_again(serve: Serve) -> None:
    """It is never asked for in one piece, which may be as large as tenants like."""
    queries: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        if "continue" in request.query and len(queries) < 4:
            return web.json_response({"reason": "Expired"}, status=410)
        metadata = {"resourceVersion": "7", "continue": "" if "continue" in request.query else "next"}
        return web.json_response({"metadata": metadata, "items": [{"metadata": {"name": "x"}}]})

    listing = await (await serve(handler)).list(paths.config_maps("a"), labels="k=v")
    assert (len(listing.items), listing.resource_version) == (2, "7")
    assert all("limit" in query for query in queries)


async def test_a_listing_that_always_falls_behind_fails(serve: Serve) -> None:
    """It says so, instead of asking for ever."""

    async def handler(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return web.json_response({"reason": "Expired"}, status=410)
        return web.json_response({"metadata": {"resourceVersion": "7", "continue": "next"}, "items": []})

    with pytest.raises(errors.GoneError):
        await (await serve(handler)).list(paths.config_maps("a"))


@pytest.mark.parametrize("seed", range(4))
async def test_no_part_of_a_listing_is_read_beyond_its_bound(serve: Serve, seed: int) -> None:
    """Whatever the sizes of the objects, each is listed once, and no part that is kept is larger than it may be."""
    chance = random.Random(seed)  # noqa: S311 - Repeatable on purpose.
    sizes = chance.choices([10, 1_000, listings.MAXIMUM_BYTES // 2, 1_500_000], k=40)
    kept: list[int] = []

    def read(text: bytes) -> client.Object:
        kept.append(len(text))
        return {"name": msgspec.json.decode(text)["metadata"]["name"]}

    async def handler(request: web.Request) -> web.Response:
        first, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        part = [
            {"metadata": {"name": str(number), "labels": "x" * size}}
            for number, size in list(enumerate(sizes))[first : first + limit]
        ]
        following = str(first + limit) if first + limit < len(sizes) else ""
        return web.json_response({"metadata": {"resourceVersion": "7", "continue": following}, "items": part})

    api = await serve(handler)
    parts = [part async for part in api.pages(paths.org_settings(), metadata_only=True, read=read)]
    assert [item["name"] for part in parts for item in part.items] == [str(number) for number in range(len(sizes))]
    for part in parts:
        taken = [kept.pop(0) for _ in part.items]
        assert sum(taken) <= listings.MAXIMUM_BYTES or len(taken) == 1


async def test_watch_joins_lines_however_they_are_cut(serve: Serve) -> None:
    """Lines longer than any buffer, and cut at any place, are read whole."""
    long = event("ADDED", 2, data={"key": "x" * 3_000_000})

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["allowWatchBookmarks"] == "true"
        answer = web.StreamResponse()
        await answer.prepare(request)
        for part in (b"\n", long[:1000], long[1000:], event("BOOKMARK", 3)[:-1], b"\n" + event("DELETED", 4)):
            await answer.write(part)
            await asyncio.sleep(0)
        return answer

    events = await watched(await serve(handler))
    assert [found.type for found in events] == ["ADDED", "BOOKMARK", "DELETED"]
    assert len(events[0].object["data"]["key"]) == 3_000_000


async def test_watch_drops_a_half_line_at_its_end(serve: Serve) -> None:
    """A line without its end never came."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=event("ADDED") + event("MODIFIED")[:20])

    assert [found.type for found in await watched(await serve(handler))] == ["ADDED"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"code": 410, "reason": "Expired"}, errors.GoneError),
        ({"code": 500}, errors.UnavailableError),
        ({}, errors.UnavailableError),
    ],
)
async def test_error_in_a_watch_is_raised(
    serve: Serve, status: dict[str, typing.Any], kind: type[errors.ApiError]
) -> None:
    """A Status among the events is the exception that it would be as an answer."""

    async def handler(_request: web.Request) -> web.Response:
        line = json.dumps({"type": "ERROR", "object": status}).encode()
        return web.Response(body=event("ADDED") + line + b"\n")

    with pytest.raises(kind):
        await watched(await serve(handler))


async def test_an_object_that_etcd_cannot_hold_is_not_read(serve: Serve) -> None:
    """An answer beyond all bounds is cut off."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b'{"a":"' + b"x" * listings.MAXIMUM_OBJECT_BYTES + b'"}')

    api = await serve(handler)
    with pytest.raises(errors.UnavailableError, match="bytes"):
        await api.get(_PATH)
    with pytest.raises(errors.UnavailableError, match="bytes"):
        await api.list(paths.config_maps("a"))


async def test_client_outside_its_context_is_a_mistake(serve: Serve) -> None:
    """Using a client that was never entered is told at once."""

    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({})

    entered = await serve(handler)
    with pytest.raises(RuntimeError, match="async with"):
        await client.Client(entered.connection).get(_PATH)

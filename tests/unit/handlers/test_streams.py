"""What of a watch reaches kopf, over real HTTP."""

import json
import pathlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from mailtier.api import names
from mailtier.handlers import store as store_module
from mailtier.handlers import streams, watch_events
from mailtier.kube import listings

_PLURAL = "orgemailsettings"


def line(type_: str = "MODIFIED", *, version: str = "7", uid: str = "u", **fields: Any) -> bytes:
    """Return a line of a watch, with what most of an object is."""
    metadata = {
        "name": "default",
        "namespace": "acme",
        "uid": uid,
        "generation": 1,
        "resourceVersion": version,
        "labels": {"a": "b"},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    found = {"apiVersion": "mailtier.dev/v1alpha1", "kind": "OrgEmailSettings", "metadata": metadata, **fields}
    return json.dumps({"type": type_, "object": found}).encode()


def never(_plural: str, _metadata: streams.Metadata, _status: bytes) -> bool:
    """Know nothing."""
    return False


def always(_plural: str, _metadata: streams.Metadata, _status: bytes) -> bool:
    """Know everything."""
    return True


def test_what_is_read_of_an_object_stays_as_it_is() -> None:
    """Spec, status and identity go on; labels, managed fields and annotations do not."""
    spec = {"from": {"displayName": "Büro \U0001f600"}}
    text, is_bookmark = streams.slim(line(spec=spec, status={"state": "Active"}), _PLURAL, never)
    found = json.loads(text)
    assert not is_bookmark
    assert found["type"] == "MODIFIED"
    assert streams.unfold(found["object"]) == {
        "apiVersion": "mailtier.dev/v1alpha1",
        "kind": "OrgEmailSettings",
        "metadata": {
            "name": "default",
            "namespace": "acme",
            "uid": "u",
            "generation": 1,
            "resourceVersion": "7",
        },
        "spec": spec,
        "status": {"state": "Active"},
    }


@pytest.mark.parametrize(("size", "is_kept"), [(100, True), (streams.MAXIMUM_LABELS_BYTES, False)])
def test_labels_of_a_namespace_are_kept_while_they_are_small(size: int, is_kept: bool) -> None:
    """A policy may select by them; one with a megabyte of them is selected by none."""
    found = json.loads(line(spec={"finalizers": ["kubernetes"]}))
    found["object"]["metadata"]["labels"] = {"team": "a" * size}
    text, _ = streams.slim(json.dumps(found).encode(), "namespaces", never)
    shown = json.loads(text)["object"]
    assert ("labels" in shown["metadata"]) == is_kept
    assert "spec" not in shown


def test_an_echo_becomes_a_bookmark() -> None:
    """It learns how far the watch has come, and nothing else."""
    text, is_bookmark = streams.slim(line(version="42"), _PLURAL, always)
    assert is_bookmark
    assert json.loads(text) == {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "42"}}}


def test_an_object_that_is_gone_is_news() -> None:
    """A deletion shows the object as it was, which is known, and means that it is not there."""
    assert json.loads(streams.slim(line("DELETED"), _PLURAL, always)[0])["type"] == "DELETED"


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410}}',
        b'{"type":"BOOKMARK","object":{"kind":"OrgEmailSettings","metadata":{"resourceVersion":"9"}}}',
        b"no JSON at all",
        b'{"type":"MODIFIED","object":{"metadata":{"name":1}}}',
        b"\xff",
        b"",
    ],
)
def test_what_is_not_an_object_goes_on_as_it_came(text: bytes) -> None:
    """What an error in a stream means is for kopf to say."""
    assert streams.slim(text, _PLURAL, always) == (text, False)


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
async def test_lines_are_whole_however_they_arrive(size: int, tmp_path: pathlib.Path) -> None:
    """Echoes in a row are one bookmark, news stay in their order, wherever the network cuts the text."""
    sent = [line(version="1", uid="new"), line(version="2"), line(version="3"), line(version="4", uid="new")]
    body = b"".join(one + b"\n" for one in sent)

    def is_echo(_plural: str, metadata: streams.Metadata, _status: bytes) -> bool:
        return metadata.uid == "u"

    async with (
        served(body, size, tmp_path, is_echo) as (session, url),
        session.get(f"{url}/{_PLURAL}?watch=true") as answer,
    ):
        received = b"".join([chunk async for chunk in answer.content.iter_chunked(1024)])
    found = [json.loads(text) for text in received.split(b"\n") if text]
    versions = [(one["type"], one["object"]["metadata"]["resourceVersion"]) for one in found]
    assert versions[0] == ("MODIFIED", "1")
    assert versions[-1] == ("MODIFIED", "4")
    assert {("BOOKMARK", "3")} <= set(versions[1:-1]) <= {("BOOKMARK", "2"), ("BOOKMARK", "3")}


async def test_listings_are_slimmed_and_other_answers_are_not(tmp_path: pathlib.Path) -> None:
    """A listing loses what nobody reads; what is not ours stays as it is."""
    item = json.loads(line(spec={"suspend": True}))["object"]
    page = {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "5", "continue": "x"}, "items": [item]}
    async with served(json.dumps(page).encode(), 1000, tmp_path, never) as (session, url):
        async with session.get(f"{url}/{_PLURAL}") as answer:
            ours = await answer.json()
        async with session.get(f"{url}/others") as answer:
            theirs = await answer.json()
    assert theirs == page
    assert ours["metadata"] == page["metadata"]
    assert "managedFields" not in ours["items"][0]["metadata"]
    assert streams.unfold(ours["items"][0])["spec"] == {"suspend": True}


async def test_a_page_shrinks_when_its_bytes_grow(tmp_path: pathlib.Path) -> None:
    """However large the objects, no part of a listing is read beyond its bound, and none of them is lost."""
    large = "x" * (listings.MAXIMUM_BYTES // 3)
    items = [json.loads(line(version=str(number), annotations=large))["object"] for number in range(40)]
    served_parts: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        first, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        page = {
            "metadata": {"resourceVersion": "5", "continue": str(first + limit) if first + limit < 40 else ""},
            "items": items[first : first + limit],
        }
        served_parts.append(limit)
        return web.json_response(page)

    seen: list[str] = []
    async with serving(answer, tmp_path, never) as (session, url):
        token = ""
        while True:
            query = {"limit": "500"} | ({"continue": token} if token else {})
            async with session.get(f"{url}/{_PLURAL}", params=query) as response:
                page = await response.json()
            assert len(json.dumps(page)) < 20_000
            seen += [item["metadata"]["resourceVersion"] for item in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                break
    assert seen == [str(number) for number in range(40)]
    assert served_parts[0] > 2
    assert served_parts[-1] <= 2


def test_a_request_to_look_anew_is_no_echo() -> None:
    """The one annotation that is read comes through, and a new value of it is news."""
    objects = store_module.Store()
    take = watch_events.WatchEvents(objects, _Queue())

    def asked(value: str) -> bytes:
        found = json.loads(line(spec={}, status={"state": "Active"}))
        found["object"]["metadata"]["annotations"] = {names.REQUESTED_AT_ANNOTATION: value, "other": "x"}
        return json.dumps(found).encode()

    text, _ = streams.slim(asked("first"), _PLURAL, take.is_echo)
    document = streams.unfold(json.loads(text)["object"])
    assert document["metadata"]["annotations"] == {names.REQUESTED_AT_ANNOTATION: "first"}
    take.organization("acme", "default", document)
    assert objects.organizations["acme", "default"].requested_at == "first"
    assert streams.slim(asked("first"), _PLURAL, take.is_echo)[1]
    assert not streams.slim(asked("second"), _PLURAL, take.is_echo)[1]
    assert "annotations" not in streams.slim(asked("x" * 129), _PLURAL, never)[0].decode()


class _Queue:
    """A queue that nobody asks."""

    def add(self, key: object, *, background: bool = False) -> None:
        """Forget it."""


def test_an_echo_is_what_is_known_or_being_written() -> None:
    """The status that is there, and the one on its way, are no news; another status, spec or object is."""
    objects = store_module.Store()
    take = watch_events.WatchEvents(objects, _Queue())
    document = json.loads(line(spec={}, status={"state": "Active"}))["object"]
    take.organization("acme", "default", document)

    def is_echo(status: dict[str, Any], **metadata: Any) -> bool:
        known = {"name": "default", "namespace": "acme", "uid": "u", "generation": 1, "resource_version": "7"}
        found = take.is_echo(_PLURAL, streams.Metadata(**(known | metadata)), json.dumps(status).encode())
        if not found:
            # kopf brings what was before: what is known stays the same.
            take.organization("acme", "default", document)
        return found

    written = {"state": "Suspended", "conditions": [{"type": "Ready", "status": "True", "message": "m"}]}
    assert is_echo({"state": "Active"})
    assert not is_echo({"state": "Active"}, generation=2)
    assert not is_echo({"state": "Active"}, uid="other")
    assert not is_echo(written)
    with objects.expecting(_PLURAL, "acme", "default", store_module.digest(written)):
        assert is_echo(written)
    # What was written is what is known by now.
    assert is_echo(written)
    assert objects.organizations["acme", "default"].conditions == ({"type": "Ready", "status": "True"},)
    assert not is_echo({"state": "Active"})


def test_what_kopf_still_has_is_followed_by_all_that_comes_after_it() -> None:
    """A status that is put back while kopf holds another one is no echo: else the other one would count as present."""
    objects = store_module.Store()
    take = watch_events.WatchEvents(objects, _Queue())

    def document(state: str, version: str) -> dict[str, Any]:
        return json.loads(line(spec={}, status={"state": state}, version=version))["object"]

    def shown(state: str, version: str) -> bool:
        metadata = streams.Metadata(name="default", namespace="acme", uid="u", generation=1, resource_version=version)
        return not take.is_echo(_PLURAL, metadata, json.dumps({"state": state}).encode())

    take.organization("acme", "default", document("Blocked", "7"))
    assert not shown("Blocked", "8")
    assert shown("Active", "9")
    assert shown("Blocked", "10")
    take.organization("acme", "default", document("Active", "9"))
    assert shown("Blocked", "11")
    take.organization("acme", "default", document("Blocked", "11"))
    assert objects.organizations["acme", "default"].status_digest == store_module.digest({"state": "Blocked"})
    assert not shown("Blocked", "12")
    assert shown("Active", "13")
    take.organization("acme", "default", None)
    take.organization("acme", "default", document("Active", "14"))
    assert not shown("Active", "15")


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def served(body: bytes, size: int, folder: pathlib.Path, is_echo: streams.IsEcho) -> "serving":
    """Return a server that answers every request with a body in pieces."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for start in range(0, len(body), size):
            await response.write(body[start : start + size])
        return response

    return serving(answer, folder, is_echo)


class serving:  # noqa: N801 - Used as a function.
    """A server on a Unix socket, and a session as kopf gets it."""

    def __init__(self, answer: Answer, folder: pathlib.Path, is_echo: streams.IsEcho) -> None:
        self._answer = answer
        self._path = str(folder / "socket")
        self._is_echo = is_echo

    async def __aenter__(self) -> tuple[aiohttp.ClientSession, str]:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.UnixSite(self._runner, self._path).start()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(self._path),
            response_class=streams.Response,
            middlewares=(streams.Slimming(frozenset({_PLURAL}), self._is_echo),),
        )
        return self._session, "http://server"

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()
        await self._runner.cleanup()

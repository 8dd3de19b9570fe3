"""Events that wait to be written: a few of each namespace, and one namespace's after another's."""

import asyncio
import re
import typing

import pytest

from kit import api, specs, wait
from mailtier.api import names
from mailtier.handlers import announcing, store
from mailtier.kube import errors, paths
from mailtier.settings import observed
from mailtier.telemetry import metrics


def _organization(namespace: str, name: str) -> store.Organization:
    return store.Organization(
        namespace=namespace,
        name=name,
        uid=f"uid-{name}",
        generation=1,
        conditions=(),
        status_digest=b"",
        spec=observed.parse_org({}),
        projection="",
    )


_BROKEN = [
    {"type": "Ready", "status": "False", "reason": "Invalid", "message": "spec: is wrong.", "lastTransitionTime": "t"}
]


def _announcer(server: api.Api) -> announcing.Announcer:
    return announcing.Announcer(
        typing.cast("typing.Any", server), identity="here", now=lambda: specs.NOW, monotonic=lambda: 0.0
    )


def _dropped() -> float:
    found = re.search(r'mailtier_events_total\{outcome="dropped"\} (\S+)', metrics.exposition("operator").decode())
    return float(found[1]) if found else 0.0


def test_of_a_namespace_a_few_wait() -> None:
    """What does not fit is refused, and there is room again for what was taken."""
    waiting = announcing.Waiting()
    fits = [waiting.add("flipping", {"number": number}) for number in range(announcing.MOST_OF_A_NAMESPACE + 1)]
    assert (fits.count(True), fits[-1], len(waiting)) == (announcing.MOST_OF_A_NAMESPACE, False, len(fits) - 1)
    assert waiting.take() == {"number": 0}
    assert waiting.add("flipping", {"number": 99}) is True


def test_namespaces_take_turns() -> None:
    """One with many Events is not told of before another with one."""
    waiting = announcing.Waiting()
    for number in range(announcing.MOST_OF_A_NAMESPACE):
        waiting.add("flipping", {"of": "flipping", "number": number})
    waiting.add("", {"of": "host"})
    waiting.add("quiet", {"of": "quiet"})
    taken = [waiting.take()["of"] for _ in range(len(waiting))]
    assert taken[:3] == ["flipping", "host", "quiet"]
    assert taken[3:] == ["flipping"] * (announcing.MOST_OF_A_NAMESPACE - 1)
    with pytest.raises(KeyError):
        waiting.take()


def test_all_together_are_bounded() -> None:
    """An outage that breaks every namespace at once fills no memory."""
    waiting = announcing.Waiting()
    fits = [waiting.add(f"team-{number}", {}) for number in range(announcing.MOST_WAITING + 1)]
    assert (len(waiting), fits[-1]) == (announcing.MOST_WAITING, False)


async def test_a_tenant_whose_objects_flip_silences_no_other() -> None:
    """What is too much of one is dropped and counted, and another's Event is the next to be written."""
    server, before = api.Api(), _dropped()
    announcer = _announcer(server)
    for number in range(announcing.MOST_OF_A_NAMESPACE + 3):
        announcer.announce(names.ORG_KIND, _organization("flipping", f"o-{number}"), _BROKEN)
    announcer.announce(names.ORG_KIND, _organization("quiet", "default"), _BROKEN)
    assert _dropped() == before + 3
    running = asyncio.create_task(announcer.run())
    try:
        wanted = ("create", paths.events("quiet"))
        await wait.until_async(lambda: wanted in server.requests, within_seconds=5, why="the other is told of")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [path for _, path in server.requests[:2]] == [paths.events("flipping"), paths.events("quiet")]
    (written,) = [found for path, found in server.objects.items() if path.startswith(paths.events("quiet"))]
    assert (written["reason"], written["type"], written["regarding"]["name"]) == ("Invalid", "Warning", "default")


async def test_an_event_that_cannot_be_written_stops_nothing() -> None:
    """The next one is written, and the first is not tried again."""
    server = api.Api()
    announcer = _announcer(server)
    server.failing = errors.ForbiddenError("no", status=403)
    running = asyncio.create_task(announcer.run())
    try:
        announcer.announce(names.ORG_KIND, _organization("acme", "first"), _BROKEN)
        await wait.until_async(lambda: bool(server.requests), within_seconds=5, why="the first was tried")
        server.failing = None
        announcer.announce(names.ORG_KIND, _organization("acme", "second"), _BROKEN)
        await wait.until_async(lambda: bool(server.objects), within_seconds=5, why="the second is written")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [found["regarding"]["name"] for found in server.objects.values()] == ["second"]


def test_a_tenant_fills_etcd_with_no_events() -> None:
    """A namespace has a few in hand for each kind, and one more every ten seconds, however fast they go (R15)."""
    now = 0.0
    announcer = announcing.Announcer(
        typing.cast("typing.Any", api.Api()), identity="here", now=lambda: specs.NOW, monotonic=lambda: now
    )

    def told(kind: str, times: int) -> int:
        found = 0
        for number in range(times):
            announcer.announce(kind, _organization("flood", f"o-{number}"), _BROKEN)
            while len(announcer._waiting):
                announcer._waiting.take()
                found += 1
        return found

    assert told(names.NOTIFICATION_KIND, 1_000) == announcing.IN_HAND
    # What an application floods with takes nothing from what is told of settings.
    assert told(names.ORG_KIND, 1) == 1
    now = 3_600.0
    assert told(names.NOTIFICATION_KIND, 1) == 1
    now += 100.0
    assert told(names.NOTIFICATION_KIND, 1_000) == announcing.IN_HAND
    now += 100.0
    assert told(names.NOTIFICATION_KIND, 1_000) == 10

"""The host's summary of its organizations."""

import asyncio
import dataclasses
import datetime as dt
import typing

from kit import api, specs, tiers
from mailtier.api import names
from mailtier.handlers import hosts, probes, publishing, reads, resolving, store
from mailtier.kube import paths
from mailtier.settings import magnitudes, observed

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)


class World:
    """A reconciler of the host's tier with everything around it."""

    def __init__(self, summary: dict[str, int] | None) -> None:
        self.api = api.Api()
        client = typing.cast("typing.Any", self.api)
        self.api.objects[paths.host_settings(names.HOST_NAME)] = {"metadata": {"name": names.HOST_NAME, "uid": "u"}}
        self.objects = store.Store()
        spec = observed.parse_host({"smtp": tiers.RELAY["smtp"], "from": tiers.RELAY["from"]})
        self.objects.host = store.Host(
            namespace="",
            name=names.HOST_NAME,
            uid="u",
            generation=1,
            conditions=(),
            status_digest=b"",
            spec=spec,
            summary=summary,
        )
        self.looked = asyncio.Event()
        self.now = NOW
        self.backlog: dict[str, typing.Any] | None = None
        reader = reads.Reader(
            client,
            changed=lambda _: None,
            is_published=lambda _: False,
            publish=lambda _: None,
            wall=lambda: specs.NOW,
            monotonic=lambda: 0.0,
            jitter=lambda: 0.5,
        )
        self.hosts = hosts.HostReconciler(
            self.objects,
            client,
            resolving.PlanResolver(
                reader, probes.Probes(lambda _: None), look_again=lambda _key, _delay: None, monotonic=lambda: 0.0
            ),
            publishing.Publisher(client, namespace="system"),
            namespace="system",
            now=lambda: self.now,
            look_again=self.looked.set,
            backlog_of=lambda _key, _uid, stands: magnitudes.part(stands) if self.backlog is None else self.backlog,
            announce=lambda *_: None,
        )

    async def status(self) -> dict[str, typing.Any]:
        """Return the host's status after a reconciliation."""
        await self.hosts.reconcile()
        (status,) = [found["status"] for found in self.api.objects.values() if "status" in found]
        return typing.cast("dict[str, typing.Any]", status)

    async def summary(self) -> dict[str, int] | None:
        """Return the summary that it has then."""
        return (await self.status()).get("summary")


async def test_organizations_that_went_while_nobody_led_are_counted_no_more() -> None:
    """The first summary of a term is written though nothing changed in it: it may be news all the same."""
    before = {"organizations": 5, "ready": 5, "blocked": 0, "overriding": 0, "wouldBlock": 0}
    world = World(before)
    running = asyncio.create_task(world.hosts.run())
    try:
        async with asyncio.timeout(10):
            await world.looked.wait()
    finally:
        running.cancel()
    assert await world.summary() == dict.fromkeys(before, 0)


async def test_until_they_are_counted_the_summary_that_stands_there_stays() -> None:
    """A restart does not write half a count."""
    before = {"organizations": 5, "ready": 4, "blocked": 1, "overriding": 2, "wouldBlock": 3}
    assert await World(before).summary() == before


async def test_a_summary_of_another_version_is_none_of_ours() -> None:
    """A field that this version does not know must not keep the host from being reconciled."""
    assert await World({"organizations": 5, "elsewhere": 1}).summary() is None


async def test_what_is_said_of_the_queue_stands_until_the_sender_is_heard() -> None:
    """A restart does not take back that it is held; the sender does, and has the host looked at."""
    world = World(None)
    assert world.objects.host is not None
    stands = {"restoredFrom": "2026-11-24T09:00:00Z"}
    world.objects.host = dataclasses.replace(world.objects.host, queue=stands)
    assert (await world.status())["queue"] == stands
    world.hosts.note_restored(NOW)
    assert world.looked.is_set()
    assert (await world.status())["queue"] == {"restoredFrom": "2026-11-24T10:00:00Z"}
    world.looked.clear()
    world.hosts.note_restored(NOW)
    assert not world.looked.is_set()
    world.hosts.note_restored(None)
    assert world.looked.is_set()
    assert "queue" not in await world.status()


async def test_a_sender_that_does_not_answer_for_a_minute_is_told_until_it_does() -> None:
    """A restart is no news; a database that is away is, with since when; nothing else is taken back meanwhile."""
    world = World(None)
    world.hosts.note_restored(NOW)
    world.looked.clear()
    world.hosts.note_unanswered()
    world.now += dt.timedelta(seconds=59)
    world.hosts.note_unanswered()
    assert not world.looked.is_set()
    world.now += dt.timedelta(seconds=1)
    world.hosts.note_unanswered()
    assert world.looked.is_set()
    stands = {"restoredFrom": "2026-11-24T10:00:00Z", "unansweredSince": "2026-11-24T10:00:00Z"}
    assert (await world.status())["queue"] == stands
    world.looked.clear()
    world.hosts.note_unanswered()
    assert not world.looked.is_set()
    world.hosts.note_restored(None)
    assert world.looked.is_set()
    assert "queue" not in await world.status()


async def test_what_is_queued_and_what_the_sender_says_are_told_together() -> None:
    """Each stands in status until it is heard anew, and neither takes the other back."""
    world = World(None)
    assert world.objects.host is not None
    backlog = {"queued": 5, "deferred": 0, "held": 0, "oldest": "2026-11-24T09:00:00Z"}
    stands = {"restoredFrom": "2026-11-24T09:00:00Z", **backlog}
    world.objects.host = dataclasses.replace(world.objects.host, queue=stands)
    world.hosts.note_restored(None)
    assert (await world.status())["queue"] == backlog
    world.hosts.note_restored(NOW)
    world.backlog = {**backlog, "queued": 10}
    assert (await world.status())["queue"] == {"restoredFrom": "2026-11-24T10:00:00Z", **backlog, "queued": 10}
    world.backlog = {}
    assert (await world.status())["queue"] == {"restoredFrom": "2026-11-24T10:00:00Z"}

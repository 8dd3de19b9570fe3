"""What is queued, on its way into status."""

import asyncio
import datetime as dt
import itertools
import typing
from collections.abc import Sequence

from kit import virtual_time
from mailtier.api import feed
from mailtier.api import settings as api_settings
from mailtier.handlers import backlogs, feed_client, keys, store

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)
SHOP = keys.organization("shop", "default")


def _backlog(
    queued: int, *, namespace: str = "shop", name: str = "default", uid: str = "", age: int = 600
) -> feed.QueueShare:
    return feed.QueueShare(
        namespace=namespace,
        namespace_uid=uid or f"uid-{namespace}",
        organization=name,
        queued=queued,
        deferred=0,
        held=0,
        oldest_at=NOW - dt.timedelta(seconds=age),
    )


class World:
    """Organizations with whatever is queued for them.

    Attributes:
        changed: Whose status was to change, in order.
        queued: What the sender answers; None where it does not.
    """

    def __init__(self, *organizations: tuple[str, str], **queue: typing.Any) -> None:
        self.objects = store.Store()
        self.changed: list[keys.Key] = []
        self.queued: Sequence[feed.QueueShare] | None = ()
        self.asked = 0
        for namespace, name in organizations or (("shop", "default"),):
            self.objects.namespaces[namespace] = store.Namespace(name=namespace, uid=f"uid-{namespace}", labels={})
            self.objects.put_organization(
                store.Organization(
                    namespace=namespace,
                    name=name,
                    uid="o",
                    generation=1,
                    conditions=(),
                    status_digest=b"",
                    spec=api_settings.OrgSpec(),
                    queue=queue or None,
                )
            )
        self.backlogs = backlogs.BacklogTeller(self.objects, self._ask, changed=self.changed.append, now=lambda: NOW)

    async def _ask(self) -> Sequence[feed.QueueShare]:
        self.asked += 1
        if self.queued is None:
            raise feed_client.SenderUnavailableError("no socket")
        return self.queued

    def of(self, key: keys.Key = SHOP, stands: typing.Mapping[str, typing.Any] | None = None) -> int | None:
        """Return what status says is queued; None where it says nothing."""
        return self.backlogs.of(key, f"uid-{key.namespace}" if key.namespace else "", stands).get("queued")

    def note(self, *found: feed.QueueShare, at: float) -> list[keys.Key]:
        """Take in what is queued, and return whose status is to change within a second."""
        self.changed.clear()
        self.backlogs.note(found, at=at)
        following = at
        while following <= at + 1:
            following = self.backlogs.tell_next(at=following)
        return list(self.changed)


def test_until_the_sender_is_heard_status_says_what_it_says() -> None:
    """A restart takes nothing back and writes nothing; the first answer does both where that is due."""
    stands = {"queued": 5, "deferred": 0, "held": 0, "oldest": "2026-11-24T09:50:00Z"}
    world = World(**stands)
    assert world.of(stands=stands) == 5
    assert world.note(_backlog(6), at=0) == []
    assert world.of(stands=stands) == 5
    world = World(**stands)
    assert world.note(at=0) == [SHOP]
    assert world.of(stands=stands) is None


def test_a_status_changes_at_most_every_half_minute() -> None:
    """What changes all the time is written when its time has come, with what is so by then."""
    world = World()
    assert world.note(_backlog(1), at=0) == [SHOP]
    assert world.note(_backlog(100), at=10) == []
    assert world.note(_backlog(200), at=20) == []
    assert world.of() == 1
    world.backlogs.tell_next(at=29.9)
    assert world.of() == 1
    world.backlogs.tell_next(at=30)
    assert world.of() == 200
    assert world.note(_backlog(200), at=70) == []
    assert world.note(at=80) == [SHOP]
    assert world.of() is None


def test_one_with_many_organizations_delays_nobody() -> None:
    """Namespaces take turns, and all together change twenty statuses a second (R15)."""
    many = [("greedy", f"org-{number}") for number in range(100)]
    world = World(*many, ("modest", "default"))
    found = [_backlog(1, namespace=namespace, name=name) for namespace, name in (*many, ("modest", "default"))]
    changed = world.note(*found, at=0)
    assert len(changed) <= backlogs.PER_SECOND + 1
    assert changed.index(keys.organization("modest", "default")) <= 1


def test_what_has_no_object_takes_no_turn() -> None:
    """An implicit organization has no status, and one that was deleted has none any more."""
    world = World()
    assert world.note(_backlog(1, namespace="elsewhere"), _backlog(1, name="gone"), at=0) == []


def test_a_recreated_namespace_inherits_no_backlog() -> None:
    """What is queued of its predecessor is none of its status, told before or not (R11)."""
    world = World()
    world.note(_backlog(5), at=0)
    world.objects.namespaces["shop"] = store.Namespace(name="shop", uid="uid-another", labels={})
    assert world.backlogs.of(SHOP, "uid-another", None) == {}
    assert world.note(_backlog(5), at=60) == [SHOP]
    assert world.backlogs.of(SHOP, "uid-another", None) == {}


def test_the_host_is_told_the_sum() -> None:
    """Also of what has no object: it is mail that waits."""
    world = World()
    assert world.of(keys.HOST, {"queued": 1, "restoredFrom": "2026-11-24T09:50:00Z"}) == 1
    spec = api_settings.HostSpec.model_construct()
    world.objects.host = store.Host(
        namespace="", name="default", uid="h", generation=1, conditions=(), status_digest=b"", spec=spec, summary=None
    )
    assert keys.HOST in world.note(_backlog(3), _backlog(3, namespace="elsewhere"), at=0)
    assert world.of(keys.HOST) == 5


def test_a_sender_that_is_away_changes_nothing_and_is_asked_again() -> None:
    """It is asked each half minute, whatever it says."""
    world = World()

    async def play() -> None:
        running = asyncio.create_task(world.backlogs.run())
        await asyncio.sleep(1)
        world.queued = [_backlog(1)]
        for seconds in itertools.repeat(5.0, 6):
            await asyncio.sleep(seconds)
        assert (world.asked, world.changed, world.of()) == (2, [SHOP], 1)
        world.queued = None
        await asyncio.sleep(60)
        assert (world.asked, world.changed, world.of()) == (4, [SHOP], 1)
        running.cancel()

    virtual_time.run(play())

"""Notification objects: offered until they are taken, and never taken for another's."""

import datetime as dt
import typing

import pytest

from kit import api
from mailtier.api import feed, notification, vocabulary
from mailtier.handlers import feed_client, keys, notifications, store, watch_events
from mailtier.kube import paths

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)
KEY = keys.notification("shop", "order")
SPEC = notification.NotificationSpec.model_validate({"category": "JobAlert", "recipients": ["a@shop.example"]})


class Link:
    """A sender that answers as it is told, and remembers what it was offered."""

    def __init__(self) -> None:
        self.answer: feed.Taken | feed.Refused | None = None
        self.offers: list[feed.Offer] = []

    async def offer(self, offer: feed.Offer) -> feed.Taken | feed.Refused:
        """Answer an offer."""
        self.offers.append(offer)
        if self.answer is None:
            raise feed_client.SenderUnavailableError("no socket")
        return self.answer


def taken(namespace_uid: str, state: vocabulary.RecipientState = vocabulary.RecipientState.QUEUED) -> feed.Taken:
    """Return the sender's record of the object."""
    return feed.Taken(
        id="01",
        namespace="shop",
        namespace_uid=namespace_uid,
        name="order",
        object_uid="o",
        spec_hash=notifications.spec_hash(SPEC),
        accepted_at=NOW,
        complete=state == vocabulary.RecipientState.ACCEPTED,
        recipients=(feed.Recipient(address="a@shop.example", state=state, changed_at=NOW),),
    )


class _Queue:
    """A queue that nobody asks."""

    def add(self, key: keys.Key, *, background: bool = False) -> None:
        """Forget it."""


class World:
    """A reconciler with everything around it."""

    def __init__(self) -> None:
        self.api = api.Api()
        self.link = Link()
        self.object = {"metadata": {"namespace": "shop", "name": "order", "uid": "o", "generation": 1}}
        self.api.objects[paths.notifications("shop", "order")] = self.object
        self.objects = store.Store()
        self.again: list[dt.timedelta] = []
        self.objects.namespaces["shop"] = store.Namespace(name="shop", uid="new", labels={})
        self.objects.notifications["shop", "order"] = store.Notification(
            namespace="shop",
            name="order",
            uid="o",
            generation=1,
            conditions=(),
            status_digest=b"",
            spec=SPEC,
        )
        self.reconciler = notifications.NotificationReconciler(
            self.objects,
            typing.cast("typing.Any", self.api),
            typing.cast("typing.Any", self.link),
            look_again=lambda _, delay: self.again.append(delay),
            now=lambda: NOW,
            announce=lambda *_: None,
        )

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Return what the object's status says."""
        status = self.api.objects[paths.notifications("shop", "order")]["status"]
        return {condition["type"]: (condition["status"], condition["reason"]) for condition in status["conditions"]}


@pytest.fixture
def world() -> World:
    """Return one unfinished Notification in a namespace with the uid `new`."""
    return World()


async def test_a_record_of_a_namespace_that_was_there_before_is_not_taken_for_this_one(world: World) -> None:
    """A recreated namespace inherits nothing: the object is offered, and not called delivered (R11)."""
    world.reconciler.take(taken("old", vocabulary.RecipientState.ACCEPTED))
    world.link.answer = taken("new")
    await world.reconciler.reconcile(KEY)
    assert [offer.namespace_uid for offer in world.link.offers] == ["new"]
    assert world.conditions()["Complete"] == ("False", "Delivering")


async def test_what_was_acknowledged_stays_acknowledged_while_the_sender_is_away(world: World) -> None:
    """After a restart of the pod the operator is up first; that revokes nothing (R4)."""
    world.link.answer = taken("new")
    await world.reconciler.reconcile(KEY)
    before = world.conditions()
    reborn = World()
    reborn.api, reborn.objects.notifications = world.api, world.objects.notifications
    reborn.link.answer = None
    assert await reborn.reconciler.reconcile(KEY) is False
    assert world.conditions() == before
    assert before["Accepted"] == ("True", "Queued")


async def test_what_was_not_acknowledged_says_so_and_is_offered_less_and_less_often(world: World) -> None:
    """An object that nobody takes is told so, and does not keep the sender busy."""
    for _ in range(6):
        await world.reconciler.reconcile(KEY)
    assert world.conditions()["Accepted"] == ("False", "SenderUnavailable")
    delays = [delay.total_seconds() for delay in world.again if delay]
    assert delays == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize("is_another", [False, True])
async def test_a_finished_object_is_removed_after_a_while(world: World, is_another: bool) -> None:
    """Etcd is no archive: what was accepted goes after an hour; one of the same name that was made meanwhile stays."""
    world.link.answer = taken("new", vocabulary.RecipientState.ACCEPTED)
    await world.reconciler.reconcile(KEY)
    await world.reconciler.reconcile(KEY)
    assert world.api.count("delete") == 0
    assert world.again[-1] == notifications.KEEP_ACCEPTED
    later = World()
    later.api, later.objects.notifications = world.api, world.objects.notifications
    later.reconciler = notifications.NotificationReconciler(
        later.objects,
        typing.cast("typing.Any", later.api),
        typing.cast("typing.Any", later.link),
        look_again=lambda *_: None,
        now=lambda: NOW + notifications.KEEP_ACCEPTED,
        announce=lambda *_: None,
    )
    path = paths.notifications("shop", "order")
    if is_another:
        later.api.objects[path]["metadata"]["uid"] = "another"
    await later.reconciler.reconcile(KEY)
    assert later.api.count("delete") == 1
    assert (path in later.api.objects) == is_another
    assert later.link.offers == []


@pytest.mark.parametrize("uid", ["o", "another"])
async def test_a_large_notification_is_read_when_it_is_offered(world: World, uid: str) -> None:
    """Its text is in memory while it is handed over, and only if it is the very object that was seen (R15)."""
    text = "x" * 65_536
    spec = {"category": "JobAlert", "recipients": ["a@shop.example"], "text": text}
    metadata = {"namespace": "shop", "name": "order", "uid": "o", "generation": 1}
    world.objects.notifications.clear()
    take = watch_events.WatchEvents(world.objects, _Queue())
    take.notification("shop", "order", {"metadata": metadata, "spec": spec})
    assert world.objects.notifications["shop", "order"].spec is None
    path = paths.notifications("shop", "order")
    world.api.objects[path] = {"metadata": metadata | {"uid": uid}, "spec": spec}
    world.link.answer = taken("new")
    await world.reconciler.reconcile(KEY)
    assert [offer.spec.text for offer in world.link.offers] == ([text] if uid == "o" else [])

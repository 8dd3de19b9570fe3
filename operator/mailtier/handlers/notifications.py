"""Notification objects: offered to the sender until it has taken them, and told what became of them.

Two status writes each, as a rule: taken, and complete. A recipient that is deferred or held is news in between. A
finished object is removed after a while, because etcd is no archive.
"""

import datetime as dt
from collections.abc import Callable
from typing import Final

from mailtier.api import canonical, doubling, feed, names, notification
from mailtier.handlers import feed_client, keys, notification_status, statuses, store, watch_events
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.settings import observed
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)

KEEP_ACCEPTED: Final = dt.timedelta(hours=1)
"""How long an object stays whose every recipient was accepted."""

KEEP_OTHERS: Final = dt.timedelta(hours=24)
"""How long one stays that ended otherwise, so that somebody can read why."""

_OFFER_AGAIN: Final = doubling.Backoff(first=dt.timedelta(seconds=5), most=dt.timedelta(minutes=1))
WORKERS: Final = 8
"""Objects worked on at the same time, by workers of their own: an offer waits for the sender's disk."""


def spec_hash(spec: notification.NotificationSpec) -> str:
    """Return what tells two specs apart: hexadecimal SHA-256 of the canonical JSON."""
    document = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return canonical.digest(document)


def _is_for_now(answer: notification_status.Answer) -> bool:
    """Return whether an answer may be another one soon."""
    return isinstance(answer, notification_status.Unavailable) or (isinstance(answer, feed.Refused) and answer.retry)


class NotificationReconciler:
    """The reconciler of Notification objects."""

    def __init__(
        self,
        objects: store.Store,
        client: kube_client.Client,
        link: feed_client.FeedClient,
        *,
        look_again: Callable[[keys.Key, dt.timedelta], None],
        now: Callable[[], dt.datetime],
        announce: statuses.Announce,
    ) -> None:
        """Make a reconciler.

        Args:
            objects: What is there.
            client: For status, and for removing what is finished.
            link: The sender.
            look_again: Has a key reconciled after a delay.
            now: The wall clock, aware UTC.
            announce: Gets each status that was written.
        """
        self._store = objects
        self._client = client
        self._link = link
        self._look_again = look_again
        self._now = now
        self._announce = announce
        self._taken: dict[tuple[str, str], feed.Taken] = {}
        self._failures: dict[keys.Key, int] = {}

    def take(self, taken: feed.Taken) -> None:
        """Take in what the sender says of a Notification object; one that is not there (any more) is let go."""
        key = (taken.namespace, taken.name)
        # A namespace that was deleted and made again is another one: it inherits nothing of its predecessor (R11).
        space = self._store.namespaces.get(taken.namespace)
        if key in self._store.notifications and space is not None and space.uid == taken.namespace_uid:
            self._taken[key] = taken
            self._look_again(keys.notification(*key), dt.timedelta(0))

    def offer_again(self) -> None:
        """Look at every object that is not finished: the sender answers again."""
        self._failures.clear()
        for namespace, name in self._store.notifications:
            self._look_again(keys.notification(namespace, name), dt.timedelta(0))

    async def reconcile(self, key: keys.Key) -> bool | None:
        """Offer an object, write what became of it, or remove it; return whether anything was written.

        Returns:
            None if there is no such object (any more).
        """
        seen = self._store.notifications.get((key.namespace, key.name))
        if seen is None:
            self._taken.pop((key.namespace, key.name), None)
            self._failures.pop(key, None)
            return None
        finished_at = notification_status.finished_at(seen.conditions, generation=seen.generation)
        if finished_at is not None:
            return await self._expire(key, seen, finished_at)
        answer = await self._ask(key, seen)
        if answer is None or (
            _is_for_now(answer) and notification_status.was_accepted(seen.conditions, seen.generation)
        ):
            # What was acknowledged stays acknowledged, whether or not the sender answers at the moment (R4).
            return False
        document = notification_status.status(
            answer, generation=seen.generation, previous=seen.conditions, now=self._now()
        )
        written = await statuses.write(self._client, self._store, names.NOTIFICATION_PLURAL, seen, document)
        if written:
            self._announce(names.NOTIFICATION_KIND, seen, document["conditions"])
            self._look_again(key, dt.timedelta(0))
        return written

    async def _ask(self, key: keys.Key, seen: store.Notification) -> notification_status.Answer | None:
        """Return what is known of an object, offering it where nothing is."""
        spec = seen.spec if seen.spec is not None else await self._read(seen)
        if spec is None or isinstance(spec, observed.Invalid):
            return spec
        space = self._store.namespaces.get(key.namespace)
        if space is None:
            # Namespaces come by a watch of their own, perhaps later.
            self._offer_later(key)
            return None
        digest = spec_hash(spec)
        known = self._taken.get((key.namespace, key.name))
        if known is not None and known.spec_hash == digest and known.namespace_uid == space.uid:
            return known
        offer = feed.Offer(
            namespace=key.namespace,
            namespace_uid=space.uid,
            name=key.name,
            object_uid=seen.uid,
            spec_hash=digest,
            spec=spec,
        )
        try:
            answer = await self._link.offer(offer)
        except feed_client.SenderUnavailableError as error:
            _log.warning("a Notification could not be offered; it is offered again", error=str(error))
            self._offer_later(key)
            return notification_status.Unavailable()
        if isinstance(answer, feed.Taken):
            self._taken[key.namespace, key.name] = answer
            self._failures.pop(key, None)
        elif answer.retry:
            self._offer_later(key)
        return answer

    async def _read(self, seen: store.Notification) -> notification.NotificationSpec | observed.Invalid | None:
        """Return the spec of an object that is too large to be kept; None if the object is gone or another by now."""
        try:
            found = await self._client.get(paths.notifications(seen.namespace, seen.name))
        except errors.NotFoundError:
            return None
        if (found["metadata"]["uid"], found["metadata"]["generation"]) != (seen.uid, seen.generation):
            return None
        return watch_events.parse_notification(found.get("spec", {}))

    def _offer_later(self, key: keys.Key) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._look_again(key, _OFFER_AGAIN.ceiling(failures))

    async def _expire(self, key: keys.Key, seen: store.Notification, finished_at: dt.datetime) -> bool:
        """Remove a finished object when its time has come."""
        self._taken.pop((key.namespace, key.name), None)
        keep = KEEP_ACCEPTED if notification_status.all_accepted(seen.conditions) else KEEP_OTHERS
        left = finished_at + keep - self._now()
        if left > dt.timedelta(0):
            self._look_again(key, left)
            return False
        try:
            await self._client.delete(paths.notifications(key.namespace, key.name), uid=seen.uid)
        except (errors.NotFoundError, errors.ConflictError):
            return False
        return True

"""Looking into the queue, and acting on what is in it, for whoever may; the same for every way to ask."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol

from mailtier.api import vocabulary
from mailtier.mail import retry
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.intake import admission
from mailtier.sender.scheduling import standing
from mailtier.settings import effective
from mailtier.settings import recipients as policy_recipients
from mailtier.telemetry import failed_metrics


class SettingsDirectory(Protocol):
    """What is asked of the settings here."""

    def get(self, organization: effective.OrganizationKey) -> effective.Effective | None:
        """Return an organization's effective settings; None where there is no such organization."""

    def organizations(self) -> list[effective.Effective]:
        """Return the effective settings of all organizations."""


class DeskDelivery(Protocol):
    """What is asked of delivery here."""

    def ring(self, pending: Iterable[ports.Pending]) -> None:
        """Note that recipients were queued."""

    async def drop(self, key: ports.LaneKey, notification_id: str, recipient_numbers: Iterable[int]) -> int:
        """End recipients that somebody dropped, wipe what is kept, and return how many once that is stored."""

    async def release(self, key: ports.LaneKey) -> standing.Released:
        """Let an organization's messages be tried now."""


class UnknownNamespaceError(Exception):
    """No organization is known in the namespace, so that nobody knows whose rows its are."""


class NotFiledError(Exception):
    """The namespace has no such notification, or none any more."""


class NotAllowedAgainError(Exception):
    """The present settings do not let it through; the text says why."""


class UnderWayError(Exception):
    """A recipient is being delivered to at this moment."""


class Desk:
    """Where people ask of the queue.

    Args:
        queue: The queue.
        settings: Of every organization.
        delivery: Told what is sent again, dropped and released.
        quota: What a namespace may have queued where the host's policy says nothing.
        now: Returns the aware UTC time.
    """

    def __init__(
        self,
        queue: filing.FilingQueue,
        settings: SettingsDirectory,
        delivery: DeskDelivery,
        *,
        quota: ports.QueueQuota,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._delivery = delivery
        self._quota = quota
        self._now = now
        self._acting: set[asyncio.Task[Any]] = set()

    async def page(
        self,
        namespace: str,
        wanted: filing.Filter,
        *,
        destination: str | None,
        older_than: dt.timedelta | None,
        after: str | None,
        limit: int,
    ) -> filing.FiledPage:
        """Return a part of a namespace's notifications, the latest first.

        Args:
            namespace: By its name.
            wanted: Which of them.
            destination: The server, `host` or `host:port`, that their organizations have now; None for any.
            older_than: How long ago they were taken in at least.
            after: The id after which the list goes on.
            limit: How many at most.

        Raises:
            UnknownNamespaceError: No organization is known in it.
            LookupError: The list cannot go on there.
        """
        if older_than is not None:
            wanted = dataclasses.replace(wanted, accepted_before=self._now() - older_than)
        if destination is not None:
            there = [name for name in self._at(namespace, destination) if name in (wanted.organizations or (name,))]
            wanted = dataclasses.replace(wanted, organizations=there)
        return await self._queue.page(self._uid(namespace), wanted, after=after, limit=limit)

    async def look(self, namespace: str, notification_id: str) -> ports.Record:
        """Return a notification of a namespace.

        Raises:
            UnknownNamespaceError: No organization is known in it.
            NotFiledError: It has no such notification.
        """
        return (await self._find(self._uid(namespace), notification_id)).record

    async def retry(self, namespace: str, notification_id: str) -> None:
        """Have those recipients sent again that failed or expired, with the present settings and a new expiry.

        Raises:
            UnknownNamespaceError: No organization is known in the namespace.
            NotFiledError: It has no such notification.
            NotAllowedAgainError: The present settings do not let it through.
            NotRetryableError: Nothing of it failed, or its text is wiped.
            QuotaExceededError: The namespace's quota is used up.
            StorageFullError: The volume is too full.
        """
        uid = self._uid(namespace)
        record = (await self._find(uid, notification_id)).record
        settings = self._settings.get(
            effective.OrganizationKey(namespace=record.lane.namespace, name=record.lane.organization)
        )
        if settings is None or settings.namespace_uid != uid:
            raise NotAllowedAgainError(f"the organization {record.lane.organization} is gone; create it again first")
        _require_allowed(record, settings)
        now = self._now()
        policy = retry.policy_for(record.category, max_age=settings.delivery.max_age)
        renewing = self._queue.retry(
            uid,
            notification_id,
            at=now,
            expires_at=now + policy.max_age,
            quota=admission.quota(settings, self._quota),
        )
        await asyncio.shield(self._begin(self._renew(renewing)))

    async def drop(self, namespace: str, notification_id: str) -> None:
        """End the recipients that have no end yet, and wipe what is kept.

        Raises:
            UnknownNamespaceError: No organization is known in the namespace.
            NotFiledError: It has no such notification.
            NotDroppableError: All of them have ended, and nothing is kept.
            UnderWayError: One of them is being delivered to; the others have ended.
            DeliveryAwayError: Delivery does not run.
        """
        uid = self._uid(namespace)
        filed = await self._find(uid, notification_id)
        if not filed.unfinished and filed.record.kept_until is None:
            raise filing.NotDroppableError("all of it has ended, and no text of it is kept: there is nothing to drop")
        dropped = await self._delivery.drop(filed.record.lane, notification_id, filed.unfinished)
        failed_metrics.count_dropped(dropped)
        after = await self._queue.look(uid, notification_id)
        if after is not None and after.unfinished:
            raise UnderWayError(
                "a recipient of it is being delivered to at this moment; drop it again when that is over"
            )

    async def suppressions(self, namespace: str, *, after: filing.SuppressionKey, limit: int) -> filing.SuppressionPage:
        """Return a part of the addresses to which a namespace's organizations send nothing.

        Args:
            namespace: By its name.
            after: After what the list goes on; two empty texts to begin.
            limit: How many at most.

        Raises:
            UnknownNamespaceError: No organization is known in it.
        """
        return await self._queue.suppressions(self._uid(namespace), now=self._now(), after=after, limit=limit)

    async def resume(self) -> str | None:
        """Have a queue that was restored from a backup go on; return of when that is, None where it was not."""
        return await self._queue.resume()

    async def clear_suppressions(
        self, namespace: str, *, organization: str | None, addresses: Sequence[str] | None
    ) -> int:
        """Let addresses be tried again, and return how many were known.

        Args:
            namespace: By its name.
            organization: By its name; None for all of them.
            addresses: None for all.

        Raises:
            UnknownNamespaceError: No organization is known in it.
        """
        return await self._queue.clear_suppressions(
            self._uid(namespace), organization=organization, addresses=addresses
        )

    async def release(self, settings: effective.Effective) -> standing.Released:
        """Let an organization's messages be tried now; what holds them still does.

        Raises:
            DeliveryAwayError: Delivery does not run.
        """
        return await self._delivery.release(ports.LaneKey.of(settings))

    async def drain(self) -> None:
        """Return when what was being stored is stored and handed on."""
        await asyncio.gather(*self._acting, return_exceptions=True)

    async def _renew(self, renewing: Coroutine[Any, Any, Sequence[ports.Pending]]) -> None:
        pending = await renewing
        self._delivery.ring(pending)
        failed_metrics.count_retried(len(pending))

    def _begin(self, acting: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # A task of its own: a caller that gives up must not leave behind a row that no scheduler knows of.
        task = asyncio.create_task(acting, name="desk-retry")
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)
        return task

    async def _find(self, namespace_uid: str, notification_id: str) -> filing.Filed:
        found = await self._queue.look(namespace_uid, notification_id)
        if found is None:
            raise NotFiledError("the namespace has no notification with this id, or none any more")
        return found

    def _at(self, namespace: str, destination: str) -> Iterator[str]:
        """Yield the names of a namespace's organizations that have a server now, a fallback counted."""
        for settings in self._settings.organizations():
            if settings.organization.namespace != namespace:
                continue
            servers = [settings.endpoint, settings.fallback and settings.fallback.endpoint]
            if any(each and destination.casefold() in {each.host, str(each)} for each in servers):
                yield settings.organization.name

    def _uid(self, namespace: str) -> str:
        """Return the uid of the namespace that has this name now: rows of one before it are not its own (R11)."""
        for settings in self._settings.organizations():
            if settings.organization.namespace == namespace:
                return settings.namespace_uid
        raise UnknownNamespaceError(f"no organization is known in the namespace {namespace}")


def _require_allowed(record: ports.Record, settings: effective.Effective) -> None:
    """Return where the present settings would take it in.

    Raises:
        NotAllowedAgainError: They would not.
    """
    found = settings.notifications.get(record.category)
    if found is not None and not found.enabled:
        raise NotAllowedAgainError(f"{record.category} is switched off for {settings.organization}")
    foreign = [
        each.address
        for each in record.recipients
        if each.state is not vocabulary.RecipientState.ACCEPTED
        and not policy_recipients.is_listed(each.address, settings.recipients)
    ]
    if foreign and settings.recipients.enforced:
        raise NotAllowedAgainError(
            f"the host's policy does not allow {', '.join(foreign)}; have the platform team extend"
            " policy.recipients.domains"
        )

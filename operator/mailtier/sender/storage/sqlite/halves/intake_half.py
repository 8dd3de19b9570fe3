"""What the intake asks of the queue, on SQLite."""

import asyncio
import contextlib
import datetime as dt
import functools
from collections.abc import Sequence

from mailtier.api import feed
from mailtier.sender import ports
from mailtier.sender.between import displays as displays_port
from mailtier.sender.between import filing, queued
from mailtier.sender.between import requests as requests_port
from mailtier.sender.queueing import payloads
from mailtier.sender.storage.sqlite import changes, intake, memories, rows, suppressions
from mailtier.sender.storage.sqlite.failed import kept, listing, resending
from mailtier.sender.storage.sqlite.halves import displays, half, requests


class IntakeHalf(half.Half):
    """The intake's half."""

    def __init__(self, opened: half.Opened) -> None:
        half.Half.__init__(self, opened)
        # Made once: what is taken in by the same work is taken in together.
        self._taking = functools.partial(intake.take, room=opened.room)
        # Not stored: whoever reads the feed comes back with its cursor.
        self._read = 0

    async def enqueue_all(
        self, notifications: Sequence[tuple[ports.NewNotification, ports.QueueQuota]]
    ) -> Sequence[ports.Enqueued | ports.Unqueued]:
        """Store notifications in one commit; see `ports.Queue`."""
        entries = [
            intake.Entry(notification=notification, payload=payloads.encode(notification), quota=quota)
            for notification, quota in notifications
        ]
        return await self._writer.submit_item(
            self._taking,
            intake.Offering(entries=entries, read=self._read),
            weight_bytes=sum(len(entry.payload) for entry in entries),
        )

    async def find(self, lane: ports.LaneKey, notification_id: str) -> ports.Record | None:
        """Return a notification of a lane, or None."""
        return await self._readers.read(functools.partial(rows.find_record, lane=lane, id_=notification_id))

    async def find_object(self, lane: ports.LaneKey, *, name: str, spec_hash: str) -> ports.Record | None:
        """Return the notification that a Notification object of a lane is, or None."""
        return await self._readers.read(functools.partial(rows.find_object, lane=lane, name=name, spec_hash=spec_hash))

    async def changes(self, after: int, *, limit: int = 500) -> feed.Feed:
        """Return the latest state of Notification objects and probes that changed after a cursor."""
        if after <= self._news.cursor:
            self._read = max(self._read, after)
        found = await self._readers.read(functools.partial(changes.read_feed, after=after, limit=limit))
        # A bell of another process that was not heard is made up for.
        self._news.announce(found.cursor)
        return found

    async def wait_for_change(self, after: int, *, within: dt.timedelta) -> None:
        """Return when something changed after the cursor, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                # A cursor from the future gets its answer, which starts from the beginning, at once.
                while self._news.cursor == after:
                    await self._news.wait()

    async def queued_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces for which something is queued."""
        return await self._readers.read(rows.queued_namespaces)

    async def queued(self) -> Sequence[queued.QueuedCount]:
        """Return what is queued, each backlog and state once."""
        return await self._readers.read(rows.read_queued)

    async def kept_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces of which such a payload is kept."""
        return await self._readers.read(kept.namespaces)

    async def page(
        self, namespace_uid: str, wanted: filing.Filter, *, after: str | None, limit: int
    ) -> filing.FiledPage:
        """Return a part of a namespace's notifications; see `filing.FilingQueue`."""
        return await self._readers.read(
            functools.partial(listing.read_page, namespace_uid=namespace_uid, wanted=wanted, after=after, limit=limit)
        )

    async def look(self, namespace_uid: str, notification_id: str) -> filing.Filed | None:
        """Return a notification of a namespace, or None."""
        return await self._readers.read(
            functools.partial(listing.look, namespace_uid=namespace_uid, id_=notification_id)
        )

    async def retry(
        self,
        namespace_uid: str,
        notification_id: str,
        *,
        at: dt.datetime,
        expires_at: dt.datetime,
        quota: ports.QueueQuota,
    ) -> Sequence[ports.Pending]:
        """Queue what failed of a notification anew; see `filing.FilingQueue`."""
        return await self._writer.submit(
            functools.partial(
                resending.retry,
                namespace_uid=namespace_uid,
                id_=notification_id,
                at=at,
                expires_at=expires_at,
                quota=quota,
                room=self._room,
            )
        )

    async def suppressions(
        self, namespace_uid: str, *, now: dt.datetime, after: filing.SuppressionKey, limit: int
    ) -> filing.SuppressionPage:
        """Return a part of the addresses to which nothing is sent; see `filing.FilingQueue`."""
        return await self._readers.read(
            functools.partial(suppressions.read_page, namespace_uid=namespace_uid, now=now, after=after, limit=limit)
        )

    async def resume(self) -> str | None:
        """Have a restored queue go on; see `filing.FilingQueue`."""
        return await self._writer.submit(memories.take_restored)

    async def clear_suppressions(
        self, namespace_uid: str, *, organization: str | None, addresses: Sequence[str] | None
    ) -> int:
        """Let addresses be tried again; see `filing.FilingQueue`."""
        return await self._writer.submit(
            functools.partial(
                suppressions.clear, namespace_uid=namespace_uid, organization=organization, addresses=addresses
            )
        )

    async def ask(self, request: requests_port.NewRequest) -> int:
        """Store a request; see `requests.AskingQueue`."""
        return await self._writer.submit(functools.partial(requests.ask, request=request))

    async def reply_to(self, number: int) -> requests_port.RequestAnswer | None:
        """Return what was answered to a request."""
        return await self._readers.read(functools.partial(requests.reply_to, number=number))

    async def withdraw(self, number: int) -> None:
        """Remove a request."""
        await self._writer.submit(functools.partial(requests.withdraw, number=number))

    async def shown(self, after: int) -> displays_port.ShownTexts:
        """Return what delivery showed since a cursor."""
        return await self._readers.read(functools.partial(displays.read, after=after))

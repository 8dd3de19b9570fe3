"""What people ask of the queue, beside what delivery does; the part of it that `filing.FilingQueue` asks for."""

import datetime as dt
import functools
from collections.abc import Callable, Sequence

from mailtier.sender import filing, ports
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import readers, writer
from mailtier.sender.storage.sqlite.failed import kept, listing, resending


class FiledRows:
    """Notifications as people list them, send them again, and drop them.

    Args:
        commits: The one writer.
        reads: The readers.
        room: Whether the volume takes new work.
    """

    def __init__(self, commits: writer.Writer, reads: readers.Readers, room: volume.Room) -> None:
        self._writer = commits
        self._readers = reads
        self._room = room

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

    async def drop(self, namespace_uid: str, notification_id: str) -> None:
        """Wipe what is kept of a notification that has ended."""
        await self._writer.submit(functools.partial(resending.drop, namespace_uid=namespace_uid, id_=notification_id))

    async def kept_payloads(self) -> int:
        """Return of how many notifications that failed the payload is kept."""
        return await self._readers.read(kept.count)

    async def kept_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces of which such a payload is kept."""
        return await self._readers.read(kept.namespaces)

    async def wipe_namespace(self, namespace_uid: str) -> None:
        """Wipe what is kept of a namespace that is gone."""
        await self._in_steps(functools.partial(kept.wipe_namespace, namespace_uid=namespace_uid))

    async def _in_steps(self, step: Callable[..., int]) -> int:
        total = 0
        while removed := await self._writer.submit(step):
            total += removed
        return total

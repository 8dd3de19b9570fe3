"""What people ask of the queue, beside what delivery does; the part of it that `filing.FilingQueue` asks for."""

import datetime as dt
import functools
from collections.abc import Sequence

from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import restoring
from mailtier.sender.queueing import suppressions as rules
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres.database import committing, connections
from mailtier.sender.storage.postgres.failed import kept, listing, resending
from mailtier.sender.storage.postgres.outcomes import suppressions


class FilingTables:
    """Notifications as people list them, send them again, and drop them.

    Args:
        pool: Connections.
    """

    def __init__(self, pool: connections.Connections) -> None:
        self._pool = pool

    async def page(
        self, namespace_uid: str, wanted: filing.Filter, *, after: str | None, limit: int
    ) -> filing.FiledPage:
        """Return a part of a namespace's notifications; see `filing.FilingQueue`."""
        return await self._pool.read(
            functools.partial(listing.read_page, namespace_uid=namespace_uid, wanted=wanted, after=after, limit=limit)
        )

    async def look(self, namespace_uid: str, notification_id: str) -> filing.Filed | None:
        """Return a notification of a namespace, or None."""
        return await self._pool.read(functools.partial(listing.look, namespace_uid=namespace_uid, id_=notification_id))

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
        return await committing.step(
            self._pool,
            functools.partial(
                resending.retry,
                namespace_uid=namespace_uid,
                id_=notification_id,
                at=at,
                expires_at=expires_at,
                quota=quota,
            ),
        )

    async def drop(self, namespace_uid: str, notification_id: str) -> None:
        """Wipe what is kept of a notification that has ended."""
        await committing.step(
            self._pool, functools.partial(resending.drop, namespace_uid=namespace_uid, id_=notification_id)
        )

    async def kept_payloads(self) -> int:
        """Return of how many notifications that failed the payload is kept."""
        ((count,),) = await self._pool.fetch(kept.COUNT)
        return int(count)

    async def kept_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces of which such a payload is kept."""
        return tuple(uid for (uid,) in await self._pool.fetch(kept.NAMESPACES))

    async def wipe_namespace(self, namespace_uid: str) -> None:
        """Wipe what is kept of a namespace that is gone."""
        await self._in_steps(functools.partial(kept.wipe_namespace, namespace_uid=namespace_uid))
        await self.clear_suppressions(namespace_uid, organization=None, addresses=None)

    async def suppressions(
        self, namespace_uid: str, *, now: dt.datetime, after: filing.SuppressionKey, limit: int
    ) -> filing.SuppressionPage:
        """Return a part of the addresses to which a namespace's organizations send nothing."""
        return await self._pool.read(
            functools.partial(suppressions.read_page, namespace_uid=namespace_uid, now=now, after=after, limit=limit)
        )

    async def resume(self) -> str | None:
        """Have a restored queue go on; see `filing.FilingQueue`."""
        found = await self._pool.fetch("DELETE FROM mailtier.memories WHERE key = $1 RETURNING body", restoring.KEY)
        return next((str(body) for (body,) in found), None)

    async def clear_suppressions(
        self, namespace_uid: str, *, organization: str | None, addresses: Sequence[str] | None
    ) -> int:
        """Let addresses be tried again; return how many were known."""
        return await committing.step(
            self._pool,
            functools.partial(
                suppressions.clear, namespace_uid=namespace_uid, organization=organization, addresses=addresses
            ),
        )

    async def suppressed(self, *, now: dt.datetime) -> int:
        """Return to how many addresses nothing is sent."""
        ((count,),) = await self._pool.fetch(suppressions.COUNT, rules.REFUSALS, values.to_micros(now))
        return int(count)

    async def _in_steps(self, step: committing.Step[int]) -> int:
        total = 0
        while removed := await committing.step(self._pool, step):
            total += removed
        return total

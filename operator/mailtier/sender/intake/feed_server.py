"""The socket that the operator talks to: it offers Notification objects, and reads what changed (`api.feed`).

It also tells which namespaces are gone, of those that the sender has something queued for, and asks how much that is.

Whoever can open the socket is trusted: it lies in a folder that the pod's containers share, with mode 0600.
"""

import asyncio
import contextlib
import datetime as dt
import os
import pathlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import pydantic
from aiohttp import web

from mailtier.api import feed, names, reasons, vocabulary
from mailtier.sender import ports, settings_source
from mailtier.sender.between import queued, requests
from mailtier.sender.intake import asking, summing, taking
from mailtier.sender.queueing import restoring
from mailtier.settings import effective

_MAXIMUM_BODY_BYTES: Final = 2 * 1024 * 1024
"""An Offer holds at most 256 KiB of text, which JSON can blow up sixfold by escaping."""
_LONGEST_WAIT: Final = dt.timedelta(seconds=60)
_SHUTDOWN_SECONDS: Final = 1.0
_FIND_SECONDS: Final = 2.0
_UMASK: Final = 0o177
_STARTING: Final = "the sender has not read the settings yet; the notification is offered again"
_UNANSWERED: Final = "the sender's queue did not answer in time; the notification is offered again"


class SyncedSettings(settings_source.KnownSettings, Protocol):
    """What the socket asks of the settings."""

    @property
    def synced(self) -> bool:
        """Whether they were listed once: before that an unknown organization means nothing."""


class OfferedQueue(ports.IntakeQueue, queued.CountingQueue, Protocol):
    """What the socket asks of the queue."""


class FeedServer:
    """Takes offers in and hands changes out.

    Args:
        queue: Where notifications are.
        settings: The organizations that there are.
        taker: Takes them in.
        end_namespace: Has delivery fail what is queued for a namespace that is gone, and wipe what is kept of it.
        hold_of: Returns why an organization's messages of a category are held; None where they are not.
    """

    def __init__(
        self,
        queue: OfferedQueue,
        settings: SyncedSettings,
        *,
        taker: taking.Taking,
        end_namespace: Callable[[str], Awaitable[None]],
        hold_of: summing.HoldOf,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._taking = taker
        self._end_namespace = end_namespace
        self._hold_of = hold_of
        self._runner: web.AppRunner | None = None

    async def open(self, folder: pathlib.Path) -> None:
        """Listen on the socket in a folder; one that an earlier process left is replaced."""
        application = web.Application(client_max_size=_MAXIMUM_BODY_BYTES, middlewares=[_away_as_unavailable])
        application.router.add_put(feed.OBJECTS_PATH, self._offer)
        application.router.add_get(feed.FEED_PATH, self._feed)
        application.router.add_get(feed.NAMESPACES_PATH, self._list_namespaces)
        application.router.add_delete(f"{feed.NAMESPACES_PATH}/{{uid}}", self._delete_namespace)
        application.router.add_get(feed.BACKLOGS_PATH, self._list_backlogs)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        path = folder / feed.SOCKET_NAME
        path.unlink(missing_ok=True)
        # The mode has to be right from the moment the socket exists, which a chmod afterwards would not give.
        former = os.umask(_UMASK)
        try:
            await web.UnixSite(self._runner, path).start()
        finally:
            os.umask(former)

    async def close(self) -> None:
        """Stop listening; an offer that is being stored is answered, a waiting reader is let go."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self._taking.drain()

    async def offer(self, offered: feed.Offer) -> feed.Taken | feed.Refused:
        """Return the record of a Notification object in the queue, taken now or before, or why it is not taken."""
        spec = offered.spec
        organization = spec.organization or names.DEFAULT_ORGANIZATION
        lane = ports.LaneKey(
            namespace_uid=offered.namespace_uid, namespace=offered.namespace, organization=organization
        )
        settings = self._settings.get(effective.OrganizationKey(namespace=offered.namespace, name=organization))
        found = await self._take(offered, settings)
        if isinstance(found, feed.Refused):
            # What was taken stays taken, whatever became of the settings since.
            record = await self._find_soon(lane, offered)
            return found if record is None else _taken(offered, record)
        record = await self._queue.find(lane, found.id)
        if record is None:
            # Two namespaces' worth of luck: purged between the two statements. The next offer stores it anew.
            return feed.Refused(reason=str(reasons.STORAGE_FULL), message="it was just removed", retry=True)
        return _taken(offered, record)

    async def _find_soon(self, lane: ports.LaneKey, offered: feed.Offer) -> ports.Record | None:
        """Return the record of an object; None where there is none, or the queue does not say so at once."""
        # The operator waits for no more than this beside what taking it may have taken.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIND_SECONDS):
                return await self._queue.find_object(lane, name=offered.name, spec_hash=offered.spec_hash)
        return None

    async def _take(self, offered: feed.Offer, settings: effective.Effective | None) -> ports.Enqueued | feed.Refused:
        if offered.spec.category == vocabulary.Category.PASSWORD_RECOVERY:
            return feed.Refused(reason=str(reasons.HTTPS_ONLY), message=reasons.HTTPS_ONLY.remedy, retry=False)
        if not self._settings.synced:
            return feed.Refused(reason=str(reasons.SENDER_UNAVAILABLE), message=_STARTING, retry=True)
        if settings is None or settings.namespace_uid != offered.namespace_uid:
            return feed.Refused(
                reason=str(reasons.ORGANIZATION_UNKNOWN), message=reasons.ORGANIZATION_UNKNOWN.meaning, retry=True
            )
        source = ports.ObjectSource(name=offered.name, object_uid=offered.object_uid, spec_hash=offered.spec_hash)
        try:
            return await self._taking.take(offered.spec, settings, source)
        except taking.NOT_TAKEN as error:
            return _refused(error)

    async def _offer(self, request: web.Request) -> web.Response:
        try:
            offered = feed.Offer.model_validate_json(await request.read())
        except pydantic.ValidationError as error:
            # The input is left out: the text of a notification is nobody's business (R1).
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            return web.json_response({"errors": [f"{entry['loc']}: {entry['msg']}" for entry in problems]}, status=422)
        try:
            answer = await self.offer(offered)
        except ports.StorageAwayError:
            answer = feed.Refused(reason=str(reasons.SENDER_UNAVAILABLE), message=_UNANSWERED, retry=True)
        return web.Response(text=answer.model_dump_json(), content_type="application/json")

    async def _feed(self, request: web.Request) -> web.Response:
        try:
            after = int(request.query.get("after", "0"))
            within = min(dt.timedelta(seconds=float(request.query.get("wait", "0"))), _LONGEST_WAIT)
        except (ValueError, OverflowError):
            return web.json_response({"errors": ["after is a whole number and wait a number of seconds"]}, status=422)
        if within > dt.timedelta():
            await self._queue.wait_for_change(after, within=within)
        changes = await self._queue.changes(after)
        if (mark := await self._queue.restored()) is not None:
            changes = changes.model_copy(update={"restored_from": restoring.made_at(mark)})
        return web.Response(text=changes.model_dump_json(), content_type="application/json")

    async def _list_namespaces(self, _request: web.Request) -> web.Response:
        uids = sorted({*await self._queue.queued_namespaces(), *await self._queue.kept_namespaces()})
        answer = feed.Namespaces(uids=tuple(uids))
        return web.Response(text=answer.model_dump_json(), content_type="application/json")

    async def _list_backlogs(self, _request: web.Request) -> web.Response:
        answer = summing.sum_up(await self._queue.queued(), self._hold_of)
        return web.Response(text=answer.model_dump_json(), content_type="application/json")

    async def _delete_namespace(self, request: web.Request) -> web.Response:
        try:
            await self._end_namespace(request.match_info["uid"])
        except (asking.DeliveryAwayError, requests.TooManyRequestsError, ports.StorageFullError) as error:
            return web.json_response({"errors": [str(error)]}, status=503)
        return web.Response(status=204)


@web.middleware
async def _away_as_unavailable(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tell the operator, which asks again, that the queue does not answer."""
    try:
        return await handler(request)
    except ports.StorageAwayError as error:
        return web.json_response({"errors": [str(error)]}, status=503)


def _refused(error: taking.NotTaken) -> feed.Refused:
    match error:
        case taking.NotLetThroughError(refusal=refusal):
            return feed.Refused(reason=str(refusal.reason), message=refusal.message, retry=False)
        case ports.QuotaExceededError():
            return feed.Refused(reason=str(reasons.QUOTA_EXCEEDED), message=str(error), retry=True)
        case ports.StorageFullError():
            return feed.Refused(reason=str(reasons.STORAGE_FULL), message=str(error), retry=True)
        case taking.UnansweredError() | ports.IdempotencyConflictError():
            return feed.Refused(reason=str(reasons.SENDER_UNAVAILABLE), message=_UNANSWERED, retry=True)


def _taken(offered: feed.Offer, record: ports.Record) -> feed.Taken:
    return feed.Taken(
        id=record.id,
        namespace=offered.namespace,
        namespace_uid=offered.namespace_uid,
        name=offered.name,
        object_uid=offered.object_uid,
        spec_hash=offered.spec_hash,
        accepted_at=record.accepted_at,
        complete=record.complete,
        recipients=tuple(record.recipients),
        totals=record.totals,
    )

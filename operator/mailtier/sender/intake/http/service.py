"""What a request to the intake goes through: caller, organization, body, settings, commit, answer."""

import asyncio
import dataclasses
import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import web

from mailtier.api import feed, notification, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender import ports, settings_source
from mailtier.sender.intake import admission, ids
from mailtier.sender.intake.http import access, bodies, body, entrance, openapi, problems, windows
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import lanes, standing
from mailtier.settings import effective
from mailtier.telemetry import logs, metrics

_COMMIT_SECONDS: Final = 20.0
_STARTING_SECONDS: Final = 2
_QUOTA_SECONDS: Final = 60
_FULL_SECONDS: Final = 300

_NOTHING: Final = ports.QueueQuota(messages=0, payload_bytes=0)
"""What may be queued where a request may be a repeat: the earlier one is found, and a new one is not stored."""

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
# A token or UUID of any usual form; the draft's quotation marks (draft-ietf-httpapi-idempotency-key-header) count as
# part of it.
_KEY: Final = re.compile(r"[!-~]{1,255}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the intake works with.

    Attributes:
        on_pending: Told what the scheduler has to know, after the commit.
        held: Returns why delivery holds an organization's messages; None where it does not.
        awaited_rate: Returns the rate of its namespace that an organization waits for, in messages a minute.
        quota: What one namespace may have queued where the host's policy says nothing.
        now: Returns aware UTC time.
        monotonic: Returns seconds of a clock that never jumps.
    """

    gate: access.Gate
    settings: settings_source.SettingsSource
    probes: prober.Prober
    queue: ports.Queue
    identifiers: ids.TimeSortedIds
    on_pending: Callable[[Sequence[ports.Pending]], None]
    awaited_rate: Callable[[ports.LaneKey], int | None]
    held: Callable[[ports.LaneKey], standing.Held | None]
    quota: ports.QueueQuota
    now: Callable[[], dt.datetime]
    monotonic: Callable[[], float]


class Service:
    """The handlers of the intake's routes."""

    def __init__(self, parts: Parts, enter: entrance.Entrance) -> None:
        self._parts = parts
        self._enter = enter
        self._recoveries = windows.Windows(lanes.PASSWORD_RECOVERIES_PER_MINUTE, monotonic=parts.monotonic)
        self._storing: set[asyncio.Task[ports.Enqueued]] = set()
        self._bodies = bodies.Bodies()

    async def create(self, request: web.Request) -> web.Response:
        """Queue a notification; the answer 202 means that it is on disk."""
        caller, settings = await self._enter.organization(request)
        key = _idempotency_key(request)
        content = body.parse(await self._read(request, settings.organization.namespace))
        refusal = admission.refuse(content, settings)
        if refusal is not None:
            metrics.count_refused(category=content.category, reason=str(refusal.reason))
            raise problems.HttpProblem(
                problems.NOT_TAKEN,
                f"{settings.organization} does not let it through: {refusal.message}",
                errors=[
                    problems.FieldError(pointer=body.pointer(field), detail=refusal.message) for field in refusal.fields
                ],
            )
        enqueued = await self._enqueue(content, settings, key)
        if not enqueued.repeated:
            metrics.count_accepted(category=content.category, source="http")
            if (found := admission.audit(content, settings)) is not None:
                metrics.count_would_refuse(reason=str(found.reason))
            _log.info(
                "notification queued",
                id=enqueued.id,
                organization=str(settings.organization),
                category=str(content.category),
                recipients=len(enqueued.pending),
                caller=caller.username,
            )
        path = openapi.ITEM.format(
            namespace=settings.organization.namespace, organization=settings.organization.name, id=enqueued.id
        )
        headers = {"Location": path, **({REPLAYED_HEADER: "true"} if enqueued.repeated else {})}
        answer: dict[str, Any] = {"id": enqueued.id, "status": path}
        if (held := self._held(settings)) is not None:
            answer["held"] = {"reason": held.reason, "message": held.message}
        return web.json_response(answer, status=202, headers=headers)

    async def look_up(self, request: web.Request) -> web.Response:
        """Return where a notification's recipients stand."""
        _, settings = await self._enter.organization(request)
        lane = ports.LaneKey.of(settings)
        record = await self._parts.queue.find(lane, request.match_info["id"])
        if record is None or record.totals is not None:
            raise problems.HttpProblem(
                problems.NOT_FOUND,
                f"{settings.organization} has no notification with this id, or none any more",
            )
        return web.json_response(
            _status(record, held=self._held(settings), awaited_rate=self._parts.awaited_rate(lane))
        )

    def _held(self, settings: effective.Effective) -> standing.Held | None:
        """Return why an organization's messages do not go; by its settings at once, before delivery has looked."""
        lane = ports.LaneKey.of(settings)
        judged = standing.judge(settings, lane)
        return judged if isinstance(judged, standing.Held) else self._parts.held(lane)

    async def drain(self) -> None:
        """Return when everything that was being stored is stored and handed on."""
        await asyncio.gather(*self._storing, return_exceptions=True)

    async def _enqueue(
        self, content: notification.NotificationRequest, settings: effective.Effective, key: str | None
    ) -> ports.Enqueued:
        lane = ports.LaneKey.of(settings)
        limited = content.category == vocabulary.Category.PASSWORD_RECOVERY
        wait_seconds = self._recoveries.take(lane) if limited else 0.0
        taken = limited and wait_seconds <= 0
        too_many = f"{settings.organization} has begun {lanes.PASSWORD_RECOVERIES_PER_MINUTE} password recoveries"
        too_many += " within a minute; send this one later"
        if wait_seconds > 0 and key is None:
            raise _too_many(content, too_many, wait_seconds)
        added = admission.new_notification(
            content,
            settings,
            notification_id=self._parts.identifiers.new(),
            now=self._parts.now(),
            idempotency_key=key,
        )
        # A task of its own: a request that is given up must not leave behind a row that no scheduler knows of.
        quota = admission.quota(settings, self._parts.quota) if wait_seconds <= 0 else _NOTHING
        task = asyncio.create_task(self._store(added, quota), name="intake-store")
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        stored = False
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                enqueued = await asyncio.shield(task)
            stored = not enqueued.repeated
        except ports.QuotaExceededError as error:
            if wait_seconds > 0:
                raise _too_many(content, too_many, wait_seconds) from None
            raise _too_many(content, str(error), _QUOTA_SECONDS) from None
        except ports.StorageFullError as error:
            metrics.count_refused(category=content.category, reason=problems.FULL.slug)
            raise problems.HttpProblem(problems.FULL, str(error), headers=_retry_after(_FULL_SECONDS)) from None
        except ports.IdempotencyConflictError as error:
            raise problems.HttpProblem(problems.KEY_REUSED, str(error)) from None
        except (TimeoutError, ports.StorageBrokenError):
            raise problems.HttpProblem(
                problems.UNAVAILABLE,
                "the queue did not answer in time, so that nobody knows whether the notification was stored; send it"
                " again with the same idempotency key",
                headers=_retry_after(_STARTING_SECONDS),
            ) from None
        finally:
            if taken and not stored:
                self._recoveries.give_back(lane)
        return enqueued

    async def _store(self, added: ports.NewNotification, quota: ports.QueueQuota) -> ports.Enqueued:
        enqueued = await self._parts.queue.enqueue(added, quota=quota)
        self._parts.on_pending(enqueued.pending)
        return enqueued

    async def _read(self, request: web.Request, namespace: str) -> bytes:
        """Return the body, which arrives in one of its namespace's slots (R15).

        Raises:
            HttpProblem: It is not declared as plain JSON, there is no room for it, it is too large, or does not arrive
                in time.
        """
        if request.content_type != "application/json" or request.charset not in {None, "utf-8", "UTF-8"}:
            raise problems.HttpProblem(problems.NOT_JSON, "send the header `Content-Type: application/json`")
        if "Content-Encoding" in request.headers:
            raise problems.HttpProblem(problems.NOT_JSON, "send the body as it is, without Content-Encoding")
        # While it waits for room too: else requests that wait would hold places which no newcomer gets.
        with request[entrance.CONNECTION].reading():
            return await self._bodies.read(namespace, request.read)


_log = logs.get_logger(__name__)


def _idempotency_key(request: web.Request) -> str | None:
    found = request.headers.getall(KEY_HEADER, [])
    if not found:
        return None
    if len(found) > 1 or not _KEY.fullmatch(found[0]):
        raise problems.HttpProblem(
            problems.MALFORMED,
            f"{KEY_HEADER} has to be one word of 1 to 255 printable ASCII characters, such as a UUID",
        )
    return found[0]


def _too_many(content: notification.Content, detail: str, wait_seconds: float) -> problems.HttpProblem:
    metrics.count_refused(category=content.category, reason=problems.TOO_MANY.slug)
    return problems.HttpProblem(problems.TOO_MANY, detail, headers=_retry_after(wait_seconds))


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds))}


def _status(record: ports.Record, *, held: standing.Held | None, awaited_rate: int | None) -> dict[str, Any]:
    """Return where a notification stands.

    Args:
        record: As it is stored.
        held: Why its organization's messages do not go; it is stored with them when that lasts.
        awaited_rate: The namespace's rate that its organization waits for; that is not stored, being so for a moment.
    """
    return {
        "id": record.id,
        "category": record.category,
        "acceptedAt": _moment(record.accepted_at),
        "complete": record.complete,
        "recipients": [_recipient(recipient, held, awaited_rate) for recipient in record.recipients],
    }


def _recipient(recipient: feed.Recipient, held: standing.Held | None, awaited_rate: int | None) -> dict[str, Any]:
    reason, message = recipient.reason, recipient.message
    waits = recipient.state is vocabulary.RecipientState.QUEUED and not reason
    if waits and held is not None:
        reason, message = held.reason, held.message
    elif waits and awaited_rate is not None:
        reason = delivery_reasons.DeliveryReason.RATE_LIMITED
        message = f"waits for the namespace's rate of {awaited_rate} a minute, which the host's policy.quota sets"
    return {
        "address": recipient.address,
        "state": recipient.state,
        "reason": reason,
        "message": message,
        "attempts": recipient.attempts,
        "changedAt": _moment(recipient.changed_at),
    }


def _moment(at: dt.datetime) -> str:
    """Return a time in UTC as RFC 3339 has it."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

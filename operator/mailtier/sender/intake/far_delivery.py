"""Delivery as the intake sees it: what it shows, and what may be asked of it, by rows and a bell."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, NoReturn, Protocol

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.between import displays, requests
from mailtier.sender.intake import asking
from mailtier.sender.probing import telling, trace
from mailtier.sender.scheduling import lane_display, standing, waits
from mailtier.settings import effective
from mailtier.telemetry import logs, tasks

_LOOK_SECONDS: Final = 5.0
"""How often it is looked what is shown; a bell may not have been heard."""
_ANEW_SECONDS: Final = 60.0
"""How often all of it is read, so that nothing stays that was taken back unheard."""
_LONGEST_PROBE_SECONDS: Final = 170.0
"""Longer than whoever asked waits."""

_log = logs.get_logger(__name__)


class FarQueue(requests.AskingQueue, displays.ShownQueue, Protocol):
    """What is asked of the queue here."""


class FarDelivery:
    """Delivery, in whatever process it runs.

    Args:
        rows: Requests and what is shown.
        on_pending: Tells delivery what was queued.
        on_asked: Tells delivery that something is asked.
        now: Returns the aware UTC time.
    """

    def __init__(
        self,
        rows: FarQueue,
        *,
        on_pending: Callable[[Iterable[ports.Pending]], None],
        on_asked: Callable[[], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self._rows = rows
        self._on_pending = on_pending
        self._asking = asking.Asking(rows, ring=on_asked, now=now)
        self._following = tasks.Background()
        self._texts: dict[ports.LaneKey, str] = {}
        self._cursor = 0
        self._shown = asyncio.Event()

    def note_replies(self) -> None:
        """Look at the answers now: delivery gave some."""
        self._asking.note_replies()

    def note_shown(self) -> None:
        """Look now at what delivery shows."""
        self._shown.set()

    def ring(self, pending: Iterable[ports.Pending]) -> None:
        """Tell delivery that recipients were queued."""
        self._on_pending(pending)

    def hold_of(self, key: ports.LaneKey, category: vocabulary.Category | None = None) -> waits.Wait | None:
        """Return why an organization's messages, or those of one category, are held; None where they are not."""
        return self._display(key).hold_of(category)

    def brief_wait(self, key: ports.LaneKey) -> waits.Wait | None:
        """Return what an organization's messages wait for that is over soon; None for nothing."""
        return self._display(key).brief

    def wait_of(self, key: ports.LaneKey, category: vocabulary.Category) -> waits.Wait | None:
        """Return what an organization's messages of a category wait for now; None for nothing."""
        return self._display(key).wait_of(category)

    def waiting_for(self, namespace: str, reason: str) -> list[tuple[str, vocabulary.Category]]:
        """Return organizations of a namespace, with categories, whose messages wait for a reason now."""
        waiting = [(key, self._display(key)) for key in self._texts if key.namespace == namespace]
        return [
            (key.organization, category)
            for key, shown in waiting
            for category in vocabulary.Category
            if (wait := shown.wait_of(category)) is not None and wait.reason == reason
        ]

    async def release(self, key: ports.LaneKey) -> standing.Released:
        """Let an organization's messages be tried now; what holds it still does.

        Raises:
            DeliveryAwayError, TooManyRequestsError, StorageFullError: As `asking.Asking.ask`; so for all below.
        """
        lane = dataclasses.asdict(key)
        answer = await self._asking.ask(requests.RequestKind.RELEASE, key.namespace_uid, {"lane": lane})
        return lane_display.decode_released(answer)

    async def drop(self, key: ports.LaneKey, notification_id: str, recipient_numbers: Iterable[int]) -> int:
        """End recipients of a notification that somebody dropped, wipe what is kept of it, and return how many."""
        document = {
            "lane": dataclasses.asdict(key),
            "id": notification_id,
            "recipients": list(recipient_numbers),
        }
        answer = await self._asking.ask(requests.RequestKind.DROP, key.namespace_uid, document)
        return int(answer["dropped"])

    async def end_namespace(self, namespace_uid: str) -> None:
        """Give up what is queued for a namespace that is gone, and wipe what is kept of it."""
        await self._asking.ask(requests.RequestKind.END_NAMESPACE, namespace_uid, {"uid": namespace_uid})

    async def demand(self, settings: effective.Effective, *, again: bool) -> trace.Trace:
        """Start a probe for somebody who waits, or join one; return its trace, which goes on by itself.

        Raises:
            StartingError, NotProbeableError, TooSoonError: As `prober.Prober.demand`.
        """
        organization = settings.organization
        document = {
            "namespace": organization.namespace,
            "organization": organization.name,
            "again": again,
            "fallback": isinstance(organization, effective.FallbackKey),
        }
        uid = settings.namespace_uid if organization.namespace else ""
        began: asyncio.Future[trace.Trace] = asyncio.get_running_loop().create_future()
        following = self._following.spawn(self._follow(uid, document, began))
        try:
            return await asyncio.shield(began)
        except asyncio.CancelledError:
            following.cancel()
            raise

    async def run(self) -> NoReturn:
        """Keep up with what is shown until cancelled."""
        anew_at = 0.0
        while True:
            self._shown.clear()
            now = asyncio.get_running_loop().time()
            try:
                await self._read(anew=now >= anew_at)
                if now >= anew_at:
                    anew_at = now + _ANEW_SECONDS
            except Exception:  # noqa: BLE001 - Whatever it is may pass; notifications are taken meanwhile.
                _log.exception("what delivery shows could not be read; trying again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._shown.wait()

    async def close(self) -> None:
        """Let go what is being followed."""
        await self._following.finish(within_seconds=0)
        await self._asking.drain()

    async def _read(self, *, anew: bool) -> None:
        found = await self._rows.shown(0 if anew else self._cursor)
        self._cursor = found.cursor
        if anew:
            self._texts = {}
        for key, text in found.texts.items():
            if text is None:
                self._texts.pop(key, None)
            else:
                self._texts[key] = text

    def _display(self, key: ports.LaneKey) -> lane_display.LaneDisplay:
        text = self._texts.get(key)
        return lane_display.NOTHING if text is None else lane_display.decode(text)

    async def _follow(self, uid: str, document: object, began: asyncio.Future[trace.Trace]) -> None:
        told = trace.Trace()
        try:
            async with (
                asyncio.timeout(_LONGEST_PROBE_SECONDS),
                self._asking.begin(requests.RequestKind.PROBE, uid, document) as answers,
            ):
                await _tell(told, answers, began)
        except Exception as error:  # noqa: BLE001 - It is told to whoever waits.
            if not began.done():
                began.set_exception(error)
            else:
                _log.warning("a probe's end was not heard", error=type(error).__name__)
        finally:
            told.end()
            if not began.done():
                began.cancel()


async def _tell(told: trace.Trace, answers: AsyncIterator[str], began: asyncio.Future[trace.Trace]) -> None:
    async for text in answers:
        telling.decode_into(told, text)
        if not began.done():
            began.set_result(told)

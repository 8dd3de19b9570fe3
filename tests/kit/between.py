"""Delivery and the intake's sight of it joined in one process, by the same rows that join two."""

import asyncio
import collections.abc
import contextlib

from kit import sending, wait
from mailtier.api import vocabulary
from mailtier.sender.delivering import answering
from mailtier.sender.delivering.keeping import showing
from mailtier.sender.intake import far_delivery
from mailtier.settings import effective
from mailtier.telemetry import metrics


@contextlib.asynccontextmanager
async def joined(sender: sending.Sender) -> collections.abc.AsyncIterator[far_delivery.FarDelivery]:
    """Give delivery as the intake sees it, while what answers and shows runs."""

    def note_asked() -> None:
        answers.note_asked()

    far = far_delivery.FarDelivery(
        sender.queue, on_pending=sender.delivery.ring, on_asked=note_asked, now=sender.clock.wall
    )
    answers = answering.Answering(
        sender.queue,
        deliverer=sender.delivery,
        probes=sender.prober,
        time=sender.clock.as_clock(),
        on_reply=far.note_replies,
        whose=sender.estate,
    )
    shows = showing.Showing(sender.queue, look=sender.delivery.displays, on_shown=far.note_shown)
    running = [asyncio.create_task(part) for part in (answers.run(), shows.run(), far.run())]
    try:
        yield far
    finally:
        await far.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def until_brief(sender: sending.Sender, of: effective.Effective, reason: str) -> None:
    """Return when the intake sees what an organization waits for, and the metric counts it; nothing is held."""
    lane = sending.lane(of)

    def is_shown() -> bool:
        brief = far.brief_wait(lane)
        return brief is not None and brief.reason == reason

    def is_counted() -> bool:
        labels = {"of": "awaited", "reason": reason}
        return metrics.SENDER_REGISTRY.get_sample_value("mailtier_holds", labels) == 1

    async with joined(sender) as far:
        await wait.until_async(is_shown, within_seconds=10, why=f"{reason} is shown")
        await wait.until_async(is_counted, within_seconds=5, why=f"{reason} is counted")
        assert far.hold_of(lane, vocabulary.Category.JOB_ALERT) is None

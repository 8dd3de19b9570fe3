"""Delivery and the intake's sight of it joined in one process, by the same rows that join two."""

import asyncio
import collections.abc
import contextlib

from kit import sending
from mailtier.sender.delivering import answering, showing
from mailtier.sender.intake import far_delivery


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

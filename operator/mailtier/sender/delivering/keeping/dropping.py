"""Ending recipients that somebody dropped, wherever they are."""

import functools
from collections.abc import Callable, Iterable

from mailtier.sender import ports
from mailtier.sender.delivering.keeping import claiming
from mailtier.sender.scheduling import lanes, schedule


async def drop(
    key: ports.LaneKey,
    recipient_numbers: Iterable[int],
    *,
    waiting: schedule.Schedule,
    claims: claiming.Claimer,
    store: Callable[[ports.Pending], None],
) -> int:
    """End recipients that somebody dropped, and return how many; what is on the wire goes on.

    Args:
        key: Their organization.
        recipient_numbers: Of those to end.
        waiting: The active set.
        claims: What fills it.
        store: Stores the end of one.
    """
    dropped, elsewhere = 0, list[int]()
    entries = waiting.open(key).entries
    for number in recipient_numbers:
        entry = entries.get(number)
        if entry is None:
            elsewhere.append(number)
        elif entry.place is not lanes.EntryPlace.ACTIVE:
            claims.end(entry)
            store(entry.pending)
            dropped += 1
    for pending in await claims.claim_these(elsewhere):
        dropped += claims.hand_on(pending, functools.partial(store, pending))
    return dropped

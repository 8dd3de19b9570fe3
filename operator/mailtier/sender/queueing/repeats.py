"""What it means that a notification was queued before: under its idempotency key, or as its object.

Whoever repeats a request hears of the first one, whatever the quota and the volume say: nothing is stored for it.
"""

import dataclasses
import datetime as dt

from mailtier.sender import ports
from mailtier.sender.queueing import retention


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is to be stored because the object of a notification was offered again.

    Attributes:
        is_recreated: The object has another uid than before: its status has to be written again, so that this is news.
        keep_until: Until when it is to be kept; None where that is to be left as it is.
    """

    is_recreated: bool
    keep_until: dt.datetime | None


def see(source: ports.ObjectSource, *, known_uid: str, kept_until: dt.datetime | None, at: dt.datetime) -> Sighting:
    """Return what is to be stored for an object whose name and spec are known.

    Args:
        source: The object as it is offered.
        known_uid: The uid under which it is known.
        kept_until: Until when its notification is kept; None while that is not finished.
        at: Aware UTC time of the offer.
    """
    return Sighting(is_recreated=source.object_uid != known_uid, keep_until=retention.prolong(kept_until, seen_at=at))


def require_same(notification: ports.NewNotification, *, known_id: str, known_digest: str) -> None:
    """Return when a notification is the one that is known under its idempotency key.

    Args:
        known_id: The id of the one that is known.
        known_digest: The digest of its request.

    Raises:
        IdempotencyConflictError: It is another request.
    """
    if notification.digest != known_digest:
        raise ports.IdempotencyConflictError(
            f"the idempotency key was used for another request, notification {known_id}: "
            "repeat that request unchanged, or take a new key"
        )

"""How many password recoveries an organization may begin in a minute: more is an abuse of somebody's reset page.

They are counted where they are stored, in the same transaction, so that it is one count for all intakes and over
restarts. All may come at once, as people do who are locked out by the same change; what was let in is not paced again.
"""

import datetime as dt
import json
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports

PER_MINUTE: Final = 30
WINDOW: Final = dt.timedelta(minutes=1)

MEMORIES: Final = "recoveries "
"""What the keys begin with under which queues remember when an organization's last ones began."""


class RecoveriesExceededError(ports.QuotaExceededError):
    """The organization has begun as many password recoveries as it may within a minute; nothing was stored."""

    def __init__(self, lane: ports.LaneKey, *, wait_seconds: float) -> None:
        super().__init__(
            f"{lane.namespace}/{lane.organization} has begun {PER_MINUTE} password recoveries within a minute;"
            " send this one later"
        )
        self.wait_seconds = wait_seconds


def memory_of(notification: ports.NewNotification) -> str | None:
    """Return under which key it is remembered when those of its organization began; None where it is no recovery."""
    if notification.category is not vocabulary.Category.PASSWORD_RECOVERY:
        return None
    return f"{MEMORIES}{notification.lane.namespace_uid}/{notification.lane.organization}"


def begin(notification: ports.NewNotification, remembered: str | None) -> str:
    """Return what is to be remembered once a recovery is stored: seconds since 1970 as JSON, the latest first.

    Args:
        notification: The recovery.
        remembered: What is, up to now.

    Raises:
        RecoveriesExceededError: It is one too many.
    """
    at, window = notification.accepted_at.timestamp(), WINDOW.total_seconds()
    # Clocks differ, and may be set back: what is far from now on either side is of no minute that counts.
    begun = [each for each in json.loads(remembered or "[]") if abs(at - each) < window]
    if len(begun) >= PER_MINUTE:
        raise RecoveriesExceededError(notification.lane, wait_seconds=min(begun[PER_MINUTE - 1] + window - at, window))
    return json.dumps(sorted([round(at, 3), *begun], reverse=True))

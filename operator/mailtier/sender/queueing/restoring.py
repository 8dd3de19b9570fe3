"""What a queue that was restored from a backup remembers, until somebody ends its hold.

Whatever was delivered after the backup stands in it as if it had not been: a restored queue that went on by itself
would mail all of that again. So a backup bears this mark from the beginning, by whatever way it is put in a queue's
place, and nothing is delivered, and nothing expires, until somebody has looked and says so.
"""

import datetime as dt
from typing import Final

from mailtier.mail import reasons
from mailtier.settings import transitions

KEY: Final = "restored"
"""Under this the queue remembers when the backup was made (`ports.Queue.remember`)."""

_UNDATED: Final = "a time that nobody named (marked at "


def mark(made_at: dt.datetime) -> str:
    """Return what is remembered of a backup.

    Args:
        made_at: Aware UTC time.
    """
    return transitions.timestamp(made_at)


def undated(marked_at: dt.datetime) -> str:
    """Return what is remembered of a backup that nobody knows the time of.

    Args:
        marked_at: Aware UTC time at which somebody said that the queue is restored.
    """
    return f"{_UNDATED}{mark(marked_at)})"


def made_at(mark: str) -> dt.datetime:
    """Return when a backup was made, or else when it was marked, aware UTC, from what is remembered of it."""
    return dt.datetime.fromisoformat(mark.removeprefix(_UNDATED).removesuffix(")"))


def explain(mark: str) -> str:
    """Return why the messages of a restored queue are held, for whoever waits for them."""
    meaning = reasons.MEANINGS[reasons.DeliveryReason.RESTORED]
    return f"{meaning} The backup is of {mark}; what was delivered since would be delivered again."

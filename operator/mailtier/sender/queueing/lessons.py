"""Under which keys senders of one queue keep what each of them learned of servers, and how long that outlives them."""

import datetime as dt
import enum
from typing import Final

OUTLIVES: Final = dt.timedelta(hours=1)
"""How long what a sender learned stays once it is gone: who took a server over has asked it by then."""


class Lesson(enum.StrEnum):
    """What is learned of servers."""

    BREAKERS = "breakers"
    ROUTES = "routes"
    LIMITS = "limits"


def key(lesson: Lesson, *, sender: str) -> str:
    """Return what a sender keeps a lesson under (`ports.DeliveryQueue`'s memory).

    Args:
        lesson: What it learned.
        sender: Its number; "" where one keeps all.
    """
    return f"{lesson}/{sender}" if sender else lesson.value

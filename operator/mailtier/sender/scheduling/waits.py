"""What keeps messages back: why, until when, and what ends it; pure."""

import dataclasses
import datetime as dt
import enum
from typing import Final

from mailtier.mail import reasons

_R: Final = reasons.DeliveryReason
_NEVER: Final = float("inf")

_BRIEF: Final = frozenset(
    {_R.RATE_LIMITED, _R.CONNECTION_AWAITED, _R.OPENING_AWAITED, _R.LOGIN_AWAITED, _R.TOKEN_AWAITED}
)
"""What lets something go all the while, or is over soon: not worth a write for each message that waits for it."""


class WaitEnd(enum.Enum):
    """What ends a wait."""

    TIME = enum.auto()
    """Nothing else is needed: a pause, a rate."""
    EVENT = enum.auto()
    """Something that comes by itself: an answer, a connection that is free, a Secret that is on its way."""
    PERSON = enum.auto()
    """Somebody who mends settings or a Secret, or has it go on."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What keeps messages of an organization, or of one of its lanes, back.

    Attributes:
        reason: Why.
        message: For the tenant: what is so and, where settings hold, the field and what to do.
        ends_with: What ends it.
        until: When it ends, or what it waits for is looked at again, whatever ends it; seconds of a monotonic clock.
            Infinity where that is told.
        fails_after: When the messages are given up, counted from its beginning; None for their max age.
        fails_with: Why they are then given up.
    """

    reason: reasons.DeliveryReason
    message: str
    ends_with: WaitEnd
    until: float = _NEVER
    fails_after: dt.timedelta | None = None
    fails_with: reasons.DeliveryReason | None = None

    @property
    def is_told(self) -> bool:
        """Whether it is told when it is over, and no time says so."""
        return self.until == _NEVER

    @property
    def is_brief(self) -> bool:
        """Whether it is shown only where it was there at the last look too, and never stored."""
        return self.reason in _BRIEF


def of(reason: reasons.DeliveryReason, ends_with: WaitEnd, *, until: float = _NEVER) -> Wait:
    """Return a wait of which there is nothing to say but its reason."""
    return Wait(reason=reason, message=reasons.MEANINGS[reason], ends_with=ends_with, until=until)


def for_rate(message: str, *, until: float = _NEVER) -> Wait:
    """Return a wait for a rate, which the message names."""
    return Wait(reason=_R.RATE_LIMITED, message=message, ends_with=WaitEnd.TIME, until=until)


def end(wait: Wait | None) -> float:
    """Return when a wait is over, by a monotonic clock; long ago where there is none."""
    return float("-inf") if wait is None else wait.until

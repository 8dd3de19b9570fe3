"""How long a slot, and a session in it, is used before others have their turn; pure."""

from typing import Final

from mailtier.sender.smtp import slots

_MESSAGES: Final = 10
_SECONDS: Final = 2.0
"""What a slot is used for before others of the same server have it, and a session before one of another login takes its
place: so that not each message opens a session."""

_LINGERING_SECONDS: Final = 0.5
"""So long after it was opened a session may wait for more messages while others want its connection."""


def is_over(slot: slots.Slot, now: float) -> bool:
    """Return whether a slot was used for so much that others may have it, at a time of the monotonic clock."""
    return slot.turns >= _MESSAGES or now - slot.taken_at >= _SECONDS


def goes_on(slot: slots.Slot, now: float) -> bool:
    """Return whether a slot's session was opened for so little so far that it is to be used for more of the same."""
    return slot.session_turns < _MESSAGES and now - slot.session_at < _SECONDS


def lingers(slot: slots.Slot, now: float) -> bool:
    """Return whether a slot's session is fit for another message, and so new that it may wait for it."""
    return slot.carried is not None and slot.carried.is_usable and now - slot.session_at < _LINGERING_SECONDS

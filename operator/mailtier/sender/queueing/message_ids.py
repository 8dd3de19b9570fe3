"""The Message-ID of a recipient's message."""

from typing import Final

DOMAIN: Final = "mailtier.dev"
"""The right side of every Message-ID (RFC 5322 section 3.6.4).

Not the From address's domain: that may change between two attempts, and the Message-ID must not. The left side is
unique by itself.
"""


def message_id(notification_id: str, recipient_number: int) -> str:
    """Return the Message-ID of a recipient's message, without angle brackets.

    It is made from what never changes, so that a resend has the same one, also after a restart.

    Args:
        notification_id: The notification's.
        recipient_number: The queue's number of the recipient, which is never given twice.
    """
    return f"{notification_id}.{recipient_number}@{DOMAIN}"

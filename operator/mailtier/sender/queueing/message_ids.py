"""The Message-ID of a recipient's message."""

from typing import Final

FORMER_DOMAIN: Final = "mailtier.dev"
"""The right side of every Message-ID of releases that had one for all; what they left in doubt is resent with it."""


def message_id(notification_id: str, recipient_number: int, *, domain: str) -> str:
    """Return the Message-ID of a recipient's message, without angle brackets.

    The left side is made from what never changes, and is unique by itself. The right side is what RFC 5322 section
    3.6.4 recommends, a domain that the sender answers for; filters hold another one against a message.

    Args:
        notification_id: The notification's.
        recipient_number: The queue's number of the recipient, which is never given twice.
        domain: Of the address that the message was from when it was first built for an attempt, in ASCII: whatever the
            settings say later, or a resend could not be told for one.
    """
    return f"{notification_id}.{recipient_number}@{domain}"

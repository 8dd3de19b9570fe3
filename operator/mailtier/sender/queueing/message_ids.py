"""The Message-ID of a recipient's message."""

from typing import Final

from mailtier.sender import ports

FORMER_DOMAIN: Final = "mailtier.dev"
"""The right side of every Message-ID of releases that had one for all; what they left in doubt is resent with it."""


def message_id(job: ports.Job, *, domain: str) -> str:
    """Return the Message-ID of a recipient's message, without angle brackets.

    The left side is made from what never changes, and is unique by itself. The right side is what RFC 5322 section
    3.6.4 recommends, a domain that the sender answers for; filters hold another one against a message.

    Args:
        job: The recipient, of which the notification's id counts, and the number that it was given when it was taken
            in, also where it was moved into another queue since: a queue never gives a number twice.
        domain: Of the address that the message was from when it was first built for an attempt, in ASCII: whatever the
            settings say later, or a resend could not be told for one.
    """
    number = job.recipient_number if job.id_number is None else job.id_number
    return f"{job.notification_id}.{number}@{domain}"

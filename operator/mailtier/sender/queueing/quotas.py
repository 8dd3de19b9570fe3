"""What a namespace may have queued and stored, and what a notification is charged for it.

What is stored is counted by an upper bound that depends on the request alone, so that what was added is what is taken
away: rows, their indexes, and for each recipient the longest reason and sentence that it may end with.
"""

import dataclasses
from typing import Final

from mailtier.sender import ports

NOTIFICATION_BYTES: Final = 640
"""The row with its ids and digest, its indexes, and what pages leave unused."""
RECIPIENT_BYTES: Final = 512
"""The row without the address: state, times, a reason, at most 200 characters of what was said, and its codes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a namespace has.

    Attributes:
        messages: Recipients without a final state.
        payload_bytes: Of their notifications.
        stored_bytes: Of all that is kept, finished or not.
    """

    messages: int = 0
    payload_bytes: int = 0
    stored_bytes: int = 0


def key_bytes(notification: ports.NewNotification) -> int:
    """Return what stays for as long as a repeat has to be known; keys stand in their row and in an index."""
    source = notification.source
    name = "" if source is None else source.name
    return NOTIFICATION_BYTES + 2 * len(notification.idempotency_key or "") + 2 * len(name)


def stored_bytes(notification: ports.NewNotification, payload_bytes: int) -> int:
    """Return what a new notification takes until it is finished; then its payload is wiped."""
    recipients = sum(RECIPIENT_BYTES + len(address) for address in notification.recipients)
    return key_bytes(notification) + recipients + payload_bytes


def charge(usage: Usage, notification: ports.NewNotification, *, payload_bytes: int, quota: ports.QueueQuota) -> Usage:
    """Return what a namespace has with one more notification; its share may be exceeded, which `forgive` settles.

    Args:
        usage: What it has without.
        payload_bytes: Of the notification's payload, encoded.

    Raises:
        QuotaExceededError: It would have more queued than it may.
    """
    namespace, recipients = notification.lane.namespace, len(notification.recipients)
    if recipients > quota.messages > 0:
        raise ports.QuotaExceededError(
            f"namespace {namespace} may have {quota.messages} messages queued, and this notification"
            f" alone is {recipients}: name fewer recipients in each"
        )
    charged = charge_again(usage, recipients, namespace=namespace, payload_bytes=payload_bytes, quota=quota)
    return Usage(
        messages=charged.messages,
        payload_bytes=charged.payload_bytes,
        stored_bytes=usage.stored_bytes + stored_bytes(notification, payload_bytes),
    )


def charge_again(
    usage: Usage, recipients: int, *, namespace: str, payload_bytes: int, quota: ports.QueueQuota
) -> Usage:
    """Return what a namespace has once recipients of a notification that is stored already are queued.

    Args:
        usage: What it has without.
        recipients: How many.
        payload_bytes: Of the payload, where none of it was queued.

    Raises:
        QuotaExceededError: It would have more queued than it may.
    """
    charged = Usage(
        messages=usage.messages + recipients,
        payload_bytes=usage.payload_bytes + payload_bytes,
        stored_bytes=usage.stored_bytes,
    )
    if charged.messages > quota.messages or charged.payload_bytes > quota.payload_bytes:
        raise ports.QuotaExceededError(
            f"namespace {namespace} may have {quota.messages} messages and {quota.payload_bytes} "
            f"bytes queued; with this notification it would have {charged.messages} and {charged.payload_bytes}: "
            "try again later"
        )
    return charged


def excess_bytes(charged: Usage, quota: ports.QueueQuota) -> int:
    """Return how much of what was finished has to be forgotten for the share to hold; 0 where there is room."""
    return max(charged.stored_bytes - quota.stored_bytes, 0)


def forgive(charged: Usage, *, freed_bytes: int, more: bool, namespace: str, quota: ports.QueueQuota) -> Usage:
    """Return what a namespace has once something of it was forgotten.

    Args:
        charged: What it has before that, with the notification that it was charged for.
        more: Whether there may be more to forget, where as much as one turn allows was forgotten. That is so only after
            a share was made smaller, and the next charges go on with it.

    Raises:
        QuotaExceededError: The share does not hold, and there is nothing more to forget.
    """
    if freed_bytes < excess_bytes(charged, quota) and not more:
        raise ports.QuotaExceededError(
            f"namespace {namespace} may have {quota.stored_bytes} bytes stored, and what is"
            " queued, with the keys and hashes of seven days, takes them all: try again later, send fewer"
            " idempotency keys, or have the platform team raise sender.quota.storedBytes"
        )
    return dataclasses.replace(charged, stored_bytes=charged.stored_bytes - freed_bytes)

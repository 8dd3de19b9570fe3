"""How much of the volume a notification takes, as it is counted for its namespace.

An upper bound that depends on the request alone, so that what was added is what is taken away: rows, their indexes, and
for each recipient the longest reason and sentence that it may end with.
"""

from typing import Final

from mailtier.sender import ports

NOTIFICATION_BYTES: Final = 640
"""The row with its ids and digest, five indexes, and what pages leave unused."""
RECIPIENT_BYTES: Final = 512
"""The row without the address: state, times, a reason, and at most 200 characters of what was said."""


def key_bytes(notification: ports.NewNotification) -> int:
    """Return what stays for as long as a repeat has to be known; keys stand in their row and in an index."""
    source = notification.source
    name = "" if source is None else source.name
    return NOTIFICATION_BYTES + 2 * len(notification.idempotency_key or "") + 2 * len(name)


def stored_bytes(notification: ports.NewNotification, payload_bytes: int) -> int:
    """Return what a new notification takes until it is finished; then its payload is wiped."""
    recipients = sum(RECIPIENT_BYTES + len(address) for address in notification.recipients)
    return key_bytes(notification) + recipients + payload_bytes

"""What a notification says, as it is stored, counted and wiped: apart from everything that is kept longer."""

from collections.abc import Mapping
from typing import Final, TypedDict

import msgspec

from mailtier.sender import ports


class Payload(TypedDict):
    """What is wiped once every recipient is final, or a while later where one of them failed (R11)."""

    subject: str | None
    text: str | None
    data: Mapping[str, str]


_DECODER: Final = msgspec.json.Decoder(Payload)


def encode(notification: ports.NewNotification) -> bytes:
    """Return a notification's payload as JSON in UTF-8; its length is what the quota counts."""
    payload = Payload(subject=notification.subject, text=notification.text, data=notification.data)
    return msgspec.json.encode(payload)


def decode(body: bytes) -> Payload:
    """Return the payload that was encoded."""
    return _DECODER.decode(body)

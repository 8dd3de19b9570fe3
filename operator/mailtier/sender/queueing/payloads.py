"""What a notification says, as it is stored, counted and wiped: apart from everything that is kept longer."""

import json
from collections.abc import Mapping
from typing import TypedDict

from mailtier.sender import ports


class Payload(TypedDict):
    """What is wiped once every recipient is final, or a while later where one of them failed (R11)."""

    subject: str | None
    text: str | None
    data: Mapping[str, str]


def encode(notification: ports.NewNotification) -> bytes:
    """Return a notification's payload as JSON in UTF-8; its length is what the quota counts."""
    payload = Payload(subject=notification.subject, text=notification.text, data=dict(notification.data))
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def decode(body: bytes) -> Payload:
    """Return the payload that was encoded."""
    payload: Payload = json.loads(body)
    return payload

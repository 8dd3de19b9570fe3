"""Room for the bodies of requests to the intake, with a share for each namespace (R10, R15)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from mailtier.api import notification
from mailtier.sender.intake.http import problems
from mailtier.sender.net import shares

BODY_SECONDS: Final = 10.0
"""For a body to arrive, from its first byte to its last: 256 KiB at 26 KiB a second, 4 MiB at 420."""
ROOM_SECONDS: Final = 12.0
"""To wait for room: longer than any body takes, so that who holds none gets the next, however slow all others are."""
SLOT_BYTES: Final = notification.MAXIMUM_TOTAL_BYTES
"""What one slot is for: the largest body of a single notification. A batch takes as many as it is large."""
TOTAL: Final = 64
PER_NAMESPACE: Final = 32
"""Of the slots: half, so that who sends slowly keeps nobody else waiting."""
_AGAIN_SECONDS: Final = 2


def require_json(request: web.Request) -> None:
    """Refuse a body that is not declared as plain JSON.

    Raises:
        HttpProblem: It is not.
    """
    if request.content_type != "application/json" or request.charset not in {None, "utf-8", "UTF-8"}:
        raise problems.HttpProblem(problems.NOT_JSON, "send the header `Content-Type: application/json`")
    if "Content-Encoding" in request.headers:
        raise problems.HttpProblem(problems.NOT_JSON, "send the body as it is, without Content-Encoding")


class Bodies:
    """The bodies that arrive at the same time.

    Args:
        room_seconds: How long one waits until it may arrive.
        body_seconds: How long it may take from then on.
    """

    def __init__(self, *, room_seconds: float = ROOM_SECONDS, body_seconds: float = BODY_SECONDS) -> None:
        self._room_seconds = room_seconds
        self._body_seconds = body_seconds
        self._shares = shares.Shares("bodies", total=TOTAL, each=PER_NAMESPACE)

    async def read(self, namespace: str, receive: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return a body, which arrives in one of its namespace's slots.

        Args:
            namespace: Whose it is.
            receive: Returns it once it is there.

        Raises:
            HttpProblem: There is no room for it in time, or it does not arrive in time.
        """
        with await self.room(namespace):
            return await self.arrive(receive)

    async def room(self, namespace: str, *, body_bytes: int = SLOT_BYTES) -> shares.ShareSlot:
        """Return room for a body of a size; it is taken until it is given back.

        Raises:
            HttpProblem: There is none in time.
        """
        slots = max(1, -(-body_bytes // SLOT_BYTES))
        try:
            async with asyncio.timeout(self._room_seconds):
                return await self._shares.take(namespace, slots=slots)
        except TimeoutError:
            raise problems.HttpProblem(
                problems.UNAVAILABLE,
                f"so many bodies arrive slowly, {PER_NAMESPACE} of a namespace or {TOTAL} of all, that there was no"
                f" room for this one within {self._room_seconds:.0f} seconds; send it again",
                headers={"Retry-After": str(_AGAIN_SECONDS)},
            ) from None

    async def arrive(self, receive: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return a body that there is room for.

        Raises:
            HttpProblem: It does not arrive in time, or cannot be read.
        """
        try:
            async with asyncio.timeout(self._body_seconds):
                return await receive()
        except web.RequestPayloadError:
            raise problems.HttpProblem(
                problems.MALFORMED, "the body cannot be read; its chunks or its length are not as HTTP/1.1 has them"
            ) from None
        except TimeoutError:
            raise problems.HttpProblem(
                problems.TOO_SLOW, f"the body did not arrive within {self._body_seconds:.0f} seconds; send it again"
            ) from None

"""The sender in the same pod, over its Unix socket: Notification objects go out, results and probes come back.

The operator keeps no record of what it was told. When it starts it asks for everything that is kept (cursor 0) and
offers every unfinished Notification again; both are idempotent.
"""

import asyncio
import datetime as dt
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Final

import aiohttp
import pydantic

from mailtier.api import feed
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)

Item = feed.Taken | feed.Probe
Answer = Annotated[feed.Taken | feed.Refused, pydantic.Field(discriminator="kind")]
_ANSWER: Final[pydantic.TypeAdapter[feed.Taken | feed.Refused]] = pydantic.TypeAdapter(Answer)
_WAIT_SECONDS: Final = 25
_PAUSE_SECONDS: Final = 1.0
_OFFER_SECONDS: Final = 30.0
"""More than the sender takes before it says that its queue does not answer."""
_WELL: Final = frozenset({200, 204})


class SenderUnavailableError(Exception):
    """The sender does not answer, or not in a way that is understood."""


class FeedClient:
    """What the operator asks of the sender."""

    def __init__(self, socket: pathlib.Path) -> None:
        """Make a client.

        Args:
            socket: Path of the Unix socket; it need not exist yet.
        """
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def offer(self, offer: feed.Offer) -> feed.Taken | feed.Refused:
        """Offer a Notification object; return its record in the queue, or why it is not taken.

        Raises:
            SenderUnavailableError: Nothing is known of the offer; offer it again.
        """
        body = offer.model_dump_json(by_alias=True, exclude_none=True)
        return _ANSWER.validate_json(await self._request("PUT", feed.OBJECTS_PATH, body=body, seconds=_OFFER_SECONDS))

    async def forget_namespaces(self, present: Callable[[], Collection[str]]) -> None:
        """Have the sender give up what it has queued for namespaces that are gone.

        Args:
            present: Returns the uids of those that are there. It is asked after the sender was, or what was queued in
                between for a new namespace would be given up.

        Raises:
            SenderUnavailableError: Not all were told; do it again.
        """
        answer = await self._request("GET", feed.NAMESPACES_PATH, body=None, seconds=_OFFER_SECONDS)
        there = present()
        for uid in feed.Namespaces.model_validate_json(answer).uids:
            if uid not in there:
                await self._request("DELETE", f"{feed.NAMESPACES_PATH}/{uid}", body=None, seconds=_OFFER_SECONDS)

    async def backlogs(self) -> Sequence[feed.QueueShare]:
        """Return what is queued of each organization.

        Raises:
            SenderUnavailableError: Nothing is known of it; ask again.
        """
        answer = await self._request("GET", feed.BACKLOGS_PATH, body=None, seconds=_OFFER_SECONDS)
        return feed.QueueShares.model_validate_json(answer).items

    async def follow(
        self,
        take: Callable[[Item], None],
        connected: Callable[[bool], None],
        restored: Callable[[dt.datetime | None], None],
    ) -> None:
        """Pass on everything that is kept, then everything that changes, until cancelled.

        Args:
            take: Gets each item.
            connected: Gets True when the sender answers for the first time or again, and False each time it does not.
            restored: Gets with each answer when the backup was made that the queue was restored from; None where it is
                not held for that.
        """
        cursor, answered = 0, None
        while True:
            path = f"{feed.FEED_PATH}?after={cursor}&wait={_WAIT_SECONDS}"
            try:
                found = feed.Feed.model_validate_json(
                    await self._request("GET", path, body=None, seconds=_WAIT_SECONDS + _OFFER_SECONDS)
                )
            except (SenderUnavailableError, pydantic.ValidationError) as error:
                if answered is not False:
                    _log.warning("the sender does not answer; asking again", error=str(error))
                    answered = False
                connected(answered)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if answered is not True:
                answered = True
                connected(answered)
            if found.cursor < cursor:
                # The queue's volume was replaced: its numbers begin anew, and so do we.
                cursor = 0
                continue
            cursor = found.cursor
            restored(found.restored_from)
            for item in found.items:
                take(item)

    async def _request(self, method: str, path: str, *, body: str | None, seconds: float) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(self._socket)))
        try:
            async with self._session.request(
                method,
                f"http://sender{path}",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SenderUnavailableError(f"{self._socket}: {type(error).__name__}") from error
        if answer.status not in _WELL:
            raise SenderUnavailableError(f"{self._socket}: answered {answer.status}")
        return content

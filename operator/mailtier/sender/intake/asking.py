"""Asking delivery for something: a row, a bell, and the answers as they come (`between.requests`)."""

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from mailtier.sender.between import requests
from mailtier.telemetry import logs, tasks

TAKE_SECONDS: Final = 5.0
"""For delivery to take a request: longer than it starts, were it not that nobody waits so long for nothing."""
_LOOK_SECONDS: Final = 1.0
"""How often it is looked for an answer; a bell may not have been heard."""

_log = logs.get_logger(__name__)


class DeliveryAwayError(Exception):
    """Delivery took no request in time: it does not run, or it is starting."""

    def __init__(self) -> None:
        super().__init__("delivery is not running at this moment; it is started again by itself, so ask again soon")


class Asking:
    """Asks delivery, and waits for its answers.

    Args:
        rows: The requests.
        ring: Tells delivery that something is asked.
        now: Returns the aware UTC time.
        take_seconds: How long delivery has to take a request.
    """

    def __init__(
        self,
        rows: requests.AskingQueue,
        *,
        ring: Callable[[], None],
        now: Callable[[], dt.datetime],
        take_seconds: float = TAKE_SECONDS,
    ) -> None:
        self._rows = rows
        self._ring = ring
        self._now = now
        self._take_seconds = take_seconds
        self._news = asyncio.Event()
        self._withdrawing = tasks.Background()

    def note_replies(self) -> None:
        """Look at the answers now: there are new ones."""
        self._news.set()
        self._news = asyncio.Event()

    async def ask(self, kind: requests.RequestKind, namespace_uid: str, document: object) -> Mapping[str, Any]:
        """Return the whole answer.

        Raises:
            DeliveryAwayError: Delivery did not take it, or could not do it.
            TooManyRequestsError: As many are open of the namespace as may be.
            StorageFullError: The volume is too full.
        """
        async with self.begin(kind, namespace_uid, document) as answers:
            answer: Mapping[str, Any] = {}
            async for body in answers:
                answer = json.loads(body)
        if answer.get("failed"):
            raise DeliveryAwayError
        return answer

    @contextlib.asynccontextmanager
    async def begin(
        self, kind: requests.RequestKind, namespace_uid: str, document: object
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Ask, and give the answers as they come, up to the last one.

        Raises:
            DeliveryAwayError: As `ask`; from the answers.
            TooManyRequestsError, StorageFullError: As `ask`.
        """
        now = self._now()
        number = await self._rows.ask(
            requests.NewRequest(
                namespace_uid=namespace_uid,
                kind=kind,
                body=json.dumps(document),
                asked_at=now,
                take_by=now + dt.timedelta(seconds=self._take_seconds),
            )
        )
        self._ring()
        try:
            yield self._answers(number)
        finally:
            self._withdrawing.spawn(self._withdraw(number))

    async def drain(self) -> None:
        """Return when what is over is removed."""
        await self._withdrawing.finish(within_seconds=1.0)

    async def _answers(self, number: int) -> AsyncIterator[str]:
        last: str | None = None
        try:
            async with asyncio.timeout(self._take_seconds):
                reply = await self._next(number, last)
        except TimeoutError:
            raise DeliveryAwayError from None
        while True:
            assert reply.body is not None
            if reply.body != last:
                yield reply.body
            if reply.is_final:
                return
            last = reply.body
            reply = await self._next(number, last)

    async def _next(self, number: int, last: str | None) -> requests.RequestAnswer:
        while True:
            news = self._news
            reply = await self._rows.reply_to(number)
            if reply is None:
                # Only where the answer took so long that the row was removed.
                raise DeliveryAwayError
            if reply.body is not None and (reply.body != last or reply.is_final):
                return reply
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await news.wait()

    async def _withdraw(self, number: int) -> None:
        try:
            await self._rows.withdraw(number)
        except Exception as error:  # noqa: BLE001 - It goes with its time.
            _log.warning("a request that is over could not be removed", error=type(error).__name__)

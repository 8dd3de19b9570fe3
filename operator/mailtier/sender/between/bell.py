"""The bell: how one process hears at once that the other has news, over Unix datagram sockets.

What is lost delays only: each side looks by itself now and then. News that cannot leave at once, because the other side
is behind with hearing, waits and is joined with what follows; it never holds up whoever rings.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
import json
import os
import pathlib
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.telemetry import logs

_AT_ONCE: Final = 200
"""Pieces of news in a datagram, which has some 200 KiB at most."""
_LARGEST_BYTES: Final = 256 * 1024
_AGAIN_SECONDS: Final = 0.01
_HEARD_AT_ONCE: Final = 50
_UMASK: Final = 0o177

_ANEW: Final = "anew"
_ASKED: Final = "asked"
_REPLIED: Final = "replied"
_SHOWN: Final = "shown"
_CURSOR: Final = "cursor"

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RungBacklog:
    """A backlog to which something was added: when the first of it is due, and when the first expires."""

    lane: ports.LaneKey
    category: vocabulary.Category
    due_at: dt.datetime
    expires_at: dt.datetime


class Bell:
    """One side's bell: hears at a socket of its own, and rings at the other's.

    Args:
        folder: Where the sockets are; both sides are of one pod.
        own: The name of this side.
        other: The name of the other.
        hear: Called with each piece of news: its key and what is said.
    """

    def __init__(self, folder: pathlib.Path, *, own: str, other: str, hear: Callable[[str, Any], None]) -> None:
        self._own = folder / f"{own}.bell"
        self._other = str(folder / f"{other}.bell")
        self._hear = hear
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._news: dict[str, Any] = {}
        self._leaving: asyncio.Handle | None = None

    def __enter__(self) -> Self:
        """Begin to hear; a socket that an earlier process left is replaced."""
        self._own.unlink(missing_ok=True)
        former = os.umask(_UMASK)
        try:
            self._socket.bind(str(self._own))
        finally:
            os.umask(former)
        asyncio.get_running_loop().add_reader(self._socket, self._take)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leave()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def ring(self, key: str, said: Any, *, join: Callable[[Any, Any], Any] | None = None) -> None:
        """Tell the other side something, together with what else is told before the loop goes on.

        Args:
            key: What it is about; what was said of it before and did not leave yet is replaced.
            said: JSON.
            join: Returns what is said instead of that before and this.
        """
        if join is not None and key in self._news:
            said = join(self._news[key], said)
        self._news[key] = said
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_soon(self._leave)

    def _leave(self) -> None:
        self._leaving = None
        while self._news:
            part = list(self._news.items())[:_AT_ONCE]
            try:
                self._socket.sendto(json.dumps(part).encode(), self._other)
            except BlockingIOError:
                self._leaving = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._leave)
                return
            except OSError:
                # Nobody hears. Whoever comes looks first.
                self._news.clear()
                return
            for key, _ in part:
                del self._news[key]

    def _take(self) -> None:
        for _ in range(_HEARD_AT_ONCE):
            try:
                heard = self._socket.recv(_LARGEST_BYTES)
            except BlockingIOError:
                return
            try:
                for key, said in json.loads(heard):
                    self._hear(key, said)
            except Exception as error:  # noqa: BLE001 - What was meant is found when it is looked for.
                _log.warning("a bell could not be understood", error=type(error).__name__)


class IntakeBell:
    """The intake's side.

    Args:
        folder: Where the sockets are.
        on_cursor: Told the feed's cursor when delivery moved it.
        on_replies: Called when delivery answered something.
        on_shown: Called when delivery showed something.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        on_cursor: Callable[[int], None],
        on_replies: Callable[[], None],
        on_shown: Callable[[], None],
    ) -> None:
        self._on_cursor = on_cursor
        self._on_replies = on_replies
        self._on_shown = on_shown
        self._bell = Bell(folder, own="intake", other="delivery", hear=self._hear)

    def __enter__(self) -> Self:
        self._bell.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bell.__exit__(*exception)

    def ring(self, pending: Iterable[ports.Pending]) -> None:
        """Tell delivery what was queued: of each backlog the earliest times."""
        for each in pending:
            self._bell.ring(
                _key(each.lane, each.category), [each.due_at.timestamp(), each.expires_at.timestamp()], join=_earlier
            )

    def ring_anew(self) -> None:
        """Tell delivery that more may be queued than it was told of."""
        self._bell.ring(_ANEW, said=True)

    def ring_asked(self) -> None:
        """Tell delivery that something is asked."""
        self._bell.ring(_ASKED, said=True)

    def _hear(self, key: str, said: Any) -> None:
        match key:
            case "cursor":
                self._on_cursor(int(said))
            case "replied":
                self._on_replies()
            case "shown":
                self._on_shown()


class DeliveryBell:
    """Delivery's side.

    Args:
        folder: Where the sockets are.
        on_pending: Told of what was queued; numbers and states are not told.
        on_anew: Called when more may be queued than was told: an intake began, and the one before it may have ended
            between a commit and its bell.
        on_asked: Called when the intake asked for something.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        on_pending: Callable[[Iterable[RungBacklog]], None],
        on_anew: Callable[[], None],
        on_asked: Callable[[], None],
    ) -> None:
        self._on_pending = on_pending
        self._on_anew = on_anew
        self._on_asked = on_asked
        self._bell = Bell(folder, own="delivery", other="intake", hear=self._hear)

    def __enter__(self) -> Self:
        self._bell.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bell.__exit__(*exception)

    def ring_cursor(self, cursor: int) -> None:
        """Tell the intake where the feed's cursor is."""
        self._bell.ring(_CURSOR, cursor)

    def ring_replies(self) -> None:
        """Tell the intake that something was answered."""
        self._bell.ring(_REPLIED, said=True)

    def ring_shown(self) -> None:
        """Tell the intake that something was shown."""
        self._bell.ring(_SHOWN, said=True)

    def _hear(self, key: str, said: Any) -> None:
        if key in {_ANEW, _ASKED}:
            (self._on_anew if key == _ANEW else self._on_asked)()
            return
        uid, namespace, organization, category = json.loads(key)
        due_at, expires_at = (dt.datetime.fromtimestamp(seconds, dt.UTC) for seconds in said)
        self._on_pending(
            [
                RungBacklog(
                    lane=ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization),
                    category=vocabulary.Category(category),
                    due_at=due_at,
                    expires_at=expires_at,
                )
            ]
        )


@functools.lru_cache(maxsize=4_096)
def _key(lane: ports.LaneKey, category: vocabulary.Category) -> str:
    return json.dumps([lane.namespace_uid, lane.namespace, lane.organization, category.value])


def _earlier(before: list[float], now: list[float]) -> list[float]:
    return [min(pair) for pair in zip(before, now, strict=True)]

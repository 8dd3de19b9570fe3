"""Waiting for a condition with a deadline, the only place where test equipment sleeps."""

import asyncio
import collections.abc
import dataclasses
import inspect
import os
import time
import typing

_T = typing.TypeVar("_T")
_POLL_SECONDS = 0.02


_PATIENCE = float(os.environ.get("MAILTIER_PATIENCE") or 1)
"""How many times as long as usual is waited, on a machine that is slow or busy."""


class NotInTimeError(AssertionError):
    """What was waited for did not happen before its deadline.

    Attributes:
        why: The condition, as a sentence; "" where the text alone says it.
        within_seconds: How long it could take.
    """

    def __init__(self, text: str, *, why: str = "", within_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.why = why
        self.within_seconds = within_seconds


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Deadline:
    """A moment on the monotonic clock, and what is expected to have happened by then."""

    at: float
    within_seconds: float
    why: str

    @classmethod
    def after(cls, within_seconds: float, why: str) -> typing.Self:
        """Return the deadline that lies `within_seconds` from now, or later where somebody asked for patience."""
        allowed = within_seconds * _PATIENCE
        return cls(at=time.monotonic() + allowed, within_seconds=allowed, why=why)

    def require_open(self, seen: object) -> None:
        """Return while there is time left.

        Raises:
            NotInTimeError: The deadline has passed; the text quotes the last value seen.
        """
        if time.monotonic() >= self.at:
            text = f"not within {self.within_seconds:g} s: {self.why} (last seen: {seen!r})"
            raise NotInTimeError(text, why=self.why, within_seconds=self.within_seconds)


def until(
    predicate: collections.abc.Callable[[], _T],
    *,
    within_seconds: float,
    why: str,
    poll_seconds: float = _POLL_SECONDS,
) -> _T:
    """Return the first truthy value of `predicate`.

    Args:
        predicate: Called again and again; what it raises is passed on.
        within_seconds: How long the condition may take.
        why: The condition as a sentence, for the failure's text.
        poll_seconds: The pause between two calls.

    Raises:
        NotInTimeError: No truthy value came in time. The predicate is called once more after the deadline's
            last pause, so a slow machine cannot fail a condition that has become true.
    """
    deadline = _Deadline.after(within_seconds, why)
    while not (value := predicate()):
        deadline.require_open(value)
        time.sleep(poll_seconds)
    return value


@typing.overload
async def until_async(
    predicate: collections.abc.Callable[[], collections.abc.Awaitable[_T]],
    *,
    within_seconds: float,
    why: str,
    poll_seconds: float = ...,
) -> _T: ...


@typing.overload
async def until_async(
    predicate: collections.abc.Callable[[], _T], *, within_seconds: float, why: str, poll_seconds: float = ...
) -> _T: ...


async def until_async(
    predicate: collections.abc.Callable[[], _T | collections.abc.Awaitable[_T]],
    *,
    within_seconds: float,
    why: str,
    poll_seconds: float = _POLL_SECONDS,
) -> _T:
    """Return the first truthy value of `predicate`, letting the event loop run between two calls.

    The arguments and the error are those of `until`; the predicate may also be a coroutine function.
    """
    deadline = _Deadline.after(within_seconds, why)
    while True:
        result = predicate()
        value = typing.cast("_T", await result if inspect.isawaitable(result) else result)
        if value:
            return value
        deadline.require_open(value)
        await asyncio.sleep(poll_seconds)

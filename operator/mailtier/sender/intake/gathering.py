"""Storing what comes alone together: while one commit is under way, what arrives gathers for the next.

A task, a hop to the queue's thread and a wake-up for each would cost more than the statements do, and a thread that is
woken for each takes the interpreter from the loop as often. Whoever comes while nothing is under way waits for nobody.
Where more waits than goes into one commit, namespaces take turns (R15): who sends much at once, or what is large, fills
commits with it only as far as nobody else has something to store.
"""

import asyncio
import collections
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

AT_ONCE: Final = 64
"""Of what is stored in one commit; a namespace that comes meanwhile waits for no more than that."""
AT_ONCE_BYTES: Final = 4 * 1024 * 1024

_OF_ONE_ITEM: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What says that an item cannot be stored, and that nothing was. Of other errors nobody knows what was stored."""

_Item = TypeVar("_Item")
_Verdict = TypeVar("_Verdict")


@dataclasses.dataclass(frozen=True, slots=True)
class _Waiting(Generic[_Item, _Verdict]):
    """What is to be stored, about how large it is, and who waits for its verdict."""

    item: _Item
    weight_bytes: int
    told: asyncio.Future[_Verdict]


class Gathering(Generic[_Item, _Verdict]):
    """Items on their way into commits.

    Args:
        store: Stores items, and returns the verdict on each, in their order.
    """

    def __init__(self, store: Callable[[Sequence[_Item]], Awaitable[Sequence[_Verdict]]]) -> None:
        self._store = store
        # By whose they are; whose turn is next comes first.
        self._waiting: dict[str, collections.deque[_Waiting[_Item, _Verdict]]] = {}
        self._storing: asyncio.Task[None] | None = None
        self._began_at: float | None = None

    def __len__(self) -> int:
        """Return whether something is under way, as 0 or 1."""
        return self._storing is not None

    @property
    def seconds_under_way(self) -> float:
        """How long what is being stored has been so; 0 where nothing is."""
        return 0.0 if self._began_at is None else asyncio.get_running_loop().time() - self._began_at

    def offer(self, item: _Item, *, namespace: str, weight_bytes: int) -> asyncio.Future[_Verdict]:
        """Return what will have become of an item; it is stored also if nobody waits for that any more.

        Args:
            item: What is to be stored; those of a namespace are stored in their order.
            namespace: Whose it is.
            weight_bytes: About how large it is.
        """
        told: asyncio.Future[_Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, collections.deque()).append(_Waiting(item, weight_bytes, told))
        if self._storing is None:
            # It begins when the present turn of the loop is over: what else arrived in that goes with it.
            self._storing = asyncio.create_task(self._run(), name="intake-store")
        return told

    async def drain(self) -> None:
        """Return when everything is stored."""
        while self._storing is not None:
            await asyncio.wait((self._storing,))

    async def _run(self) -> None:
        try:
            while self._waiting:
                self._began_at = asyncio.get_running_loop().time()
                await self._store_all(self._next())
        finally:
            self._storing = self._began_at = None

    def _next(self) -> Sequence[_Waiting[_Item, _Verdict]]:
        portion: list[_Waiting[_Item, _Verdict]] = []
        weight_bytes = 0
        while self._waiting and len(portion) < AT_ONCE and weight_bytes < AT_ONCE_BYTES:
            namespace = next(iter(self._waiting))
            theirs = self._waiting.pop(namespace)
            portion.append(theirs.popleft())
            weight_bytes += portion[-1].weight_bytes
            if theirs:
                self._waiting[namespace] = theirs
        return portion

    async def _store_all(self, portion: Sequence[_Waiting[_Item, _Verdict]]) -> None:
        try:
            verdicts = await self._store([waiting.item for waiting in portion])
        except Exception as error:  # noqa: BLE001  # Whatever it is, it belongs to whoever waits for it.
            if len(portion) > 1 and isinstance(error, _OF_ONE_ITEM):
                # Each by itself: what one fails of is not the others' fault, who may be of other tenants.
                for waiting in portion:
                    await self._store_all((waiting,))
                return
            for waiting in portion:
                if not waiting.told.done():
                    waiting.told.set_exception(error)
        else:
            for waiting, verdict in zip(portion, verdicts, strict=True):
                if not waiting.told.done():
                    waiting.told.set_result(verdict)

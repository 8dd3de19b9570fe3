"""Slots that belong to all, with a share for each namespace (R15): of lookups, openings, and requests for tokens.

shares = Shares("openings", total=1_000, each=16)
with await shares.take(namespace):
    ...

What is large takes several at once. Until there are as many, nobody who wants fewer passes it: it might wait for ever.

No namespace has more than its share at any time, so that whoever names a thousand servers that say nothing waits for
their own. Where all slots are taken, the next goes to whoever holds the fewest: who has as many slots as others at
every moment has as much of their time, whatever is done with them. Turns alone would not be fair: a turn at a dead
server takes half a minute, one at a live one a moment.
"""

import asyncio
import collections
import dataclasses
from collections.abc import Callable
from typing import Final, Self

from mailtier.telemetry import share_metrics

KEPT_SECONDS: Final = 5.0
"""How long a slot is kept for who was told of it; longer than a step of the dispatcher and a read of the queue."""


class ShareSlot:
    """Leave to do one thing; given back at the end of its context, or with `give_back`."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[], None]) -> None:
        self._then: Callable[[], None] | None = then

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Give it back; without effect if it was."""
        then, self._then = self._then, None
        if then is not None:
            then()


FREE: Final = ShareSlot(lambda: None)
"""For who needs none: what is the host's is bounded by the host's own limits, and must not wait for tenants."""


@dataclasses.dataclass(slots=True)
class _Account:
    """What one namespace has and wants.

    Attributes:
        held: Its slots, those that are kept for it among them.
        waiting: Those in line, in their order, each with how many slots it wants; some may have given up.
        kept: Slots for who was told of them, and does not use them yet.
    """

    held: int = 0
    waiting: collections.deque[tuple[asyncio.Future[ShareSlot], int]] = dataclasses.field(
        default_factory=collections.deque
    )
    kept: collections.deque[ShareSlot] = dataclasses.field(default_factory=collections.deque)


class Shares:
    """Slots for one purpose.

    Args:
        name: The purpose, for metrics.
        total: How many there are.
        each: How many of them one namespace may hold.
        at_least_seconds: A slot that is given back sooner is free only then: what each use costs the event loop,
            a namespace can cause no more often than that.
        kept_seconds: How long a slot is kept for who was told of it.
    """

    def __init__(
        self,
        name: share_metrics.Share,
        *,
        total: int,
        each: int,
        at_least_seconds: float = 0.0,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        self._name = name
        self._free = total
        self._each = each
        self._at_least_seconds = at_least_seconds
        self._kept_seconds = kept_seconds
        self._accounts: dict[str, _Account] = {}
        # Who waits and may have another, by how many they hold.
        self._lines: tuple[collections.OrderedDict[str, None], ...] = tuple(
            collections.OrderedDict() for _ in range(each)
        )

    def __len__(self) -> int:
        """Return how many namespaces have or want a slot."""
        return len(self._accounts)

    @property
    def free(self) -> int:
        """How many slots nobody has."""
        return self._free

    def taken(self, namespace: str) -> int:
        """Return how many slots a namespace has at present."""
        account = self._accounts.get(namespace)
        return account.held if account else 0

    def try_take(self, namespace: str | None) -> ShareSlot | None:
        """Return a slot, if there is one for a namespace right now; None as the namespace is for the host."""
        if namespace is None:
            return FREE
        account = self._accounts.get(namespace)
        return account.kept.popleft() if account is not None and account.kept else self._take(namespace)

    async def take(self, namespace: str | None, *, slots: int = 1) -> ShareSlot:
        """Return a slot as soon as there is one for a namespace, or several that are given back together.

        Args:
            namespace: Whose they are; None for the host.
            slots: How many, no more than a namespace may hold.
        """
        if namespace is None:
            return FREE
        slot = self._take(namespace, slots)
        if slot is not None:
            return slot
        turn = self._line_up(namespace, slots)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It came in the moment in which nobody wanted it any more.
                turn.result().give_back()
            else:
                self._give_up(namespace)
            raise

    def tell(self, namespace: str, then: Callable[[], None]) -> None:
        """Have somebody told when there is a slot for a namespace; it is kept for `try_take` for a moment."""

        def keep(turn: asyncio.Future[ShareSlot]) -> None:
            if turn.cancelled():
                return
            slot, account = turn.result(), self._accounts[namespace]
            account.kept.append(slot)
            loop.call_later(self._kept_seconds, expire, slot, account)
            then()

        def expire(slot: ShareSlot, account: _Account) -> None:
            if slot in account.kept:
                account.kept.remove(slot)
                slot.give_back()

        loop = asyncio.get_running_loop()
        self._line_up(namespace, 1).add_done_callback(keep)

    def _take(self, namespace: str, slots: int = 1) -> ShareSlot | None:
        account = self._accounts.get(namespace)
        waits = any(self._lines) or (account is not None and account.waiting)
        if waits or self._free < slots or self.taken(namespace) + slots > self._each:
            return None
        return self._grant(namespace, slots)

    def _line_up(self, namespace: str, slots: int) -> asyncio.Future[ShareSlot]:
        account = self._accounts.setdefault(namespace, _Account())
        turn: asyncio.Future[ShareSlot] = asyncio.get_running_loop().create_future()
        account.waiting.append((turn, slots))
        share_metrics.add_waiting(self._name, 1)
        turn.add_done_callback(lambda _turn: share_metrics.add_waiting(self._name, -1))
        self._place(namespace, account)
        # One may have been given back since somebody was refused.
        self._hand_on()
        return turn

    def _give_up(self, namespace: str) -> None:
        """Let those go on who waited behind one that nobody waits for any more: they may want fewer than are free."""
        if account := self._accounts.get(namespace):
            self._place(namespace, account)
            self._hand_on()
            self._forget(namespace, account)

    def _grant(self, namespace: str, slots: int) -> ShareSlot:
        account = self._accounts.setdefault(namespace, _Account())
        self._leave_line(namespace, account)
        account.held += slots
        self._free -= slots
        share_metrics.add_slots(self._name, slots)
        self._place(namespace, account)
        loop = asyncio.get_running_loop()
        earliest = loop.time() + self._at_least_seconds

        def give_back() -> None:
            left = earliest - loop.time()
            if left > 0:
                loop.call_later(left, self._take_back, namespace, slots)
            else:
                self._take_back(namespace, slots)

        return ShareSlot(give_back)

    def _take_back(self, namespace: str, slots: int) -> None:
        account = self._accounts[namespace]
        self._leave_line(namespace, account)
        account.held -= slots
        self._free += slots
        share_metrics.add_slots(self._name, -slots)
        self._place(namespace, account)
        self._hand_on()
        self._forget(namespace, account)

    def _hand_on(self) -> None:
        """Give what is free to those who hold the fewest, and of these to whoever waits longest for another."""
        while self._free and (line := next(filter(None, self._lines), None)) is not None:
            namespace = next(iter(line))
            account = self._accounts[namespace]
            turn, slots = account.waiting[0]
            if turn.done():
                self._place(namespace, account)
                self._forget(namespace, account)
            elif slots > self._free:
                return
            else:
                account.waiting.popleft()
                turn.set_result(self._grant(namespace, slots))

    def _forget(self, namespace: str, account: _Account) -> None:
        """Remember nothing of who has nothing and wants nothing."""
        if account.held == 0 and not account.waiting and self._accounts.get(namespace) is account:
            del self._accounts[namespace]

    def _leave_line(self, namespace: str, account: _Account) -> None:
        if account.held < self._each:
            self._lines[account.held].pop(namespace, None)

    def _place(self, namespace: str, account: _Account) -> None:
        """Put a namespace in line, at the end unless it stands there, if the first that waits fits into its share."""
        while account.waiting and account.waiting[0][0].done():
            account.waiting.popleft()
        if account.waiting and account.held + account.waiting[0][1] <= self._each:
            self._lines[account.held].setdefault(namespace)
        else:
            self._leave_line(namespace, account)

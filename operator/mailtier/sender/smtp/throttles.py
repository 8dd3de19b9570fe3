"""Who uses a server's connections at one endpoint, and how many each may, as its refusals taught.

One whose login is its own is known by that; of those who share the host's, and of those who need none, each namespace
is one. So nobody is held to what a server refuses to another. For all together fewer connections are used only when
two namespaces are refused within a minute, or a probe of the host's settings is, or before it is known who connects:
and then never fewer than a quarter of what the settings allow.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Hashable, Mapping
from typing import Final, Self

from mailtier.sender import clock
from mailtier.sender.net import witnesses
from mailtier.sender.scheduling import throttle
from mailtier.telemetry import logs, throttle_metrics

_REMEMBERED: Final = 1_000
"""Of each endpoint; one that is forgotten is learned again."""
_KEPT: Final = 100
"""Of them for the next process: those learned last."""
_ALL: Final = ""
"""All together, where a digest would stand."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """Leave to use a connection; given back at the end of its context.

    Attributes:
        by: Who uses it.
        epoch: What was learned of them when it began.
        epoch_of_all: The same of all together.
    """

    by: Hashable
    epoch: int
    epoch_of_all: int
    give_back: Callable[[], None] = dataclasses.field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()


class Throttles:
    """What is learned at one endpoint.

    Args:
        server: Its name, for the log.
        time: Clocks.
        cap: Returns how many connections the settings allow.
        on_all: Told how many connections all together may use from now on.
    """

    def __init__(
        self, server: str, time: clock.Clock, *, cap: Callable[[], int], on_all: Callable[[int], None]
    ) -> None:
        self._server = server
        self._clock = time
        self._cap = cap
        self._on_all = on_all
        self._using: collections.Counter[Hashable] = collections.Counter()
        self._waiting: dict[Hashable, list[Callable[[], None]]] = {}
        self._known: collections.OrderedDict[Hashable, throttle.Throttle] = collections.OrderedDict()
        # Of earlier processes, by a digest of whom it was learned of, until those come.
        self._earlier: dict[str, throttle.Throttle] = {}
        self._all = throttle.Throttle()
        self._refused = witnesses.Accord()

    def allowed_at(self, by: Hashable) -> float:
        """Return when the next message of somebody may go; at most now if it may go now."""
        known, now = self._find(by), self._clock.monotonic()
        return now if known is None else known.allowed_at(now)

    def holds(self, by: Hashable) -> bool:
        """Return whether somebody was found to have too many connections or messages."""
        return by in self._known

    def begin(self, by: Hashable) -> Use | None:
        """Return leave to use one more connection, or None where somebody uses as many as the server takes of them."""
        known, now = self._find(by), self._clock.monotonic()
        if known is not None:
            if self._using[by] >= known.connections(self._cap(), now):
                return None
            known.note_gone(now)
        self._using[by] += 1
        epoch = 0 if known is None else known.epoch
        return Use(by, epoch, self._all.epoch, lambda: self._end(by))

    def may_keep(self, by: Hashable, *, idle: int) -> bool:
        """Return whether one more session of somebody may stay open that is not in use.

        Args:
            by: Who used it.
            idle: How many of the same kind are open and not in use.
        """
        known = self._known.get(by)
        return known is None or self._using[by] + idle < known.connections(self._cap(), self._clock.monotonic())

    def when_free(self, by: Hashable, callback: Callable[[], None]) -> None:
        """Have somebody told, once, when one of the connections that somebody uses is free."""
        self._waiting.setdefault(by, []).append(callback)

    def note_taken(self, use: Use) -> None:
        """Note that the server took a message."""
        known = self._known.get(use.by)
        if known is not None:
            known.note_taken(self._clock.monotonic())

    def note_refused(self, use: Use, *, namespace: str | None, is_for_all: bool, is_paced: bool) -> None:
        """Note that the server asked for less.

        Args:
            use: The connection on which it did.
            namespace: Whose message it was; None for the host.
            is_for_all: Whether it was said before it knew for whom the connection was.
            is_paced: Whether it went on otherwise, so that fewer messages in a while may be all that it asks for.
        """
        now = self._clock.monotonic()
        if not is_for_all:
            self._lessen(use, namespace or "", is_paced=is_paced, now=now)
        if is_for_all or namespace is None or self._refused.testify(namespace, now):
            self.lessen_for_all(use)

    def lessen_for_all(self, use: Use | None = None) -> None:
        """Use fewer connections for all together: what was said concerns them.

        Args:
            use: The connection on which it was said; None where a probe was told.
        """
        cap, used = self._cap(), self._using.total() + (use is None)
        if used < 2 or (use is not None and use.epoch_of_all != self._all.epoch):  # noqa: PLR2004 - of one, none is left.
            return
        fewer = self._all.lessen(used=used, floor=max(1, -(-cap // 4)), cap=cap, now=self._clock.monotonic())
        if fewer is not None:
            throttle_metrics.count_lessened("server")
            _log.warning("the server asks for less: fewer connections", server=self._server, connections=fewer)
            self._on_all(fewer)

    def learned(self) -> Mapping[str, throttle.Learned]:
        """Return what the next process is to know, by a digest of whom it was learned of; "" for all together."""
        kept = [(_digest(by), known) for by, known in reversed(self._known.items())]
        found = dict([*kept, *self._earlier.items()][:_KEPT])
        if not self._all.is_over(self._cap(), self._clock.monotonic()):
            found[_ALL] = self._all
        return {by: known.learned() for by, known in found.items()}

    def restore(self, learned: Mapping[str, throttle.Learned]) -> None:
        """Begin with what an earlier process learned here."""
        self._earlier = {by: throttle.Throttle.of(each) for by, each in learned.items() if by != _ALL}
        if _ALL in learned:
            self._all = throttle.Throttle.of(learned[_ALL])
            self._on_all(self._all.connections(self._cap(), self._clock.monotonic()))

    def sweep(self) -> int:
        """Forget what is over, let all use more again, and return how many limits are in force."""
        cap, now = self._cap(), self._clock.monotonic()
        for by in [by for by, known in self._known.items() if known.is_over(cap, now)]:
            del self._known[by]
            self._tell(by)
        self._earlier = {by: known for by, known in self._earlier.items() if not known.is_over(cap, now)}
        together = self._all.connections(cap, now)
        self._on_all(together)
        return len(self._known) + len(self._earlier) + (together < cap)

    def _find(self, by: Hashable) -> throttle.Throttle | None:
        known = self._known.get(by)
        if known is None and self._earlier and (earlier := self._earlier.pop(_digest(by), None)) is not None:
            known = self._known[by] = earlier
        return known

    def _lessen(self, use: Use, namespace: str, *, is_paced: bool, now: float) -> None:
        known = self._find(use.by) or throttle.Throttle()
        if use.epoch != known.epoch:
            return
        used = self._using[use.by]
        if used > 1:
            fewer = known.lessen(used=used, floor=1, cap=self._cap(), now=now)
            told: dict[str, int] = {} if fewer is None else {"connections": fewer}
        else:
            told = {"messages_per_minute": known.slow_down(now)} if is_paced else {}
        if not told:
            return
        self._known[use.by] = known
        self._known.move_to_end(use.by)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        throttle_metrics.count_lessened("user")
        _log.warning("the server asks for less", server=self._server, namespace=namespace, **told)

    def _end(self, by: Hashable) -> None:
        self._using[by] -= 1
        if not self._using[by]:
            del self._using[by]
        self._tell(by)

    def _tell(self, by: Hashable) -> None:
        for callback in self._waiting.pop(by, ()):
            callback()


def _digest(by: Hashable) -> str:
    """Return what stands for somebody in the next process too: a name, or the generation of a login."""
    return hashlib.sha256(repr(by).encode()).hexdigest()[:32]

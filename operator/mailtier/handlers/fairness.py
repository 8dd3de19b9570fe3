"""In which order waiting keys are worked on: urgent before what can wait, and one tenant's after another's.

A change of the host's settings makes ten thousand organizations wait, and a pipeline that edits a namespace's
objects over and over makes that namespace wait; neither may hold up a single edit elsewhere. So there are two lines,
and in each the namespaces take turns, as flows do in a router (RFC 8290, FQ-CoDel): one that had nothing waiting goes
before those that always have. And neither line starves: what can wait gets every fourth turn.
"""

import collections
import dataclasses
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Flow = Hashable

BACKGROUND_TURN: Final = 4
"""Every so many turns is the background's while both lines wait."""


@dataclasses.dataclass(slots=True)
class _Line(Generic[Key]):
    """Keys by flow; flows take turns, and a new one goes first.

    Attributes:
        fresh: Flows that have not had a turn since they began to wait.
        others: Flows that had one; also, for one round, those that nothing waits in any more, or a flow that
            empties and fills again would always be new and go first.
    """

    fresh: collections.OrderedDict[Flow, collections.OrderedDict[Key, None]] = dataclasses.field(
        default_factory=collections.OrderedDict
    )
    others: collections.OrderedDict[Flow, collections.OrderedDict[Key, None]] = dataclasses.field(
        default_factory=collections.OrderedDict
    )
    waiting: int = 0

    def add(self, flow: Flow, key: Key) -> None:
        """Take in a key that does not wait here."""
        keys = self.fresh.get(flow)
        if keys is None:
            keys = self.others.get(flow)
        if keys is None:
            keys = self.fresh[flow] = collections.OrderedDict()
        keys[key] = None
        self.waiting += 1

    def discard(self, flow: Flow, key: Key) -> None:
        """Drop a key that waits here."""
        del (self.fresh if flow in self.fresh else self.others)[flow][key]
        self.waiting -= 1

    def take(self) -> Key:
        """Return the next key; there has to be one."""
        while True:
            flow, keys = (self.fresh or self.others).popitem(last=False)
            if not keys:
                continue
            key, _ = keys.popitem(last=False)
            self.others[flow] = keys
            self.waiting -= 1
            # Where every key is a new flow's, the others have no turn in which those that are empty would go.
            if not next(iter(self.others.values())):
                self.others.popitem(last=False)
            return key


class Order(Generic[Key]):
    """Keys that wait, each once."""

    def __init__(self, flow: Callable[[Key], Flow]) -> None:
        """Make an empty order.

        Args:
            flow: Returns whose key it is; these take turns.
        """
        self._flow = flow
        self._urgent = _Line[Key]()
        self._background = _Line[Key]()
        self._lines: dict[Key, _Line[Key]] = {}
        self._turns = 0

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, key: Key) -> bool:
        return key in self._lines

    def add(self, key: Key, *, background: bool) -> None:
        """Have a key wait; one that waits in the background already becomes urgent when it is asked for so."""
        wanted = self._background if background else self._urgent
        current = self._lines.get(key)
        if current is wanted or current is self._urgent:
            return
        flow = self._flow(key)
        if current is not None:
            current.discard(flow, key)
        wanted.add(flow, key)
        self._lines[key] = wanted

    def take(self) -> Key:
        """Return the key whose turn it is, which no longer waits.

        Raises:
            KeyError: None waits.
        """
        if not self._lines:
            raise KeyError("nothing waits")
        self._turns += 1
        prefers_background = not self._turns % BACKGROUND_TURN
        first, second = (self._background, self._urgent) if prefers_background else (self._urgent, self._background)
        key = (first if first.waiting else second).take()
        del self._lines[key]
        return key

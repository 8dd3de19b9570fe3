"""Whose endpoint is probed next, of those that nobody asked for: in turns, with a share for each namespace (R15).

A server that says nothing is looked at for half a minute. With one count of probes for all, some twenty namespaces with
such servers would have everybody else's changes, and the host's own, wait for theirs.
"""

import functools
from collections.abc import Callable
from typing import Final

from mailtier.sender.net import shares

_TOTAL: Final = 256
"""Of endpoints of organizations' own, at the same time."""
_PER_NAMESPACE: Final = 4
"""The three that a namespace has at once, and the next minute's (`budget`)."""
_AT_HOST_S: Final = 64
"""At the host's endpoint: its connections bound what is done there."""
_PER_NAMESPACE_AT_HOST_S: Final = 16
"""Of these, for a namespace whose organizations inherit it."""


class ProbeTurns:
    """Who may begin a probe, and who waits.

    Args:
        begin: Given a key that waited and its turn, which ends when it is released.
    """

    def __init__(self, begin: Callable[[str, shares.ShareSlot], None]) -> None:
        self._begin = begin
        self._own = _Lines(shares.Shares("own_server_probes", total=_TOTAL, each=_PER_NAMESPACE), self._call)
        self._host_s = _Lines(
            shares.Shares("host_server_probes", total=_AT_HOST_S, each=_PER_NAMESPACE_AT_HOST_S), self._call
        )
        # Where each key stands that waits.
        self._places: dict[str, tuple[_Lines, str]] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._places)

    def take(self, namespace: str, key: str, *, is_host_s: bool) -> shares.ShareSlot | None:
        """Return leave to begin a probe; None where it has to wait until it is begun.

        Args:
            namespace: Whose settings are probed; the host's own need no turn.
            key: Of what is probed.
            is_host_s: Whether the endpoint is the host's.
        """
        lines = self._host_s if is_host_s else self._own
        slot = lines.shares.try_take(namespace)
        if slot is None and key not in self._places:
            self._places[key] = lines, namespace
            lines.join(namespace, key)
        return slot

    def leave(self, key: str) -> None:
        """Take a key out of its line, if it waits: nobody uses it any more, or it is probed already."""
        if (place := self._places.pop(key, None)) is not None:
            lines, namespace = place
            lines.leave(namespace, key)

    def _call(self, key: str, turn: shares.ShareSlot) -> None:
        del self._places[key]
        self._begin(key, turn)


class _Lines:
    """A line of keys for each namespace, and the slots that they wait for."""

    def __init__(self, slots: shares.Shares, call: Callable[[str, shares.ShareSlot], None]) -> None:
        self.shares = slots
        self._call = call
        self._keys: dict[str, dict[str, None]] = {}

    def join(self, namespace: str, key: str) -> None:
        """Let a key wait at the end of its namespace's line."""
        is_first = namespace not in self._keys
        self._keys.setdefault(namespace, {})[key] = None
        if is_first:
            self._await(namespace)

    def leave(self, namespace: str, key: str) -> None:
        """Let a key wait no longer. Its line stays though it may be empty: a slot comes for it."""
        self._keys[namespace].pop(key)

    def _await(self, namespace: str) -> None:
        # One of a line at a time waits for a slot, or thousands of a namespace's would.
        self.shares.tell(namespace, functools.partial(self._come, namespace))

    def _come(self, namespace: str) -> None:
        slot, keys = self.shares.try_take(namespace), self._keys[namespace]
        assert slot is not None
        key = next(iter(keys), None)
        if key is not None:
            del keys[key]
        if keys:
            self._await(namespace)
        else:
            del self._keys[namespace]
        if key is None:
            slot.give_back()
        else:
            self._call(key, slot)

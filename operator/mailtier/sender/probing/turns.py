"""Whose endpoint is probed next, of those that nobody asked for: in turns, with a share for each namespace (R15).

A server that says nothing is looked at for half a minute. With one count of probes for all, some twenty namespaces with
such servers would have everybody else's changes, and the host's own, wait for theirs.
"""

import collections
import functools
from collections.abc import Callable
from typing import Final

from mailtier.sender.net import shares

_TOTAL: Final = 256
"""Of endpoints of organizations' own, at the same time."""
_PER_NAMESPACE: Final = 4
"""The three that a namespace has at once, and the next minute's (`budget`)."""
_OF_THE_HOST: Final = 64
"""At the host's endpoint, for whichever organization: its connections bound what is done there."""


class ProbeTurns:
    """Who may begin a probe, and who waits.

    Args:
        ready: Told a key that waited when its turn has come; to be taken within a moment.
    """

    def __init__(self, ready: Callable[[str], None]) -> None:
        self._ready = ready
        self._namespaces = shares.Shares("own_probes", total=_TOTAL, each=_PER_NAMESPACE)
        self._host = shares.Shares("own_probes", total=_OF_THE_HOST, each=_OF_THE_HOST)
        # The keys that wait, by who answers for their endpoint; "" for the host.
        self._lines: dict[str, collections.OrderedDict[str, None]] = {}

    def take(self, payer: str | None, key: str) -> shares.ShareSlot | None:
        """Return leave to begin a probe; None where it has to wait until it is told.

        Args:
            payer: The namespace that names the endpoint; None for the host's.
            key: Of what is probed.
        """
        owner = payer or ""
        slot = self._shares(owner).try_take(owner)
        if slot is None:
            is_first = owner not in self._lines
            self._lines.setdefault(owner, collections.OrderedDict())[key] = None
            if is_first:
                self._await(owner)
        return slot

    def _shares(self, owner: str) -> shares.Shares:
        return self._namespaces if owner else self._host

    def _await(self, owner: str) -> None:
        # One of a line at a time waits for a slot, or thousands of the host's would.
        self._shares(owner).tell(owner, functools.partial(self._call, owner))

    def _call(self, owner: str) -> None:
        line = self._lines[owner]
        key, _ = line.popitem(last=False)
        if line:
            self._await(owner)
        else:
            del self._lines[owner]
        self._ready(key)

"""What is known of credentials at the servers they were used at (R12)."""

import asyncio
import collections
from typing import Final

from mailtier.api import secret
from mailtier.mail import classify
from mailtier.sender.net import pause
from mailtier.sender.secrets import credentials
from mailtier.settings import effective

_REMEMBERED_GENERATIONS: Final = 20_000


class AuthState:
    """What is known of one credential generation at one server; shared by delivery and probe (R12).

    A login that the server could not check, or at which it broke off, is neither refused nor the server's fault: it
    waits alone, for pauses that grow like a breaker's, and whoever else uses the server goes on.

    Attributes:
        refusal: Why the server refused it; from then on no AUTH is sent with it.
        pause: How long it waits, where it could not be checked when it was tried last, and why.
        stale: An access token that was refused, with nothing accepted since; the next one that is refused counts.
        is_recalled: Whether it was looked up what an earlier process learned.
        is_counted: Whether its refusal was counted (`logins`).
        proven: The rooms of servers at which it succeeded.
        probed_at: When a probe last opened a session with it; seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.refusal: classify.Failure | None = None
        self.pause = pause.Pause()
        self.stale: secret.Hidden | None = None
        self.is_recalled = False
        self.is_counted = False
        self.proven: set[str] = set()
        self.probed_at = float("-inf")
        # One AUTH at a time: three sessions that opened together would be three attempts with a wrong password.
        self.lock = asyncio.Lock()


_Key = tuple[str, int, credentials.Generation]


class AuthStates:
    """What is known of credentials at all servers.

    Destinations of one server share it: organizations that say different things of their connections are several
    destinations, and would else be as many attempts with one wrong password.

    Where there is too much to be kept, the namespace whose Secrets take up the most forgets what it has not needed for
    longest (R15): one that brings ever more credentials brings no other's refusal to be forgotten. An AUTH that is
    under way is not forgotten, for nobody else would wait for it then.

    Args:
        most: How many are kept.
    """

    def __init__(self, *, most: int = _REMEMBERED_GENERATIONS) -> None:
        self._most = most
        self._count = 0
        self._known: dict[str, collections.OrderedDict[_Key, AuthState]] = {}

    def __len__(self) -> int:
        """Return of how many something is known."""
        return self._count

    def get(self, endpoint: effective.Endpoint, generation: credentials.Generation) -> AuthState:
        """Return what is known of a credential generation at an endpoint's server."""
        key = (endpoint.host, endpoint.port, generation)
        namespace = generation.namespace
        states = self._known.get(namespace)
        state = None if states is None else states.get(key)
        if state is None:
            if self._count >= self._most:
                self._forget_one()
            state = self._known.setdefault(namespace, collections.OrderedDict())[key] = AuthState()
            self._count += 1
        self._known[namespace].move_to_end(key)
        return state

    def forget(self, host: str, *, scope: str) -> None:
        """Forget what is known at a server, of one namespace or, with "", of all: another sender may learn more.

        Args:
            host: Its name.
            scope: The namespace.
        """
        for namespace in [scope] if scope else list(self._known):
            states = self._known.get(namespace, collections.OrderedDict())
            for key in [key for key, state in states.items() if key[0] == host and not state.lock.locked()]:
                del states[key]
                self._count -= 1
            if not states:
                self._known.pop(namespace, None)

    def _forget_one(self) -> None:
        for namespace, states in sorted(self._known.items(), key=lambda item: len(item[1]), reverse=True):
            key = next((key for key, state in states.items() if not state.lock.locked()), None)
            if key is None:
                continue
            del states[key]
            self._count -= 1
            if not states:
                del self._known[namespace]
            return

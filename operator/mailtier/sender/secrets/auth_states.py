"""What is known of credentials at the servers they were used at (R12)."""

import asyncio
import collections
from typing import Final

from mailtier.api import secret
from mailtier.mail import classify
from mailtier.sender.secrets import credentials
from mailtier.settings import effective

_REMEMBERED_GENERATIONS: Final = 20_000


class AuthState:
    """What is known of one credential generation at one server; shared by delivery and probe (R12).

    Attributes:
        refusal: Why the server refused it; from then on no AUTH is sent with it.
        stale: An access token that was refused, with nothing accepted since; the next one that is refused counts.
        is_recalled: Whether it was looked up what an earlier process learned.
        is_counted: Whether its refusal was counted (`logins`).
        proven: The rooms of servers at which it succeeded.
        probed_at: When a probe last opened a session with it; seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.refusal: classify.Failure | None = None
        self.stale: secret.Hidden | None = None
        self.is_recalled = False
        self.is_counted = False
        self.proven: set[str] = set()
        self.probed_at = float("-inf")
        # One AUTH at a time: three sessions that opened together would be three attempts with a wrong password.
        self.lock = asyncio.Lock()


class AuthStates:
    """What is known of credentials at all servers.

    Destinations of one server share it: organizations that say different things of their connections are several
    destinations, and would else be as many attempts with one wrong password.
    """

    def __init__(self) -> None:
        self._known: collections.OrderedDict[tuple[str, int, credentials.Generation], AuthState] = (
            collections.OrderedDict()
        )

    def get(self, endpoint: effective.Endpoint, generation: credentials.Generation) -> AuthState:
        """Return what is known of a credential generation at an endpoint's server."""
        key = (endpoint.host, endpoint.port, generation)
        state = self._known.get(key)
        if state is None:
            state = self._known[key] = AuthState()
            if len(self._known) > _REMEMBERED_GENERATIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return state

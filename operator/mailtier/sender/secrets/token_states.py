"""What is known of credential generations at their token servers, for so many of them at most."""

import asyncio
import collections
import dataclasses
from collections.abc import Iterator
from typing import Final

from mailtier.api import secret
from mailtier.mail import classify
from mailtier.sender.net import breaker
from mailtier.sender.secrets import credentials

_REMEMBERED: Final = 20_000


@dataclasses.dataclass(slots=True)
class TokenState:
    """What is known of one credential generation at its token server.

    Attributes:
        token: The last one that was granted.
        usable_until: Seconds of the monotonic clock.
        refusal: Why the server refused the generation; from then on it is not asked again (R12).
        fault: Why there was no token last time.
        pause: How long the server is left alone after that.
        asking: The request under way.
        used_at: When somebody last wanted a token; seconds of the monotonic clock.
    """

    token: secret.Hidden | None = None
    usable_until: float = float("-inf")
    refusal: classify.Failure | None = None
    fault: classify.Failure | None = None
    pause: breaker.Breaker = dataclasses.field(default_factory=breaker.Breaker)
    asking: asyncio.Task[None] | None = None
    used_at: float = 0.0


class States:
    """The states of generations; those that were used longest ago make room for others.

    A refusal is forgotten last: a token can be asked for again, and a refused generation must not be (R12).

    Args:
        remembered: How many there are at most.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._open: collections.OrderedDict[credentials.Generation, TokenState] = collections.OrderedDict()
        self._refused: collections.OrderedDict[credentials.Generation, TokenState] = collections.OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open) + len(self._refused)

    def __iter__(self) -> Iterator[tuple[credentials.Generation, TokenState]]:
        """Yield each generation with its state."""
        yield from self._open.items()
        yield from self._refused.items()

    def get(self, generation: credentials.Generation) -> TokenState | None:
        """Return the state of a generation; None if nothing is known of it."""
        return self._refused.get(generation) or self._open.get(generation)

    def use(self, generation: credentials.Generation) -> TokenState:
        """Return the state of a generation, a new one if nothing is known of it."""
        state = self.get(generation)
        if state is None:
            state = TokenState()
            self._put(self._open, generation, state)
        (self._open if state.refusal is None else self._refused).move_to_end(generation)
        return state

    def refuse(self, generation: credentials.Generation, state: TokenState, refusal: classify.Failure) -> None:
        """Keep that a generation was refused, also where its state made room for others meanwhile."""
        state.refusal = refusal
        self.forget(generation)
        self._put(self._refused, generation, state)

    def forget(self, generation: credentials.Generation) -> None:
        """Forget a generation."""
        self._open.pop(generation, None)
        self._refused.pop(generation, None)

    def _put(
        self,
        states: collections.OrderedDict[credentials.Generation, TokenState],
        generation: credentials.Generation,
        state: TokenState,
    ) -> None:
        if len(self) >= self._remembered:
            (self._open or self._refused).popitem(last=False)
        states[generation] = state

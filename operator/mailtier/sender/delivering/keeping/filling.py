"""Filling the active set: what is to be claimed, which backlogs there are, and what expired in the queue."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Final

from mailtier.sender import clock, ports
from mailtier.sender.delivering import recorder
from mailtier.sender.delivering.keeping import claiming, keeper
from mailtier.telemetry import logs

_AGAIN_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 60.0
"""How often it is looked which backlogs there are."""

_log = logs.get_logger(__name__)


class Filling:
    """Reads from the queue, one thing at a time, so that there is something to be read.

    Args:
        claims: Claims.
        keeping: Says what is wanted, and does with it what is to be done.
        outcomes: Where outcomes are stored.
        time: Clocks.
        wake: Called when something was read.

    Attributes:
        loaded: Whether it was looked which backlogs there are.
    """

    def __init__(
        self,
        claims: claiming.Claimer,
        *,
        keeping: keeper.Keeper,
        outcomes: recorder.Recorder,
        time: clock.Clock,
        wake: Callable[[], None],
    ) -> None:
        self.loaded = False
        self._claims = claims
        self._keeper = keeping
        self._outcomes = outcomes
        self._clock = time
        self._wake = wake
        self._next_look = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def look_now(self) -> None:
        """Look soon which backlogs there are, and what has expired: others know more of it."""
        self._next_look = float("-inf")
        self._keeper.expiry.look_now()

    def begin(self, now: float) -> None:
        """Have something claimed where there is room for it, unless something is being read."""
        if self._reading is not None:
            return
        orders = self._claims.orders(now, self._keeper.wanted)
        if orders or now >= self._next_look or self._keeper.expiry.is_due(now):
            self._reading = asyncio.get_running_loop().create_task(self._read(orders), name="claim")

    def next_event(self, now: float) -> float | None:
        """Return when `begin` has something to do; None while something is being read, which then wakes."""
        if self._reading is not None:
            return None
        claims_at = self._claims.next_event(now)
        least = min(self._keeper.expiry.next_event(), self._next_look)
        return least if claims_at is None else min(claims_at, least)

    async def stop(self) -> None:
        """Read nothing more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, orders: Sequence[claiming.ClaimOrder]) -> None:
        try:
            if orders:
                for claimed in await self._claims.claim(orders):
                    self._claims.hand_on(claimed.pending, functools.partial(self._keeper.take_in, claimed))
            if self._clock.monotonic() >= self._next_look:
                await self._look()
            if self._keeper.expiry.is_due(self._clock.monotonic()):
                self._keeper.expiry.end_claimed(*await self._claims.claim_expired())
            # What is held or given up is stored at once: no more of that than the disk takes.
            await self._outcomes.wait_for_room()
        except ports.StorageBrokenError as error:
            self._outcomes.note_broken(error)
        except Exception:  # noqa: BLE001 - whatever it is may pass; what was not claimed is claimed later.
            _log.exception("the queue could not be read; trying again")
        finally:
            self._reading = None
            self._wake()

    async def _look(self) -> None:
        """Look which backlogs there are, at the start and now and then: a bell may not have been heard."""
        again_at = self._next_look = self._clock.monotonic() + _AGAIN_SECONDS
        for key in await self._claims.correct():
            self._keeper.know(key)
        if self._next_look == again_at:
            # Nobody asked for another look meanwhile.
            self._next_look = self._clock.monotonic() + _LOOK_SECONDS
        self.loaded = True

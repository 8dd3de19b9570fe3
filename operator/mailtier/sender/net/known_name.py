"""The addresses of one server: looked up once in a while, and the one that did before those that did not."""

import asyncio
from collections.abc import Sequence
from typing import Final

from mailtier.sender import clock
from mailtier.sender.net import resolver
from mailtier.settings import effective

PREFERRED_SECONDS: Final = 600.0
"""How long the address that did is asked before those that stand before it."""


class KnownName:
    """What is known of the name of an endpoint.

    Args:
        endpoint: Whose name it is.
        names: Looks it up.
        time: Clocks.
    """

    def __init__(self, endpoint: effective.Endpoint, names: resolver.Resolver, time: clock.Clock) -> None:
        self._endpoint = endpoint
        self._names = names
        self._clock = time
        self._found: resolver.ResolvedName | None = None
        self._found_until = 0.0
        self._looking = asyncio.Lock()
        self._preferred: resolver.Address | None = None
        self._preferred_until = 0.0

    async def resolve(self, payer: str | None) -> Sequence[resolver.Address]:
        """Return the addresses, which may be used.

        Args:
            payer: The namespace whose share a lookup takes (R15); None for the host.

        Raises:
            faults.DeliveryError: There are none.
        """
        async with self._looking:
            if self._found is None or self._clock.monotonic() >= self._found_until:
                self._found = None
                self._found = await self._names.resolve(self._endpoint.host, self._endpoint.addresses, payer=payer)
                self._found_until = self._clock.monotonic() + self._found.ttl_seconds
            return self._found.addresses

    def forget(self) -> None:
        """Look the name up again when it is needed: it may have moved."""
        self._found = None

    def in_order(self, addresses: Sequence[resolver.Address]) -> Sequence[resolver.Address]:
        """Return addresses with the one first that did where others did not."""
        if self._preferred not in addresses or self._clock.monotonic() >= self._preferred_until:
            self._preferred = None
        return sorted(addresses, key=lambda each: each != self._preferred)

    def note_used(self, address: resolver.Address | None, *, first: resolver.Address) -> None:
        """Note which address did, and which was tried first."""
        if address not in {first, self._preferred}:
            self._preferred, self._preferred_until = address, self._clock.monotonic() + PREFERRED_SECONDS

"""The numbers of snapshots: each is stored once, and kept as long as somebody may name it."""

import hashlib
from collections.abc import Callable
from typing import Final

from mailtier.sender import ports
from mailtier.sender.storage.postgres.database import connections

_STORE: Final = """
    INSERT INTO mailtier.snapshots (digest, settings, used_at) VALUES ($1, $2, now())
    ON CONFLICT (digest) DO UPDATE SET used_at = now() RETURNING number
"""

_KNOWN_SECONDS: Final = 3600.0
"""How long a number is handed out without a question; far less than one stays that nothing names."""

_KNOWN_MOST: Final = 10_000


class Snapshots:
    """The numbers that this process knows.

    Args:
        pool: Connections.
        monotonic: Returns seconds of a clock that never jumps.
    """

    def __init__(self, pool: connections.Connections, *, monotonic: Callable[[], float]) -> None:
        self._pool = pool
        self._monotonic = monotonic
        self._known: dict[bytes, tuple[int, float]] = {}

    async def number_of(self, snapshot: ports.Snapshot) -> int:
        """Return a snapshot's number, which is given to it if it has none.

        Raises:
            OSError: The database does not answer.
        """
        digest = hashlib.sha256(snapshot.settings.encode()).digest()
        number, until = self._known.get(digest, (0, 0.0))
        if self._monotonic() < until:
            return number
        asked_at = self._monotonic()
        try:
            ((number,),) = await self._pool.fetch(_STORE, digest.hex(), snapshot.settings)
        except ports.StorageAwayError as error:
            raise OSError("the snapshot could not be stored in the queue's database") from error
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known[digest] = (int(number), asked_at + _KNOWN_SECONDS)
        return int(number)

"""Numbers of notifications and recipients: taken from the database in blocks, and never given twice."""

from mailtier.sender.storage.postgres.database import connections


class NumberBlocks:
    """The numbers of one kind that this process may give. What is left of its last block is lost with it.

    Args:
        sequence: Which kind; a sequence of the database, which goes on by whole blocks.
        block: How many numbers each has.
    """

    def __init__(self, sequence: str, *, block: int) -> None:
        self._sequence = sequence
        self._block = block
        self._next = 0
        self._end = 0

    async def take(self, session: connections.DatabaseSession, count: int) -> list[int]:
        """Return so many numbers, each greater than those before it."""
        numbers: list[int] = []
        while True:
            end = min(self._end, self._next + count - len(numbers))
            numbers += range(self._next, end)
            self._next = end
            if len(numbers) == count:
                return numbers
            self._next = await session.fetchval("SELECT nextval($1::text::regclass)", f"mailtier.{self._sequence}")
            self._end = self._next + self._block

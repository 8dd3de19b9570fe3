"""A table of a queue's database that nobody else may use, as if the database were slow with it."""

import typing

import asyncpg

_WAITING = """
    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND l.relation = $1::text::regclass AND a.application_name LIKE 'mailtier %'
"""


class LockedTable:
    """The lock, while its context is entered.

    Args:
        dsn: Where the database is.
        table: Its name.
        may_read: Whether it is only not written to.
    """

    def __init__(self, dsn: str, table: str, *, may_read: bool = False) -> None:
        self._dsn = dsn
        self._mode = "SHARE" if may_read else "ACCESS EXCLUSIVE"
        self._table = f"mailtier.{table}"
        self._connection: typing.Any = None

    async def __aenter__(self) -> typing.Self:
        self._connection = await asyncpg.connect(self._dsn)
        await self._connection.execute(f"BEGIN; LOCK TABLE {self._table} IN {self._mode} MODE")
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._connection.close()

    async def waiting(self) -> int:
        """Return how many connections of senders wait for it."""
        # Within a transaction the first answer is given again.
        await self._connection.execute("SELECT pg_stat_clear_snapshot()")
        return int(await self._connection.fetchval(_WAITING, self._table))

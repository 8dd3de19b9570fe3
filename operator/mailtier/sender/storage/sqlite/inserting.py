"""Writing many rows in few statements.

Each step of a statement lets go of the interpreter and takes it again, for which a busy event loop makes it wait; one
statement for many rows is one step for all of them.
"""

import functools
import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

_SIZES: Final = (64, 16, 4, 1)
"""Rows of a statement; few sizes, so that each is prepared once."""


def insert(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    replacing: bool = False,
) -> None:
    """Store rows of a table.

    Args:
        connection: In a transaction.
        table: Its name, which is ours.
        columns: Likewise.
        rows: A value for each column.
        replacing: Whether a row of the same key is replaced.
    """
    stored = 0
    for size in _SIZES:
        while len(rows) - stored >= size:
            values = list(itertools.chain.from_iterable(rows[stored : stored + size]))
            connection.execute(_statement(table, columns, size, replacing), values)
            stored += size


@functools.cache
def _statement(table: str, columns: tuple[str, ...], size: int, replacing: bool) -> str:
    verb = "REPLACE" if replacing else "INSERT"
    row = f"({', '.join('?' * len(columns))})"
    return f"{verb} INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * size)}"

"""Writing many rows in few statements.

Each step of a statement lets go of the interpreter and takes it again, for which a busy event loop makes it wait; one
statement for many rows is one step for all of them.
"""

import functools
import itertools
import operator
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

_SIZES: Final = (64, 16, 4, 1)
"""Rows of a statement; few sizes, so that each is prepared once."""
_MANY: Final = _SIZES[:2]
"""Rows of a statement that changes them: it puts them into a table of its own first, which fewer are not worth."""
_GIVEN: Final = re.compile(r"w\.column(\d+)")
"""A value of the row, as `changes` names it."""


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
    _execute(connection, functools.partial(_insertion, table, columns, replacing), rows)


def update(connection: sqlite3.Connection, table: str, key: str, changes: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Change rows of a table.

    Args:
        connection: In a transaction.
        table: Its name, which is ours.
        key: Likewise the column by which a row is found.
        changes: What each row gets, likewise: `column = w.column2`, where `w` is what is given for it.
        rows: For each row its key, and whatever else `changes` names; none of a row that another one is of.
    """
    if rows:
        columns = len(rows[0])
        done = _execute(connection, functools.partial(_change, table, key, changes, columns), rows, _MANY)
        statement, in_its_order = _single_change(table, key, changes)
        connection.executemany(statement, map(in_its_order, rows[done:]))


def _execute(
    connection: sqlite3.Connection,
    statement: Callable[[int], str],
    rows: Sequence[tuple[Any, ...]],
    sizes: Sequence[int] = _SIZES,
) -> int:
    """Return how many of the rows went into statements of these sizes."""
    done = 0
    for size in sizes:
        while len(rows) - done >= size:
            values = list(itertools.chain.from_iterable(rows[done : done + size]))
            connection.execute(statement(size), values)
            done += size
    return done


@functools.cache
def _insertion(table: str, columns: tuple[str, ...], replacing: bool, size: int) -> str:
    verb = "REPLACE" if replacing else "INSERT"
    return f"{verb} INTO {table} ({', '.join(columns)}) {_values(len(columns), size)}"


@functools.cache
def _change(table: str, key: str, changes: str, columns: int, size: int) -> str:
    # By the key, which is unique: whatever the planner knows of the table, it looks each row up.
    return f"UPDATE {table} SET {changes} FROM ({_values(columns, size)}) AS w WHERE {table}.{key} = w.column1"  # noqa: S608


@functools.cache
def _single_change(table: str, key: str, changes: str) -> tuple[str, Callable[[tuple[Any, ...]], tuple[Any, ...]]]:
    """Return the statement for one row, and what puts a row's values where it names them.

    Its placeholders have no numbers: the sqlite3 of Python 3.12 takes numbered ones for names, and warns.
    """
    numbered = f"UPDATE {table} SET {changes} WHERE {key} = w.column1"  # noqa: S608
    places = [int(number) - 1 for number in _GIVEN.findall(numbered)]
    return _GIVEN.sub("?", numbered), operator.itemgetter(*places)


def _values(columns: int, size: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * size)}"

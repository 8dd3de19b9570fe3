"""Connections to the database: lent one by one, opened anew when one is lost, and what an error means.

Nothing is left on a connection between two transactions, so that a pooler in between may hand out another server
connection for each: settings are local to their transaction, and there is no session lock. Statements are prepared,
which saves a third of the time; where a pooler mixes prepared statements up, that is seen from the server's error,
and they are prepared no more.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import asyncpg

from mailtier.sender import ports
from mailtier.telemetry import logs, queue_metrics

_T = TypeVar("_T")

_CONNECTIONS: Final = 8
"""At once and for one process: two committers, notes, the lease, the bell, and three that read."""
_READERS: Final = 3
"""Of them: however many read, what is to be stored finds a connection, and the lease is renewed (R15)."""

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 30.0
"""No statement takes so long; the server ends it earlier, so that this is met only when nothing answers any more."""

_VACUUM_SECONDS: Final = 600.0

_PATIENCE_SECONDS: Final = 10.0
"""How long a read is tried again while the database is away: as long as a failover takes that goes well."""

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

_LIMITS: Final = (
    "SET LOCAL statement_timeout = 20000; SET LOCAL lock_timeout = 10000; "
    "SET LOCAL idle_in_transaction_session_timeout = 20000; SET LOCAL jit = off"
)
# A server that is set up not to wait for its disk would acknowledge what it may lose (R4); whatever it says beyond
# that, as that standbys are waited for, is left as it is.
_DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
)
_BEGIN: Final = f"BEGIN; {_LIMITS}; {_DURABLE}"
# Rows are found by their numbers: a table that was not analyzed yet must not be read from end to end.
_BEGIN_READING: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}; SET LOCAL enable_seqscan = off"

# SQLSTATE classes: connection exception, transaction rollback, operator intervention, authentication (a password that
# is being changed); then single codes: read-only (a former primary), too many connections, lock not available, and a
# prepared statement from before a migration.
_PASSING: Final = ("08", "40", "57", "28", "25006", "53300", "55P03", "0A000")
_FULL: Final = ("53100",)
_DAMAGED: Final = ("XX001", "XX002")
_ORPHAN: Final = ("23503",)
_MIXED_UP: Final = ("26000", "42P05")
"""A prepared statement that is unknown, or known already."""

_log = logs.get_logger(__name__)


class DatabaseSession(Protocol):
    """What is used of a connection."""

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - its own.
        """Run a statement; without arguments, several."""

    async def fetch(self, query: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Return rows."""

    async def fetchrow(self, query: str, *arguments: Any) -> Sequence[Any] | None:
        """Return the first row; None without one."""

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """Return the first column of the first row; None without one."""


class NoDatabaseError(Exception):
    """The database cannot be used at the start; the text says what to do."""


class CommitUnknownError(Exception):
    """The connection was lost while a commit was under way: it is stored, or not."""


def _has(error: BaseException, codes: tuple[str, ...]) -> bool:
    return str(getattr(error, "sqlstate", None) or "").startswith(codes)


def is_passing(error: BaseException) -> bool:
    """Return whether an error says nothing of what was asked: the database is away, or others were in the way."""
    if isinstance(error, asyncpg.PostgresError):
        return _has(error, _PASSING + _MIXED_UP)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    return isinstance(error, (OSError, asyncpg.InternalClientError))


def is_full(error: BaseException) -> bool:
    """Return whether an error says that the server's disk is full."""
    return _has(error, _FULL)


def is_damage(error: BaseException) -> bool:
    """Return whether an error says that tables or indexes are damaged."""
    return _has(error, _DAMAGED)


def is_orphan(error: BaseException) -> bool:
    """Return whether a row was to name another one that is gone."""
    return _has(error, _ORPHAN)


class Connections:
    """A few connections to one database.

    Args:
        dsn: Returns where the database is, with the password; asked for each new connection, as passwords change.
        name: What the database's administrator sees them by (`pg_stat_activity.application_name`).
    """

    def __init__(self, dsn: Callable[[], str], *, name: str = "mailtier") -> None:
        self._dsn = dsn
        self._name = name
        self._idle: list[Any] = []
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._readers = asyncio.Semaphore(_READERS)
        self._prepares = True
        self._closed = False

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[DatabaseSession]:
        """Lend a connection; after an error that may be its own it is not lent again."""
        async with self._places:
            connection = self._take_idle() or await self.open()
            try:
                yield connection
            except BaseException as error:
                if isinstance(error, asyncpg.PostgresError) and not is_passing(error) and self._is_clean(connection):
                    self._idle.append(connection)
                else:
                    self._note_mixed_up(error)
                    connection.terminate()
                raise
            if self._closed or not self._is_clean(connection):
                connection.terminate()
            else:
                self._idle.append(connection)

    async def open(self) -> Any:
        """Return a new connection, which is the caller's to close."""
        dsn = self._dsn()
        wanted = None if "target_session_attrs" in dsn else "read-write"
        try:
            return await asyncpg.connect(
                dsn,
                timeout=_CONNECT_SECONDS,
                command_timeout=_ANSWER_SECONDS,
                statement_cache_size=100 if self._prepares else 0,
                target_session_attrs=wanted,
                server_settings={"application_name": self._name},
            )
        except (asyncpg.ClientConfigurationError, ValueError):
            # What it could not read is not quoted: it holds a password (R1).
            raise NoDatabaseError(
                "the address of the queue's database cannot be read: it has to be"
                " postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with what is special percent-encoded"
            ) from None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseSession]:
        """Lend a connection within a transaction, which is committed at the end.

        Raises:
            CommitUnknownError: The commit was sent and not answered.
        """
        async with self.lend() as session:
            await session.execute(_BEGIN)
            try:
                yield session
            except BaseException:
                await self._roll_back(session)
                raise
            try:
                await session.execute("COMMIT")
            except BaseException as error:
                if is_passing(error):
                    raise CommitUnknownError("the commit was not answered") from error
                raise

    async def read(self, query: Callable[[DatabaseSession], Awaitable[_T]]) -> _T:
        """Return what a query returns; all its statements see one state of the database.

        Raises:
            StorageAwayError: The database does not answer.
            StorageBrokenError: It is damaged.
        """

        async def ask() -> _T:
            async with self._readers, self.lend() as session:
                await session.execute(_BEGIN_READING)
                try:
                    found = await query(session)
                except BaseException:
                    await self._roll_back(session)
                    raise
                await session.execute("COMMIT")
                return found

        return await self.patiently(ask)

    async def fetch(self, query: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of one statement that changes nothing, or may be run twice.

        Raises:
            StorageAwayError: The database does not answer.
            StorageBrokenError: It is damaged.
        """

        async def ask() -> Sequence[Sequence[Any]]:
            async with self.lend() as session:
                return await session.fetch(query, *arguments)

        return await self.patiently(ask)

    async def vacuum(self, table: str) -> None:
        """Have former versions of a table's rows removed; a server that is too busy for it does so by itself."""
        async with self.lend() as session:
            with contextlib.suppress(TimeoutError):
                await session.execute(f"VACUUM mailtier.{table}", timeout=_VACUUM_SECONDS)

    async def patiently(self, attempt: Callable[[], Awaitable[_T]], *, within_seconds: float = _PATIENCE_SECONDS) -> _T:
        """Return what an attempt returns that may be made again, while errors pass and time is left.

        Raises:
            StorageAwayError: They do not pass.
            StorageBrokenError: The database is damaged.
        """
        pause = _FIRST_PAUSE_SECONDS
        deadline = time.monotonic() + within_seconds
        while True:
            try:
                found = await attempt()
            except Exception as error:
                if is_damage(error):
                    raise ports.StorageBrokenError("tables of the queue are damaged: look at the database") from error
                if not is_passing(error):
                    raise
                if time.monotonic() + pause >= deadline or self._closed:
                    queue_metrics.set_up(is_up=False)
                    raise ports.StorageAwayError(f"the queue's database does not answer: {describe(error)}") from error
            else:
                queue_metrics.set_up(is_up=True)
                return found
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close what is idle, and what is lent when it comes back."""
        self._closed = True
        for connection in self._idle:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)
        self._idle.clear()

    def abandon(self) -> None:
        """Drop every idle connection at once, as a process that dies does."""
        self._closed = True
        for connection in self._idle:
            connection.terminate()
        self._idle.clear()

    def _take_idle(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    @staticmethod
    def _is_clean(connection: Any) -> bool:
        return not connection.is_closed() and not connection.is_in_transaction()

    @staticmethod
    async def _roll_back(session: DatabaseSession) -> None:
        # Where that fails too, the connection is not lent again.
        with contextlib.suppress(Exception):
            await session.execute("ROLLBACK")

    def _note_mixed_up(self, error: BaseException) -> None:
        if self._prepares and isinstance(error, asyncpg.PostgresError) and _has(error, _MIXED_UP):
            self._prepares = False
            _log.warning(
                "prepared statements were mixed up, as by a pooler that hands out connections by transaction;"
                " going on without them, which takes more time",
                error=describe(error),
            )


def describe(error: BaseException) -> str:
    """Return what may be logged of an error: its kind and code, never rows or passwords (R1)."""
    code = getattr(error, "sqlstate", None)
    return f"{type(error).__name__}{f' {code}' if code else ''}"

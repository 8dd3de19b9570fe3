"""The queue of a sender that is not running, on its way to a database: sealed, read part by part, and wiped."""

import contextlib
import datetime as dt
import json
import pathlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import vocabulary
from mailtier.sender.queueing import crashes, retention
from mailtier.sender.storage import journal, movables, volume
from mailtier.sender.storage.sqlite import embedded, recovery, schema
from mailtier.sender.storage.sqlite.tables import sealing

PART_ROWS: Final = 500
PART_BYTES: Final = 4 * 1024 * 1024
"""Of payloads in one part; one notification's may be more."""

_OF_NOTIFICATION: Final = ", ".join(f"n.{name}" for name in movables.NOTIFICATION if name != "body")
_OF_RECIPIENT: Final = ", ".join(movables.RECIPIENT)
_NOTIFICATIONS: Final = f"""
    SELECT {_OF_NOTIFICATION}, p.body
    FROM notifications n LEFT JOIN payloads p ON p.notification = n.number
    WHERE n.number > ? AND (n.idempotency_key IS NOT NULL OR n.object_name IS NOT NULL) = ? ORDER BY n.number
"""  # noqa: S608  # Names of columns.
_RECIPIENTS: Final = f"""
    SELECT {_OF_RECIPIENT} FROM recipients
    WHERE notification IN (SELECT value FROM json_each(?)) ORDER BY number
"""  # noqa: S608  # As above.
_SNAPSHOTS: Final = "SELECT number, digest, settings FROM snapshots WHERE number IN (SELECT value FROM json_each(?))"
_SMALL: Final[Mapping[movables.MoveStage, tuple[str, Sequence[str]]]] = {
    movables.MoveStage.MEMORIES: (
        "SELECT key, body FROM memories WHERE key > ? AND key <> 'sealed' ORDER BY key",
        ("key",),
    ),
    movables.MoveStage.PROBES: ("SELECT key, body, probed_at FROM probes WHERE key > ? ORDER BY key", ("key",)),
    movables.MoveStage.SUPPRESSIONS: (
        """
        SELECT namespace_uid, organization, address, refusals, notification, refused_at, until FROM suppressions
        WHERE (namespace_uid, organization, address) > (?, ?, ?) ORDER BY namespace_uid, organization, address
        """,
        ("namespace_uid", "organization", "address"),
    ),
}
"""Of what is small, the statement that reads it from behind a key, and that key's columns."""


class NoQueueError(Exception):
    """There is no queue to be moved."""


FAULTS: Final = (
    NoQueueError,
    schema.NewerSchemaError,
    schema.DamagedError,
    schema.UnopenedError,
    volume.InUseError,
)
"""Why a queue is not moved, as far as its file is the reason."""


@contextlib.contextmanager
def opened(directory: pathlib.Path) -> Iterator["LeavingQueue"]:
    """Open the queue of a folder, sealed or not, which no sender has open, nor can open meanwhile.

    Raises:
        NoQueueError: There is none.
        volume.InUseError: A sender has it open.
        schema.NewerSchemaError: A newer version of this program wrote it.
        schema.DamagedError: Parts of it cannot be read.
        schema.UnopenedError: SQLite does not open it.
    """
    if not (directory / embedded.DATABASE).is_file():
        raise NoQueueError(f"there is no queue in {directory}: name the sender's data directory with --data-dir")
    with contextlib.ExitStack() as held:
        held.enter_context(embedded.kept_closed(directory))
        turns = held.enter_context(contextlib.closing(volume.WriteTurns(directory / embedded.TURNS)))
        try:
            connection = schema.open_writer(directory / embedded.DATABASE, turns, even_sealed=True)
        except sqlite3.OperationalError as error:
            raise schema.UnopenedError(f"the queue in {directory} cannot be opened: {error}") from error
        held.callback(connection.close)
        yield LeavingQueue(directory, connection)


class LeavingQueue:
    """Made by `opened`.

    Args:
        directory: Where it lies.
        connection: To its file.
    """

    def __init__(self, directory: pathlib.Path, connection: sqlite3.Connection) -> None:
        self._directory = directory
        self._connection = connection

    @property
    def seal(self) -> sealing.Seal | None:
        """Where it goes; None where it was not sealed yet."""
        return sealing.read(self._connection)

    def close_off(self, seal: sealing.Seal, *, now: dt.datetime) -> None:
        """Seal the queue, once what the journal says of interrupted attempts is answered, as a start does."""
        # No room is held back any more for outcomes: nothing is delivered from here.
        (self._directory / embedded.RESERVE).unlink(missing_ok=True)
        notes = journal.read(self._directory / embedded.JOURNAL)
        with self._transaction():
            for note in notes:
                recovery.answer(
                    self._connection,
                    note=note,
                    now=now,
                    in_doubt=crashes.decide_in_doubt,
                    keep_failed=retention.FAILED_KEPT,
                )
            sealing.write(self._connection, seal)

    def extent(self) -> movables.Extent:
        """Return how far its numbers go."""
        given = dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence"))
        (change,) = self._connection.execute("SELECT value FROM counters WHERE name = 'change'").fetchone()
        return movables.Extent(
            change=change, notifications=given.get("notifications", 0), recipients=given.get("recipients", 0)
        )

    def counts(self) -> Mapping[vocabulary.RecipientState, int]:
        """Return how many recipients stand in each state."""
        found = self._connection.execute("SELECT state, count(*) FROM recipients GROUP BY state")
        return {vocabulary.RecipientState(state): count for state, count in found}

    def notifications(self) -> int:
        """Return how many notifications there are, finished and forgotten ones included."""
        (found,) = self._connection.execute("SELECT count(*) FROM notifications").fetchone()
        return int(found)

    def read(self, stage: movables.MoveStage, after: Sequence[Any], *, rows: int = PART_ROWS) -> movables.Part:
        """Return the next part of a stage.

        Args:
            stage: Of what.
            after: The key of the last row of the part before; empty to begin.
            rows: How many at most.
        """
        if stage in _SMALL:
            statement, key = _SMALL[stage]
            found = self._fetch(statement, after or ("",) * len(key), rows)
            return movables.Part(
                stage=stage,
                rows=found,
                last=[found[-1][name] for name in key] if len(found) == rows else (),
            )
        (number,) = after or (0,)
        is_known = stage is movables.MoveStage.KNOWN
        notifications = self._fetch(_NOTIFICATIONS, (number, is_known), rows)
        recipients = self._fetch_of(_RECIPIENTS, [each["number"] for each in notifications])
        # What is final is built no more.
        named = {each["snapshot"] for each in recipients if each["due_at"] is not None} - {None}
        snapshots = self._fetch_of(_SNAPSHOTS, sorted(named))
        return movables.Part(
            stage=stage,
            rows=notifications,
            recipients=recipients,
            snapshots={each["number"]: (each["digest"], each["settings"]) for each in snapshots},
            last=[notifications[-1]["number"]] if notifications else (),
        )

    def finish(self, seal: sealing.Seal) -> None:
        """Note that everything was moved, and wipe what it says (R11): it is the database's now."""
        with self._transaction():
            sealing.write(self._connection, seal)
        wiped = PART_ROWS
        while wiped == PART_ROWS:
            with self._transaction():
                wiped = self._connection.execute(
                    "UPDATE payloads SET body = NULL WHERE notification IN "
                    "(SELECT notification FROM payloads WHERE body IS NOT NULL LIMIT ?)",
                    (PART_ROWS,),
                ).rowcount
        # What was written before lies in the log until then.
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (self._directory / embedded.JOURNAL).unlink(missing_ok=True)

    def _fetch(self, statement: str, arguments: Sequence[Any], most: int) -> list[movables.Row]:
        cursor = self._connection.execute(statement, arguments)
        names = [name for name, *_ in cursor.description]
        found: list[movables.Row] = []
        size_bytes = 0
        for row in cursor:
            found.append(dict(zip(names, row, strict=True)))
            size_bytes += found[-1].get("payload_bytes") or 0
            if len(found) >= most or size_bytes >= PART_BYTES:
                break
        cursor.close()
        return found

    def _fetch_of(self, statement: str, numbers: Sequence[int]) -> list[movables.Row]:
        cursor = self._connection.execute(statement, (json.dumps(numbers),))
        names = [name for name, *_ in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        schema.begin(self._connection)
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

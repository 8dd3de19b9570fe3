"""Which rows are removed, and which stay for the sake of others."""

import contextlib
import pathlib
import sqlite3

from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import forgetting, schema


def test_payload_rows_are_removed_far_from_living_ones(tmp_path: pathlib.Path) -> None:
    """Wiped rows go, but for those near the first unfinished notification, so that no page of its is rebuilt."""
    with contextlib.closing(
        schema.open_writer(tmp_path / "queue.sqlite3", volume.WriteTurns(tmp_path / "turns"))
    ) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO payloads (notification, body) VALUES (?, NULL)", ((number,) for number in range(1, 20_001))
        )
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute(
            "INSERT INTO notifications (number, id, namespace_uid, namespace, organization, category, severity, "
            "accepted_at, expires_at, payload_bytes, unfinished, digest) "
            "VALUES (12000, 'n', 'u', 'n', 'o', 'c', 's', 0, 0, 0, 1, 'd')"
        )
        connection.execute(
            "INSERT INTO recipients (notification, address, state, due_at, changed_at) "
            "VALUES (12000, 'a', 'queued', 0, 0)"
        )
        connection.execute("COMMIT")
        assert _purge_payload_rows(connection) == 6_999
        connection.execute("UPDATE recipients SET due_at = NULL")
        assert _purge_payload_rows(connection) == 15_000 - 6_999


def test_payload_rows_are_removed_between_those_that_are_kept(tmp_path: pathlib.Path) -> None:
    """One that failed keeps the rows around it, and no others, while it is kept and while it is sent again."""
    with contextlib.closing(
        schema.open_writer(tmp_path / "queue.sqlite3", volume.WriteTurns(tmp_path / "turns"))
    ) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO payloads (notification, body) VALUES (?, NULL)", ((number,) for number in range(1, 40_001))
        )
        connection.executemany(
            "INSERT INTO notifications (number, id, namespace_uid, namespace, organization, category, severity, "
            "accepted_at, expires_at, payload_bytes, unfinished, digest, payload_until) "
            "VALUES (:number, :number, 'u', 'n', 'o', 'c', 's', 0, 0, 0, :unfinished, 'd', 1)",
            [{"number": number, "unfinished": number == 10_010} for number in (10_000, 10_010, 30_000)],
        )
        connection.execute(
            "INSERT INTO recipients (notification, address, state, due_at, changed_at) "
            "VALUES (10010, 'a', 'queued', 0, 0)"
        )
        connection.execute("UPDATE payloads SET body = x'00' WHERE notification IN (10000, 10010, 30000)")
        connection.execute("COMMIT")
        _purge_payload_rows(connection)
        left = [number for (number,) in connection.execute("SELECT notification FROM payloads ORDER BY notification")]
        assert left == [*range(5_000, 15_011), *range(25_000, 35_001), *range(35_001, 40_001)]


def _purge_payload_rows(connection: sqlite3.Connection) -> int:
    """Remove what may be removed, in steps; return how many rows."""
    before = forgetting.first_needed(connection)
    total, after = 0, 0
    while after is not None:
        removed, after = forgetting.purge_payload_rows(connection, before=before, after=after, limit=2_000)
        assert removed <= 2_000
        total += removed
    return total

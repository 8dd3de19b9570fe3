"""What the tests that kill ask of the rows tells a row in a wrong state, of every backend."""

import contextlib
import sqlite3

import pytest

from kit import invariants, postgres, queues


def _violations(factory: queues.Factory, statement: str = "") -> list[str]:
    """Return what does not hold once a statement has changed what is stored."""
    if factory.backend == "postgres":
        if statement:
            postgres.execute(f"{factory.place}&search_path=mailtier", statement)
        return invariants.shared_violations(factory.place)
    database = factory.directory / "queue.sqlite3"
    if statement:
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(statement)
    return invariants.violations(database)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE recipients SET state = 'accepted'", "a recipient is final and due, or neither"),
        ("UPDATE recipients SET state = 'sent'", "a recipient has a state that there is not"),
        ("DELETE FROM recipients", "a notification counts other recipients as unfinished than there are"),
        ("DELETE FROM notifications", "a recipient has no notification"),
        ("DELETE FROM usage", "a namespace that has something is not charged"),
        ("UPDATE usage SET messages = messages + 1", "a namespace is charged for other messages than wait"),
    ],
)
async def test_a_row_in_a_wrong_state_is_told(queue_factory: queues.Factory, statement: str, told: str) -> None:
    """Nothing is told of a queue as it is stored, and what was changed behind its back is."""
    queue = await queue_factory.open()
    await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA)
    await queue_factory.close()
    assert _violations(queue_factory) == []
    assert told in {each.partition(": ")[0] for each in _violations(queue_factory, statement)}

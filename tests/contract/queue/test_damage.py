"""A queue whose file is damaged: found at the start, refused with what to do, and never worked on (R4)."""

import asyncio
import pathlib
import sqlite3

import pytest

from kit import queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.sqlite import embedded, schema

_NOTIFICATIONS = 400
_FILE = "queue.sqlite3"


async def _fill(directory: pathlib.Path) -> list[int]:
    """Return the recipients of a queue that is too large for SQLite to have it all in memory; it is closed."""
    queue = await embedded.open_queue(directory, now=queues.Clock(), limits=queues.LIMITS)
    recipients = []
    for _ in range(_NOTIFICATIONS):
        enqueued = await queues.enqueue(queue, queues.notification(text="x" * 16_000), quota=queues.QUOTA)
        recipients += [each.recipient_number for each in enqueued.pending]
    await queue.close()
    return recipients


def _damage(path: pathlib.Path, *, first: int, pages: int) -> None:
    with path.open("r+b") as file:
        file.seek(first * schema.PAGE_BYTES)
        file.write(b"\xa5" * schema.PAGE_BYTES * pages)


@pytest.mark.parametrize(("first", "pages"), [(0, 1), (3, 8), (40, 1)])
async def test_damage_is_found_at_the_start(tmp_path: pathlib.Path, first: int, pages: int) -> None:
    """Wherever it is; the text says which file and what to do, and the file is left as it is."""
    await _fill(tmp_path)
    _damage(tmp_path / _FILE, first=first, pages=pages)
    before = (tmp_path / _FILE).read_bytes()
    with pytest.raises(schema.DamagedError, match="`mailtier sender restore FILE --replace`") as raised:
        await embedded.open_queue(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
    assert str(tmp_path / _FILE) in str(raised.value)
    assert (tmp_path / _FILE).read_bytes() == before


async def test_what_is_no_database_is_told(tmp_path: pathlib.Path) -> None:
    """A file that somebody put there by mistake is neither overwritten nor taken for an empty queue."""
    (tmp_path / _FILE).write_bytes(b"this is no database" * 1000)
    with pytest.raises(schema.DamagedError):
        await embedded.open_queue(tmp_path, now=queues.Clock(), limits=queues.LIMITS)


async def test_a_whole_queue_opens(tmp_path: pathlib.Path) -> None:
    """Nothing is found where nothing is wrong."""
    recipients = await _fill(tmp_path)
    queue = await embedded.open_queue(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
    assert len(await queues.unfinished(queue)) == len(recipients)
    await queue.close()


async def test_both_halves_look_at_the_file_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one found whole the other takes as such when they start together; one that starts again looks again."""
    looks, look = list[pathlib.Path](), schema._require_whole

    def counted(connection: sqlite3.Connection, path: pathlib.Path) -> None:
        looks.append(path)
        look(connection, path)

    monkeypatch.setattr(schema, "_require_whole", counted)
    await _fill(tmp_path)
    assert len(looks) == 1
    intake = await embedded.open_intake(tmp_path, limits=queues.LIMITS)
    delivery = await embedded.open_delivery(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
    assert len(looks) == 2
    await delivery.close()
    delivery = await embedded.open_delivery(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
    assert len(looks) == 3
    await delivery.close()
    await intake.close()
    _damage(tmp_path / _FILE, first=40, pages=1)
    with pytest.raises(schema.DamagedError):
        await embedded.open_delivery(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
    with pytest.raises(schema.DamagedError):
        await embedded.open_intake(tmp_path, limits=queues.LIMITS)


async def test_damage_while_it_is_open_ends_the_work(tmp_path: pathlib.Path) -> None:
    """What cannot be read is no defect of a message, to be tried again for ever: the storage is broken, and says so."""
    recipients = await _fill(tmp_path)
    queue = await embedded.open_queue(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
    _damage(tmp_path / _FILE, first=20, pages=1500)
    failed = []
    for _ in recipients:
        try:
            await queues.claim(queue)
        except ports.StorageBrokenError as error:
            failed.append(str(error))
    assert failed
    assert "restart the sender" in failed[0]
    outcomes = (queues.outcome(recipient, vocabulary.RecipientState.ACCEPTED) for recipient in recipients)
    stored = await asyncio.gather(*(queues.settle(queue, each) for each in outcomes), return_exceptions=True)
    assert {type(each) for each in stored} <= {type(None), ports.StorageBrokenError}
    assert isinstance(stored[-1], ports.StorageBrokenError)
    await queue.close()


async def test_damage_that_a_write_meets_is_the_storage_s(tmp_path: pathlib.Path) -> None:
    """Whoever waits for another command is told too: what one write finds is no fault of that write alone."""
    queue = await embedded.open_queue(tmp_path, now=queues.Clock(), limits=queues.LIMITS)

    def meets_it(_connection: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(ports.StorageBrokenError):
        await queue._writer.submit(meets_it)
    with pytest.raises(ports.StorageBrokenError):
        await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA)
    await queue.close()

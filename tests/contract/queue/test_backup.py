"""A copy of the queue while it is used, and a copy in its place: held until somebody says so."""

import collections.abc
import contextlib
import os
import pathlib
import sqlite3
import stat
import typing

import pytest

from kit import invariants, queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import restoring
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import backup, embedded, leaving, schema

S, C = vocabulary.RecipientState, vocabulary.Category
_LINK = "https://example.org/reset/c0ffee-5ecret"


@pytest.fixture(name="opened")
async def opened_queue(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[ports.Queue]:
    """Return a queue in the folder `queue`, which is open."""
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    yield queue
    await queue.close()


def _names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextlib.asynccontextmanager
async def _restored(tmp_path: pathlib.Path, file: pathlib.Path) -> collections.abc.AsyncIterator[ports.Queue]:
    backup.restore(file, tmp_path / "restored")
    queue = await embedded.open_queue(tmp_path / "restored", now=queues.Clock(), limits=queues.LIMITS)
    try:
        yield queue
    finally:
        await queue.close()


async def test_a_copy_is_the_queue_as_it_was(opened: ports.Queue, tmp_path: pathlib.Path) -> None:
    """What is queued, finished and kept is in it, and what comes later is not; it is readable by its owner alone."""
    waits, _ = await queues.put(opened, text="It waits", idempotency_key="a-key", digest="ab")
    done, (number,) = await queues.put(opened)
    await queues.settle(opened, queues.outcome(number, S.ACCEPTED))
    failed, (number,) = await queues.put(opened, text="It failed")
    await queues.settle(opened, queues.outcome(number, S.FAILED))
    file = tmp_path / "backup.sqlite3"
    size_bytes = backup.write(tmp_path / "queue", file, now=queues.START)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size == size_bytes
    later, _ = await queues.put(opened)
    async with _restored(tmp_path, file) as queue:
        assert [(await queues.states(queue, id_)) for id_ in (waits, done, failed)] == [
            ["queued"],
            ["accepted"],
            ["failed"],
        ]
        assert await queue.find(queues.LANE, later) is None
        (claimed,) = await queues.claim(queue)
        assert claimed.job.text == "It waits"
        repeated = await queues.enqueue(
            queue, queues.notification(id="again", idempotency_key="a-key", digest="ab"), quota=queues.QUOTA
        )
        assert (repeated.id, repeated.repeated) == (waits, True)
        assert await queue.recall(restoring.KEY) == restoring.mark(queues.START)
        assert await queue.kept_payloads() == 1
    assert invariants.violations(tmp_path / "restored" / "queue.sqlite3") == []
    assert await opened.recall(restoring.KEY) is None


async def test_a_reset_link_is_in_no_copy(opened: ports.Queue, tmp_path: pathlib.Path) -> None:
    """A password recovery that waits has failed in the copy, with the reason; its text is in no byte of it (R11)."""
    recovery, _ = await queues.put(opened, text=_LINK, category=C.PASSWORD_RECOVERY)
    other, _ = await queues.put(opened, text="It waits")
    file = tmp_path / "backup.sqlite3"
    backup.write(tmp_path / "queue", file, now=queues.START)
    assert _LINK.encode() not in file.read_bytes()
    assert _names(tmp_path) == [file.name, "queue"]
    async with _restored(tmp_path, file) as queue:
        (recipient,) = (await queues.record(queue, recovery)).recipients
        assert (recipient.state, recipient.reason) == (S.FAILED, "NotInBackup")
        assert await queues.states(queue, other) == ["queued"]
    assert invariants.violations(tmp_path / "restored" / "queue.sqlite3") == []
    assert await queues.states(opened, recovery) == ["queued"]


async def test_a_copy_is_never_half_of_one(
    opened: ports.Queue, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be written whole, for want of room or by a fault, there is no file; nor is one overwritten."""
    await queues.put(opened)
    file = tmp_path / "backup.sqlite3"

    def full(_: object) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 1000, 1, 1, 0, 0, 0, 0, 255))

    with monkeypatch.context() as patch:
        patch.setattr("mailtier.sender.storage.sqlite.backup.os.statvfs", full)
        with pytest.raises(backup.BackupError, match="bytes left"):
            backup.write(tmp_path / "queue", file, now=queues.START)
    assert _names(tmp_path) == ["queue"]
    file.write_text("something else", encoding="ascii")
    with pytest.raises(backup.BackupError, match="is there already"):
        backup.write(tmp_path / "queue", file, now=queues.START)
    assert file.read_text(encoding="ascii") == "something else"
    with pytest.raises(backup.BackupError, match=r"there is no queue in .*/nothing: .* with --data-dir"):
        backup.write(tmp_path / "nothing", tmp_path / "other", now=queues.START)


async def test_what_is_restored_and_where(opened: ports.Queue, tmp_path: pathlib.Path) -> None:
    """Only a whole copy is, not over a sender's open queue, and over another only where somebody says so."""
    await queues.put(opened)
    file = tmp_path / "backup.sqlite3"
    backup.write(tmp_path / "queue", file, now=queues.START)
    with pytest.raises(volume.InUseError, match="stop the sender first"):
        backup.restore(file, tmp_path / "queue", replace=True)
    content = file.read_bytes()
    zeroed = content[:5000] + bytes(8192) + content[13192:]
    for damaged in (content[: len(content) // 2], b"no database" * 1000, zeroed):
        broken = tmp_path / "broken.sqlite3"
        broken.write_bytes(damaged)
        with pytest.raises(backup.BackupError):
            backup.restore(broken, tmp_path / "restored")
    plain = tmp_path / "plain.sqlite3"
    schema.open_writer(plain, volume.WriteTurns(tmp_path / "turns")).close()
    with pytest.raises(backup.BackupError, match="was not written by `mailtier sender backup`"):
        backup.restore(plain, tmp_path / "restored")
    assert not (tmp_path / "restored" / "queue.sqlite3").exists()
    with contextlib.closing(sqlite3.connect(plain)) as newer:
        newer.execute("INSERT INTO memories VALUES (?, ?)", (restoring.KEY, restoring.mark(queues.START)))
        newer.commit()
        newer.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(schema.NewerSchemaError):
        backup.restore(plain, tmp_path / "restored")


async def test_a_place_that_is_not_there_is_not_made(opened: ports.Queue, tmp_path: pathlib.Path) -> None:
    """A folder that is misspelt or not mounted is told, and a file of another program is no backup."""
    await queues.put(opened)
    file = tmp_path / "backup.sqlite3"
    with pytest.raises(backup.BackupError, match=f"there is no folder {tmp_path}/no"):
        backup.write(tmp_path / "queue", tmp_path / "no" / "backup", now=queues.START)
    backup.write(tmp_path / "queue", file, now=queues.START)
    with pytest.raises(backup.BackupError, match=f"there is no folder {tmp_path}/misspelt"):
        backup.restore(file, tmp_path / "misspelt" / "queue")
    assert not (tmp_path / "misspelt").exists()
    foreign = tmp_path / "foreign.sqlite3"
    with contextlib.closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(backup.BackupError, match="is no backup of mailtier"):
        backup.restore(foreign, tmp_path / "restored")


def _overwritten(path: pathlib.Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: 3 * schema.PAGE_BYTES] + b"\xa5" * 8 * schema.PAGE_BYTES + content[11 * 4096 :])


def _without_a_header(path: pathlib.Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def _undecodable(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE suppressions", b"CREATE TABLE suppr\xb5\xffions", 1))


def _against_its_rules(path: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'payloads'").fetchone()
    first = (page - 1) * schema.PAGE_BYTES
    content = bytearray(path.read_bytes())
    # Two entries of the page's list of rows are the same one: two payloads have one number.
    content[first + 8 : first + 10] = content[first + 10 : first + 12]
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_overwritten, _without_a_header, _undecodable, _against_its_rules])
async def test_a_damaged_queue_has_no_copy(
    opened: ports.Queue, tmp_path: pathlib.Path, damage: collections.abc.Callable[[pathlib.Path], None]
) -> None:
    """Whoever asks for one reads what a move and a start say of such a file, with what to do; nothing is written."""
    for _ in range(20):
        await queues.put(opened)
    await opened.close()
    damage(tmp_path / "queue" / "queue.sqlite3")
    before = (tmp_path / "queue" / "queue.sqlite3").read_bytes()
    with pytest.raises(schema.DamagedError, match=r"/queue/queue.sqlite3 is damaged \(.*restore FILE --replace"):
        backup.write(tmp_path / "queue", tmp_path / "backup.sqlite3", now=queues.START)
    with pytest.raises(schema.DamagedError), leaving.opened(tmp_path / "queue"):
        pass
    assert _names(tmp_path) == ["queue"]
    assert (tmp_path / "queue" / "queue.sqlite3").read_bytes() == before


async def test_why_there_is_no_copy_is_said(opened: ports.Queue, tmp_path: pathlib.Path) -> None:
    """A file that holds no queue, a target that cannot be written and a queue that cannot be opened are named."""
    await queues.put(opened)
    with pytest.raises(backup.BackupError, match=r"^/proc/a-backup cannot be written: No such file or directory$"):
        backup.write(tmp_path / "queue", pathlib.Path("/proc/a-backup"), now=queues.START)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "queue.sqlite3").touch()
    with pytest.raises(backup.BackupError, match=r"no queue in .*/new: queue.sqlite3 is empty"):
        backup.write(tmp_path / "new", tmp_path / "backup.sqlite3", now=queues.START)
    (tmp_path / "new" / "queue.sqlite3-wal").mkdir()
    with pytest.raises(schema.UnopenedError, match="cannot be opened"), leaving.opened(tmp_path / "new"):
        pass
    assert _names(tmp_path) == ["new", "queue"]


async def test_nothing_of_a_queue_that_is_given_up_is_left(tmp_path: pathlib.Path) -> None:
    """Its log and its journal speak of other recipients, and would damage the copy, or call them accepted (R4)."""
    first = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    kept, (number,) = await queues.put(first)
    file = tmp_path / "backup.sqlite3"
    backup.write(tmp_path / "queue", file, now=queues.START)
    await first.note_dot(number, queues.SNAPSHOT)
    first.note_accepted(number)
    copied = tmp_path / "killed"
    # As SIGKILL leaves it: with its write-ahead log, and with a note that nothing has answered.
    for path in (tmp_path / "queue").iterdir():
        copied.mkdir(exist_ok=True)
        (copied / path.name).write_bytes(path.read_bytes())
    await first.close()
    with pytest.raises(backup.BackupError, match="--replace"):
        backup.restore(file, copied)
    backup.restore(file, copied, replace=True)
    queue = typing.cast("ports.Queue", await embedded.open_queue(copied, now=queues.Clock(), limits=queues.LIMITS))
    assert await queues.states(queue, kept) == ["queued"]
    await queue.close()
    assert invariants.violations(copied / "queue.sqlite3") == []


@pytest.mark.parametrize(("steps", "left"), [(0, "before"), (1, None), (2, None), (3, "copied")])
async def test_a_restore_that_was_interrupted_leaves_nothing_to_go_on_with(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, steps: int, left: str | None
) -> None:
    """Killed anywhere, the queue that was there is whole, or no sender opens it; another run puts the copy in place."""
    file, folder = tmp_path / "backup.sqlite3", tmp_path / "before"
    for id_ in ("copied", "before"):
        queue = await embedded.open_queue(tmp_path / id_, now=queues.Clock(), limits=queues.LIMITS)
        await queues.put(queue, id=id_)
        await queue.close()
    backup.write(tmp_path / "copied", file, now=queues.START)
    sync, done = backup._sync, iter(range(steps))

    def stop(path: pathlib.Path) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        sync(path)

    with monkeypatch.context() as patched:
        patched.setattr(backup, "_sync", stop)
        with pytest.raises(KeyboardInterrupt):
            backup.restore(file, folder, replace=True)
    if left is None:
        with pytest.raises(schema.DamagedError, match="run `mailtier sender restore --replace` again"):
            await embedded.open_queue(folder, now=queues.Clock(), limits=queues.LIMITS)
    else:
        assert await _holds(folder, left)
    backup.restore(file, folder, replace=True)
    assert await _holds(folder, "copied")


async def _holds(folder: pathlib.Path, id_: str) -> bool:
    """Return whether a notification is queued there, alone."""
    queue = await embedded.open_queue(folder, now=queues.Clock(), limits=queues.LIMITS)
    try:
        is_there = await queues.states(typing.cast("ports.Queue", queue), id_) == ["queued"]
        return is_there and sum((await queue.counts()).values()) == 1
    finally:
        await queue.close()

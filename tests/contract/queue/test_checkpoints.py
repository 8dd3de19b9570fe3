"""The write-ahead log of the embedded queue stays short, and no commit has to see to that."""

import contextlib
import os
import pathlib

from kit import queues, wait
from mailtier.sender import ports
from mailtier.sender.storage.sqlite import checkpoints, embedded, schema
from mailtier.sender.storage.sqlite.halves import intake_half

_WITHIN = 20.0
_TEXT = "x" * 16 * 1024
_AT_ONCE = 32
_LONG = 1_000
"""Pages of a log that is moved: fewer than the 2,000 after which a commit would do it."""


async def _fill(intake: intake_half.IntakeHalf, pages: int) -> None:
    """Write about so many pages, and somewhat more."""
    commits = pages * schema.PAGE_BYTES // (_AT_ONCE * len(_TEXT)) + 1
    for _ in range(commits):
        offered = [queues.notification(text=_TEXT) for _ in range(_AT_ONCE)]
        await intake.enqueue_all([(each, ports.QueueQuota()) for each in offered])


def _name(log: pathlib.Path) -> bytes:
    with log.open("rb") as opened:
        return os.pread(opened.fileno(), 8, 16)


async def test_the_log_begins_anew_while_others_write(tmp_path: pathlib.Path) -> None:
    """What the intake wrote is moved by delivery's process, before a commit of the intake would have to do it."""
    async with contextlib.AsyncExitStack() as stack:
        delivery = await embedded.open_delivery(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
        stack.push_async_callback(delivery.close)
        intake = await embedded.open_intake(tmp_path, limits=queues.LIMITS)
        stack.push_async_callback(intake.close)
        database, log = tmp_path / embedded.DATABASE, tmp_path / f"{embedded.DATABASE}-wal"
        await _fill(intake, _LONG)
        before = _name(log)
        await wait.until_async(
            lambda: database.stat().st_size > _LONG * schema.PAGE_BYTES / 2, within_seconds=_WITHIN, why="it is moved"
        )

        async def is_anew() -> bool:
            await _fill(intake, 1)
            return _name(log) != before

        await wait.until_async(is_anew, within_seconds=_WITHIN, why="the log begins anew")


async def test_a_reader_delays_and_does_not_prevent_it(tmp_path: pathlib.Path) -> None:
    """While somebody reads an older state, the log grows and commits go on; afterwards it begins anew."""
    async with contextlib.AsyncExitStack() as stack:
        delivery = await embedded.open_delivery(tmp_path, now=queues.Clock(), limits=queues.LIMITS)
        stack.push_async_callback(delivery.close)
        intake = await embedded.open_intake(tmp_path, limits=queues.LIMITS)
        stack.push_async_callback(intake.close)
        log = tmp_path / f"{embedded.DATABASE}-wal"
        with contextlib.closing(schema.open_reader(tmp_path / embedded.DATABASE)) as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM notifications").fetchone()
            await _fill(intake, 1)
            before = _name(log)
            await _fill(intake, _LONG * 2)
            assert _name(log) == before
            assert _long(log)

        async def is_anew() -> bool:
            await _fill(intake, 1)
            return _name(log) != before

        await wait.until_async(is_anew, within_seconds=_WITHIN, why="the log begins anew")


def _long(log: pathlib.Path) -> bool:
    with log.open("rb") as opened:
        return checkpoints._long_log(opened.fileno()) is not None

"""What lies on the disk once nobody needs it any more: nothing (R11)."""

import asyncio
import datetime as dt
import pathlib
import random

from kit import queues, wait
from mailtier.api import vocabulary
from mailtier.sender.storage.sqlite import embedded

S = vocabulary.RecipientState


def _lies_on_disk(directory: pathlib.Path, mark: str) -> list[str]:
    return [path.name for path in directory.iterdir() if mark.encode() in path.read_bytes()]


async def test_a_finished_payload_is_on_no_disk(queue_factory: queues.Factory) -> None:
    """Subject, text and data are in none of the queue's files once it is complete and the log was emptied (R11)."""
    queue = await queue_factory.open()
    _, (first, second) = await queues.put(
        queue,
        recipients=("a@x.org", "b@x.org"),
        subject="WIPEME-subject",
        text="WIPEME-text " * 2_000,
        data={"link": "https://example.org/WIPEME-data"},
    )
    await queue.note_dot(first, queues.SNAPSHOT)
    queue.note_accepted(first)
    await queues.settle(queue, queues.outcome(first, S.ACCEPTED))
    assert _lies_on_disk(queue_factory.directory, "WIPEME")
    await queues.settle(queue, queues.outcome(second, S.EXPIRED, attempted=False))
    await queue_factory.close()
    assert _lies_on_disk(queue_factory.directory, "WIPEME") == []


async def test_payloads_are_wiped_among_others(queue_factory: queues.Factory) -> None:
    """Whatever order they are finished and removed in, no copy of a payload stays behind beside living ones (R11)."""
    moment = random.Random(7)  # noqa: S311  # An order that can be repeated.
    queue = await queue_factory.open()
    living: dict[str, list[int]] = {}
    finished: set[str] = set()
    for round_ in range(12):
        marks = [f"MARK-{round_}-{number}." for number in range(100)]
        stored = await asyncio.gather(*(queues.put(queue, text=mark * moment.randint(1, 300)) for mark in marks))
        living |= {mark: recipients for mark, (_, recipients) in zip(marks, stored, strict=True)}
        for mark in moment.sample(sorted(living), 80):
            for recipient_number in living.pop(mark):
                queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
            finished.add(mark)
        await queue.purge(now=queues.START + dt.timedelta(days=moment.choice([0, 8])))
    await queue_factory.close()
    content = b"".join(path.read_bytes() for path in queue_factory.directory.iterdir())
    assert [mark for mark in sorted(finished) if mark.encode() in content] == []
    assert all(mark.encode() in content for mark in living)


async def test_the_log_is_emptied_while_the_queue_is_open(tmp_path: pathlib.Path) -> None:
    """A wiped payload leaves the write-ahead log within the time that the limits give, without a restart (R11)."""
    directory = tmp_path / "queue"
    queue = await embedded.open_queue(
        directory,
        now=queues.Clock(),
        limits=embedded.VolumeLimits(
            full_at=queues.LIMITS.full_at,
            reserve_bytes=queues.LIMITS.reserve_bytes,
            truncate_every=dt.timedelta(milliseconds=50),
        ),
    )
    try:
        _, (recipient_number,) = await queues.put(queue, text="WIPEME")
        await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))

        await wait.until_async(
            lambda: not _lies_on_disk(directory, "WIPEME"), within_seconds=30, why="the log is emptied"
        )
    finally:
        await queue.close()


async def test_files_are_private(queue_factory: queues.Factory) -> None:
    """Nobody but the sender's user can read the queue's files."""
    queue = await queue_factory.open()
    await queues.put(queue)
    assert {path.stat().st_mode & 0o077 for path in queue_factory.directory.iterdir()} == {0}
    assert queue_factory.directory.stat().st_mode & 0o077 == 0

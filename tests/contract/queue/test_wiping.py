"""What lies on the disk once nobody needs it any more: nothing (R11)."""

import asyncio
import dataclasses
import datetime as dt
import pathlib
import random

import pytest

from kit import backends, queues, wait
from mailtier.api import vocabulary
from mailtier.sender.storage.sqlite import embedded

S = vocabulary.RecipientState


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
    assert await queues.holds(queue_factory, "WIPEME")
    await queues.settle(queue, queues.outcome(second, S.ACCEPTED))
    await queue.purge(now=queues.START)
    await queue_factory.close()
    assert not await queues.holds(queue_factory, "WIPEME")


@pytest.mark.parametrize("ended", [S.FAILED, S.EXPIRED])
async def test_what_failed_is_kept_for_its_time_and_no_longer(
    queue_factory: queues.Factory, ended: vocabulary.RecipientState
) -> None:
    """The payload of what failed is there for seven days, and in none of the queue's files then (R11)."""
    queue = await queue_factory.open()
    _, (first, second) = await queues.put(queue, recipients=("a@x.org", "b@x.org"), text="WIPEME " * 2_000)
    await queues.settle(queue, queues.outcome(first, ended))
    await queues.settle(queue, queues.outcome(second, S.ACCEPTED))
    await queue.purge(now=queues.START + dt.timedelta(days=7))
    queue = await queue_factory.reopen()
    assert await queue.kept_payloads() == 1
    assert await queues.holds(queue_factory, "WIPEME")
    await queue.purge(now=queues.START + dt.timedelta(days=7, seconds=1))
    assert await queue.kept_payloads() == 0
    await queue_factory.close()
    assert not await queues.holds(queue_factory, "WIPEME")


async def test_a_reset_link_is_wiped_however_it_ends(queue_factory: queues.Factory) -> None:
    """The payload of a password recovery that failed is in none of the queue's files (R11)."""
    queue = await queue_factory.open()
    category = vocabulary.Category.PASSWORD_RECOVERY
    _, (recipient_number,) = await queues.put(queue, category=category, data={"link": "https://x.org/WIPEME"})
    await queues.settle(queue, queues.outcome(recipient_number, S.FAILED))
    await queue.purge(now=queues.START)
    await queue_factory.close()
    assert not await queues.holds(queue_factory, "WIPEME")


async def test_what_a_namespace_left_is_wiped(queue_factory: queues.Factory) -> None:
    """What is kept of a namespace that is gone is wiped at once, and nothing of others (R11)."""
    queue = await queue_factory.open()
    other = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")
    for lane, text in ((queues.LANE, "WIPEME"), (queues.LANE, "WIPEME"), (other, "STAYS")):
        _, (recipient_number,) = await queues.put(queue, lane=lane, text=text)
        await queues.settle(queue, queues.outcome(recipient_number, S.FAILED))
    assert await queue.kept_namespaces() == ("uid-a", "uid-b")
    await queue.wipe_namespace("uid-a")
    assert await queue.kept_namespaces() == ("uid-b",)
    await queue.purge(now=queues.START)
    await queue_factory.close()
    assert not await queues.holds(queue_factory, "WIPEME")
    assert await queues.holds(queue_factory, "STAYS")


async def test_nothing_is_kept_where_that_is_switched_off(queue_factory: queues.Factory) -> None:
    """With no time to keep it, what fails is wiped at its end, and what was kept before is wiped too (R11)."""
    for keep_failed, kept in ((dt.timedelta(days=7), 1), (dt.timedelta(), 0)):
        queue = await queue_factory.open(keep_failed=keep_failed)
        _, (recipient_number,) = await queues.put(queue, text="WIPEME")
        await queues.settle(queue, queues.outcome(recipient_number, S.FAILED))
        await queue.purge(now=queues.START)
        assert await queue.kept_payloads() == kept
        await queue_factory.close()
    assert not await queues.holds(queue_factory, "WIPEME")


async def test_payloads_are_wiped_among_others(queue_factory: queues.Factory) -> None:
    """Whatever order they are finished and removed in, no copy of a payload stays behind beside living ones (R11)."""
    moment = random.Random(7)  # noqa: S311  # An order that can be repeated.
    queue = await queue_factory.open()
    living: dict[str, list[int]] = {}
    finished: set[str] = set()
    kept: set[str] = set()
    for round_ in range(12):
        marks = [f"MARK-{round_}-{number}." for number in range(100)]
        stored = await asyncio.gather(*(queues.put(queue, text=mark * moment.randint(1, 300)) for mark in marks))
        living |= {mark: recipients for mark, (_, recipients) in zip(marks, stored, strict=True)}
        settling = []
        for mark in moment.sample(sorted(living), 80):
            state = moment.choice([S.ACCEPTED, S.ACCEPTED, S.FAILED])
            outcomes = [queues.outcome(recipient_number, state) for recipient_number in living.pop(mark)]
            settling.append(queue.settle(outcomes))
            (finished if state is S.ACCEPTED else kept).add(mark)
        await asyncio.gather(*settling)
        days = moment.choice([0, 8])
        await queue.purge(now=queues.START + dt.timedelta(days=days))
        if days:
            finished |= kept
            kept.clear()
    await queue.purge(now=queues.START)
    await queue_factory.close()
    assert await queues.held(queue_factory, sorted(finished)) == []
    assert set(await queues.held(queue_factory, kept.union(living))) == kept.union(living)


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
            lambda: all(b"WIPEME" not in path.read_bytes() for path in directory.iterdir()),
            within_seconds=30,
            why="the log is emptied",
        )
    finally:
        await queue.close()


@backends.EMBEDDED_ALONE
async def test_files_are_private(queue_factory: queues.Factory) -> None:
    """Nobody but the sender's user can read the queue's files."""
    queue = await queue_factory.open()
    await queues.put(queue)
    assert {path.stat().st_mode & 0o077 for path in queue_factory.directory.iterdir()} == {0}
    assert queue_factory.directory.stat().st_mode & 0o077 == 0

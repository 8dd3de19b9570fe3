"""A move that is killed at any moment, again and again, while a sender delivers what has come: all comes, once."""

import asyncio
import collections
import datetime as dt
import pathlib
import random
import sys
import time

from kit import invariants, moves, postgres, processes, queues, wait
from mailtier.api import vocabulary
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.sqlite import embedded

S = vocabulary.RecipientState

_KILLS = 20
_EARLY = 0.25
"""Of the kills, some come before anything is stored."""
_FEW = 60
"""Notifications between two kills, at most."""


class _Deliverer:
    """Delivers what the database has, as a sender does, and counts how often each recipient came."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.came: collections.Counter[tuple[str, str]] = collections.Counter()

    async def deliver(self, *, purge: bool) -> bool:
        """Deliver once, and forget what has ended; return whether the database may be used yet."""
        options = shared_queue.SharedOptions(dsn=lambda: self._dsn, name="sender-0")
        try:
            queue = await shared_queue.open_queue(options, now=queues.Clock())
        except connections.NoDatabaseError:
            return False
        try:
            for each in await queues.claim(queue):
                self.came[each.job.notification_id, each.job.rcpt_to] += 1
                number = each.pending.recipient_number
                if each.pending.state is S.HELD:
                    await queues.settle(queue, queues.outcome(number, S.QUEUED))
                await queues.settle(queue, queues.outcome(number, S.ACCEPTED))
            if purge:
                await queue.purge(now=queues.START + dt.timedelta(days=8))
        finally:
            await queue.close()
        return True


def _stored(dsn: str) -> int:
    """Return how many notifications were stored."""
    found = postgres.read(dsn, "SELECT body::json ->> 'notifications' FROM mailtier.memories WHERE key LIKE 'move %'")
    return int(found[0][0]) if found else 0


def _run_until_killed(command: list[str], log: pathlib.Path, dsn: str, moment: random.Random) -> None:
    """Run a move, and kill it while it begins, or somewhere while it stores."""
    child = processes.start(command, log=log)
    if moment.random() < _EARLY:
        until, most = time.monotonic() + moment.uniform(0.2, 1.5), _stored(dsn) + _FEW
    else:
        until, most = time.monotonic() + 60, _stored(dsn) + moment.randint(1, _FEW)
    wait.until(
        lambda: not child.running or time.monotonic() >= until or _stored(dsn) >= most,
        within_seconds=90,
        why="the move is at the moment",
    )
    assert child.running, child.ended_early()
    child.kill()


async def test_killed_at_any_moment_a_move_loses_and_doubles_nothing(tmp_path: pathlib.Path) -> None:
    """After 20 SIGKILLs at random moments everything that waited was delivered once, and every record had come (R4)."""
    dsn = await asyncio.to_thread(postgres.new_database)
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text(dsn, encoding="utf-8")
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    filled = await moves.fill(queue, rounds=60)
    waits = collections.Counter((each.job.notification_id, each.job.rcpt_to) for each in await queues.look(queue))
    await queue.close()
    deliverer = _Deliverer(dsn)
    moment = random.Random(10)  # noqa: S311  # Moments that can be repeated.
    log = tmp_path / "move.log"
    command = [sys.executable, "-m", "mailtier", "queue", "move", f"--to-dsn-file={dsn_file}"]
    command += [f"--data-dir={tmp_path}", "--rows=1", "-ojson"]
    open_at = []
    for kill in range(_KILLS):
        await asyncio.to_thread(_run_until_killed, command, log, dsn, moment)
        if await deliverer.deliver(purge=bool(kill % 2)):
            open_at.append(_stored(dsn))
    child = processes.start(command, log=log)
    assert await asyncio.to_thread(child.wait, within_seconds=120) == 0, child.ended_early()
    assert f'"notifications": {len(filled.ids)}' in log.read_text(encoding="utf-8")
    # It was worth something: senders delivered while there was more to come.
    assert open_at[0] < open_at[-1] < len(filled.ids)
    assert await deliverer.deliver(purge=False)
    assert deliverer.came == waits
    assert invariants.shared_violations(dsn) == []
    print(f"{_KILLS} kills of {len(filled.ids)} notifications; delivered in between at {open_at}; all once")
    await asyncio.to_thread(postgres.drop_database, dsn)

"""A queue that was restored from a backup: everything waits until somebody has it go on."""

import collections.abc
import datetime as dt
import pathlib

from kit import backends, queues, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import restoring
from mailtier.sender.storage.postgres import shared_queue

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState

_HOUR_SECONDS = 3_600.0


@backends.BOTH
async def test_a_restored_queue_is_held_until_it_is_told_to_go_on(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: Serve
) -> None:
    """Nothing is connected to and nothing expires, which is said of each message; then what is too old ends (R4)."""
    server = await serve()
    queue = await sending.open_queue(tmp_path, shared, now=queues.Clock())
    await queue.remember(restoring.KEY, restoring.mark(queues.START))
    await queue.close()
    async with sending.Sender(tmp_path, shared=shared) as sender:
        of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
        old = await sender.notify(of, max_age=dt.timedelta(hours=1))
        waits = await sender.notify(of, max_age=dt.timedelta(days=1))
        await sender.until_held()
        sender.skip(11)
        for each in (old, waits):
            (recipient,) = await sender.until(of, each, _S.HELD)
            assert recipient.reason == "Restored"
            assert f"is of {restoring.mark(queues.START)}" in recipient.message
        sender.skip(2 * _HOUR_SECONDS)
        # New settings and a release change nothing of it.
        sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
        await sender.delivery.release(ports.LaneKey.of(of))
        dropped = await sender.notify(of)
        filed = await sender.queue.look(of.namespace_uid, dropped)
        assert filed is not None

        async def drop() -> bool:
            return await sender.delivery.drop(ports.LaneKey.of(of), filed.unfinished) == 1

        # It may just be claimed, to be shown as held.
        await wait.until_async(drop, within_seconds=10, why="it is dropped")
        sender.skip(60)
        assert [await sender.states(of, each) for each in (old, waits)] == [[_S.HELD]] * 2
        assert server.transcripts == []
        await sender.queue.forget(restoring.KEY)
        sender.skip(2)
        await sender.until(of, waits, _S.ACCEPTED)
        await sender.until(of, old, _S.EXPIRED)
        assert len(server.messages) == 1

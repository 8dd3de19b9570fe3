"""What the next process of the sender knows of servers."""

import collections.abc
import pathlib

from kit import backends, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.net import breaker
from mailtier.sender.storage.postgres import shared_queue

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState


@backends.BOTH
async def test_a_server_that_was_left_alone_is_so_after_a_restart(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: Serve
) -> None:
    """No connection is made until its pause is over, and its faults go on to count."""
    server = await serve()
    server.script.on(smtpd.GREETING, "421 4.3.2 Leaving")
    async with sending.Sender(tmp_path, shared=shared) as sender:
        of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
        sent = await sender.notify(of)
        switch = sender.destinations.get(of).health.breaker
        for faults in range(1, 9):
            await wait.until_async(lambda enough=faults: switch.faults == enough, within_seconds=10, why="it fails")
            sender.skip(switch.retry_at - sender.clock.monotonic())
        await wait.until_async(lambda: switch.faults == 9, within_seconds=10, why="it fails once more")
        connected = len(server.transcripts)
        await sender.stop()
        await sender.queue.close()
        async with sending.Sender(tmp_path, before=sender) as again:
            await wait.until_async(
                again.delivery.namespaces, within_seconds=10, why="it is known that the message is there"
            )
            mine = again.destinations.get(of).health.breaker
            assert (mine.faults, mine.state(again.clock.monotonic())) == (9, breaker.BreakerState.OPEN)
            server.script.clear()
            again.skip(60)
            assert len(server.transcripts) == connected
            again.skip(breaker.LONGEST_PAUSE_SECONDS)
            await again.until(of, sent, _S.ACCEPTED)

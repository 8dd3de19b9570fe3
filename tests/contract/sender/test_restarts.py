"""What the next process of the sender knows of servers."""

import collections.abc
import dataclasses
import pathlib

import pytest

from kit import backends, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.net import breaker
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

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


@backends.BOTH
@pytest.mark.parametrize("rate", ["endpoint_rate_per_minute", "rate_per_minute", "namespace_rate"])
async def test_a_restart_gives_no_fresh_minute(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: Serve, rate: str
) -> None:
    """At one message a minute the second waits for its minute, whichever process sent the first."""
    server = await serve()
    at = sending.endpoint(server)
    async with sending.Sender(tmp_path, shared=shared) as first:
        host = sending.settings("", at, **{rate: 1})
        first.settings.put(dataclasses.replace(host, organization=effective.HOST, namespace_uid=""))
        of = first.settings.put(sending.settings("team-a", at, **{rate: 1}))
        gone, later = await first.notify(of), await first.notify(of)
        await first.until(of, gone, _S.ACCEPTED)
    async with sending.Sender(tmp_path, before=first) as second:
        await wait.until_async(
            lambda: server.messages[1:] or "of 1 a minute" in str(second.delivery.brief_wait(sending.lane(of))),
            within_seconds=10,
            why="it waits for its minute, or does not",
        )
        assert len(server.messages) == 1
        second.skip(60)
        await second.until(of, later, _S.ACCEPTED)

"""How often a namespace's servers are probed, and who is told when the next probe may be (R7)."""

import asyncio
import collections.abc

import pytest

from kit import sending, smtpd, wait
from mailtier.api import feed, vocabulary
from mailtier.sender.probing import budget, targets, trace
from mailtier.settings import codec, effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


async def _check(sender: sending.Sender, of: effective.Effective) -> feed.Probe:
    """Return a probe's result for settings."""
    sender.settings.put(of)
    return await sender.prober.check(of.organization)


def _own(server: smtpd.Server, number: int) -> effective.Effective:
    """Return one of several organizations of a namespace with an endpoint of their own."""
    return sending.settings(
        "team-a",
        sending.endpoint(server, origin=vocabulary.Origin.ORG),
        name=f"org-{number}",
        from_address=f"org-{number}@example.com",
    )


async def test_a_namespace_has_three_probes_at_once_and_one_a_minute(sender: sending.Sender, serve: Serve) -> None:
    """Organizations' endpoints are connected to three times at once, then once a minute and namespace (R7)."""
    server = await serve()
    for number in range(3):
        await _check(sender, _own(server, number))
    for number in range(3, 6):
        with pytest.raises(targets.NotProbeableError):
            await _check(sender, _own(server, number))
    connections = server.recorder.connection_count
    for number in range(3, 6):
        sender.skip(61)
        await _check(sender, _own(server, number))
        with pytest.raises(targets.NotProbeableError):
            await _check(sender, _own(server, 6))
    # Those of one login share a session.
    assert connections <= 3
    assert server.recorder.connection_count <= 6
    other = sending.settings("team-b", sending.endpoint(server, origin=vocabulary.Origin.ORG))
    assert (await _check(sender, other)).reason == "Verified"


async def test_whose_turn_has_not_come_is_told_when_it_may(sender: sending.Sender, serve: Serve) -> None:
    """A change that waits for its probe says until when, once; the last of three says when the next may be (R7)."""
    server = await serve()
    async with sender.probing():
        for number in range(3):
            sender.settings.put(_own(server, number))

        async def probes() -> dict[str, feed.Probe]:
            return {each.key: each for each in await sender.queue.probes()}

        async def are_three() -> bool:
            return [each.reason for each in (await probes()).values()] == ["Verified"] * 3

        await wait.until_async(are_three, within_seconds=5, why="three are probed at once")
        waiting = sender.settings.put(_own(server, 3))
        key = codec.probe_key(waiting)

        async def is_told() -> bool:
            return key in await probes()

        await wait.until_async(is_told, within_seconds=5, why="it is told that the fourth waits")
        found = await probes()
        assert (found[key].reason, found[key].stage) == ("ProbePending", None)
        next_at = found[key].next_at
        assert next_at is not None
        assert 50 < (next_at - sender.clock.wall()).total_seconds() <= 60
        told = [each.next_at for each in found.values() if each.key != key]
        assert any(each is not None for each in told)
        sender.skip(61)

        async def is_verified() -> bool:
            return (await probes())[key].reason == "Verified"

        await wait.until_async(is_verified, within_seconds=5, why="its turn comes")


async def test_the_sender_does_not_take_the_probe_that_was_promised(sender: sending.Sender, serve: Serve) -> None:
    """Whoever was told when to come back finds the probe there, however many endpoints wait for theirs."""
    server = await serve()
    await sender.prober.load()
    asks = sender.settings.put(_own(server, 0))
    for _ in range(3):
        await _follow(sender.prober.demand(asks.organization))
    with pytest.raises(budget.TooSoonError) as refused:
        sender.prober.demand(asks.organization)
    async with sender.probing():
        for number in range(1, 9):
            sender.settings.put(_own(server, number))

        async def all_wait() -> bool:
            return len(await sender.queue.probes()) == 9

        await wait.until_async(all_wait, within_seconds=5, why="the others wait")
        sender.skip(refused.value.retry_after_seconds + 1)
        await asyncio.sleep(0)
        await _follow(sender.prober.demand(asks.organization))


async def _follow(told: trace.Trace) -> None:
    """Return when a probe is over."""
    async for _ in told.follow():
        pass

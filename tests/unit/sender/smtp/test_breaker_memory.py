"""Which servers are left alone is known to the next process."""

import dataclasses
import datetime as dt

from kit import memories, sending
from mailtier.api import vocabulary
from mailtier.sender.net import breaker, resolver, tls
from mailtier.sender.smtp import destination, destinations
from mailtier.sender.smtp.sessions import opening
from mailtier.settings import effective

_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.ORG,
    is_host_s=False,
)
_OPEN = breaker.BreakerState.OPEN


async def _process(clock: sending.Clock, memory: memories.Memory) -> destinations.Destinations:
    """Return what a process has that begins now."""
    made = destinations.Destinations(
        helo_name="sender.test",
        names=resolver.Resolver(),
        opener=opening.Opener(tls.Contexts(sending.WrittenSettings())),
        time=clock.as_clock(),
        host=lambda: None,
        memory=memory,
    )
    await made.load()
    return made


def _of(
    made: destinations.Destinations, namespace: str = "team-a", host: str = "a.example.com"
) -> destination.Destination:
    return made.get(sending.settings(namespace, dataclasses.replace(_ENDPOINT, host=host)))


def _fail(target: destination.Destination, clock: sending.Clock, *, times: int = 1) -> breaker.Breaker:
    switch = target.health.breaker
    for _ in range(times):
        switch.fail(max(clock.monotonic(), switch.retry_at), jitter=0.9)
    return switch


async def test_an_open_breaker_is_open_in_the_next_process() -> None:
    """Until its time, with its faults counted, so that the next pause is longer still; another server's is not."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    left = _fail(_of(first), clock, times=4)
    await first.keep()
    second = await _process(clock, memory)
    switch = _of(second).health.breaker
    assert (switch.faults, switch.state(clock.monotonic())) == (4, _OPEN)
    assert abs(switch.retry_at - left.retry_at) <= 1.0
    assert _of(second, host="b.example.com").health.breaker.faults == 0
    clock.skipped_seconds += 20
    assert switch.state(clock.monotonic()) is breaker.BreakerState.HALF_OPEN
    switch.fail(clock.monotonic(), jitter=0.0)
    assert switch.retry_at - clock.monotonic() > 7.5


async def test_what_the_next_process_has_not_asked_for_yet_stays_kept() -> None:
    """A process that ends before anything was sent there has not forgotten it."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    _fail(_of(first), clock, times=5)
    await first.keep()
    second = await _process(clock, memory)
    _fail(_of(second, host="b.example.com"), clock)
    await second.keep()
    third = await _process(clock, memory)
    assert [_of(third, host=host).health.breaker.faults for host in ("a.example.com", "b.example.com")] == [5, 1]


async def test_a_server_that_works_again_is_not_kept() -> None:
    """The next process begins with it as with one that it knows nothing of."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    switch = _fail(_of(first), clock)
    await first.keep()
    switch.succeed()
    await first.keep()
    assert _of(await _process(clock, memory)).health.breaker.faults == 0


async def test_no_clock_keeps_a_breaker_open_for_longer_than_its_longest_pause() -> None:
    """Where the wall clock was set back meanwhile, a server is asked again all the same (R14)."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    _fail(_of(first), clock)
    await first.keep()
    clock.jumped -= dt.timedelta(hours=5)
    switch = _of(await _process(clock, memory)).health.breaker
    assert switch.retry_at - clock.monotonic() <= breaker.LONGEST_PAUSE_SECONDS


async def test_a_namespace_s_many_dead_servers_take_no_other_s_place() -> None:
    """Of each namespace so many are kept (R15)."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    for number in range(100):
        _fail(_of(first, "loud", host=f"{number}.example.com"), clock, times=3)
    _fail(_of(first, "quiet"), clock)
    await first.keep()
    second = await _process(clock, memory)
    assert _of(second, "quiet").health.breaker.faults == 1
    loud = [_of(second, "loud", host=f"{number}.example.com").health.breaker for number in range(100)]
    assert sum(switch.faults > 0 for switch in loud) == 50


async def test_what_cannot_be_read_is_learned_again() -> None:
    """Mail goes on without it."""
    clock, memory = sending.Clock(), memories.Memory()
    memory.kept["breakers"] = "[broken"
    assert _of(await _process(clock, memory)).health.breaker.faults == 0

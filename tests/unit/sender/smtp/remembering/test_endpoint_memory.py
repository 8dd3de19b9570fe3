"""What was learned of servers is known to the next process."""

import dataclasses
import datetime as dt
import json

from kit import memories, sending, written
from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender.net import breaker, resolver, tls
from mailtier.sender.secrets import credentials
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


async def _process(clock: sending.Clock, memory: memories.Memory, sender: str = "") -> destinations.Destinations:
    """Return what a process has that begins now."""
    made = destinations.Destinations(
        helo_name="sender.test",
        names=resolver.Resolver(),
        opener=opening.Opener(tls.Contexts(written.WrittenSettings())),
        time=clock.as_clock(),
        host=lambda: None,
        memory=memory,
        sender=sender,
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


_LOGIN = credentials.Generation(
    mechanism=vocabulary.Mechanism.PLAIN, identity="robot", source=("team-a", "smtp", "password"), version="uid/1"
)


def _refuse(target: destination.Destination, by: object, *, connections: int, is_paced: bool = False) -> None:
    """Have somebody be refused who uses so many connections."""
    uses = [target.throttles.begin(by) for _ in range(connections)]
    assert uses[0] is not None
    target.throttles.note_refused(uses[0], namespace="team-a", is_for_all=False, is_paced=is_paced)
    for use in uses:
        assert use is not None
        use.give_back()


def _begun(target: destination.Destination, by: object) -> int:
    """Return how many connections somebody may use at a time."""
    return sum(target.throttles.begin(by) is not None for _ in range(10))


async def test_a_server_that_asked_for_less_gets_less_from_the_next_process() -> None:
    """Whoever was refused has as few connections, also over two restarts; a neighbour has all, and in time they too."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    _refuse(_of(first), _LOGIN, connections=3)
    _refuse(_of(first), "team-a", connections=2)
    await first.keep()
    second = await _process(clock, memory)
    _of(second)
    await second.keep()
    third = await _process(clock, memory)
    assert [_begun(_of(third), by) for by in (_LOGIN, "team-a", "team-b")] == [1, 1, 10]
    clock.skipped_seconds += 61
    _of(third).throttles.sweep()
    fourth = await _process(clock, memory)
    assert _begun(_of(fourth), _LOGIN) == 2
    clock.skipped_seconds += 7 * 3600
    assert _begun(_of(await _process(clock, memory)), _LOGIN) == 10


async def test_messages_are_paced_in_the_next_process() -> None:
    """The rate that a server was found to take is known, and doubles from when it was learned."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    _refuse(_of(first), "team-a", connections=1, is_paced=True)
    await first.keep()
    throttles = _of(await _process(clock, memory)).throttles
    for _ in range(6):
        throttles.begin("team-a")
    assert throttles.allowed_at("team-a") - clock.monotonic() > 1
    assert throttles.allowed_at("team-b") <= clock.monotonic()


async def test_what_all_together_may_use_is_known_to_the_next_process() -> None:
    """From the first connection on, and not once it is looked at."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    target = _of(first)
    uses = [target.throttles.begin(name) for name in ("team-a", "team-b", "team-c")]
    target.throttles.lessen_for_all(uses[0])
    assert target.limit == 1
    await first.keep()
    assert _of(await _process(clock, memory)).limit == 1


async def test_a_fallback_in_use_is_in_use_in_the_next_process() -> None:
    """Since when it was, and until the first server is found again; the mail does not ask a dead server once more."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    target = _of(first)
    target.has_fallback = True
    dead = classify.classify_fault(classify.Phase.CONNECT, classify.Fault.TIMED_OUT)
    target.health.route.note_dead(dead, clock.monotonic())
    await first.keep()
    clock.skipped_seconds += 30
    again = _of(await _process(clock, memory)).health.route
    since = again.since(clock.monotonic())
    assert since is not None
    assert abs(clock.monotonic() - since - 30) <= 2
    assert _of(await _process(clock, memory), host="b.example.com").health.route.since(clock.monotonic()) is None
    clock.skipped_seconds += 60
    again.note_served(clock.monotonic())
    assert again.since(clock.monotonic()) is None


async def test_what_nobody_asks_for_is_forgotten() -> None:
    """An hour after the start, what an earlier process knew of endpoints that were not used since is not kept on."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory)
    _refuse(_of(first), "team-a", connections=2)
    await first.keep()
    second = await _process(clock, memory)
    await second.keep()
    assert memory.kept["limits"] != "{}"
    clock.skipped_seconds += 3601
    await second.keep()
    assert memory.kept["limits"] == "{}"


async def test_senders_keep_what_is_theirs() -> None:
    """What one keeps of a server that another took over is struck out; of others it stays as that one kept it."""
    clock, memory = sending.Clock(), memories.Memory()
    first = await _process(clock, memory, "1")
    _fail(_of(first, host="a.example.com"), clock, times=4)
    _fail(_of(first, host="b.example.com"), clock, times=4)
    await first.keep()
    (both,) = [len(json.loads(text)) for text in memory.kept.values()]
    second = await _process(clock, memory, "2")
    assert _of(second, host="a.example.com").health.breaker.state(clock.monotonic()) is _OPEN
    await second.keep()
    left = {key: len(json.loads(text)) for key, text in memory.kept.items()}
    assert (both, left) == (2, {"breakers/1": 1, "breakers/2": 1})


async def test_a_sender_keeps_what_it_knew_better_than_another() -> None:
    """What weighs more than another's of the same server is its own to keep on, before anybody asks for the server."""
    clock, memory = sending.Clock(), memories.Memory()
    first, second = await _process(clock, memory, "1"), await _process(clock, memory, "2")
    _fail(_of(first), clock, times=1)
    _fail(_of(second), clock, times=4)
    await first.keep()
    await second.keep()
    again = await _process(clock, memory, "2")
    await again.keep()
    assert _of(await _process(clock, memory, "2")).health.breaker.faults == 4
    assert set(memory.kept) == {"breakers/1", "breakers/2"}

"""Whatever a server does, every message ends up somewhere, and none is delivered twice without need."""

import collections
import collections.abc
import datetime as dt
import random

import pytest

from kit import backends, sending, smtpd, wait
from mailtier.api import vocabulary

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_MESSAGES = 60

pytestmark = backends.BOTH

_COMMANDS = (smtpd.GREETING, "EHLO", "MAIL", "RCPT", "DATA", smtpd.DOT, "RSET")
_MISCHIEF = (
    smtpd.Behaviour(drop=smtpd.Drop.BEFORE),
    smtpd.Behaviour(drop=smtpd.Drop.INSTEAD),
    smtpd.Behaviour(drop=smtpd.Drop.AFTER),
    smtpd.Behaviour(reply="421 4.3.2 Going down"),
    smtpd.Behaviour(reply="451 4.3.0 Not now"),
    smtpd.Behaviour(reply=b"what?\r\n"),
    smtpd.Behaviour(flood_lines=200),
    smtpd.Behaviour(reply="250 2.0.0 Slowly", drip_seconds=0.05),
)


@pytest.mark.parametrize("seed", range(4))
async def test_every_message_is_accounted_for(sender: sending.Sender, serve: Serve, seed: int) -> None:
    """Through a storm of faults each recipient is accepted, and was seen twice only where it was in doubt (R4)."""
    chance = random.Random(seed)  # noqa: S311 - a storm that can be repeated.
    server = await serve()
    at_dots = 0
    for _ in range(40):
        at = chance.choice(_COMMANDS)
        at_dots += at == smtpd.DOT
        server.script.on(at, chance.choice(_MISCHIEF), skip=chance.randrange(4), times=1)
    endpoint = sending.endpoint(server)
    total = dt.timedelta(seconds=10)
    everyone = [
        sender.settings.put(sending.settings(f"team-{number}", endpoint, session=total, envelope=total, message=total))
        for number in range(5)
    ]
    age = dt.timedelta(days=3)
    sent = [(of, await sender.notify(of, max_age=age)) for _ in range(_MESSAGES // 5) for of in everyone]

    async def is_over() -> bool:
        # Not in the middle of a message: by the clock it would be under way for so long that others get its connection.
        if not any(each.busy for each in sender.destinations):
            sender.skip(120)
        # What is out of memory may still be on its way to the disk.
        return len(sender.delivery) == 0 and not any((await sender.queue.counts()).values())

    await wait.until_async(is_over, within_seconds=30, why="every recipient is final", poll_seconds=0.05)
    states = collections.Counter([(await sender.states(of, each))[0] for of, each in sent])
    copies = collections.Counter(message.message_id for message in server.messages)
    bodies = {message.message_id: message.data for message in server.messages}
    # In doubt three times is a failure of its own; everything else is delivered in the end.
    assert set(states) <= {_S.ACCEPTED, _S.FAILED}
    reasons = collections.Counter([(await sender.reasons(of, each))[0] for of, each in sent])
    assert states[_S.FAILED] == reasons["InDoubt"]
    assert len(copies) >= states[_S.ACCEPTED]
    assert all(message.data == bodies[message.message_id] for message in server.messages)
    assert max(copies.values()) <= 3
    # Twice only where it was in doubt, which takes a fault at its dot.
    assert len(server.messages) - len(copies) <= at_dots
    assert server.peak_connections <= 3
    # A server that greets with something else is asked for TLS at once, to tell whether that is what it speaks.
    said = [each for each in server.transcripts if not b"".join(each.commands()[:1]).startswith(b"\x16\x03")]
    assert [each.violations for each in said if each.violations] == []


async def test_an_end_in_good_order_leaves_nothing_open(sender: sending.Sender, serve: Serve) -> None:
    """When the sender is told to end, the message under way is finished, and sessions take leave."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.2))
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    sent = [await sender.notify(of) for _ in range(20)]
    await wait.until_async(lambda: server.transcripts, within_seconds=5, why="delivery has begun")
    await sender.stop()
    states = [(await sender.states(of, each))[0] for each in sent]
    assert states.count(_S.ACCEPTED) == len(server.messages)
    assert states.count(_S.QUEUED) == len(sent) - len(server.messages)
    await wait.until_async(lambda: server.open_connections == 0, within_seconds=3, why="every session has ended")
    assert server.transcripts[0].commands()[-1] == b"QUIT"


async def test_all_slots_are_used_again_after_a_breaker_closed(sender: sending.Sender, serve: Serve) -> None:
    """When the one session of a half-open breaker works, the others are opened as well."""
    server = await serve()
    server.script.on(smtpd.GREETING, "421 4.3.2 Going down", times=1)
    server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.05))
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=3))
    for _ in range(40):
        await sender.notify(of)
    await wait.until_async(lambda: len(server.messages) >= 30, within_seconds=10, why="most are delivered")
    assert server.open_connections == 3

"""What belongs to all: a tenant who uses up their share of it, and what the neighbour feels."""

import collections.abc
import datetime as dt
import pathlib
import typing

import pytest

from kit import attacks, dns, hostile, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.settings import effective

_S = vocabulary.RecipientState

ATTACKS = (
    attacks.Story(
        name="silent-servers-beyond-number",
        test="test_silent_servers_take_one_share_of_the_openings",
        rules=("R15",),
        story="One namespace names more servers that say nothing than sessions can be opened at the same time.",
        stopped_by="a namespace opens 16 sessions at the same time, and the rest of its own waits",
    ),
    attacks.Story(
        name="black-holed-names-beyond-number",
        test="test_black_holed_names_take_one_share_of_the_lookups",
        rules=("R15",),
        story="One namespace names servers whose name servers never answer, more than are looked up at the same time.",
        stopped_by="a namespace looks up as many names as it opens sessions",
    ),
    attacks.Story(
        name="slow-mail-at-a-shared-server",
        test="test_slow_mail_costs_turns_at_a_shared_server",
        rules=("R15",),
        story="A tenant whose mail makes the host's relay slow has as many turns there as others, and so nearly all of"
        " the relay's time.",
        stopped_by="turns are charged by the time on a connection",
    ),
    attacks.Story(
        name="hanging-mail-at-a-shared-server",
        test="test_hanging_mail_holds_half_while_others_wait",
        rules=("R15",),
        story="A tenant whose mail makes the host's relay hang for minutes has a turn now and then, and in the end all"
        " of its connections.",
        stopped_by="while another namespace waits, none takes a connection that has half of them",
    ),
    attacks.Story(
        name="hanging-mail-while-nobody-waits",
        test="test_what_hangs_over_half_is_broken_off_for_others",
        rules=("R15",),
        story="A tenant takes all connections of the host's relay while nobody else has mail for it, and has it hang at"
        " the final dots, for which ten minutes are allowed.",
        stopped_by="what a namespace holds over half is broken off after a minute, once another waits",
    ),
    attacks.Story(
        name="hanging-first-mail",
        test="test_a_first_message_that_hangs_delays_nobody",
        rules=("R15",),
        story="A tenant's message is the first of all at the host's relay, where one connection is tried, and hangs.",
        stopped_by="others have theirs as soon as the first one is open, whatever becomes of its message",
    ),
    attacks.Story(
        name="waiting-at-a-shared-server",
        test="test_who_waits_for_a_share_holds_no_connection",
        rules=("R15",),
        story="A tenant whose share of openings is used up elsewhere has mail for a server that others use too, to hold"
        " its three connections while waiting.",
        stopped_by="who waits for a share gives the connection back first",
    ),
)

_CROWD = 60
_SLOW_SECONDS = 3.5
"""Three turns, and half of one to spare."""


def _own(namespace: str, at: effective.Endpoint, **settings: typing.Any) -> effective.Effective:
    """Return settings of an organization with a server of its own."""
    return sending.settings(namespace, at, **settings)


def _at(server: smtpd.Server, **endpoint: typing.Any) -> effective.Endpoint:
    return sending.endpoint(server, origin=vocabulary.Origin.ORG, **endpoint)


async def _crowd(sender: sending.Sender, at: collections.abc.Sequence[effective.Endpoint]) -> None:
    """Have one namespace send through as many destinations; limits of their own make them different ones."""
    for number, endpoint in enumerate(at, start=1):
        of = _own("team-a", endpoint, name=f"org-{number}", max_connections=number)
        await sender.notify(sender.settings.put(of))


@pytest.fixture
async def silent() -> collections.abc.AsyncIterator[smtpd.Server]:
    """Return a server that takes connections and says nothing."""
    async with smtpd.Server() as server:
        server.script.on(smtpd.GREETING, hostile.silence())
        yield server


async def test_silent_servers_take_one_share_of_the_openings(tmp_path: pathlib.Path, silent: smtpd.Server) -> None:
    """The neighbour's mail goes out, and of the attacker's connections there is a share and no more (R15)."""
    async with smtpd.Server() as server, sending.Sender(tmp_path) as sender:
        await _crowd(sender, [_at(silent)] * _CROWD)
        await wait.until_async(lambda: silent.open_connections >= 10, within_seconds=30, why="they wait")
        of = sender.settings.put(_own("team-b", _at(server)))
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert 10 <= silent.open_connections <= 16
        assert len(silent.transcripts) <= 16


async def test_black_holed_names_take_one_share_of_the_lookups(tmp_path: pathlib.Path) -> None:
    """The neighbour's name is resolved before the crowd's have failed, of which a share was asked for (R15)."""
    dark = {f"dark-{number}.example.com": None for number in range(_CROWD)}
    async with (
        smtpd.Server() as server,
        dns.Server({**dark, "light.example.com": ["127.0.0.1"]}) as nameserver,
        sending.Sender(tmp_path, nameserver=nameserver.address) as sender,
    ):
        await _crowd(sender, [_at(server, host=name) for name in dark])
        await wait.until_async(lambda: len(set(nameserver.asked)) >= 10, within_seconds=30, why="they are looked up")
        of = sender.settings.put(_own("team-b", _at(server, host="light.example.com")))
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert len(set(nameserver.asked) - {"light.example.com"}) <= 16


async def test_who_waits_for_a_share_holds_no_connection(tmp_path: pathlib.Path, silent: smtpd.Server) -> None:
    """At a server that both use, the neighbour's mail goes out while the attacker's waits (R15)."""
    async with smtpd.Server() as server, sending.Sender(tmp_path) as sender:
        await _crowd(sender, [_at(silent)] * _CROWD)
        await wait.until_async(lambda: silent.open_connections >= 16, within_seconds=30, why="the share is used up")
        theirs = [sender.settings.put(_own("team-a", _at(server), name=f"shared-{number}")) for number in range(3)]
        waiting = [await sender.notify(of) for of in theirs]
        of = sender.settings.put(_own("team-b", _at(server)))
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert [await sender.states(of, each) for of, each in zip(theirs, waiting, strict=True)] == [[_S.QUEUED]] * 3
        # It is the neighbour's connection alone that there ever was.
        assert len(server.transcripts) == 1
        # What waited goes on when the share is free again.
        silent.script.on(smtpd.GREETING, "220 here")
        await sender.until(theirs[0], waiting[0], _S.ACCEPTED, within_seconds=120)


async def test_slow_mail_costs_turns_at_a_shared_server(tmp_path: pathlib.Path) -> None:
    """While one message of the attacker's is under way others come; they all go before the attacker's next (R15)."""
    slow = smtpd.Behaviour(delay_seconds=_SLOW_SECONDS)
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender:
        relay.script.on("RCPT TO:<slow@example.org>", slow)
        at = sending.endpoint(relay)
        theirs = sender.settings.put(sending.settings("team-a", at, max_connections=1))
        of = sender.settings.put(sending.settings("team-b", at, max_connections=1))
        for _ in range(3):
            await sender.notify(theirs, "slow@example.org")
        await wait.until_async(lambda: _recipients(relay), within_seconds=30, why="the first is under way")
        for _ in range(3):
            last = await sender.notify(of, "quick@example.org")
        await sender.until(of, last, _S.ACCEPTED, within_seconds=120)
        assert _recipients(relay)[:4] == [b"slow"] + [b"quick"] * 3


async def test_hanging_mail_holds_half_while_others_wait(tmp_path: pathlib.Path) -> None:
    """Of four connections two hang with the attacker's mail; over the others the neighbour's goes (R15)."""
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender:
        relay.script.on("RCPT TO:<slow@example.org>", hostile.silence())
        theirs, of = (_patient(namespace, relay, max_connections=4) for namespace in ("team-a", "team-b"))
        # The server is known to work before.
        sender.settings.put(of)
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        sender.settings.remove(of.organization)
        for _ in range(10):
            await sender.notify(theirs, "slow@example.org")
            last = await sender.notify(of, "quick@example.org")
        # Both begin at once.
        sender.settings.put(theirs)
        sender.settings.put(of)
        await sender.until(of, last, _S.ACCEPTED)
        assert len(relay.messages) == 1 + 10


async def test_what_hangs_over_half_is_broken_off_for_others(tmp_path: pathlib.Path) -> None:
    """Whoever comes waits a minute for a connection; what it was taken from is in doubt, and half is left (R15)."""
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender:
        theirs, of = (sender.settings.put(_patient(namespace, relay)) for namespace in ("team-a", "team-b"))
        await sender.until(theirs, await sender.notify(theirs), _S.ACCEPTED)
        relay.script.on(smtpd.DOT, hostile.silence(), times=3)
        hanging = [await sender.notify(theirs) for _ in range(3)]
        await wait.until_async(lambda: relay.script.applied == 3, within_seconds=30, why="all connections hang")
        sent = await sender.notify(of)
        sender.skip(61)
        await sender.until(of, sent, _S.ACCEPTED)
        states = [state for each in hanging for state in await sender.states(theirs, each)]
        assert sorted(states) == [_S.IN_DOUBT, _S.IN_DOUBT, _S.QUEUED]


async def test_a_first_message_that_hangs_delays_nobody(tmp_path: pathlib.Path) -> None:
    """The neighbour's mail goes over a connection of its own, and the tenant keeps the one it has (R15)."""
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender:
        relay.script.on(smtpd.DOT, hostile.silence(), times=1)
        theirs, of = (sender.settings.put(_patient(namespace, relay)) for namespace in ("team-a", "team-b"))
        hanging = await sender.notify(theirs)
        await wait.until_async(lambda: relay.script.applied == 1, within_seconds=30, why="it hangs")
        for _ in range(3):
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert await sender.states(theirs, hanging) == [_S.QUEUED]
        assert relay.open_connections == 2


def _patient(namespace: str, relay: smtpd.Server, *, max_connections: int = 3) -> effective.Effective:
    """Return settings at the host's relay with the time limits that it may have."""
    long = dt.timedelta(minutes=10)
    at = sending.endpoint(relay)
    return sending.settings(namespace, at, max_connections=max_connections, envelope=long, message=long)


def _recipients(relay: smtpd.Server) -> list[bytes]:
    """Return the local parts of the recipients in the order in which they were named."""
    commands = [command for transcript in relay.transcripts for command in transcript.commands()]
    return [command[len(b"RCPT TO:<") :].split(b"@")[0] for command in commands if command.startswith(b"RCPT")]

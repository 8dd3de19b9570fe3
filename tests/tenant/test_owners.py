"""Which of several senders owns a server that many use: a tenant who has it moved from one to another."""

import asyncio
import collections.abc
import dataclasses
import datetime as dt
import pathlib
import time
import typing

import pytest

from kit import attacks, hostile, sending, smtpd, spares, teams, wait
from mailtier.api import vocabulary
from mailtier.sender.between import owning
from mailtier.sender.queueing import owners
from mailtier.settings import effective

_S = vocabulary.RecipientState
_SLOW = "slow@example.org"

ATTACKS = (
    attacks.Story(
        name="fallback-that-moves-a-server",
        test="test_a_stranger_s_fallback_moves_nobody_s_server",
        rules=("R15",),
        story="A tenant names one fallback after another beside a server that others use too. A server and its fallback"
        " have one owner among the senders, so each name may take the server to another sender; and until the mail that"
        " it has hanging there has ended, nobody's mail goes there.",
        stopped_by="of servers that go together the one that most namespaces use decides who owns them",
    ),
    attacks.Story(
        name="hanging-mail-at-a-hand-over",
        test="test_what_hangs_at_a_server_that_is_handed_over_is_broken_off",
        rules=("R15",),
        story="A tenant has mail hanging at the final dot when another sender comes that is to have the server: nothing"
        " of anybody's goes there before that has ended, for which ten minutes are allowed.",
        stopped_by="what is held at a server that another sender is to have is broken off after a minute",
    ),
    attacks.Story(
        name="edits-that-have-senders-reckon",
        test="test_edits_do_not_keep_senders_reckoning",
        rules=("R15",),
        story="A tenant edits the settings of its many organizations all the time. Who owns which server follows from"
        " the settings of all organizations, and each sender reckons it in the loop that also delivers.",
        stopped_by="edits that name the same servers are not reckoned with, and others once a second for all",
    ),
)


@pytest.fixture(name="team")
async def several_senders(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[teams.Team]:
    """Return a team that nobody is in yet."""
    async with teams.of_one_database(tmp_path) as team:
        yield team


def _patient(team: teams.Team, namespace: str, server: smtpd.Server) -> effective.Effective:
    """Return the settings of an organization with the time limits that it may have."""
    long = dt.timedelta(minutes=10)
    at = sending.endpoint(server, host=server.host, origin=vocabulary.Origin.ORG)
    return team.put(sending.settings(namespace, at, max_connections=3, message=long, envelope=long))


def _owner(team: teams.Team, of: effective.Effective) -> str:
    (name,) = (name for name, each in team.senders.items() if each.delivery.left.is_mine(sending.lane(of)))
    return name


async def _hang(team: teams.Team, of: effective.Effective, server: smtpd.Server) -> None:
    server.script.on(f"RCPT TO:<{_SLOW}>", hostile.silence())
    await team.notify(of, _SLOW)
    await wait.until_async(lambda: server.script.applied, within_seconds=20, why="it hangs")
    team.sent.pop()


async def test_a_stranger_s_fallback_moves_nobody_s_server(team: teams.Team) -> None:
    """Whatever it is called, the neighbour's mail goes at once, and from where it went before (R15)."""
    async with smtpd.Server(host="127.0.0.5") as server:
        for name in ("one", "two", "three"):
            await team.join(name)
        victim, stranger = _patient(team, "victim", server), _patient(team, "stranger", server)
        await team.until_shared_out()
        await team.notify(victim)
        await team.until_accepted()
        before = _owner(team, victim)
        await _hang(team, stranger, server)
        assert stranger.endpoint is not None
        for number in range(1, 9):
            there = dataclasses.replace(stranger.endpoint, host=f"127.0.0.{10 + number}", port=9)
            team.put(spares.with_fallback(stranger, there))
            await team.until_shared_out()
            await team.notify(victim)
            await team.until_accepted()
            assert _owner(team, victim) == before
        assert teams.names_of(server) == {f"{before}.test"}


async def test_what_hangs_at_a_server_that_is_handed_over_is_broken_off(team: teams.Team) -> None:
    """The next sender has it after a minute, and the neighbour's mail goes (R15)."""
    both = [owning.Peer(number=number, name=name, shares=True) for number, name in enumerate(("one", "two"))]
    host = next(
        host
        for host in (f"127.0.0.{number}" for number in range(5, 50))
        if (peer := owners.preferred(f"/{host}", both)) and peer.name == "two"
    )
    async with smtpd.Server(host=host) as server:
        one = await team.join("one")
        victim, stranger = _patient(team, "victim", server), _patient(team, "stranger", server)
        await team.until_shared_out()
        await _hang(team, stranger, server)
        await team.join("two")
        await team.notify(victim)
        await wait.until_async(lambda: _leaving(one), within_seconds=30, why="the server is to be the other one's")
        one.skip(61)
        await team.until_accepted()
        assert teams.names_of(server) == {"one.test", "two.test"}


def _leaving(sender: sending.Sender) -> bool:
    assert sender.estate is not None
    return bool(sender.estate._leaving)


async def test_edits_do_not_keep_senders_reckoning(team: teams.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many edits there are, what takes all organizations is done for none of them, or for all at once (R15)."""
    reckoned, chosen = 0, owners.chosen

    def count(*arguments: typing.Any) -> collections.abc.Mapping[str, int]:
        nonlocal reckoned
        reckoned += 1
        return chosen(*arguments)

    async with smtpd.Server(host="127.0.0.5") as server:
        await team.join("one")
        several = [_patient(team, f"team-{number}", server) for number in range(300)]
        await team.until_shared_out()
        monkeypatch.setattr(owners, "chosen", count)
        for edit in range(5):
            for each in several:
                team.put(dataclasses.replace(each, delivery=dataclasses.replace(each.delivery, helo_name=f"h{edit}")))
            await team.notify(several[0])
            await team.until_accepted()
        assert reckoned == 0
        began = time.monotonic()
        for number, each in enumerate(several):
            assert each.endpoint is not None
            there = dataclasses.replace(each.endpoint, host=f"127.0.1.{number % 250}")
            team.put(dataclasses.replace(each, endpoint=there))
            await asyncio.sleep(0)
        await wait.until_async(lambda: reckoned, within_seconds=10, why="new servers are shared out")
        assert reckoned <= 2 + time.monotonic() - began

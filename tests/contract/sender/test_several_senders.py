"""Several senders on one database and real SMTP servers: each server is one's alone, and passes on whole (R4)."""

import asyncio
import collections
import collections.abc
import dataclasses
import datetime as dt
import itertools
import pathlib
import typing

import pytest

from kit import between, sending, smtpd, spares, teams, wait
from mailtier.api import vocabulary
from mailtier.sender.between import owning
from mailtier.sender.probing import targets
from mailtier.sender.queueing import owners
from mailtier.sender.smtp.servers import destination_key
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_SERVERS = 8
_CAP = 3


@pytest.fixture(name="team")
async def several_senders(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[teams.Team]:
    """Return a team that nobody is in yet."""
    async with teams.of_one_database(tmp_path) as team:
        yield team


async def _slow(serve: Serve, host: str = "127.0.0.1", *, seconds: float = 0.02) -> smtpd.Server:
    server = await serve(host=host)
    server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=seconds))
    return server


def _own(team: teams.Team, server: smtpd.Server, number: int) -> effective.Effective:
    """Return the settings of an organization with a server of its own."""
    at = sending.endpoint(server, host=server.host, origin=vocabulary.Origin.ORG)
    return team.put(sending.settings(f"team-{number}", at, max_connections=_CAP))


def _once(servers: collections.abc.Iterable[smtpd.Server]) -> int:
    """Return how many messages came, none of them twice."""
    ids = collections.Counter(message.message_id for server in servers for message in server.messages)
    assert [id_ for id_, count in ids.items() if count > 1] == []
    return len(ids)


def _begun(server: smtpd.Server) -> list[bytes]:
    """Return the messages that a server was told of."""
    return [line for each in server.transcripts for line in each.commands() if line.startswith(b"MAIL")]


def _chosen(of: effective.Effective) -> str:
    """Return which of two senders is to own the server of settings."""
    peers = [owning.Peer(number=number, name=name, shares=True) for number, name in enumerate(("one", "two"))]
    chosen = owners.preferred(destination_key.key_of(of).room, peers)
    assert chosen is not None
    return chosen.name


async def test_senders_come_and_go_and_each_message_comes_once(team: teams.Team, serve: Serve) -> None:
    """Each has its share, no server ever has more connections than its cap from all together, and nothing is lost."""
    relay = await _slow(serve)
    own = [await _slow(serve, f"127.0.0.{number}") for number in range(2, 2 + _SERVERS)]
    await team.join("one")
    # At the host's server many organizations have one cap.
    inheriting = [
        team.put(sending.settings(f"guest-{number}", sending.endpoint(relay), max_connections=_CAP))
        for number in range(5)
    ]
    owning = [_own(team, server, number) for number, server in enumerate(own)]
    organizations = [*inheriting, *owning]

    async def send(each: int) -> None:
        for _ in range(each):
            await asyncio.gather(*(team.notify(of) for of in organizations))

    await send(10)
    await team.join("two")
    await send(10)
    await team.until_shared_out()
    await send(10)
    await team.join("three")
    await send(10)
    await team.leave("one")
    await send(10)
    await team.until_shared_out()
    await send(5)
    await team.until_accepted()
    assert _once([relay, *own]) == len(team.sent) == 55 * len(organizations)
    assert max(server.peak_connections for server in [relay, *own]) == _CAP
    assert {name for server in [relay, *own] for name in teams.names_of(server)} == {
        "one.test",
        "two.test",
        "three.test",
    }


async def test_a_server_that_changes_while_mail_flows_gets_nothing_twice(team: teams.Team, serve: Serve) -> None:
    """Senders that hear of new settings at different moments do not both send one recipient."""
    servers = [await _slow(serve, f"127.0.0.{number}") for number in range(2, 2 + _SERVERS)]
    one, two = await team.join("one"), await team.join("two")
    organizations = [_own(team, server, number) for number, server in enumerate(servers)]
    await team.until_shared_out()
    for turn in range(1, 4):
        for of in organizations:
            for number in range(10):
                await team.notify(of, by=("one", "two")[number % 2])
        # Each organization goes on to the next one's server, as one of them hears first, and then the other one.
        moved = []
        for number, of in enumerate(organizations):
            server = servers[(number + turn) % _SERVERS]
            at = sending.endpoint(server, host=server.host, origin=vocabulary.Origin.ORG)
            moved.append(sending.settings(of.organization.namespace, at, max_connections=_CAP))
        for number, settings in enumerate(moved):
            for sender in (one, two) if number % 2 else (two, one):
                sender.settings.put(settings)
                await asyncio.sleep(0)
        organizations = moved
    await team.until_accepted()
    assert _once(servers) == len(team.sent)
    assert max(server.peak_connections for server in servers) <= _CAP


async def test_a_fallback_moves_no_server_that_others_use(team: teams.Team, serve: Serve) -> None:
    """Who still owns a server after another sender came keeps it, whatever one namespace links with it (R15)."""
    at = sending.endpoint(await serve(), origin=vocabulary.Origin.ORG)
    one = await team.join("one")
    by_owner: dict[str, effective.Effective] = {}
    for number in range(2, 100):
        there = sending.settings(f"team-{number}", dataclasses.replace(at, host=f"127.0.0.{number}"))
        by_owner.setdefault(_chosen(there), there)
    kept, passed_on = team.put(by_owner["one"]), team.put(by_owner["two"])
    assert kept.endpoint is not None
    team.put(sending.settings("neighbour", kept.endpoint))
    two = await team.join("two")
    assert one.estate is not None
    assert two.estate is not None
    await team.until_shared_out()
    assert (one.estate.owns(kept), two.estate.owns(passed_on)) == (True, True)
    team.put(spares.with_fallback(passed_on, kept.endpoint))
    await wait.until_async(
        lambda: one.estate.owns(passed_on) and not two.estate.owns(passed_on),  # type: ignore[union-attr]
        within_seconds=20,
        why="the owner of what most use has both",
    )
    assert one.estate.owns(kept)


async def test_what_a_dead_sender_had_is_delivered_after_its_lease(team: teams.Team, serve: Serve) -> None:
    """Another one takes all of it over; what was on the wire is in doubt, and nothing comes twice."""
    servers = [await _slow(serve, f"127.0.0.{number}") for number in range(2, 2 + _SERVERS)]
    await team.join("one")
    organizations = [_own(team, server, number) for number, server in enumerate(servers)]
    await team.join("two")
    await team.until_shared_out()
    for of in organizations:
        for _ in range(20):
            await team.notify(of)
    await team.until_accepted(at_least=20)
    await team.die("two")

    async def is_over() -> bool:
        states = await team.states()
        return states[_S.ACCEPTED] + states[_S.IN_DOUBT] == states.total()

    await wait.until_async(is_over, within_seconds=60, why="what the dead one had is delivered")
    states = await team.states()
    assert states[_S.IN_DOUBT] <= _CAP * _SERVERS
    assert states[_S.ACCEPTED] <= _once(servers) <= len(team.sent)


async def test_what_a_dead_sender_took_in_for_another_is_delivered_after_its_lease(
    team: teams.Team, serve: Serve
) -> None:
    """Killed between a commit and its announcement, it told nobody: the others look when it is gone (R4)."""
    server = await serve()
    await team.join("one")
    await team.join("two")
    of = _own(team, server, 0)
    await team.until_shared_out()
    estates = {name: sender.estate for name, sender in team.senders.items() if sender.estate is not None}
    (owner,) = (name for name, estate in estates.items() if estate.is_mine(sending.lane(of)))
    (other,) = estates.keys() - {owner}
    id_ = await team.senders[other].notify(of)
    await team.die(other)
    await team.any.until(of, id_, _S.ACCEPTED, within_seconds=20)


async def test_no_message_begins_late_in_a_lease(team: teams.Team, serve: Serve) -> None:
    """Whose lease ends soon tells no server of a message: with the lease renewed it goes, over the same session."""
    server = await serve()
    one = await team.join("one")
    of = _own(team, server, 0)
    await team.notify(of)
    await team.until_accepted()
    lease = typing.cast("shared_queue.SharedQueue", one.opened)._tenure
    # As where the database does not answer: only renewing stops.
    await lease.abandon()
    lease._lease = dt.timedelta(minutes=1)
    await lease.renew()
    lease._until -= 45
    assert not lease.may_send()
    await team.notify(of)
    target = one.destinations.get(of)
    await wait.until_async(lambda: target.busy == 1, within_seconds=10, why="the message has its connection")
    await wait.until_async(
        lambda: lease._renewed._waiters or len(_begun(server)) > 1, within_seconds=5, why="it waits, or has begun"
    )
    assert len(_begun(server)) == 1
    await lease.renew()
    await team.until_accepted()
    assert len(_begun(server)) == 2
    assert len(server.transcripts) == 1


async def test_an_endpoint_s_rate_holds_for_all_together(team: teams.Team, serve: Serve) -> None:
    """Who takes a server over begins with nothing saved up: no minute holds more than its rate, whoever sends."""
    server = await serve()
    await team.join("one")
    of = team.put(sending.settings("team-a", sending.endpoint(server), endpoint_rate_per_minute=30))
    for _ in range(20):
        await team.notify(of)
    # What may go at once: a tenth of a minute's messages.
    await team.until_accepted(at_least=3)
    await team.join("two")
    await team.leave("one")
    before = len(server.messages)
    await wait.until_async(lambda: len(server.messages) >= before + 3, within_seconds=60, why="the other one sends")
    assert teams.names_of(server) == {"one.test", "two.test"}
    times = [message.at for message in server.messages]
    # From then on one in about two seconds.
    assert min(later - earlier for earlier, later in itertools.pairwise(times[2:])) > 1


async def test_a_refused_login_is_not_tried_by_the_next_one(team: teams.Team, serve: Serve) -> None:
    """What one sender learned of a login another one knows that takes its server over, long after it started (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    several = [await team.join("one"), await team.join("two")]
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    reference = several[0].secrets.put("team-a", "smtp", "wrong", endpoint=str(at))
    of = team.put(sending.settings("team-a", at, auth=sending.login(reference, origin=vocabulary.Origin.ORG)))
    await team.until_shared_out()
    owner, heir = sorted(several, key=lambda sender: not sender.delivery.left.is_mine(sending.lane(of)))
    async with owner.probing():
        await team.notify(of)
        await owner.until_held()
        await wait.until_async(owner.queue.probes, within_seconds=10, why="it is stored that the login was refused")
    await team.leave(next(name for name, sender in team.senders.items() if sender is owner))
    await heir.until_held()
    assert [attempt.accepted for attempt in server.auth_attempts] == [False]


async def test_a_server_is_probed_by_its_owner(team: teams.Team, serve: Serve) -> None:
    """Each sender probes what it owns, and what passes on to it; no other connects there."""
    servers = [await serve(host=f"127.0.0.{number}") for number in range(2, 2 + _SERVERS)]
    one, two = await team.join("one"), await team.join("two")
    for number, server in enumerate(servers):
        _own(team, server, number)
    await team.until_shared_out()
    async with one.probing(), two.probing():
        await wait.until_async(
            lambda: all(teams.names_of(server) for server in servers), within_seconds=30, why="all are probed"
        )
        assert sorted(map(len, map(teams.names_of, servers))) == [1] * _SERVERS
        assert {name for server in servers for name in teams.names_of(server)} == {"one.test", "two.test"}
        for task in two.running:
            task.cancel()
        await two.queue.close()
        del team.senders["two"]
        await team.until_shared_out()
        one.skip(targets.GOOD_SECONDS * 1.2)
        await wait.until_async(
            lambda: all("one.test" in teams.names_of(server) for server in servers),
            within_seconds=30,
            why="the other one probes all",
        )


async def test_whatever_sender_is_asked_the_owner_answers(team: teams.Team, serve: Serve) -> None:
    """People may ask at any of them for a probe or a release, and are shown what any of them holds."""
    servers = [await serve(host=f"127.0.0.{number}") for number in range(2, 2 + _SERVERS)]
    one, two = await team.join("one"), await team.join("two")
    organizations = [_own(team, server, number) for number, server in enumerate(servers)]
    for server in servers:
        server.script.on("MAIL", "550 5.7.1 Not you")
    await team.until_shared_out()
    async with between.joined(one) as at_one, between.joined(two):
        for of in organizations:
            await team.notify(of, *(f"r{number}@example.org" for number in range(3)))
        for of in organizations:
            await wait.until_async(
                lambda of=of: at_one.hold_of(sending.lane(of), vocabulary.Category.JOB_ALERT),
                within_seconds=30,
                why="it is shown that the lane is held",
            )
        assert {name for server in servers for name in teams.names_of(server)} == {"one.test", "two.test"}
        for of, server in zip(organizations, servers, strict=True):
            server.script.clear()
            told = await at_one.demand(of, again=False)
            assert [stage async for stage in told.follow()]
            assert told.result is not None
            # What delivery was told stands, and its owner alone knows it.
            assert told.result.reason == "PolicyRefused"
            assert await at_one.release(sending.lane(of))
            await one.until(of, await team.notify(of), _S.ACCEPTED)
        assert sorted(map(len, map(teams.names_of, servers))) == [1] * _SERVERS


async def test_what_waits_is_held_by_one(team: teams.Team, serve: Serve) -> None:
    """Messages that may go nowhere are held, shown and ended by one of the senders, and by the next one after it."""
    server = await serve()
    one, two = await team.join("one"), await team.join("two")
    of = team.put(sending.settings("team-a", sending.endpoint(server), state=effective.State.SUSPENDED))
    await team.until_shared_out()
    sent = await team.notify(of)
    await wait.until_async(lambda: one.delivery.held() or two.delivery.held(), within_seconds=10, why="it is held")
    assert not (one.delivery.held() and two.delivery.held())
    holder, other = ("one", two) if one.delivery.held() else ("two", one)
    await team.leave(holder)
    await other.until_held()
    team.put(sending.settings("team-a", sending.endpoint(server)))
    await other.until(of, sent, _S.ACCEPTED)


async def test_a_learned_limit_passes_on_with_its_server(team: teams.Team, serve: Serve) -> None:
    """Who is given a server by one that lives on begins with as few connections as that one learned (R15)."""
    for _ in range(20):
        server = await serve(smtpd.Options(max_connections=2))
        at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
        of = sending.settings("team-a", at, max_connections=8)
        if _chosen(of) == "two":
            break
    server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.02))
    one = await team.join("one")
    team.put(of)
    await team.notify(of)
    await team.until_accepted()
    for _ in range(60):
        await team.notify(of)
    await team.until_accepted()
    assert one.destinations.get(of).at.seat.most == 2
    refused = _refused(server)
    two = await team.join("two")
    await team.until_shared_out()
    assert two.estate is not None
    assert two.estate.owns(of)
    assert two.destinations.get(of).at.seat.most == 2
    for _ in range(30):
        await team.notify(of)
    await team.until_accepted()
    assert teams.names_of(server) == {"one.test", "two.test"}
    assert _refused(server) == refused


def _refused(server: smtpd.Server) -> int:
    """Return how many clients a server greeted with a refusal."""
    return sum(each.replies()[:1] != [] and each.replies()[0].startswith(b"421") for each in server.transcripts)

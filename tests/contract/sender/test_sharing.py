"""One server's connections, and its patience with wrong passwords, shared by all who name it (R3, R12, R15)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import pathlib

import pytest

from kit import dns, sending, smtpd, wait
from mailtier.api import reasons, vocabulary
from mailtier.sender.scheduling import lanes
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_ORG = vocabulary.Origin.ORG
_RIGHT = "right"
_OPEN = smtpd.Options(users={"robot": _RIGHT}, plaintext_auth=True, require_auth=False)
_SLOW = smtpd.Behaviour(delay_seconds=0.02)
_FORBIDDEN = effective.Finding(
    reason=reasons.FROM_NOT_ALLOWED, field="spec.from.address", message="ceo@example.com may not be used"
)


def _host(sender: sending.Sender, at: effective.Endpoint, *, max_connections: int = 3) -> effective.Effective:
    """Put the host's own settings, and return what an organization inherits."""
    found = sending.settings("", at, max_connections=max_connections)
    sender.settings.put(dataclasses.replace(found, organization=effective.HOST))
    return sender.settings.put(sending.settings("inheriting", at, max_connections=max_connections))


def _login(
    sender: sending.Sender, namespace: str, at: effective.Endpoint, *, name: str = "smtp", password: str = _RIGHT
) -> effective.Auth:
    """Put a Secret, and return how its namespace logs in with it."""
    reference = sender.secrets.put(namespace, name, password, endpoint=str(at))
    return sending.login(reference, origin=_ORG)


@contextlib.asynccontextmanager
async def _named(folder: pathlib.Path, *names: str) -> collections.abc.AsyncIterator[tuple[sending.Sender, dns.Server]]:
    """Give a sender in whose DNS all names lead to this machine."""
    async with (
        dns.Server(dict.fromkeys(names, ("127.0.0.1",))) as nameserver,
        sending.Sender(folder, nameserver=nameserver.address) as sender,
    ):
        nameserver.ttl_seconds = 0
        yield sender, nameserver


async def test_whatever_is_said_of_connections_a_server_has_one_cap(sender: sending.Sender, serve: Serve) -> None:
    """Twelve values of messagesPerConnection, in one namespace or in twelve, are no twelve caps (R15)."""
    server = await serve()
    server.script.on(smtpd.DOT, _SLOW)
    at = sending.endpoint(server, origin=_ORG)
    sent = []
    for number in range(1, 13):
        of = sender.settings.put(
            sending.settings(
                f"team-{number % 4}", at, name=f"mail-{number}", max_connections=3, messages_per_connection=number
            )
        )
        sent += [(of, await sender.notify(of)) for _ in range(4)]
    for of, each in sent:
        await sender.until(of, each, _S.ACCEPTED, within_seconds=30)
    assert server.peak_connections <= 3


async def test_on_the_host_s_server_its_cap_holds_for_all(tmp_path: pathlib.Path, serve: Serve) -> None:
    """By its name and by twelve others, with values of their own, connections are the host's three (R15)."""
    server = await serve(_OPEN)
    server.script.on(smtpd.DOT, _SLOW)
    aliases = [f"alias-{number}.example.com" for number in range(6)]
    async with _named(tmp_path, "relay.example.com", *aliases) as (sender, _):
        relay = sending.endpoint(server, host="relay.example.com")
        users = [_host(sender, relay)]
        for number, alias in enumerate(aliases):
            for host, is_host_s in ((alias, False), ("relay.example.com", True)):
                at = sending.endpoint(server, host=host, origin=_ORG, is_host_s=is_host_s)
                team = f"team-{number}"
                users.append(
                    sender.settings.put(
                        sending.settings(
                            team,
                            at,
                            name=f"named-{is_host_s}".lower(),
                            auth=_login(sender, team, at, name=f"s-{is_host_s}".lower()),
                            max_connections=10,
                            messages_per_connection=number + 1,
                        )
                    )
                )
        sent = [(of, await sender.notify(of)) for of in users for _ in range(5)]
        for of, each in sent:
            await sender.until(of, each, _S.ACCEPTED, within_seconds=40)
        assert server.peak_connections <= 3


async def test_the_host_s_mail_goes_on_while_others_use_its_server(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Whoever names the host's only connection himself has his turns there, and no more (R15)."""
    server = await serve(_OPEN)
    server.script.on(smtpd.DOT, _SLOW)
    async with _named(tmp_path, "relay.example.com", "alias.example.com") as (sender, _):
        inheriting = _host(sender, sending.endpoint(server, host="relay.example.com"), max_connections=1)
        at = sending.endpoint(server, host="alias.example.com", origin=_ORG)
        loud = sender.settings.put(
            sending.settings("loud", at, auth=_login(sender, "loud", at), from_address="loud@example.com")
        )
        for _ in range(100):
            await sender.notify(loud)
        await wait.until_async(lambda: len(server.messages) >= 5, within_seconds=10, why="the loud one is at it")
        mine = await sender.notify(inheriting)
        await sender.until(inheriting, mine, _S.ACCEPTED, within_seconds=20)
        assert len(server.messages) < 60
        assert server.peak_connections == 1


async def test_an_alias_of_the_host_s_server_is_held_to_the_host_s_policy(tmp_path: pathlib.Path, serve: Serve) -> None:
    """What the operator could not see is seen by address: nothing is sent, and Verified says why (R3)."""
    server = await serve(_OPEN)
    async with _named(tmp_path, "relay.example.com", "alias.example.com") as (sender, _):
        _host(sender, sending.endpoint(server, host="relay.example.com"))
        at = sending.endpoint(server, host="alias.example.com", origin=_ORG)
        of = sender.settings.put(
            sending.settings(
                "team-a",
                at,
                auth=_login(sender, "team-a", at),
                from_address="ceo@example.com",
                by_address=effective.ByAddress(findings=(_FORBIDDEN,)),
            )
        )
        found = await sender.check(of)
        assert (found.reason, found.stage) == ("HostServer", vocabulary.ProbeStage.DNS)
        assert "spec.from.address: ceo@example.com may not be used" in found.owner_message
        await sender.notify(of)
        await sender.until_held()
        assert (server.transcripts, server.auth_attempts) == ([], [])


async def test_a_session_of_who_may_is_not_used_by_who_may_not(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Two organizations with one Secret: what the first one opened stays closed to the second (R3)."""
    server = await serve(_OPEN)
    async with _named(tmp_path, "relay.example.com", "alias.example.com") as (sender, _):
        _host(sender, sending.endpoint(server, host="relay.example.com"))
        at = sending.endpoint(server, host="alias.example.com", origin=_ORG)
        auth = _login(sender, "team-a", at)
        good = sender.settings.put(sending.settings("team-a", at, name="good", auth=auth))
        bad = sender.settings.put(
            sending.settings(
                "team-a",
                at,
                name="bad",
                auth=auth,
                from_address="ceo@example.com",
                by_address=effective.ByAddress(findings=(_FORBIDDEN,)),
            )
        )
        sent = await sender.notify(good)
        await sender.until(good, sent, _S.ACCEPTED)
        await sender.notify(bad)
        await sender.until_held()
        assert {message.mail_from for message in server.messages} == {"noreply@example.com"}


async def test_a_trusted_login_is_left_to_its_server(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Where the server itself keeps a login to its own From, an alias of it is used with limits of its own (R3)."""
    server = await serve(_OPEN)
    async with _named(tmp_path, "relay.example.com", "alias.example.com") as (sender, _):
        _host(sender, sending.endpoint(server, host="relay.example.com"), max_connections=1)
        at = sending.endpoint(server, host="alias.example.com", origin=_ORG)
        of = sender.settings.put(
            sending.settings(
                "team-a",
                at,
                auth=_login(sender, "team-a", at),
                from_address="ceo@example.com",
                max_connections=5,
                by_address=effective.ByAddress(is_trusted=True),
            )
        )
        sent = await sender.notify(of)
        await sender.until(of, sent, _S.ACCEPTED)
        whereabouts = sender.destinations.get(of).at
        assert whereabouts.limits(whereabouts.seat).max_connections == 5


async def test_wrong_passwords_have_a_budget(sender: sending.Sender, serve: Serve) -> None:
    """Ten Secrets are three AUTHs, then the others are held and say why; what succeeded goes on (R12)."""
    server = await serve(_OPEN)
    at = sending.endpoint(server, origin=_ORG)
    good = sender.settings.put(sending.settings("team-a", at, name="good", auth=_login(sender, "team-a", at)))
    first = await sender.notify(good)
    await sender.until(good, first, _S.ACCEPTED)
    wrong = [
        sender.settings.put(
            sending.settings(
                "team-a", at, name=f"wrong-{number}", auth=_login(sender, "team-a", at, name=f"w{number}", password="x")
            )
        )
        for number in range(10)
    ]
    for of in wrong:
        await sender.notify(of)
    await wait.until_async(lambda: len(sender.delivery.held()) == 10, within_seconds=20, why="all of them are held")
    refused = [attempt for attempt in server.auth_attempts if attempt.password == "x"]
    assert len(refused) == 3
    told = [held.reason.value for held in sender.delivery.held().values()]
    assert sorted(told) == ["CredentialsRefused"] * 3 + ["TooManyRefusedLogins"] * 7
    held = next(key for key, each in sender.delivery.held().items() if each.reason.value == "TooManyRefusedLogins")
    settings = sender.settings.get(lanes.organization_of(held))
    assert settings is not None
    found = await sender.check(settings)
    assert found.reason == "TooManyRefusedLogins"
    assert "The next may be tried at" in found.owner_message
    again = await sender.notify(good)
    await sender.until(good, again, _S.ACCEPTED)
    assert len([attempt for attempt in server.auth_attempts if attempt.password == "x"]) == 3


async def test_aliases_are_no_further_guesses_at_the_host_s_server(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Ten names of the host's server, each with a Secret, are three AUTHs there, through a restart too (R12)."""
    server = await serve(smtpd.Options(users={"administrator": "right"}, plaintext_auth=True))
    aliases = [f"alias-{number}.example.com" for number in range(10)]
    async with _named(tmp_path, "relay.example.com", *aliases) as (sender, nameserver):
        _host(sender, sending.endpoint(server, host="relay.example.com"))
        for number, alias in enumerate(aliases):
            at = sending.endpoint(server, host=alias, origin=_ORG)
            auth = _login(sender, "team-a", at, name=f"w{number}", password="x")
            auth = dataclasses.replace(auth, identity="administrator")
            await sender.notify(sender.settings.put(sending.settings("team-a", at, name=f"mail-{number}", auth=auth)))
        await wait.until_async(lambda: len(sender.delivery.held()) == 10, within_seconds=20, why="all are held")
        assert len(server.auth_attempts) == 3
        await sender.stop()
        await sender.queue.close()
        async with sending.Sender(tmp_path, nameserver=nameserver.address, before=sender) as again:
            await again.prober.load()
            at = sending.endpoint(server, host="alias-0.example.com", origin=_ORG)
            auth = _login(again, "team-a", at, name="another", password="y")
            of = again.settings.put(sending.settings("team-a", at, name="another", auth=auth))
            assert (await again.check(of)).reason == "TooManyRefusedLogins"
        assert len(server.auth_attempts) == 3


async def test_a_server_that_is_slow_to_refuse_keeps_its_connections(sender: sending.Sender, serve: Serve) -> None:
    """Six wrong passwords hold one connection after the other, while mail that may go goes (R12, R15)."""
    server = await serve(_OPEN)
    at = sending.endpoint(server)
    inheriting = _host(sender, at)
    before = await sender.notify(inheriting)
    await sender.until(inheriting, before, _S.ACCEPTED)
    server.script.on("AUTH", smtpd.Behaviour(reply="535 5.7.8 No", delay_seconds=1))
    for number in range(6):
        auth = _login(sender, "loud", at, name=f"w{number}", password="x")
        await sender.notify(sender.settings.put(sending.settings("loud", at, name=f"mail-{number}", auth=auth)))
    await wait.until_async(lambda: len(server.transcripts) > 1, within_seconds=5, why="the first one logs in")
    sent = [await sender.notify(inheriting) for _ in range(5)]
    for each in sent:
        await sender.until(inheriting, each, _S.ACCEPTED)
    assert len(server.auth_attempts) <= 1
    await wait.until_async(lambda: len(sender.delivery.held()) == 6, within_seconds=30, why="all of them are held")
    assert len(server.auth_attempts) == 3


@pytest.mark.parametrize("origin", [vocabulary.Origin.HOST, _ORG])
async def test_many_wrong_passwords_of_one_login_are_one_each(
    sender: sending.Sender, serve: Serve, origin: vocabulary.Origin
) -> None:
    """However many sessions open together, a login is tried once, and counted once (R12)."""
    server = await serve(_OPEN)
    at = sending.endpoint(server, origin=origin)
    of = sender.settings.put(
        sending.settings("team-a", at, auth=_login(sender, "team-a", at, password="x"), max_connections=3)
    )
    await asyncio.gather(*(sender.notify(of) for _ in range(6)))
    await sender.until_held()
    assert len(server.auth_attempts) == 1


async def test_by_address_the_host_s_rates_hold(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Whoever leads to the host's server by another name counts towards the namespace's quota there (R15)."""
    server = await serve(_OPEN)
    async with _named(tmp_path, "relay.example.com", "alias.example.com") as (sender, _):
        _host(sender, sending.endpoint(server, host="relay.example.com"))
        at = sending.endpoint(server, host="alias.example.com", origin=_ORG)
        of = sender.settings.put(sending.settings("team-a", at, auth=_login(sender, "team-a", at), namespace_rate=1))
        first = await sender.notify(of)
        await sender.until(of, first, _S.ACCEPTED)
        for _ in range(3):
            await sender.notify(of)
        await wait.until_async(
            lambda: "namespace's rate of 1 a minute" in str(sender.delivery.brief_wait(sending.lane(of))),
            within_seconds=5,
            why="it waits for the quota",
        )
        assert len(server.messages) <= 2


async def test_aliases_of_the_host_s_server_log_in_one_after_the_other(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Six names with six wrong passwords hold one connection of a server that is slow to refuse them (R12)."""
    server = await serve(_OPEN)
    server.script.on("AUTH", smtpd.Behaviour(reply="535 5.7.8 No", delay_seconds=1))
    aliases = [f"alias-{number}.example.com" for number in range(6)]
    async with _named(tmp_path, "relay.example.com", *aliases) as (sender, _):
        _host(sender, sending.endpoint(server, host="relay.example.com"))
        for number, alias in enumerate(aliases):
            at = sending.endpoint(server, host=alias, origin=_ORG)
            auth = _login(sender, "loud", at, name=f"w{number}", password="x")
            await sender.notify(sender.settings.put(sending.settings("loud", at, name=f"mail-{number}", auth=auth)))
        await wait.until_async(lambda: len(sender.delivery.held()) == 6, within_seconds=30, why="all of them are held")
        assert (len(server.auth_attempts), server.peak_connections) == (3, 1)


async def test_on_the_host_s_server_nothing_but_its_addresses_is_used(tmp_path: pathlib.Path, serve: Serve) -> None:
    """A name that leads to another server besides would hold the host's connections there (R15)."""
    relay = await serve(_OPEN)
    other = await serve(_OPEN, host="127.0.0.2", port=relay.port)
    async with _named(tmp_path, "relay.example.com", "alias.example.com") as (sender, nameserver):
        nameserver.names["alias.example.com"] = ("127.0.0.2", "127.0.0.1")
        _host(sender, sending.endpoint(relay, host="relay.example.com"))
        at = sending.endpoint(relay, host="alias.example.com", origin=_ORG)
        of = sender.settings.put(sending.settings("team-a", at, auth=_login(sender, "team-a", at)))
        sent = await sender.notify(of)
        await sender.until(of, sent, _S.ACCEPTED)
        assert (len(relay.messages), other.transcripts) == (1, [])

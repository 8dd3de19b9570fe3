"""How often a namespace's servers are probed, and who is told when the next probe may be (R7)."""

import asyncio
import collections.abc
import dataclasses
import functools

import pytest

from kit import logins, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.probing import budget, trace
from mailtier.settings import codec, effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


Organization = collections.abc.Callable[[smtpd.Server, int], effective.Effective]


def _own(server: smtpd.Server, number: int) -> effective.Effective:
    """Return one of several organizations of a namespace with an endpoint of their own."""
    return sending.settings(
        "team-a",
        sending.endpoint(server, origin=vocabulary.Origin.ORG),
        name=f"org-{number}",
        from_address=f"org-{number}@example.com",
    )


def _inheriting(server: smtpd.Server, number: int) -> effective.Effective:
    """Return one of several organizations of a namespace that inherit the host's endpoint."""
    return dataclasses.replace(_own(server, number), endpoint=sending.endpoint(server))


def _hosts(server: smtpd.Server, number: int) -> effective.Effective:
    """Return the host's own settings."""
    return dataclasses.replace(_inheriting(server, number), organization=effective.HOST)


async def _is_verified(sender: sending.Sender, of: effective.Effective) -> bool:
    return any(each.key == codec.probe_key(of) and each.reason == "Verified" for each in await sender.queue.probes())


async def _until_running(
    sender: sending.Sender,
    server: smtpd.Server,
    *,
    at: effective.Endpoint | None = None,
    auth: effective.Auth | None = None,
) -> None:
    """Return when the prober has begun: another namespace's settings are probed."""
    at, auth = at or sending.endpoint(server), auth or sending.ANONYMOUS
    of = sender.settings.put(sending.settings("another", at, auth=auth, from_address="another@example.com"))
    await wait.until_async(lambda: _is_verified(sender, of), within_seconds=5, why="the prober has begun")


async def _reasons(sender: sending.Sender) -> list[str]:
    """Return what is stored of all settings."""
    return sorted(each.reason for each in await sender.queue.probes())


async def _until(sender: sending.Sender, *, verified: int, pending: int) -> None:
    """Return when so many were probed, and so many told that they wait."""
    expected = ["ProbePending"] * pending + ["Verified"] * verified

    async def is_so() -> bool:
        return await _reasons(sender) == expected

    await wait.until_async(is_so, within_seconds=5, why=f"{verified} are verified, and {pending} wait")


@pytest.mark.parametrize("organization", [_own, _inheriting])
async def test_a_namespace_has_three_probes_at_once_and_one_a_minute(
    sender: sending.Sender, serve: Serve, organization: Organization
) -> None:
    """Its edits have servers of its own, and the host's, probed three times at once, then once a minute (R7)."""
    server = await serve()
    async with sender.probing():
        # Whatever is there at the start is nobody's edit.
        await _until_running(sender, server)
        for number in range(3):
            sender.settings.put(organization(server, number))
        await _until(sender, verified=4, pending=0)
        for number in range(3, 6):
            sender.settings.put(organization(server, number))
        await _until(sender, verified=4, pending=3)
        for further in range(1, 4):
            sender.skip(61)
            await _until(sender, verified=4 + further, pending=3 - further)
        # Those of one login share a session.
        assert server.recorder.connection_count <= 10
        sender.settings.put(sending.settings("team-b", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
        await _until(sender, verified=8, pending=0)


@pytest.mark.parametrize("organization", [_own, _inheriting])
async def test_whose_turn_has_not_come_is_told_when_it_may(
    sender: sending.Sender, serve: Serve, organization: Organization
) -> None:
    """A change that waits for its probe says until when, once; the last of three says when the next may be (R7)."""
    server = await serve()
    async with sender.probing():
        await _until_running(sender, server)
        for number in range(3):
            sender.settings.put(organization(server, number))
        await _until(sender, verified=4, pending=0)
        waiting = sender.settings.put(organization(server, 3))
        await _until(sender, verified=4, pending=1)
        found = {each.key: each for each in await sender.queue.probes()}
        known = found.pop(codec.probe_key(waiting))
        assert known.stage is None
        assert known.next_at is not None
        assert 50 < (known.next_at - sender.clock.wall()).total_seconds() <= 60
        assert any(each.next_at is not None for each in found.values())
        sender.skip(61)
        await _until(sender, verified=5, pending=0)


async def test_the_host_s_changes_are_no_edits_of_its_tenants(sender: sending.Sender, serve: Serve) -> None:
    """All who inherit are probed at once when the host names another server, and so are its own settings (R7)."""
    first, second = await serve(), await serve()
    async with sender.probing():
        await _until_running(sender, first)
        for number in range(3):
            sender.settings.put(_inheriting(first, number))
        sender.settings.put(_hosts(first, 10))
        await _until(sender, verified=5, pending=0)
        for number in range(3):
            sender.settings.put(_inheriting(second, number))
        for number in range(10, 15):
            host = sender.settings.put(_hosts(second, number))
        await wait.until_async(lambda: _is_verified(sender, host), within_seconds=5, why="the host's is verified")
        for number in range(3):
            of = _inheriting(second, number)
            await wait.until_async(functools.partial(_is_verified, sender, of), within_seconds=5, why="it is verified")


@pytest.mark.parametrize(("origin", "probed"), [(vocabulary.Origin.ORG, 3), (vocabulary.Origin.HOST, 6)])
async def test_a_changed_secret_is_its_owner_s_edit(
    sender: sending.Sender, login: logins.Login, origin: vocabulary.Origin, probed: int
) -> None:
    """Each version of a namespace's own Secret takes a probe of its own; the host's is no tenant's to pay for (R7)."""
    at = login.settings.endpoint
    assert at is not None
    async with sender.probing():
        await _until_running(sender, login.server, at=at, auth=login.settings.auth)
        versions: set[str] = set()
        for _ in range(6):
            reference = sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(at))
            auth = sending.login(reference, origin=origin)
            key = codec.probe_key(sender.settings.put(sending.settings("team-a", at, auth=auth)))
            sender.skip(6)

            async def is_told(version: str = reference.version, key: str = key) -> bool:
                known = {each.key: each for each in await sender.queue.probes()}.get(key)
                if known is None or (known.secret_version != version and known.next_at is None):
                    return False
                if known.secret_version == version and known.reason == "Verified":
                    versions.add(version)
                return True

            await wait.until_async(is_told, within_seconds=5, why="it is probed, or told when it may be")
        assert len(versions) == probed


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

"""Probes that somebody asks for: followed stage by stage, joined, and not too often (R7, R12)."""

import asyncio
import collections.abc
import dataclasses

import pytest

from kit import logins, sending, smtpd, wait
from mailtier.api import reasons, vocabulary
from mailtier.sender.probing import budget, limits, targets, trace
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_STAGE = vocabulary.ProbeStage


async def _followed(told: trace.Trace) -> list[tuple[str, bool]]:
    return [(step.stage.value, step.ok) async for step in told.follow()]


async def test_a_demanded_probe_tells_its_stages(sender: sending.Sender, login: logins.Login) -> None:
    """Whoever asks for a probe follows its stages to the failing one, over a connection of its own."""
    await sender.prober.load()
    await sender.check(login.settings)
    assert len(login.server.transcripts) == 1
    sender.skip(61)
    login.server.script.on("MAIL", "550 5.7.60 Not your address", times=1)
    told = sender.prober.demand(login.settings.organization)
    assert await _followed(told) == [
        *((stage.value, True) for stage in _STAGE if stage is not _STAGE.MAIL),
        ("mail", False),
    ]
    assert told.result is not None
    assert told.result.reason == "SenderRefused"
    assert len(login.server.transcripts) == 2


async def test_a_demand_joins_the_probe_under_way(sender: sending.Sender, serve: Serve) -> None:
    """Two who ask at once read the same stages, and one connection is made."""
    server = await serve()
    await sender.prober.load()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    told = [sender.prober.demand(of.organization) for _ in range(2)]
    assert told[0] is told[1]
    first, second = await asyncio.gather(*map(_followed, told))
    assert first == second
    assert server.recorder.connection_count == 1


@pytest.mark.parametrize("origin", list(vocabulary.Origin)[:2])
async def test_demands_are_three_at_once_and_one_a_minute(
    sender: sending.Sender, serve: Serve, origin: vocabulary.Origin
) -> None:
    """Another organization of the namespace waits too, whosever the endpoint is; another namespace does not (R7)."""
    server = await serve()
    await sender.prober.load()
    at = sending.endpoint(server, origin=origin)
    first, *others = (
        sender.settings.put(sending.settings("team-a", at, name=name, from_address=f"{name}@example.com"))
        for name in ("default", "sister", "brother")
    )
    other = sender.settings.put(sending.settings("team-b", at, from_address="b@example.com"))
    for of in (first, *others):
        await _followed(sender.prober.demand(of.organization))
    for of in (first, *others):
        with pytest.raises(budget.TooSoonError) as refused:
            sender.prober.demand(of.organization)
        assert 50 < refused.value.retry_after_seconds <= 60
    await _followed(sender.prober.demand(other.organization))
    sender.skip(61)
    await _followed(sender.prober.demand(first.organization))
    with pytest.raises(budget.TooSoonError):
        sender.prober.demand(first.organization)


async def test_a_demand_reads_the_secret_anew(sender: sending.Sender, login: logins.Login) -> None:
    """What was written a moment ago is what is tried, and its version and time are told, whatever is remembered."""
    await sender.prober.load()
    auth = login.settings.auth
    assert auth is not None
    await sender.check(login.settings)
    sender.skip(6)
    wrong = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(login.settings.endpoint))
    told = sender.prober.demand(login.settings.organization)
    assert (await _followed(told))[-1] == ("auth", False)
    assert told.result is not None
    assert (told.result.secret_version, told.is_remembered) == (wrong.version, False)
    assert told.read_at is not None
    assert abs((told.read_at - sender.clock.wall()).total_seconds()) < 5
    sender.skip(6)
    right = sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
    told = sender.prober.demand(login.settings.organization)
    assert (await _followed(told))[-1] == ("mail", True)
    assert told.result is not None
    assert told.result.secret_version == right.version
    assert [each.secret_version for each in await sender.queue.probes()] == [right.version]


async def test_what_a_demand_found_is_not_probed_again(sender: sending.Sender, login: logins.Login) -> None:
    """When the operator tells of the version that a demand has tried, the namespace's next probe is not spent on it."""
    async with sender.probing():
        sender.settings.put(login.settings)
        await wait.until_async(sender.queue.probes, within_seconds=5, why="it is probed")
        sender.skip(6)
        right = sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
        assert (await _followed(sender.prober.demand(login.settings.organization)))[-1] == ("mail", True)
        sender.skip(6)
        told = dataclasses.replace(login.settings, auth=sending.login(right))
        sender.settings.put(told)
        # What comes after it is probed after it.
        key = effective.OrganizationKey(namespace="later", name="default")
        sender.settings.put(dataclasses.replace(told, organization=key, from_=_sender("later@example.com")))

        async def is_probed() -> bool:
            return len(await sender.queue.probes()) == 2

        await wait.until_async(is_probed, within_seconds=5, why="the later one is probed")
    said = [command for transcript in login.server.transcripts for command in transcript.commands()]
    assert [command for command in said if command.startswith(b"MAIL")] == [
        b"MAIL FROM:<noreply@example.com>",
        b"MAIL FROM:<noreply@example.com>",
        b"MAIL FROM:<later@example.com>",
    ]


def _sender(address: str) -> effective.From:
    return effective.From(address=address, display_name="Example", reply_to=None, envelope=address)


async def test_a_demand_does_not_join_a_probe_that_read_the_secret_before(
    sender: sending.Sender, login: logins.Login
) -> None:
    """A probe under way may have the former password: it is waited for, and another one tells what is so now."""
    wrong = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(login.settings.endpoint))
    login.server.script.on("AUTH", smtpd.Behaviour(delay_seconds=0.3, reply="535 5.7.8 Wrong"), times=1)
    of = sender.settings.put(
        dataclasses.replace(
            login.settings,
            organization=effective.HOST,
            auth=sending.login(wrong),
        )
    )
    await sender.prober.load()
    first = sender.prober.demand(of.organization)
    await wait.until_async(lambda: first.read_at, within_seconds=5, why="it has read the Secret")
    sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
    sender.skip(6)
    second = sender.prober.demand(of.organization)
    assert second is not first
    assert sender.prober.demand(of.organization) is second
    assert (await _followed(second))[-1] == ("mail", True)
    assert (await _followed(first))[-1] == ("auth", False)


async def test_a_secret_that_is_gone_is_told_to_the_operator(sender: sending.Sender, login: logins.Login) -> None:
    """The stored result speaks of no version, so that whoever believes in one reads the Secret again."""
    await sender.prober.load()
    await sender.check(login.settings)
    sender.skip(6)
    sender.secrets.remove("mailtier", "smtp")
    told = sender.prober.demand(login.settings.organization)
    assert await _followed(told) == []
    assert "does not exist" in told.explanation
    assert [(each.reason, each.secret_version) for each in await sender.queue.probes()] == [("ProbePending", "")]


async def test_a_demand_sends_no_refused_password_again(sender: sending.Sender, login: logins.Login) -> None:
    """The stages are gone through, and AUTH fails with what the server said before (R12)."""
    await sender.prober.load()
    login.server.script.on("AUTH", "535 5.7.8 Wrong", times=1)
    await sender.check(login.settings)
    sender.skip(61)
    told = sender.prober.demand(login.settings.organization)
    assert (await _followed(told))[-1] == ("auth", False)
    assert told.result is not None
    assert (told.result.reason, told.is_remembered) == ("AuthFailed", True)
    assert len(login.server.auth_attempts) == 1
    mended = sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
    sender.settings.put(dataclasses.replace(login.settings, auth=sending.login(mended)))
    sender.skip(61)
    assert (await _followed(sender.prober.demand(login.settings.organization)))[-1] == ("mail", True)


async def test_a_demand_without_a_secret_says_which_reason(sender: sending.Sender, login: logins.Login) -> None:
    """Nothing is connected to without the password, and the trace says why there is no result."""
    await sender.prober.load()
    sender.secrets.remove("mailtier", "smtp")
    sender.settings.put(login.settings)
    told = sender.prober.demand(login.settings.organization)
    assert await _followed(told) == []
    assert (told.result, told.problem) == (None, reasons.SECRET_NOT_FOUND)
    assert login.server.transcripts == []


async def test_a_demand_for_blocked_settings_says_so(sender: sending.Sender, serve: Serve) -> None:
    """The text is what a held message says."""
    server = await serve()
    await sender.prober.load()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), state=effective.State.SUSPENDED))
    with pytest.raises(targets.NotProbeableError, match="suspend"):
        sender.prober.demand(of.organization)


async def test_what_may_be_mended_already_is_told_as_read_last(sender: sending.Sender, serve: Serve) -> None:
    """Settings whose Secret the operator could not use are no news of this moment, and the answer says so."""
    server = await serve()
    await sender.prober.load()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), state=effective.State.UNRESOLVED))
    with pytest.raises(targets.NotProbeableError, match=targets.AS_READ):
        sender.prober.demand(of.organization)


async def test_a_sender_that_has_just_begun_sends_no_refused_password(
    sender: sending.Sender, login: logins.Login
) -> None:
    """Before it is known what earlier processes learned, nobody has a probe; then it is remembered (R12)."""
    login.server.script.on("AUTH", "535 5.7.8 Wrong")
    await sender.check(login.settings)
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder, before=sender) as again:
        again.settings.put(login.settings)
        with pytest.raises(targets.StartingError):
            again.prober.demand(login.settings.organization)
        await again.prober.load()
        told = again.prober.demand(login.settings.organization)
        assert (await _followed(told))[-1] == ("auth", False)
        assert told.result is not None
        assert told.result.reason == "AuthFailed"
    assert len(login.server.auth_attempts) == 1


async def test_who_is_left_to_another_sender_is_not_connected_to(sender: sending.Sender, serve: Serve) -> None:
    """A server that passes on while a probe of it waits for the one before is the other sender's to look at (R12)."""
    server = await serve()
    server.script.on(smtpd.GREETING, smtpd.Behaviour(delay_seconds=0.5), times=1)
    is_mine = True
    gate = limits.ProbeLimits(sender.settings, sender.prober._budget, lambda _settings: is_mine)
    sender.prober._limits = sender.prober._looking._limits = gate
    await sender.prober.load()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    first = sender.prober.demand(of.organization)
    await wait.until_async(lambda: server.recorder.connection_count, within_seconds=10, why="the first is connected")
    second = sender.prober.demand(of.organization)
    assert second is not first
    is_mine = False
    await _followed(second)
    assert (second.problem, server.recorder.connection_count) == (reasons.NOT_PROBED, 1)

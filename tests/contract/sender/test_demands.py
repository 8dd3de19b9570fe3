"""Probes that somebody asks for: followed stage by stage, joined, and not too often (R7, R12)."""

import asyncio
import collections.abc
import dataclasses

import pytest

from kit import logins, sending, smtpd
from mailtier.api import reasons, vocabulary
from mailtier.sender import prober, trace
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_STAGE = vocabulary.ProbeStage


async def _followed(told: trace.Trace) -> list[tuple[str, bool]]:
    return [(step.stage.value, step.ok) async for step in told.follow()]


async def test_a_demanded_probe_tells_its_stages(sender: sending.Sender, login: logins.Login) -> None:
    """Whoever asks for a probe follows its stages to the failing one, over a connection of its own."""
    await sender.prober.check(sender.settings.put(login.settings).organization)
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
async def test_demands_are_one_a_minute_and_namespace(
    sender: sending.Sender, serve: Serve, origin: vocabulary.Origin
) -> None:
    """Another organization of the namespace waits too, whosever the endpoint is; another namespace does not (R7)."""
    server = await serve()
    await sender.prober.load()
    at = sending.endpoint(server, origin=origin)
    first, sister = (
        sender.settings.put(sending.settings("team-a", at, name=name, from_address=f"{name}@example.com"))
        for name in ("default", "sister")
    )
    other = sender.settings.put(sending.settings("team-b", at, from_address="b@example.com"))
    await _followed(sender.prober.demand(first.organization))
    for of in (first, sister):
        with pytest.raises(prober.TooSoonError) as refused:
            sender.prober.demand(of.organization)
        assert 50 < refused.value.retry_after_seconds <= 60
    await _followed(sender.prober.demand(other.organization))
    sender.skip(61)
    await _followed(sender.prober.demand(sister.organization))


async def test_a_demand_sends_no_refused_password_again(sender: sending.Sender, login: logins.Login) -> None:
    """The stages are gone through, and AUTH fails with what the server said before (R12)."""
    login.server.script.on("AUTH", "535 5.7.8 Wrong", times=1)
    await sender.prober.check(sender.settings.put(login.settings).organization)
    sender.skip(61)
    told = sender.prober.demand(login.settings.organization)
    assert (await _followed(told))[-1] == ("auth", False)
    assert told.result is not None
    assert told.result.reason == "AuthFailed"
    assert len(login.server.auth_attempts) == 1
    mended = sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
    sender.settings.put(dataclasses.replace(login.settings, auth=sending.login(mended)))
    sender.skip(61)
    assert (await _followed(sender.prober.demand(login.settings.organization)))[-1] == ("mail", True)


async def test_a_demand_without_a_secret_says_which_reason(sender: sending.Sender, login: logins.Login) -> None:
    """Nothing is connected to without the password, and the trace says why there is no result."""
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
    with pytest.raises(prober.NotProbeableError, match="suspend"):
        sender.prober.demand(of.organization)


async def test_a_sender_that_has_just_begun_sends_no_refused_password(
    sender: sending.Sender, login: logins.Login
) -> None:
    """Before it is known what earlier processes learned, nobody has a probe; then it is remembered (R12)."""
    login.server.script.on("AUTH", "535 5.7.8 Wrong")
    await sender.prober.check(sender.settings.put(login.settings).organization)
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder, before=sender) as again:
        again.settings.put(login.settings)
        with pytest.raises(prober.StartingError):
            again.prober.demand(login.settings.organization)
        await again.prober.load()
        told = again.prober.demand(login.settings.organization)
        assert (await _followed(told))[-1] == ("auth", False)
        assert told.result is not None
        assert told.result.reason == "AuthFailed"
    assert len(login.server.auth_attempts) == 1

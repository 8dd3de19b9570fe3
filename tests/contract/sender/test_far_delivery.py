"""Delivery as the intake sees it: what it is asked comes back by rows, and what it holds is shown."""

import collections.abc
import dataclasses
import datetime as dt

import pytest

from kit import between, logins, sending, smtpd, spares, wait
from mailtier.api import vocabulary
from mailtier.sender.between import requests
from mailtier.sender.intake import asking
from mailtier.sender.intake.http import probing
from mailtier.sender.probing import budget, targets, trace
from mailtier.sender.scheduling import standing
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_STAGE = vocabulary.ProbeStage


async def _followed(told: trace.Trace) -> list[tuple[str, bool]]:
    return [(step.stage.value, step.ok) async for step in told.follow()]


async def test_a_probe_is_followed_from_the_other_side(sender: sending.Sender, login: logins.Login) -> None:
    """Stages and result arrive as delivery found them, and the request's row is gone afterwards."""
    await sender.prober.load()
    sender.settings.put(login.settings)
    login.server.script.on("MAIL", "550 5.7.60 Not your address", times=1)
    async with between.joined(sender) as far:
        told = await far.demand(login.settings, again=False)
        stages = [(stage.value, True) for stage in _STAGE if stage is not _STAGE.MAIL]
        assert await _followed(told) == [*stages, ("mail", False)]
        assert told.result is not None
        assert told.result.reason == "SenderRefused"
        assert told.read_at is not None

        async def is_withdrawn() -> bool:
            return await sender.queue.reply_to(1) is None

        await wait.until_async(is_withdrawn, within_seconds=5, why="the request is removed")


async def test_each_of_two_servers_is_probed_by_itself(sender: sending.Sender, serve: Serve) -> None:
    """Whichever takes the mail, and each line says of which it speaks."""
    await sender.prober.load()
    first, fallback = await serve(), await serve()
    first.script.on(smtpd.GREETING, "421 4.3.2 Closed")
    of = sender.settings.put(
        spares.with_fallback(sending.settings("team-a", sending.endpoint(first)), sending.endpoint(fallback))
    )
    there = of.at_fallback()
    assert there is not None
    async with between.joined(sender) as far:
        found = []
        for settings in (of, there):
            told = await far.demand(settings, again=False)
            await _followed(told)
            line = probing.ProbeReader(settings).result(told)
            found.append((line["ok"], line["server"], line.get("fallback")))
        at, spare = (f"127.0.0.1:{server.port}" for server in (first, fallback))
        assert found == [(False, at, spare), (True, spare, None)]
        assert "server" not in probing.ProbeReader(sending.settings("team-b", sending.endpoint(first))).result(told)


async def test_why_there_is_no_probe_is_told_as_it_is(sender: sending.Sender, login: logins.Login) -> None:
    """That nothing is connected to, and that it is too soon, reach whoever asked with their words and times."""
    await sender.prober.load()
    sender.settings.put(login.settings)
    async with between.joined(sender) as far:
        unknown = sending.settings("team-z", login.settings.endpoint)
        with pytest.raises(targets.NotProbeableError):
            await far.demand(unknown, again=False)
        await _followed(await far.demand(login.settings, again=False))
        with pytest.raises(budget.TooSoonError) as told:
            await far.demand(login.settings, again=False)
        assert 0 < told.value.retry_after_seconds <= budget.EVERY_SECONDS


async def test_what_is_held_is_shown_until_it_is_not(sender: sending.Sender, serve: Serve) -> None:
    """The intake says why an organization's messages do not go, within seconds, and no longer than that is so."""
    server = await serve()
    at = sending.endpoint(server)
    of = sender.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    lane = sending.lane(of)
    async with between.joined(sender) as far:
        sent = await sender.notify(of)
        await wait.until_async(lambda: far.hold_of(lane) is not None, within_seconds=10, why="the hold is shown")
        held = sender.delivery.hold_of(lane)
        assert held is not None
        found = far.hold_of(lane, vocabulary.Category.JOB_ALERT)
        assert found is not None
        assert (found.reason, found.message) == (held.reason, held.message)
        sender.settings.put(sending.settings("team-a", at))
        await sender.until(of, sent, _S.ACCEPTED)
        await wait.until_async(lambda: far.hold_of(lane) is None, within_seconds=10, why="it is shown no more")


async def test_a_lane_that_is_held_alone_is_shown_by_category(sender: sending.Sender, serve: Serve) -> None:
    """Messages of another category are not said to be held; a release from the other side ends it."""
    server = await serve()
    server.script.on("RCPT", "550 5.7.60 Not as this sender")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    lane = sending.lane(of)
    async with between.joined(sender) as far:
        sent = [await sender.notify(of, f"user-{number}@example.org") for number in range(4)]
        alert, update = vocabulary.Category.JOB_ALERT, vocabulary.Category.PRODUCT_UPDATE
        await wait.until_async(lambda: far.hold_of(lane, alert) is not None, within_seconds=10, why="it is shown")
        assert far.hold_of(lane) is None
        assert far.hold_of(lane, update) is None
        server.script.clear()
        assert await far.release(lane) == standing.Released(is_waiting=True, hastened=3)
        sender.skip(600)
        for each in sent:
            await sender.until(of, each, _S.ACCEPTED)


async def test_what_is_dropped_from_the_other_side_ends(sender: sending.Sender, serve: Serve) -> None:
    """Its recipients fail as dropped, and nothing of it can be sent again."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), state=effective.State.SUSPENDED))
    sent = await sender.notify(of)
    async with between.joined(sender) as far:
        filed = await sender.queue.look(of.namespace_uid, sent)
        assert filed is not None
        assert await far.drop(sending.lane(of), sent, filed.unfinished) == 1
    assert await sender.reasons(of, sent) == ["Dropped"]
    record = await sender.queue.find(sending.lane(of), sent)
    assert record is not None
    assert record.kept_until is None


async def test_a_delivery_that_is_away_is_said_to_be(sender: sending.Sender, serve: Serve) -> None:
    """Who asks while nothing takes requests hears so in time, and leaves no row behind."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    rung = list[int]()
    asks = asking.Asking(sender.queue, ring=lambda: rung.append(1), now=sender.clock.wall, take_seconds=0.2)
    lane = dataclasses.asdict(sending.lane(of))
    with pytest.raises(asking.DeliveryAwayError, match="not running"):
        await asks.ask(requests.RequestKind.RELEASE, of.namespace_uid, {"lane": lane})
    await asks.drain()
    assert rung == [1]
    assert list(await sender.queue.take_requests(now=sender.clock.wall() - dt.timedelta(seconds=60))) == []


async def test_a_request_that_fails_by_a_defect_is_answered(sender: sending.Sender) -> None:
    """Who asked is told, and does not wait for ever."""
    async with between.joined(sender):
        asks = asking.Asking(sender.queue, ring=lambda: None, now=sender.clock.wall)
        with pytest.raises(asking.DeliveryAwayError):
            await asks.ask(requests.RequestKind.RELEASE, "uid-team-a", {"nonsense": True})

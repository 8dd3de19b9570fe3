"""What people make delivery do: try now what is held, and end what waits."""

import collections.abc
import datetime as dt

from kit import sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState


async def _drop(sender: sending.Sender, of: effective.Effective, sent: str) -> None:
    filed = await sender.queue.look(of.namespace_uid, sent)
    assert filed is not None
    assert await sender.delivery.drop(ports.LaneKey.of(of), filed.unfinished) == len(filed.unfinished)


async def test_a_lane_that_is_released_is_tried_at_once(sender: sending.Sender, serve: Serve) -> None:
    """Whoever mended the server need not wait for the quarter of an hour after which the lane is tried."""
    server = await serve()
    server.script.on("RCPT", "554 5.7.1 <somebody@example.org>: Relay access denied")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    refused = [await sender.notify(of, f"user{number}@example.org") for number in range(3)]
    for each in refused:
        await sender.until(of, each, _S.DEFERRED)
    server.script.clear()
    waits = await sender.notify(of, "user3@example.org")
    sender.skip(1)
    assert await sender.states(of, waits) in ([_S.QUEUED], [_S.HELD])
    sender.delivery.release(ports.LaneKey.of(of))
    await sender.until(of, waits, _S.ACCEPTED)


async def test_a_release_sends_no_refused_password_again(sender: sending.Sender, serve: Serve) -> None:
    """What holds an organization holds it again: a password that was refused is not tried with it (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server)
    wrong = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(at))
    of = sender.settings.put(sending.settings("team-a", at, auth=sending.login(wrong)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.HELD)
    reads = sender.secrets.reads
    sender.delivery.release(ports.LaneKey.of(of))
    sender.skip(1)
    await wait.until_async(
        lambda: sender.secrets.reads > reads or sender.delivery.held(), within_seconds=5, why="it is held again"
    )
    assert len(server.auth_attempts) == 1
    sender.secrets.put("mailtier", "smtp", "right", endpoint=str(at))
    sender.skip(61)
    await sender.until(of, sent, _S.ACCEPTED)


async def test_what_is_dropped_ends_and_says_so(sender: sending.Sender, serve: Serve) -> None:
    """It fails with the reason Dropped, and is not sent when its organization may send again; others are (R4)."""
    server = await serve()
    at = sending.endpoint(server)
    of = sender.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    dropped, stays = await sender.notify(of), await sender.notify(of)
    await _drop(sender, of, dropped)
    await sender.until(of, dropped, _S.FAILED)
    assert await sender.reasons(of, dropped) == ["Dropped"]
    sender.settings.put(sending.settings("team-a", at))
    await sender.until(of, stays, _S.ACCEPTED)
    assert await sender.states(of, dropped) == [_S.FAILED]
    assert len(server.messages) == 1


async def test_what_may_have_arrived_says_so_when_it_is_dropped(sender: sending.Sender, serve: Serve) -> None:
    """The record of a recipient that was in doubt does not say that nothing was sent (R4)."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, max_age=dt.timedelta(days=1))
    await sender.until(of, sent, _S.IN_DOUBT)
    await _drop(sender, of, sent)
    (stands,) = await sender.until(of, sent, _S.FAILED)
    assert stands.reason == "Dropped"
    assert "may have been accepted" in stands.message

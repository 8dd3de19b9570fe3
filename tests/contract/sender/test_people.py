"""What people make delivery do: try now what is held, and end what waits."""

import collections.abc
import datetime as dt

from kit import sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.intake.http import probing
from mailtier.sender.net import breaker, pause
from mailtier.sender.probing import telling, trace
from mailtier.sender.scheduling import standing
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
    await sender.delivery.release(ports.LaneKey.of(of))
    await sender.until(of, waits, _S.ACCEPTED)


async def test_a_release_tries_what_was_deferred(sender: sending.Sender, serve: Serve) -> None:
    """Whoever mended what the server met need not wait for the time of each message, and is told how many go."""
    server = await serve()
    server.script.on("RCPT", "452 4.2.2 Mailbox full")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.DEFERRED)
    server.script.clear()
    released = await sender.delivery.release(ports.LaneKey.of(of))
    assert released == standing.Released(is_waiting=True, hastened=1)
    await sender.until(of, sent, _S.ACCEPTED)


def _own(sender: sending.Sender, at: effective.Endpoint, password: str) -> effective.Effective:
    """Put an organization that logs in at the host's endpoint as itself."""
    secret = sender.secrets.put("team-a", "smtp", password, endpoint=str(at))
    return sender.settings.put(sending.settings("team-a", at, auth=sending.login(secret, origin=vocabulary.Origin.ORG)))


def _reason(released: standing.Released) -> str | None:
    return None if released.held is None else released.held.reason.value


async def test_a_release_tries_a_refused_login_once_more(sender: sending.Sender, serve: Serve) -> None:
    """The server refused it once and takes it since: nothing but a person's word has it sent again (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    server.script.on("AUTH", "535 5.7.8 Error: authentication failed", times=1)
    of = _own(sender, sending.endpoint(server), "right")
    sent = await sender.notify(of)
    await sender.until_held()
    sender.skip(61)
    await sender.until(of, sent, _S.HELD)
    assert len(server.auth_attempts) == 1
    released = await sender.delivery.release(ports.LaneKey.of(of))
    assert released == standing.Released(is_waiting=True, tries_login=True)
    await sender.until(of, sent, _S.ACCEPTED)
    assert len(server.auth_attempts) == 2


async def test_releases_share_the_budget_of_refused_logins(sender: sending.Sender, serve: Serve) -> None:
    """Three an hour a namespace may cause at a server, asked for or not; then that is told, and nothing sent (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    of = _own(sender, sending.endpoint(server), "wrong")
    await sender.notify(of)
    told = []
    for attempts in (1, 2, 3):
        await wait.until_async(
            lambda attempts=attempts: len(server.auth_attempts) == attempts and sender.delivery.held(),  # type: ignore[misc]
            within_seconds=10,
            why=f"{attempts} AUTHs were refused",
        )
        told.append(_reason(await sender.delivery.release(ports.LaneKey.of(of))))
    assert told == [None, None, "TooManyRefusedLogins"]
    await sender.until_held()
    # Another password has no budget of its own, though it was never refused.
    _own(sender, sending.endpoint(server), "right")
    sender.skip(61)
    assert _reason(await sender.delivery.release(ports.LaneKey.of(of))) == "TooManyRefusedLogins"
    assert len(server.auth_attempts) == 3


async def test_a_probe_tells_how_many_refused_logins_are_left(sender: sending.Sender, serve: Serve) -> None:
    """Whoever mends a password reads how often it may be tried until the namespace's logins have to wait (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    of = _own(sender, sending.endpoint(server), "wrong")
    await sender.prober.load()
    left = []
    for _ in range(3):
        sender.skip(61)
        told = sender.prober.demand(of.organization, again=True)
        async for _ in told.follow():
            pass
        heard = trace.Trace()
        telling.decode_into(heard, telling.encode(told))
        left.append(probing.ProbeReader(of).result(heard)["refusedLoginsLeft"])
    assert left == [2, 1, 0]
    assert len(server.auth_attempts) == 3


async def test_a_release_does_not_try_the_host_s_login(sender: sending.Sender, serve: Serve) -> None:
    """Who inherits a login that was refused cannot have it locked: what holds the messages is said (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server)
    wrong = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(at))
    of = sender.settings.put(sending.settings("team-a", at, auth=sending.login(wrong)))
    sent = await sender.notify(of)
    await sender.until_held()
    assert _reason(await sender.delivery.release(ports.LaneKey.of(of))) == "CredentialsRefused"
    await sender.until_held()
    assert len(server.auth_attempts) == 1
    sender.secrets.put("mailtier", "smtp", "right", endpoint=str(at))
    sender.skip(61)
    await sender.until(of, sent, _S.ACCEPTED)


async def test_a_release_ends_a_namespace_s_pause(sender: sending.Sender, serve: Serve) -> None:
    """What it met alone at a server keeps it back no longer, once somebody says that it is mended."""
    server = await serve()
    server.script.on("MAIL FROM:<loud@example.com>", "421 4.7.0 Too much mail from you")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), from_address="loud@example.com"))
    await sender.notify(of, max_age=dt.timedelta(days=1))
    await _until_longest(sender, lambda: sender.destinations.get(of).health.pause("team-a"))
    sent = await sender.notify(of)
    await wait.until_async(
        lambda: sender.delivery.hold_of(ports.LaneKey.of(of), vocabulary.Category.JOB_ALERT),
        within_seconds=5,
        why="it waits",
    )
    server.script.clear()
    assert _reason(await sender.delivery.release(ports.LaneKey.of(of))) is None
    await sender.until(of, sent, _S.ACCEPTED)


async def test_a_release_ends_the_pause_of_a_login(sender: sending.Sender, serve: Serve) -> None:
    """A login that the server could not check is tried at once, and goes on waiting for longer if that fails too."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    server.script.on("AUTH", "454 4.7.0 Temporary authentication failure")
    of = _own(sender, sending.endpoint(server), "right")
    sent = await sender.notify(of, max_age=dt.timedelta(days=1))
    await sender.until_held()
    (state,) = (state for states in sender.destinations._around.auth._known.values() for state in states.values())
    await _until_longest(sender, lambda: state.pause)
    tried = len(server.transcripts)
    assert _reason(await sender.delivery.release(ports.LaneKey.of(of))) is None
    await wait.until_async(
        lambda: len(server.transcripts) > tried and sender.delivery.held(), within_seconds=5, why="it is tried again"
    )
    assert state.pause.retry_at(vocabulary.Category.JOB_ALERT) > sender.clock.monotonic() + 60
    server.script.clear()
    assert _reason(await sender.delivery.release(ports.LaneKey.of(of))) is None
    await sender.until(of, sent, _S.ACCEPTED)


async def test_a_release_says_that_the_server_is_left_alone(sender: sending.Sender, serve: Serve) -> None:
    """Its breaker is everybody's: whoever asks is told, and the server is not asked sooner."""
    server = await serve()
    server.script.on(smtpd.GREETING, "554 No service")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    await sender.notify(of, max_age=dt.timedelta(days=1))
    await wait.until_async(
        lambda: sender.destinations.get(of).health.breaker.retry_at > sender.clock.monotonic(),
        within_seconds=10,
        why="it is left alone",
    )
    assert _reason(await sender.delivery.release(ports.LaneKey.of(of))) == "ServerUnavailable"


async def _until_longest(sender: sending.Sender, find: collections.abc.Callable[[], pause.Pause]) -> None:
    """Return when a pause is as long as it gets, or nearly so."""

    async def has_grown() -> bool:
        left = find().retry_at(vocabulary.Category.JOB_ALERT) - sender.clock.monotonic()
        if left < breaker.LONGEST_PAUSE_SECONDS / 2 - 1:
            sender.skip(30)
        return left > breaker.LONGEST_PAUSE_SECONDS / 2 - 1

    await wait.until_async(has_grown, within_seconds=30, why="its pause is as long as it gets")


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

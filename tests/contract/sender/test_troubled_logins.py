"""Logins that a server cannot check, beside those of others who use it: whoever is not to blame goes on (R12, R15)."""

import collections.abc
import datetime as dt

import pytest

from kit import hostile, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.net import breaker
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_C = vocabulary.Category
_RIGHT = "right"
_OPEN = smtpd.Options(users={"robot": _RIGHT}, plaintext_auth=True, require_auth=False)
_TROUBLES = {
    "454": (smtpd.Behaviour(reply="454 4.7.0 Temporary authentication failure"), "AuthenticationUnavailable"),
    "421": (smtpd.Behaviour(reply="421 4.7.0 Not you, not now"), "ServerUnavailable"),
    "drop": (hostile.hang_up(smtpd.Drop.BEFORE), "ConnectionLost"),
}


def _own(sender: sending.Sender, namespace: str, at: effective.Endpoint) -> effective.Effective:
    """Put an organization that logs in at the host's endpoint as itself."""
    reference = sender.secrets.put(namespace, "smtp", _RIGHT, endpoint=str(at))
    return sender.settings.put(
        sending.settings(namespace, at, auth=sending.login(reference, origin=vocabulary.Origin.ORG))
    )


@pytest.mark.parametrize("trouble", _TROUBLES)
async def test_logins_in_trouble_wait_alone(sender: sending.Sender, serve: Serve, trouble: str) -> None:
    """Two namespaces meet it at the host's endpoint, again and again; the neighbour's mail is delayed by none."""
    behaviour, reason = _TROUBLES[trouble]
    server = await serve(_OPEN)
    server.script.on("AUTH", behaviour)
    at = sending.endpoint(server)
    neighbour = sender.settings.put(sending.settings("neighbour", at))
    troubled = [_own(sender, namespace, at) for namespace in ("team-a", "team-b")]
    theirs = [(of, await sender.notify(of)) for of in troubled for _ in range(3)]
    target = sender.destinations.get(neighbour)
    for tried in range(1, 4):
        sent = [await sender.notify(neighbour) for _ in range(20)]
        for each in sent:
            await sender.until(neighbour, each, _S.ACCEPTED, within_seconds=10)
        await wait.until_async(
            lambda enough=2 * tried: len(sender.delivery.held()) == 2 and len(server.transcripts) >= enough,
            within_seconds=10,
            why="both are held again",
        )
        assert target.health.breaker.state(sender.clock.monotonic()) is breaker.BreakerState.CLOSED
        sender.skip(10)
    assert {held.reason for held in sender.delivery.held().values()} <= {reason}
    assert len(server.messages) == 60
    server.script.clear()
    sender.skip(breaker.LONGEST_PAUSE_SECONDS)
    for of, each in theirs:
        await sender.until(of, each, _S.ACCEPTED)


async def test_what_waits_says_why(sender: sending.Sender, serve: Serve) -> None:
    """Every message of the organization is held with the reason, and not only the one that was tried."""
    server = await serve(_OPEN)
    server.script.on("AUTH", "454 4.7.0 Temporary authentication failure")
    of = _own(sender, "team-a", sending.endpoint(server))
    sent = [await sender.notify(of) for _ in range(3)]
    await sender.until_held()
    held = sender.delivery.hold_of(sending.lane(of))
    assert held is None or held.message.startswith(
        "The SMTP server cannot check credentials at present. It answered 454"
    )

    async def all_told() -> bool:
        sender.skip(11)
        return all([await sender.reasons(of, each) == ["AuthenticationUnavailable"] for each in sent])

    await wait.until_async(all_told, within_seconds=10, why="all of them are told")


async def test_a_recovery_has_a_login_in_trouble_tried_within_a_minute(sender: sending.Sender, serve: Serve) -> None:
    """After failures in a row other mail waits minutes; somebody who waits for a link does not."""
    server = await serve(_OPEN)
    server.script.on("AUTH", "454 4.7.0 Temporary authentication failure")
    of = _own(sender, "team-a", sending.endpoint(server))
    alert = await sender.notify(of, max_age=dt.timedelta(days=1))
    for tried in range(1, 10):
        await wait.until_async(
            lambda enough=tried: len(server.transcripts) >= enough and sender.delivery.held(),
            within_seconds=10,
            why="it was tried and is held again",
        )
        sender.skip(breaker.LONGEST_PAUSE_SECONDS)
    await sender.until_held()
    server.script.clear()
    recovery = await sender.notify(of, category=_C.PASSWORD_RECOVERY)
    sender.skip(61)
    await sender.until(of, recovery, _S.ACCEPTED)
    await sender.until(of, alert, _S.ACCEPTED)

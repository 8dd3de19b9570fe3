"""What reaches its max age says why nothing let it go (R4)."""

import collections.abc
import dataclasses
import datetime as dt

import pytest

from kit import backends, ports, sending, smtpd
from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_MAX_AGE = dt.timedelta(minutes=10)
_EXPIRED = reasons.MEANINGS[reasons.DeliveryReason.EXPIRED]

pytestmark = backends.BOTH


async def _expired(sender: sending.Sender, of: effective.Effective, sent: str) -> str:
    """Return what is recorded of a message whose max age has passed."""
    sender.skip(601)
    (found,) = await sender.until(of, sent, _S.EXPIRED)
    assert found.reason == "Expired"
    return found.message


@pytest.mark.parametrize("met", ["dead", "451 4.7.1 Greylisted", "452 4.2.2 Mailbox full"])
async def test_what_expires_says_what_it_met_last(sender: sending.Sender, serve: Serve, met: str) -> None:
    """What its last attempt met stands behind the max age, word for word as it was shown while it waited."""
    server = await serve()
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    if met == "dead":
        at = dataclasses.replace(at, port=ports.free())
    else:
        server.script.on("RCPT", met)
    of = sender.settings.put(sending.settings("team-a", at))
    sent = await sender.notify(of, max_age=_MAX_AGE)
    (deferred,) = await sender.until(of, sent, _S.DEFERRED)
    assert await _expired(sender, of, sent) == f"{_EXPIRED} Last: {deferred.message}"


async def test_what_expires_in_a_held_lane_says_what_held_it(sender: sending.Sender, serve: Serve) -> None:
    """A message that was never tried, as its lane is held, says for what; shown as held or not."""
    server = await serve()
    server.script.on("RCPT", "554 5.7.1 <somebody@example.org>: Relay access denied")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    for number in range(3):
        await sender.until(of, await sender.notify(of, f"user{number}@example.org"), _S.DEFERRED)
    hold = sender.delivery.hold_of(sending.lane(of), vocabulary.Category.JOB_ALERT)
    assert hold is not None
    assert hold.message in await _expired(sender, of, await sender.notify(of, max_age=_MAX_AGE))


async def test_what_fails_in_doubt_says_how_it_was_lost(sender: sending.Sender, serve: Serve) -> None:
    """One that may have arrived and is held for its max age says beside that what lost it."""
    server = await serve()
    at = sending.endpoint(server)
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", at))
    sent = await sender.notify(of)
    (lost,) = await sender.until(of, sent, _S.IN_DOUBT)
    sender.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    sender.skip(3601)
    (failed,) = await sender.until(of, sent, _S.FAILED)
    assert failed.message == f"{reasons.MEANINGS[reasons.DeliveryReason.IN_DOUBT]} Last: {lost.message}"

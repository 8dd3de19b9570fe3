"""A tenant who has a shared server fail for their own sake, so that it is left alone and nobody's mail goes out."""

import datetime as dt
import pathlib

import pytest

from kit import attacks, hostile, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.net import breaker
from mailtier.sender.smtp import destination
from mailtier.settings import effective

_S = vocabulary.RecipientState
_PASSWORD = "correct horse battery"
_TOTAL = dt.timedelta(seconds=1)
_PAUSE_SECONDS = breaker.LONGEST_PAUSE_SECONDS

ATTACKS = (
    attacks.Story(
        name="a-421-of-one-s-own",
        test="test_what_a_server_does_to_one_namespace_is_not_the_server_s",
        rules=("R12", "R15"),
        story="The tenant has the host's relay answer 421, drop the connection or fall silent at their own mail: by a"
        " rate that they exceed, an address or a text that it chokes on.",
        stopped_by="behind EHLO a fault is the server's only when two namespaces meet it within a minute",
    ),
    attacks.Story(
        name="a-login-that-chokes-the-relay",
        test="test_what_a_server_does_at_one_s_login_is_not_the_server_s",
        rules=("R12", "R15"),
        story="The tenant uses accounts of their own at the host's relay, in two namespaces, which cannot be checked,"
        " or at whose AUTH it drops the connection.",
        stopped_by="at AUTH a fault is the server's only with the host's own credentials; any others wait alone",
    ),
    attacks.Story(
        name="a-message-that-kills-sessions",
        test="test_a_message_that_ends_every_session_is_charged_and_delays_no_other_for_long",
        rules=("R12",),
        story="One message makes the server drop each connection, to be tried for ever at no charge.",
        stopped_by="at the third time it is the message's fault, if the server has served others meanwhile",
    ),
)

_FAULTS = {
    "421": smtpd.Behaviour(reply="421 4.7.0 Too much mail from you"),
    "drop": hostile.hang_up(smtpd.Drop.BEFORE),
    "silence": hostile.silence(),
    "not SMTP": smtpd.Behaviour(reply=b"what?\r\n"),
}


def _target(sender: sending.Sender) -> destination.Destination:
    (target,) = sender.destinations
    return target


def _state(sender: sending.Sender) -> breaker.BreakerState:
    return _target(sender).health.breaker.state(sender.clock.monotonic())


def _of(namespace: str, at: effective.Endpoint, **settings: object) -> effective.Effective:
    return sending.settings(namespace, at, envelope=_TOTAL, message=_TOTAL, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
@pytest.mark.parametrize("fault", _FAULTS)
async def test_what_a_server_does_to_one_namespace_is_not_the_server_s(
    tmp_path: pathlib.Path, fault: str, command: str
) -> None:
    """The neighbour's mail goes out at its first attempt, and the attacker's waits alone, uncharged (R12, R15)."""
    where = {"MAIL": "MAIL FROM:<poison@example.com>", "RCPT": "RCPT TO:<poison@example.org>"}[command]
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender:
        relay.script.on(where, _FAULTS[fault])
        at = sending.endpoint(relay)
        address = "poison@example.com" if command == "MAIL" else "noreply@example.com"
        theirs = sender.settings.put(_of("team-a", at, from_address=address))
        of = sender.settings.put(_of("team-b", at))
        for _ in range(2):
            poison = await sender.notify(theirs, "poison@example.org")
            await sender.until(theirs, poison, _S.DEFERRED)
            sender.skip(_PAUSE_SECONDS)
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
            assert _state(sender) is breaker.BreakerState.CLOSED
        # Whether the attacker's pause is over by now depends on who came first; the neighbour has never had one.
        health = _target(sender).health
        assert health.pause("team-a").trouble is not None
        assert health.pause("team-b").trouble is None


@pytest.mark.parametrize("reply", ["454 4.7.0 Later", "421 4.3.2 Closing", None])
async def test_what_a_server_does_at_one_s_login_is_not_the_server_s(tmp_path: pathlib.Path, reply: str | None) -> None:
    """An account that cannot be checked waits alone; the host's would be the server's (R12, R15)."""
    async with (
        smtpd.Server(smtpd.Options(users={"robot": _PASSWORD}, plaintext_auth=True, require_auth=False)) as relay,
        sending.Sender(tmp_path) as sender,
    ):
        relay.script.on("AUTH", reply or hostile.hang_up(smtpd.Drop.BEFORE))
        at = sending.endpoint(relay)
        of = sender.settings.put(_of("team-b", at))
        for namespace in ("team-a", "team-c"):
            own = sender.secrets.put(namespace, "smtp", _PASSWORD, endpoint=str(at))
            theirs = _of(namespace, at, auth=sending.login(own, origin=vocabulary.Origin.ORG))
            await sender.until(theirs, await sender.notify(sender.settings.put(theirs)), _S.HELD)
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
            assert _state(sender) is breaker.BreakerState.CLOSED
        host = sender.secrets.put("mailtier", "smtp", _PASSWORD, endpoint=str(at))
        of = sender.settings.put(_of("team-b", at, auth=sending.login(host)))
        await sender.until(of, await sender.notify(of), _S.DEFERRED)
        assert _state(sender) is not breaker.BreakerState.CLOSED


async def test_a_message_that_ends_every_session_is_charged_and_delays_no_other_for_long(
    tmp_path: pathlib.Path,
) -> None:
    """It is tried as rarely as a message that is refused, and what else its namespace sends goes out (R12)."""
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender:
        relay.script.on("RCPT TO:<poison@example.org>", hostile.hang_up(smtpd.Drop.BEFORE))
        of = sender.settings.put(_of("team-a", sending.endpoint(relay)))
        poison = await sender.notify(of, "poison@example.org", max_age=dt.timedelta(days=2))

        async def attempts() -> int:
            record = await sender.queue.find(sending.lane(of), poison)
            assert record is not None
            return record.recipients[0].attempts

        async def is_charged() -> bool:
            sender.skip(_PAUSE_SECONDS)
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
            return await attempts() >= 1

        assert await attempts() == 0
        await wait.until_async(is_charged, within_seconds=20, why="the message is charged")

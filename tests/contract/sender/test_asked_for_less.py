"""Servers that take fewer connections or messages than the settings allow them (R15)."""

import asyncio
import collections.abc

import pytest

from kit import sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.telemetry import metrics

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_SLOW = smtpd.Behaviour(delay_seconds=0.02)


class _Crowded(smtpd.Script):
    """Refuses a command while more than so many clients are connected.

    Args:
        command: Which.
        reply: With what.
        most: How many may be.
    """

    def __init__(self, command: str, reply: str, *, most: int = 1) -> None:
        super().__init__()
        self._command, self._reply, self._most = command, reply, most
        self.server: smtpd.Server | None = None
        self.refused = 0

    def find(self, command: str) -> smtpd.Behaviour | None:
        """Return what becomes of a command."""
        if command.startswith(self._command) and self.server is not None and self.server.open_connections > self._most:
            self.refused += 1
            return smtpd.Behaviour(reply=self._reply)
        return super().find(command)


def _value(name: str, **labels: str) -> float:
    """Return what a metric says; 0 where it says nothing."""
    return metrics.SENDER_REGISTRY.get_sample_value(name, labels) or 0.0


async def _serve(serve: Serve, rules: _Crowded, options: smtpd.Options | None = None) -> smtpd.Server:
    rules.server = await serve(options, rules=rules)
    return rules.server


@pytest.mark.parametrize("origin", [vocabulary.Origin.HOST, vocabulary.Origin.ORG])
async def test_a_mailbox_that_takes_one_connection_is_soon_used_with_one(
    sender: sending.Sender, serve: Serve, origin: vocabulary.Origin
) -> None:
    """Of forty messages over five connections a handful is refused, and those go when their time has come."""
    rules = _Crowded(smtpd.DOT, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded").on(smtpd.DOT, _SLOW)
    server = await _serve(serve, rules)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=origin), max_connections=5))
    sent = await asyncio.gather(*(sender.notify(of) for _ in range(40)))
    await wait.until_async(lambda: len(server.messages) + rules.refused >= 40, within_seconds=20, why="all were tried")
    refused = rules.refused
    assert refused <= 12

    async def all_gone() -> bool:
        sender.skip(5)
        return all([await sender.states(of, each) == [_S.ACCEPTED] for each in sent])

    await wait.until_async(all_gone, within_seconds=30, why="all of them have gone")
    assert rules.refused <= refused + 6


async def test_an_account_that_may_log_in_twice_goes_on_with_two_sessions(sender: sending.Sender, serve: Serve) -> None:
    """What is refused at the third login is no more than a moment's hold for those that are there."""
    rules = _Crowded("AUTH", "454 4.7.0 Too many concurrent sessions", most=2).on(smtpd.DOT, _SLOW)
    options = smtpd.Options(users={"robot": "right"}, plaintext_auth=True)
    at = sending.endpoint(await _serve(serve, rules, options), origin=vocabulary.Origin.ORG)
    auth = sending.login(sender.secrets.put("team-a", "smtp", "right", endpoint=str(at)), origin=vocabulary.Origin.ORG)
    of = sender.settings.put(sending.settings("team-a", at, auth=auth, max_connections=5))
    lessened = _value("mailtier_lessened_total", of="user")
    sent = await asyncio.gather(*(sender.notify(of) for _ in range(40)))
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert rules.refused <= 6
    assert _value("mailtier_lessened_total", of="user") > lessened
    await wait.until_async(
        lambda: _value("mailtier_learned_limits") >= 1, within_seconds=10, why="what was learned is shown"
    )


async def test_a_neighbour_is_not_held_to_what_another_is_refused(sender: sending.Sender, serve: Serve) -> None:
    """One namespace's messages are refused by 452; another's go over all the connections that there are."""
    server = await serve()
    server.script.on("RCPT TO:<loud@example.org>", smtpd.Behaviour(reply="452 4.5.3 Too much", delay_seconds=0.05))
    server.script.on(smtpd.DOT, _SLOW)
    at = sending.endpoint(server)
    loud, quiet = (sender.settings.put(sending.settings(name, at)) for name in ("loud", "quiet"))
    await asyncio.gather(*(sender.notify(loud, "loud@example.org") for _ in range(20)))
    sent = await asyncio.gather(*(sender.notify(quiet) for _ in range(20)))
    for each in sent:
        await sender.until(quiet, each, _S.ACCEPTED)
    target = sender.destinations.get(quiet)
    assert target.at.seat.most == 3


async def test_a_server_that_greets_too_many_with_421_is_left_its_number(sender: sending.Sender, serve: Serve) -> None:
    """Its breaker opens once or twice, and then it is used with the connections that it takes."""
    server = await serve(smtpd.Options(max_connections=2))
    server.script.on(smtpd.DOT, _SLOW)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=8))
    lessened = _value("mailtier_lessened_total", of="server")
    first = await sender.notify(of)
    await sender.until(of, first, _S.ACCEPTED)
    sent = await asyncio.gather(*(sender.notify(of) for _ in range(60)))
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    target = sender.destinations.get(of)
    assert target.at.seat.most == 2
    refused = [each for each in server.transcripts if each.replies()[:1] and each.replies()[0].startswith(b"421")]
    assert len(refused) <= 16
    assert _value("mailtier_lessened_total", of="server") > lessened


async def test_few_messages_a_minute_are_what_is_sent(sender: sending.Sender, serve: Serve) -> None:
    """A server that refuses over the only connection gets messages now and then, and no longer one after the other."""
    server = await serve()
    server.script.on(smtpd.DOT, "452 4.3.1 Rate exceeded", skip=5)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    await asyncio.gather(*(sender.notify(of) for _ in range(40)))

    def refused() -> int:
        replies = [reply for each in server.transcripts for reply in each.replies()]
        return sum(reply.startswith(b"452") for reply in replies)

    await wait.until_async(lambda: refused() >= 1, within_seconds=10, why="one is refused")
    for _ in range(10):
        sender.skip(1)
        await asyncio.sleep(0)
    await wait.until_async(lambda: len(server.messages) == 5, within_seconds=5, why="five were taken before")
    assert refused() <= 4

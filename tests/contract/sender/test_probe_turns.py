"""Whose endpoint the sender looks at next, of those that nobody asked for (R15)."""

import collections.abc
import datetime as dt

import pytest

from kit import hostile, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.probing import prober
from mailtier.settings import codec, effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_ORG = vocabulary.Origin.ORG
_MORE_THAN_TURNS = 150
_TURNS_OF_A_NAMESPACE = 16


async def test_who_waits_for_a_turn_costs_nothing(
    sender: sending.Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While probes wait for their turn the prober looks at the clock no more often than something happens (R15)."""
    looks: list[None] = []
    start_due = prober.Prober._start_due

    def counted(self: prober.Prober) -> None:
        looks.append(None)
        start_due(self)

    monkeypatch.setattr(prober.Prober, "_start_due", counted)
    silent = await serve(host="127.0.1.1")
    silent.script.on(smtpd.GREETING, hostile.silence())
    async with sender.probing():
        at = sending.endpoint(silent, host=silent.host)
        for number in range(200):
            sender.settings.put(sending.settings(f"team-{number}", at, from_address=f"a-{number}@example.com"))
        of = sender.settings.put(sending.settings("other", sending.endpoint(await serve(), origin=_ORG)))

        async def is_verified() -> bool:
            found = {each.key: each.reason for each in await sender.queue.probes()}
            return found.get(codec.probe_key(of)) == "Verified"

        await wait.until_async(is_verified, within_seconds=4, why="another's probe is over")
    assert len(looks) < 1_000


async def test_a_turn_ends_with_its_probe(sender: sending.Sender, serve: Serve) -> None:
    """More organizations than there are turns at the host's endpoint are all looked at, one after the other."""
    at = sending.endpoint(await serve())
    async with sender.probing():
        for number in range(_MORE_THAN_TURNS):
            sender.settings.put(sending.settings(f"team-{number}", at, from_address=f"a-{number}@example.com"))

        async def are_verified() -> bool:
            found = [each.reason for each in await sender.queue.probes()]
            return found == ["Verified"] * _MORE_THAN_TURNS

        await wait.until_async(are_verified, within_seconds=15, why="all are looked at")


async def test_what_was_probed_while_it_stood_in_line_is_not_probed_again(sender: sending.Sender, serve: Serve) -> None:
    """Whoever asks for a probe has it at once, and the turn that comes later is the next one's."""
    relay = await serve()
    relay.script.on(smtpd.GREETING, hostile.silence(), times=_TURNS_OF_A_NAMESPACE)
    at = sending.endpoint(relay)

    def put(number: int, namespace: str = "team-a") -> effective.Effective:
        return sender.settings.put(
            sending.settings(
                namespace,
                at,
                name=f"org-{number}",
                from_address=f"{namespace}-{number}@example.com",
                max_connections=2 * _TURNS_OF_A_NAMESPACE,
                session=dt.timedelta(seconds=2),
            )
        )

    # What is there at the start is nobody's edit, and takes all turns of its namespace.
    waiting = [put(number) for number in range(_TURNS_OF_A_NAMESPACE + 1)]
    async with sender.probing():

        async def results() -> dict[str, str]:
            return {each.key: each.reason for each in await sender.queue.probes()}

        await wait.until_async(
            lambda: relay.open_connections == _TURNS_OF_A_NAMESPACE, within_seconds=5, why="all turns are taken"
        )
        assert (await sender.check(waiting[-1])).reason == "Verified"

        async def are_over() -> bool:
            return len(await results()) == len(waiting)

        await wait.until_async(are_over, within_seconds=8, why="the turns have ended")
        sender.skip(10)
        later = codec.probe_key(put(0, "later"))

        async def is_verified() -> bool:
            return (await results()).get(later) == "Verified"

        await wait.until_async(is_verified, within_seconds=5, why="what came later is probed")
    said = [command for transcript in relay.transcripts for command in transcript.commands()]
    assert said.count(f"MAIL FROM:<team-a-{_TURNS_OF_A_NAMESPACE}@example.com>".encode()) == 1

"""Probes that nobody asked for: a tenant who uses up their turns, and what the neighbour feels."""

import collections.abc
import contextlib
import pathlib
import time

import pytest

from kit import attacks, hostile, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.probing import budget
from mailtier.settings import codec, effective

_ORG = vocabulary.Origin.ORG
_NAMESPACES = 22
_EACH = 3
_AT_ONCE = 64
"""Silent servers that are looked at together, at the least."""

ATTACKS = (
    attacks.Story(
        name="silent-servers-of-many-namespaces",
        test="test_silent_servers_of_many_namespaces_delay_no_probe",
        rules=("R15",),
        story="Twenty-two namespaces have the three probes that each may have at once, of servers that say nothing, so"
        " that changes of others, and the host's own, wait half a minute for theirs.",
        stopped_by="probes have turns for each namespace, of which 64 namespaces would fill all, and the host its own",
    ),
    attacks.Story(
        name="edits-that-probe-the-host-s-relay",
        test="test_edits_do_not_probe_the_host_s_relay_at_will",
        rules=("R7", "R15"),
        story="An organization that inherits the endpoint changes its sender address again and again, each time to have"
        " the host's relay probed.",
        stopped_by="a namespace's edits have three probes at once, then one a minute, at the host's relay too",
    ),
    attacks.Story(
        name="probes-before-mail",
        test="test_probes_leave_mail_its_connections",
        rules=("R15",),
        story="One namespace with ninety organizations, or thirty with three each, change them all, so that probes wait"
        " for the host's relay, and mail of others waits for them.",
        stopped_by="while mail waits, probes have every second connection at most, and no more than half of them",
    ),
    attacks.Story(
        name="probes-of-what-is-gone",
        test="test_settings_that_are_gone_keep_no_turn",
        rules=("R15",),
        story="A namespace names hundreds of sender addresses at the host's relay and removes them, so that probes of"
        " what is gone stand in line before everybody else's.",
        stopped_by="what is gone leaves the line, and each namespace has a line of its own",
    ),
)


@contextlib.asynccontextmanager
async def _looking_at_silent_servers(folder: pathlib.Path) -> collections.abc.AsyncIterator[sending.Sender]:
    """Give a sender that has the endpoints of many namespaces probed whose servers say nothing."""
    async with contextlib.AsyncExitStack() as stack:
        # Each at an address of its own: what is at one address is one server, with one cap.
        hosts = [f"127.0.1.{number + 1}" for number in range(_NAMESPACES)]
        servers = [await stack.enter_async_context(smtpd.Server(host=host)) for host in hosts]
        sender = await stack.enter_async_context(sending.Sender(folder))
        await stack.enter_async_context(sender.probing())
        for number, server in enumerate(servers):
            server.script.on(smtpd.GREETING, hostile.silence())
            at = sending.endpoint(server, host=server.host, origin=_ORG)
            for each in range(_EACH):
                name = f"mail-{each}"
                sender.settings.put(
                    sending.settings(f"silent-{number}", at, name=name, from_address=f"{name}@example.com")
                )
        await wait.until_async(
            lambda: sum(server.open_connections for server in servers) >= _AT_ONCE,
            within_seconds=8,
            why="silent servers are looked at",
        )
        yield sender


@pytest.mark.parametrize("origin", [vocabulary.Origin.HOST, _ORG])
async def test_silent_servers_of_many_namespaces_delay_no_probe(
    tmp_path: pathlib.Path, origin: vocabulary.Origin
) -> None:
    """Namespaces whose servers say nothing keep neither another's probe nor the host's waiting (R15)."""
    async with smtpd.Server() as server, _looking_at_silent_servers(tmp_path) as sender:
        of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=origin)))

        async def is_verified() -> bool:
            found = {each.key: each.reason for each in await sender.queue.probes()}
            return found.get(codec.probe_key(of)) == "Verified"

        await wait.until_async(is_verified, within_seconds=4, why="another's probe is over")


def _inherits(at: effective.Endpoint, namespace: str, number: int = 0, edit: int = 0) -> effective.Effective:
    """Return one of several organizations of a namespace that inherit the host's endpoint."""
    address = f"{namespace}-{number}-{edit}@example.com"
    return sending.settings(namespace, at, name=f"org-{number}", from_address=address, max_connections=1)


async def _until_known(sender: sending.Sender, of: effective.Effective, *reasons: str, within_seconds: float) -> None:
    """Return when a probe of settings has one of some results."""

    async def is_known() -> bool:
        found = {each.key: each.reason for each in await sender.queue.probes()}
        return found.get(codec.probe_key(of)) in reasons

    await wait.until_async(is_known, within_seconds=within_seconds, why="it is known what became of the settings")


async def test_edits_do_not_probe_the_host_s_relay_at_will(tmp_path: pathlib.Path) -> None:
    """However often a namespace changes what it has at the relay, three probes follow, then one a minute (R7, R15)."""
    began = time.monotonic()
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender, sender.probing():
        at = sending.endpoint(relay)
        await _until_known(sender, sender.settings.put(_inherits(at, "first")), "Verified", within_seconds=4)
        for edit in range(40):
            of = sender.settings.put(_inherits(at, "busy", edit=edit))
            await _until_known(sender, of, "Verified", "ProbePending", within_seconds=4)
        said = [command for transcript in relay.transcripts for command in transcript.commands()]
        probes = sum(command.startswith(b"MAIL FROM:<busy-") for command in said)
        assert 1 <= probes <= budget.BURST + int((time.monotonic() - began) / budget.EVERY_SECONDS)
        told = {each.key: each for each in await sender.queue.probes()}[codec.probe_key(of)]
        assert told.next_at is not None


@pytest.mark.parametrize(("namespaces", "each"), [(1, 90), (30, 3)])
async def test_probes_leave_mail_its_connections(tmp_path: pathlib.Path, namespaces: int, each: int) -> None:
    """Whoever has probes wait for the host's relay, a neighbour's mail goes between them (R15)."""
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender, sender.probing():
        relay.script.on("MAIL", smtpd.Behaviour(delay_seconds=0.1))
        at = sending.endpoint(relay)
        await _until_known(
            sender, neighbour := sender.settings.put(_inherits(at, "team-a")), "Verified", within_seconds=4
        )
        for number in range(each):
            for namespace in range(namespaces):
                sender.settings.put(_inherits(at, f"busy-{namespace}", number))
        sent = [await sender.notify(neighbour) for _ in range(5)]
        for notification in sent:
            await sender.until(neighbour, notification, vocabulary.RecipientState.ACCEPTED, within_seconds=4)


async def test_settings_that_are_gone_keep_no_turn(tmp_path: pathlib.Path) -> None:
    """A namespace whose hundreds of organizations are gone leaves nothing in line before a neighbour's probe (R15)."""
    async with smtpd.Server() as relay, sending.Sender(tmp_path) as sender, sender.probing():
        relay.script.on("MAIL", smtpd.Behaviour(delay_seconds=0.02))
        at = sending.endpoint(relay)
        await _until_known(sender, sender.settings.put(_inherits(at, "first")), "Verified", within_seconds=4)
        gone = [sender.settings.put(_inherits(at, "busy", number)) for number in range(400)]
        await _until_known(sender, gone[0], "Verified", within_seconds=4)
        for each in gone:
            sender.settings.remove(each.organization)
        await _until_known(sender, sender.settings.put(_inherits(at, "team-a")), "Verified", within_seconds=4)

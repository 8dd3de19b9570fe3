"""Probes that nobody asked for: a tenant who uses up their turns, and what the neighbour feels."""

import collections.abc
import contextlib
import pathlib

import pytest

from kit import attacks, hostile, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.settings import codec

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

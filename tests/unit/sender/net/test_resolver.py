"""Names are looked up as they stand (R6), by a DNS server that answers as a cluster's does."""

import asyncio
import pathlib

import hypothesis
import pytest
from hypothesis import strategies

from kit import dns, sending
from mailtier.mail import classify, reasons
from mailtier.sender.net import faults, resolver

_REASONS = reasons.DeliveryReason
_OWN = "mailtier-system"
_RELAY = "relay.corp.example"
_TAKEN = dns.of_pod("relay", service="corp", namespace="example")
_LABEL = strategies.text("abcxyz-", min_size=1, max_size=5).map(lambda text: text.strip("-") or "a")


async def _resolve(folder: pathlib.Path, server: dns.Server, name: str) -> list[str]:
    configuration = dns.configure_pod(folder, namespace=_OWN)
    async with resolver.Resolver(nameservers=(server.address,), configuration=configuration) as names:
        found = await names.resolve(name, sending.PUBLIC, payer="team-a")
    return [address.literal for address in found.addresses]


async def _fail(folder: pathlib.Path, server: dns.Server, name: str) -> classify.Failure:
    with pytest.raises(faults.DeliveryError) as raised:
        await _resolve(folder, server, name)
    assert raised.value.phase is classify.Phase.CONNECT
    assert raised.value.__context__ is None
    return raised.value.failure


@pytest.mark.parametrize("written", [_RELAY, f"{_RELAY}."], ids=["plain", "with a final dot"])
async def test_a_name_is_asked_for_as_it_stands(tmp_path: pathlib.Path, written: str) -> None:
    """Nobody owns a name by owning a namespace that is called like a part of it (R6)."""
    async with dns.Server({_RELAY: ["1.1.1.1"], _TAKEN: ["10.0.0.66"]}) as server:
        assert await _resolve(tmp_path, server, written) == ["1.1.1.1"]
        assert set(server.asked) == {_RELAY}


async def test_a_search_domain_that_fails_is_nothing_to_a_name(tmp_path: pathlib.Path) -> None:
    """It is not asked, so that its SERVFAIL does not stand for the name's own answer."""
    async with dns.Server({_RELAY: ["1.1.1.1"]}, failing=[dns.CLUSTER_DOMAIN]) as server:
        assert await _resolve(tmp_path, server, _RELAY) == ["1.1.1.1"]


async def test_hosts_files_count(tmp_path: pathlib.Path) -> None:
    """What the pod's own hosts file says of a name is its answer."""
    async with dns.Server({}) as server:
        failure = await _fail(tmp_path, server, "localhost")
        assert failure.reason == _REASONS.ADDRESS_DENIED
        assert server.asked == []


@pytest.mark.parametrize("written", ["relay", "relay.mail", "relay.mail.svc"])
async def test_a_name_that_only_a_search_list_finds_is_told(tmp_path: pathlib.Path, written: str) -> None:
    """It does not lead there; its owner reads which name to write, and others read no name (R7)."""
    whole = f"{written}.{_OWN}.svc.cluster.local" if written == "relay" else "relay.mail.svc.cluster.local"
    async with dns.Server({whole: ["1.1.1.1"]}) as server:
        failure = await _fail(tmp_path, server, written)
        assert server.asked[0] == written
    assert failure.reason == _REASONS.NAME_NOT_ABSOLUTE
    assert f"write {whole}," in faults.describe(failure, for_owner=True)
    assert "relay" not in faults.describe(failure, for_owner=False)


async def test_a_name_that_nobody_knows_is_not_found(tmp_path: pathlib.Path) -> None:
    """Neither as it stands nor through the search list; then there is nothing to advise."""
    async with dns.Server({}) as server:
        failure = await _fail(tmp_path, server, _RELAY)
    assert failure == classify.classify_fault(classify.Phase.CONNECT, classify.Fault.NAME_NOT_RESOLVED)


async def test_search_domains_that_say_nothing_are_nothing_to_a_name(tmp_path: pathlib.Path) -> None:
    """That a name is not there stays its answer, however long the search list is waited for."""
    searched = resolver.search_list(dns.configure_pod(tmp_path, namespace=_OWN).read_text())
    silent = [f"{_RELAY}.{domain}" for domain in searched]
    async with dns.Server(dict.fromkeys(silent)) as server:
        failure = await _fail(tmp_path, server, _RELAY)
        assert silent[0] in server.asked
    assert failure == classify.classify_fault(classify.Phase.CONNECT, classify.Fault.NAME_NOT_RESOLVED)


async def test_a_fault_of_name_servers_is_not_an_answer(tmp_path: pathlib.Path) -> None:
    """SERVFAIL for the name itself is told as such, and the search list is not asked instead."""
    async with dns.Server({_TAKEN: ["1.1.1.1"]}, failing=["corp.example"]) as server:
        failure = await _fail(tmp_path, server, _RELAY)
        assert set(server.asked) == {_RELAY}
    assert failure.reason == _REASONS.NAME_NOT_RESOLVED
    assert "name servers failed" in failure.text


@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(strategies.lists(_LABEL, min_size=1, max_size=5).map(".".join))
async def test_whatever_the_name_it_is_the_only_one_whose_addresses_count(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """Every name below every search domain exists; none of their addresses is handed on for another name (R6)."""
    folder = tmp_path_factory.mktemp("pod")

    class _Everything(dns.Server):
        """A server that knows every name below the cluster's domain."""

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for domain in resolver.search_list(dns.configure_pod(folder, namespace=_OWN).read_text()):
                self.names[f"{name}.{domain}"] = ["1.0.0.1"]
            super().datagram_received(data, addr)

    async with _Everything({}) as server:
        assert (await _fail(folder, server, name)).reason == _REASONS.NAME_NOT_ABSOLUTE
        server.names[name] = ["1.1.1.1"]
        assert await _resolve(folder, server, name) == ["1.1.1.1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 10.0.0.10\n", []),
        ("search a.example b.example.\noptions ndots:5\n", ["a.example", "b.example"]),
        ("search a.example\ndomain c.example\n", ["c.example"]),
        ("search .\n", []),
    ],
)
def test_the_search_list_is_read_as_resolvers_read_it(text: str, expected: list[str]) -> None:
    """The last line counts, and the root is no domain to search."""
    assert list(resolver.search_list(text)) == expected


async def test_the_machine_s_name_servers_are_asked() -> None:
    """Resolvers that are made alike ask alike, whatever else the process does with its memory meanwhile."""
    asked = set()
    for number in range(500):
        async with resolver.Resolver() as names:
            # Of the library's own only this tells whom it asks.
            asked.add(tuple(names._dns.nameservers))
        _ = [bytes(16 + number % 16) for _ in range(50)]
    assert len(asked) == 1


@pytest.mark.parametrize("written", ["127.0.0.1", "::1"])
async def test_an_address_takes_no_lookup(tmp_path: pathlib.Path, written: str) -> None:
    """It stands for itself while every lookup of its namespace hangs: by it the host's server is known (R3)."""
    hangs = {f"hole-{number}.example": None for number in range(200)}
    async with dns.Server(hangs) as server:
        configuration = dns.configure_pod(tmp_path, namespace=_OWN)
        async with resolver.Resolver(nameservers=(server.address,), configuration=configuration) as names:
            waiting = [asyncio.create_task(names.resolve(name, sending.PUBLIC, payer="team-a")) for name in hangs]
            await asyncio.sleep(0)
            async with asyncio.timeout(1):
                found = await names.resolve(written, sending.LOOPBACK, payer="team-a")
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
    assert [address.literal for address in found.addresses] == [written]

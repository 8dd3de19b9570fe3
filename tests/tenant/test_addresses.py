"""Names and addresses: a connection to where no tenant may connect."""

import collections.abc
import dataclasses
import pathlib

import pytest

from kit import arena as arena_kit
from kit import attacks, dns, sending, smtpd, tiers
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons
from mailtier.sender.net import faults, resolver
from mailtier.settings import effective, endpoints, networks

_NAME = "smtp.tenant.example"
_NO_NAME = "must be a DNS name"


def _written(name: str, host: str, story: str) -> attacks.Refused:
    return attacks.Refused(
        name=name,
        rules=("R6",),
        story=f"The organization writes {story}, for a parser that reads it in another way.",
        stopped_by="a host is a DNS name, or an address in its usual form",
        spec=attacks.server(host),
        says=_NO_NAME,
    )


SPELLINGS = (
    _written("decimal-address", "2130706433", "loopback as one decimal number"),
    _written("octal-address", "0177.0.0.1", "loopback in octal"),
    _written("hexadecimal-address", "0x7f000001", "loopback in hexadecimal"),
    _written("hexadecimal-bytes", "0x7f.0x0.0x0.0x1", "loopback with hexadecimal bytes"),
    _written("short-address", "127.1", "loopback with two bytes left out"),
    _written("mapped-address", "::ffff:127.0.0.1", "loopback as an IPv4-mapped address"),
    _written("mapped-address-in-hexadecimal", "::ffff:7f00:1", "loopback as an IPv4-mapped address in hexadecimal"),
    _written("address-with-a-zone", "fe80::1%eth0", "a link-local address with its zone"),
    _written("address-in-brackets", "[::1]", "loopback in brackets"),
    _written("address-with-a-final-dot", "127.0.0.1.", "loopback with a dot behind it"),
    _written("full-width-digits", "\uff11\uff12\uff17.0.0.1", "loopback in full-width digits"),
    _written("ideographic-dots", "127。0。0。1", "loopback with ideographic full stops"),
    _written("circled-digits", "①②⑦.⓪.⓪.①", "loopback in circled digits"),
    _written("name-and-port", "relay.platform.example:25", "a port behind the name"),
    _written("user-in-front", "smtp.example.org@relay.platform.example", "a user in front of the name"),
    _written("url", "http://169.254.169.254/latest/meta-data", "a URL"),
    _written("name-with-nul", "smtp.example.org\x00.platform.example", "NUL within the name"),
    _written("name-with-line-break", "smtp.example.org\r\nRCPT TO:<a@b.example>", "a command behind a line break"),
    _written("international-name", "smtp.ex\u0430mple.org", "a Cyrillic letter within the name"),
)


def _server(name: str, host: str, story: str, reason: str = "EndpointNotAllowed", **smtp: object) -> attacks.Judged:
    spec = attacks.server(host)
    return attacks.Judged(
        name=name,
        rules=("R6",),
        story=f"The organization names {story}.",
        stopped_by="the host's policy.endpoints"
        if reason == "EndpointDenied"
        else "the table of addresses, after unwrapping",
        spec=spec | {"smtp": spec["smtp"] | smtp},
        reason=reason,
    )


SERVERS = (
    _server("metadata", "169.254.169.254", "the metadata service of its cloud"),
    _server("metadata-by-ipv6", "fd00:ec2::254", "the metadata service by its IPv6 address"),
    _server("metadata-of-a-container", "169.254.170.2", "the credentials endpoint of a container service"),
    _server("loopback-on-a-mail-port", "127.0.0.1", "a mail server on the sender's own loopback", port=25),
    _server("loopback-by-ipv6", "::1", "the sender's own loopback by IPv6"),
    _server("unspecified", "0.0.0.0", "0.0.0.0, which Linux connects to loopback"),  # noqa: S104 - Nothing is bound.
    _server("unspecified-by-ipv6", "::", "::, which Linux connects to loopback"),
    _server("internal", "10.0.0.1", "an address of the cluster's network"),
    _server("carrier-nat", "100.64.0.1", "an address of the provider's shared space"),
    _server("unique-local", "fd12:3456::25", "a unique local IPv6 address"),
    _server("six-to-four", "2002:7f00:1::1", "loopback wrapped in 6to4"),
    _server("six-to-four-of-metadata", "2002:a9fe:a9fe::1", "the metadata service wrapped in 6to4"),
    _server("nat64", "64:ff9b::7f00:1", "loopback behind NAT64"),
    _server("nat64-of-metadata", "64:ff9b::a9fe:a9fe", "the metadata service behind NAT64"),
    _server("local-nat64", "64:ff9b:1::7f00:1", "loopback behind a local NAT64 prefix"),
    _server("teredo", "2001:0:7f00:1::", "loopback as a Teredo server"),
    _server("ipv4-compatible", "::7f00:1", "loopback as an IPv4-compatible address"),
    _server("multicast", "224.0.0.1", "a multicast address"),
    _server("ssh-port", "smtp.example.org", "port 22 of a public machine", port=22),
    _server("apiserver-port", "smtp.example.org", "the port of an API server", port=6443),
    _server("kubelet-port", "10.0.0.1", "the kubelet of a node", port=10250),
    _server("denied-in-capitals", "CLOSED.Example.Org", "a denied server in capitals", "EndpointDenied"),
    _server("denied-with-a-final-dot", "closed.example.org.", "a denied server with a dot behind it", "EndpointDenied"),
    _server("below-a-denied-domain", "a.b.closed.example.net", "a server below a denied domain", "EndpointDenied"),
    _server("denied-in-six-to-four", "2002:808:808::1", "a denied network wrapped in 6to4", "EndpointDenied"),
    _server("denied-behind-nat64", "64:ff9b::808:808", "a denied network behind NAT64", "EndpointDenied"),
    attacks.Judged(
        name="below-the-wildcard-that-is-not",
        rules=("R6",),
        story="The policy allows *.example.com, and the organization names evilexample.com.",
        stopped_by="a glob matches at a dot",
        spec=attacks.server("evilexample.com"),
        reason="EndpointNotAllowed",
        host=tiers.RELAY | {"policy": {"endpoints": {"allow": [{"host": "*.example.com"}]}}},
    ),
    attacks.Judged(
        name="behind-the-wildcard",
        rules=("R6",),
        story="The policy allows *.example.com, and the organization names smtp.example.com.evil.example.",
        stopped_by="a glob matches to the end of the name",
        spec=attacks.server("smtp.example.com.evil.example"),
        reason="EndpointNotAllowed",
        host=tiers.RELAY | {"policy": {"endpoints": {"allow": [{"host": "*.example.com"}]}}},
    ),
    attacks.Judged(
        name="metadata-under-a-wide-network",
        rules=("R6",),
        story="The policy allows 0.0.0.0/0 to say any server, and the organization names the metadata service.",
        stopped_by="a special address is opened only by a network no wider than its own range",
        spec=attacks.server("169.254.169.254"),
        reason="EndpointNotAllowed",
        host=tiers.RELAY | {"policy": {"endpoints": {"allow": [{"cidr": "0.0.0.0/0"}]}}},
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(attacks.Attack):
    """A name of the attacker's own, with the addresses that their DNS answers."""

    answers: tuple[str, ...]


def _resolved(name: str, story: str, *answers: str) -> Resolved:
    return Resolved(
        name=name,
        rules=("R6",),
        story=f"The name of the organization's server resolves to {story}.",
        stopped_by="every address is checked after it was resolved",
        answers=answers,
    )


NAMES = (
    _resolved("name-for-loopback", "loopback", "127.0.0.1", "::1"),
    _resolved("name-for-metadata", "the metadata service", "169.254.169.254", "fd00:ec2::254"),
    _resolved("name-for-the-cluster", "addresses of the cluster", "10.96.0.1", "172.16.0.1", "192.168.0.1"),
    _resolved("name-for-a-mapped-address", "IPv4-mapped loopback", "::ffff:127.0.0.1"),
    _resolved("name-for-six-to-four", "loopback in 6to4", "2002:7f00:1::1"),
    _resolved("name-for-a-public-six-to-four", "a public address in 6to4", "2002:808:808::1"),
    _resolved("name-for-nat64", "the metadata service behind NAT64", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe"),
    _resolved("name-for-the-unspecified", "0.0.0.0 and ::", "0.0.0.0", "::"),  # noqa: S104 - Nothing is bound.
)

STORIES = (
    attacks.Story(
        name="name-that-moves",
        test="test_a_name_that_moves_leads_nowhere_else",
        rules=("R6",),
        story="The name resolves to a permitted address when it is checked, and to an internal one when it is used.",
        stopped_by="it is resolved once, and the connection goes to the checked address",
    ),
    attacks.Story(
        name="good-and-bad-addresses",
        test="test_only_checked_addresses_are_handed_on",
        rules=("R6",),
        story="The name resolves to a public address and an internal one, which is tried when the first is dead.",
        stopped_by="only checked addresses are handed on",
    ),
    attacks.Story(
        name="sixty-addresses",
        test="test_sixty_addresses_are_cut",
        rules=("R6", "R10"),
        story="The name resolves to sixty addresses, each of which costs a connection attempt.",
        stopped_by="no more than 16 addresses are tried, within one total",
    ),
    attacks.Story(
        name="localhost",
        test="test_localhost_is_not_reached",
        rules=("R6",),
        story="The organization names localhost, which the hosts file resolves on the sender's machine.",
        stopped_by="what the hosts file says is checked like any answer",
    ),
    attacks.Story(
        name="namespace-called-like-a-domain",
        test="test_a_namespace_called_like_a_domain_gets_no_mail",
        rules=("R3", "R6"),
        story="The host's relay is relay.corp.example, and the tenant owns the namespace example with a headless"
        " Service corp and a pod relay: the pod's search list would lead there first.",
        stopped_by="names are looked up as they stand, and not through a search list",
    ),
    attacks.Story(
        name="namespace-called-com",
        test="test_a_namespace_called_com_closes_nobody_s_server",
        rules=("R6",),
        story="The tenant owns the namespace com, with a Service for each provider of mail and of tokens, so that all"
        " of them resolve to addresses of the cluster, which are denied.",
        stopped_by="names are looked up as they stand, and not through a search list",
    ),
)

ATTACKS = (*SPELLINGS, *SERVERS, *NAMES, *STORIES)
_RULES = endpoints.org_rules(None, host=_NAME, port=587)
_QUESTIONS = 2
_RESET = {"link": "https://example.com/reset/1"}
_LATER_SECONDS = 30.0
"""Longer than an answer without any time to live is used."""


class _Moving(dns.Server):
    """A name server of the attacker: its name has another address once it was resolved.

    Args:
        names: As for any name server.
        then: The address of `_NAME` from its second resolution on.
    """

    def __init__(self, names: collections.abc.Mapping[str, collections.abc.Sequence[str]], *, then: str) -> None:
        super().__init__(names)
        self.ttl_seconds = 0
        self._then = then

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question, and move when both of a resolution, for A and AAAA, were answered."""
        super().datagram_received(data, addr)
        if self.asked.count(_NAME) == _QUESTIONS:
            self.names[_NAME] = [self._then]


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> dict[str, arena_kit.Attacker]:
    """Return the tenants of the attacks that the operator judges, which all begin at once."""
    return attacks.begin(arena, SERVERS)


@pytest.mark.parametrize("attack", SPELLINGS, ids=str)
def test_other_spellings_are_not_taken(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """What resolvers and people read differently is no host (R6)."""
    attack.check(arena.rest)


@pytest.mark.parametrize("attack", SPELLINGS, ids=str)
def test_other_spellings_would_not_be_connected_to(attack: attacks.Refused) -> None:
    """Even if one came through, it is no address that is permitted (R6)."""
    assert not networks.permitted(attack.spec["smtp"]["host"], _RULES)


@pytest.mark.parametrize("attack", SERVERS, ids=str)
def test_the_core_blocks_the_server(attack: attacks.Judged) -> None:
    """The address, the port or the name is one that the policy does not open (R6)."""
    attack.check_core()


@pytest.mark.parametrize("attack", [each for each in SERVERS if each.host is None], ids=str)
def test_the_operator_blocks_the_server(played: dict[str, arena_kit.Attacker], attack: attacks.Judged) -> None:
    """The operator says the same of it as the core (R6)."""
    attack.check_real(played[attack.name])


@pytest.mark.parametrize("attack", NAMES, ids=str)
async def test_a_name_that_leads_inside_is_denied(attack: Resolved) -> None:
    """Whatever form the answer has, none of these addresses is handed on (R6)."""
    async with (
        dns.Server({_NAME: attack.answers}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        with pytest.raises(faults.DeliveryError) as caught:
            await names.resolve(_NAME, _RULES, payer="team-a")
    assert caught.value.failure.reason is reasons.DeliveryReason.ADDRESS_DENIED
    assert caught.value.phase is classify.Phase.CONNECT


async def test_a_name_that_moves_leads_nowhere_else(tmp_path: pathlib.Path) -> None:
    """The connection goes to the address that was checked, and to none that the name has since (R6)."""
    only = effective.AddressRules(public=False, private=False, allow=("127.0.9.2/32",), deny=())
    async with (
        smtpd.Server(host="127.0.9.2") as checked,
        smtpd.Server(host="127.0.9.1", port=checked.port) as internal,
        _Moving({_NAME: ["127.0.9.2"]}, then="127.0.9.1") as nameserver,
        sending.Sender(tmp_path, nameserver=nameserver.address) as sender,
    ):
        at = sending.endpoint(checked, host=_NAME, addresses=only, origin=vocabulary.Origin.ORG)
        of = sender.settings.put(sending.settings("team-a", at, messages_per_connection=1))
        stands = await sender.until(of, await sender.notify(of), vocabulary.RecipientState.ACCEPTED)
        assert nameserver.names[_NAME] == ["127.0.9.1"]
        assert (len(checked.transcripts), len(internal.transcripts)) == (1, 0)
        # Later the name is resolved again, and what it leads to is checked again.
        sender.skip(_LATER_SECONDS)
        later = await sender.notify(of)
        stands = await sender.until(of, later, vocabulary.RecipientState.DEFERRED)
        assert [each.reason for each in stands] == [reasons.DeliveryReason.ADDRESS_DENIED]
        assert (len(checked.transcripts), len(internal.transcripts)) == (1, 0)


async def test_only_checked_addresses_are_handed_on() -> None:
    """A permitted address does not take a forbidden one along (R6)."""
    answers = ["93.184.215.14", "127.0.0.1", "10.0.0.1", "2606:4700::1111", "::ffff:10.0.0.1"]
    async with (
        dns.Server({_NAME: answers}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        resolved = await names.resolve(_NAME, _RULES, payer="team-a")
    assert {address.literal for address in resolved.addresses} <= {"93.184.215.14", "2606:4700::1111"}


async def test_sixty_addresses_are_cut() -> None:
    """An answer is used in part (R6, R10)."""
    answers = [f"93.184.0.{number}" for number in range(60)]
    async with (
        dns.Server({_NAME: answers}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        resolved = await names.resolve(_NAME, _RULES, payer="team-a")
    assert len(resolved.addresses) == 16


async def test_a_namespace_called_like_a_domain_gets_no_mail(tmp_path: pathlib.Path) -> None:
    """A password recovery goes to the host's relay, and the tenant's pod sees no connection (R3, R6)."""
    configuration = dns.configure_pod(tmp_path, namespace="mailtier-system")
    taken = dns.of_pod("relay", service="corp", namespace="example")
    async with (
        smtpd.Server(host="127.0.9.2") as relay,
        smtpd.Server(host="127.0.9.1", port=relay.port) as pod,
        dns.Server({"relay.corp.example": ["127.0.9.2"], taken: ["127.0.9.1"]}) as nameserver,
        sending.Sender(tmp_path, nameserver=nameserver.address, resolv_conf=configuration) as sender,
    ):
        at = sending.endpoint(relay, host="relay.corp.example")
        of = sender.settings.put(sending.settings("team-a", at))
        reset = await sender.notify(of, category=vocabulary.Category.PASSWORD_RECOVERY, data=_RESET)
        await sender.until(of, reset, vocabulary.RecipientState.ACCEPTED)
        assert (len(relay.messages), len(pod.transcripts)) == (1, 0)


@pytest.mark.parametrize("name", ["smtp.gmail.com", "oauth2.googleapis.com", "smtp.office365.com"])
async def test_a_namespace_called_com_closes_nobody_s_server(tmp_path: pathlib.Path, name: str) -> None:
    """The providers' own addresses are the ones that count (R6)."""
    hostname, service, namespace = name.split(".")
    configuration = dns.configure_pod(tmp_path, namespace="mailtier-system")
    taken = dns.of_pod(hostname, service=service, namespace=namespace)
    async with (
        dns.Server({name: ["93.184.215.14"], taken: ["10.244.0.66"]}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,), configuration=configuration) as names,
    ):
        resolved = await names.resolve(name, _RULES, payer="team-a")
    assert [address.literal for address in resolved.addresses] == ["93.184.215.14"]


def test_localhost_is_not_reached(attacker: arena_kit.Attacker) -> None:
    """A name of the hosts file is resolved, checked and denied by the real sender (R6)."""
    attacker.bring(attacker.arena.secret("localhost", username="robot"), endpoint="localhost:2525")
    attacker.settings(attacks.server("localhost") | {"smtp": {"host": "localhost", "port": 2525}})
    attacker.until_reason("AddressDenied", type_="Verified")

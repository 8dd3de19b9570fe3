"""The host's relay under another name: mail without credentials, which it takes because it trusts our address."""

import dataclasses
import pathlib

import pytest

from kit import arena as arena_kit
from kit import attacks, dns, sending, smtpd, tiers
from mailtier.api import vocabulary
from mailtier.settings import effective

_ANONYMOUS = {"auth": {"mechanism": "Anonymous"}, "from": {"address": "ceo@platform.example"}}
_ALIAS = "relay.tenant.example"
_OPEN = {"policy": {"endpoints": {"anonymous": True}}}


def _relay(host: str, **more: object) -> attacks.Json:
    """Return a host whose policy lets organizations name anonymous endpoints."""
    return tiers.RELAY | _OPEN | {"smtp": {"host": host}} | more


def _named(
    name: str, story: str, at: attacks.Json, host: attacks.Json, *, reason: str = "AnonymousNotAllowed"
) -> attacks.Judged:
    return attacks.Judged(
        name=name,
        rules=("R3",),
        story=f"The organization names {story} as an endpoint of its own without credentials.",
        stopped_by="the host's server is known by its name or address, however it is spelled, on whatever port",
        spec=_ANONYMOUS | {"smtp": at},
        host=host,
        reason=reason,
    )


_ANONYMOUS_HOST = {"auth": {"mechanism": "Anonymous"}}
_CEO = {"from": {"address": "ceo@example.com"}}


def _logged_in(
    name: str, story: str, spec: attacks.Json, host: attacks.Json, *, reason: str = "FromNotAllowed"
) -> attacks.Judged:
    login = {"username": "tenant", "passwordSecretRef": {"name": "smtp"}}
    return attacks.Judged(
        name=name,
        rules=("R3", "R12") if reason == "HostAccountNotAllowed" else ("R3",),
        story=f"The organization {story}.",
        stopped_by="the host's server is known by its name, on whatever port and whoever authenticates",
        spec={"auth": login} | spec,
        host=host,
        reason=reason,
    )


SPELLINGS = (
    _named("relay-once-more", "the host's endpoint", {"host": "relay.example.com"}, _relay("relay.example.com")),
    _named(
        "relay-in-capitals",
        "the host's endpoint in capitals",
        {"host": "RELAY.Example.COM"},
        _relay("relay.example.com"),
    ),
    _named(
        "relay-with-a-final-dot",
        "the host's endpoint with a dot behind it",
        {"host": "relay.example.com."},
        _relay("relay.example.com"),
    ),
    _named(
        "relay-in-long-ipv6",
        "the host's IPv6 address written out",
        {"host": "2606:4700:0:0:0:0:0:1111"},
        _relay("2606:4700::1111"),
    ),
    _named(
        "relay-in-six-to-four",
        "the host's address wrapped in 6to4",
        {"host": "2002:5db8:d70e::1"},
        _relay("93.184.215.14"),
        reason="EndpointNotAllowed",
    ),
    _named(
        "relay-behind-nat64", "the host's address behind NAT64", {"host": "64:ff9b::5db8:d70e"}, _relay("93.184.215.14")
    ),
    _named(
        "relay-on-another-port",
        "the host's server on port 25",
        {"host": "relay.example.com", "port": 25},
        _relay("relay.example.com"),
    ),
    _named(
        "anonymous-relay-on-another-port",
        "the host's server, which asks nobody for credentials, on port 25",
        {"host": "relay.example.com", "port": 25},
        _relay("relay.example.com", **_ANONYMOUS_HOST),
        reason="FromNotAllowed",
    ),
    _named(
        "anonymous-relay-once-more",
        "the host's endpoint, which asks nobody for credentials",
        {"host": "relay.example.com"},
        _relay("relay.example.com", **_ANONYMOUS_HOST),
        reason="FromNotAllowed",
    ),
    _logged_in(
        "own-login-on-another-port",
        "authenticates at the host's server on port 465 with an account of its own, to send as anybody",
        _CEO | {"smtp": {"host": "relay.example.com", "port": 465, "tls": {"mode": "Implicit"}}},
        tiers.RELAY,
    ),
    _logged_in(
        "own-login-on-port-25",
        "authenticates at the host's server on port 25, spelled in capitals and with a final dot",
        _CEO | {"smtp": {"host": "RELAY.example.com.", "port": 25}},
        tiers.RELAY,
    ),
    _logged_in(
        "own-login-at-a-provider-that-does-not-look",
        "has an account at the host's provider, which does not keep a login to its own From",
        _CEO | {"smtp": {"host": "smtp.mailgun.org"}},
        tiers.RELAY | {"smtp": {"host": "smtp.mailgun.org"}},
    ),
    _logged_in(
        "the-host-s-account",
        "brings a Secret with guesses for the host's own account, spelled with another domain before it",
        {
            "auth": {
                "username": "Relay",
                "domain": "CORP",
                "usernameFormat": "DownLevel",
                "passwordSecretRef": {"name": "smtp"},
            },
        },
        tiers.RELAY,
        reason="HostAccountNotAllowed",
    ),
    _logged_in(
        "the-host-s-account-in-full-width",
        "brings guesses for the host's own account, in letters that a server prepares to its name",
        {"auth": {"username": "\uff32elay", "passwordSecretRef": {"name": "smtp"}}},
        tiers.RELAY,
        reason="HostAccountNotAllowed",
    ),
    _logged_in(
        "the-host-s-account-at-another-name",
        "brings guesses for the host's own account at another name of the host's provider",
        {
            "smtp": {"host": "outlook.office365.com"},
            "auth": {"username": "relay", "passwordSecretRef": {"name": "smtp"}},
        },
        tiers.RELAY | {"smtp": {"host": "smtp.office365.com"}},
        reason="HostAccountNotAllowed",
    ),
    _named(
        "anonymous-without-leave",
        "a server of somebody else, which trusts the platform's address",
        {"host": "mx.partner.example"},
        tiers.RELAY,
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alias(attacks.Attack):
    """A name that leads to the host's relay; nothing that the operator reads says so.

    Attributes:
        answers: Of the attacker's DNS.
    """

    answers: tuple[str, ...]


ALIASES = (
    Alias(
        name="relay-by-an-alias",
        rules=("R3",),
        story="The organization's own domain has a name that resolves to the address of the host's relay.",
        stopped_by="the sender compares the addresses of both before it connects",
        answers=("127.0.0.1",),
    ),
    Alias(
        name="relay-among-others",
        rules=("R3",),
        story="The name resolves to a server that is always down, and to the address of the host's relay.",
        stopped_by="the sender compares the addresses of both before it connects",
        answers=("127.0.9.9", "127.0.0.1"),
    ),
    Alias(
        name="relay-by-a-mapped-address",
        rules=("R3", "R6"),
        story="The name resolves to the address of the host's relay in its IPv4-mapped form.",
        stopped_by="addresses are compared after unwrapping",
        answers=("::ffff:127.0.0.1",),
    ),
)

STORIES = (
    attacks.Story(
        name="own-login-by-an-alias",
        test="test_an_alias_is_no_way_to_send_as_the_host",
        rules=("R3",),
        story="The organization has an account on the host's relay, names the relay by another name, and sends as the"
        " host's chief.",
        stopped_by="the sender knows the relay by its address, and what the host's policy says of the sender there",
    ),
    attacks.Story(
        name="relay-by-localhost",
        test="test_localhost_is_not_the_way_to_the_relay",
        rules=("R3",),
        story="The host's relay stands at an address, and the organization names the hosts file's word for it.",
        stopped_by="the sender compares the addresses of both before it connects",
    ),
)

ATTACKS = (*SPELLINGS, *ALIASES, *STORIES)


@pytest.mark.parametrize("attack", SPELLINGS, ids=str)
def test_the_host_s_server_is_known_again(attack: attacks.Judged) -> None:
    """However the host's server is spelled, it takes no mail for which our address alone vouches (R3)."""
    attack.check_core()


@pytest.mark.parametrize("attack", ALIASES, ids=str)
async def test_an_alias_leads_to_no_trusted_relay(tmp_path: pathlib.Path, attack: Alias) -> None:
    """A name that only DNS knows to be the relay's is not connected to without credentials (R3, R6)."""
    async with (
        smtpd.Server() as relay,
        dns.Server({_ALIAS: attack.answers}) as nameserver,
        sending.Sender(tmp_path, nameserver=nameserver.address) as sender,
    ):
        host = dataclasses.replace(
            sending.settings("", sending.endpoint(relay, host="127.0.0.1")), organization=effective.HOST
        )
        sender.settings.put(host)
        at = sending.endpoint(relay, host=_ALIAS, origin=vocabulary.Origin.ORG)
        of = sender.settings.put(sending.settings("team-a", at, from_address="ceo@platform.example"))
        found = await sender.check(of)
        assert (found.reason, found.stage) == ("HostRelay", vocabulary.ProbeStage.DNS)
        assert "host's by another name" in found.owner_message
        sent = await sender.notify(of)
        await sender.until(of, sent, vocabulary.RecipientState.DEFERRED)
        assert (relay.messages, relay.transcripts) == ([], [])


def test_localhost_is_not_the_way_to_the_relay(attacker: arena_kit.Attacker) -> None:
    """The real sender opens no session to the relay for an organization without credentials (R3)."""
    arena = attacker.arena
    attacker.bring("", endpoint=None)
    tls = {"serverName": arena_kit.CERTIFICATE_NAME, "caRef": {"kind": "ConfigMap", "name": "ca"}}
    attacker.settings(_ANONYMOUS | {"smtp": {"host": "localhost", "port": arena.port, "tls": tls}})
    attacker.until_reason("HostRelay", type_="Verified")
    taken = attacker.post(arena_kit.ALERT)
    attacker.until_states(taken, "deferred")
    assert not any(each.mail_from == "ceo@platform.example" for each in arena.relay.messages)


def test_an_alias_is_no_way_to_send_as_the_host(attacker: arena_kit.Attacker) -> None:
    """The real sender does not log in at the relay under another name for a From that the host forbids (R3)."""
    arena = attacker.arena
    password = arena.secret("own-login-by-an-alias", username="tenant")
    attacker.bring(password, endpoint=f"localhost:{arena.port}")
    tls = {"serverName": arena_kit.CERTIFICATE_NAME, "caRef": {"kind": "ConfigMap", "name": "ca"}}
    login = {"username": "tenant", "passwordSecretRef": {"name": "smtp"}}
    at = {"host": "localhost", "port": arena.port, "tls": tls}
    attacker.settings({"smtp": at, "auth": login, "from": {"address": "ceo@platform.example"}})
    told = attacker.until_reason("HostServer", type_="Verified")
    assert "ceo@platform.example may not be used on the host's server" in told["message"]
    attacker.post(arena_kit.ALERT)
    attacker.until_held()
    assert not any(attempt.username == "tenant" for attempt in arena.relay.auth_attempts)
    assert not any(each.mail_from == "ceo@platform.example" for each in arena.relay.messages)

"""Whose server it is, whose logins are trusted there, and whose account the host's is (R3, R12)."""

from typing import Any

import pytest

from kit import tiers
from mailtier.settings import effective, host_server, observed
from mailtier.settings.providers import catalogue

_LOGIN = {"username": "team", "passwordSecretRef": {"name": "smtp"}}
_CEO = {"address": "ceo@example.com"}
_GMAIL = tiers.RELAY | {"smtp": {"host": "smtp.gmail.com"}}


def _host(own_logins: str | None, **more: Any) -> tiers.Json:
    policy = {} if own_logins is None else {"policy": {"from": {"ownLogins": own_logins}}}
    return tiers.RELAY | more | policy


@pytest.mark.parametrize(
    "smtp",
    [
        {"host": "relay.example.com", "port": 465, "tls": {"mode": "Implicit"}},
        {"host": "RELAY.example.com.", "port": 25},
        {"host": "relay.example.com", "tls": {"serverName": "other.example.com"}},
    ],
    ids=["port 465", "port 25 in capitals", "another certificate"],
)
def test_the_host_s_server_is_known_by_name_whatever_the_port(smtp: tiers.Json) -> None:
    """A login of one's own on another port of the host's server is held to the host's From policy (R3)."""
    found = tiers.findings(tiers.RELAY, {"smtp": smtp, "auth": _LOGIN, "from": _CEO})
    assert found == [("FromNotAllowed", "spec.from.address")]


@pytest.mark.parametrize(
    ("own_logins", "server", "is_held"),
    [
        (None, "relay.example.com", True),
        (None, "smtp.gmail.com", False),
        ("KnownProviders", "smtp.gmail.com", False),
        ("KnownProviders", "smtp.mailgun.org", True),
        ("Enforce", "smtp.gmail.com", True),
        ("Enforce", "relay.example.com", True),
        ("Trust", "relay.example.com", False),
    ],
)
@pytest.mark.parametrize("names_it", [True, False], ids=["named once more", "inherited"])
def test_who_is_held_to_the_policy_on_senders(
    own_logins: str | None, server: str, is_held: bool, names_it: bool
) -> None:
    """A login is trusted where the host says so, and by default where its provider binds From to it."""
    host = _host(own_logins, smtp={"host": server})
    org = {"auth": _LOGIN, "from": _CEO} | ({"smtp": {"host": server, "port": 465}} if names_it else {})
    assert tiers.findings(host, org) == ([("FromNotAllowed", "spec.from.address")] if is_held else [])
    endpoint = tiers.settle(host, org).endpoint
    assert endpoint is not None
    assert endpoint.is_host_s is is_held


@pytest.mark.parametrize("own_logins", [None, "Trust"])
@pytest.mark.parametrize("org", [{}, {"auth": {"mechanism": "Anonymous"}}], ids=["the host's login", "none"])
def test_who_brings_no_login_is_never_trusted(own_logins: str | None, org: tiers.Json) -> None:
    """What is sent with the host's login, or for our address alone, is the host's to answer for (R3)."""
    host = _host(own_logins, smtp={"host": "smtp.gmail.com"})
    assert tiers.findings(host, org | {"from": _CEO}) == [("FromNotAllowed", "spec.from.address")]


def test_a_trusted_login_has_limits_of_its_own() -> None:
    """On a provider's server that both use, another account has its own caps; one that is held has the host's."""
    host = _GMAIL | {"delivery": {"maxConnections": 2, "messagesPerConnection": 7, "ratePerMinute": 10}}
    own = {
        "smtp": {"host": "smtp.gmail.com"},
        "auth": _LOGIN,
        "delivery": {"maxConnections": 5, "messagesPerConnection": 50, "ratePerMinute": 20},
    }
    trusted = tiers.settle(host, own).delivery
    assert (trusted.max_connections, trusted.messages_per_connection, trusted.rate_per_minute) == (5, 50, 20)
    held = tiers.settle(host | {"policy": {"from": {"ownLogins": "Enforce"}}}, own).delivery
    assert (held.max_connections, held.messages_per_connection, held.rate_per_minute) == (2, 7, 10)


def test_on_the_host_s_server_connections_are_the_host_s() -> None:
    """Whoever names it, what belongs to a connection is the host's: its name for EHLO, its number and limits (R15)."""
    limits = {
        "heloName": "out.example.com",
        "maxConnections": 2,
        "messagesPerConnection": 9,
        "timeouts": {"session": "7s", "envelope": "8s", "message": "9s"},
        "endpointRatePerMinute": 30,
        "ehloIgnore": ["SIZE", "PIPELINING"],
        "replies": [{"code": 554, "enhanced": "5.7.1", "action": "Defer"}, {"text": "quota", "action": "Hold"}],
    }
    own = {
        "smtp": {"host": "relay.example.com", "port": 465, "tls": {"mode": "Implicit"}},
        "auth": _LOGIN,
        "delivery": {
            "heloName": "team.example.org",
            "maxConnections": 1,
            "messagesPerConnection": 3,
            "timeouts": {"session": "30s", "envelope": "60s", "message": "10m"},
            "endpointRatePerMinute": 1000,
            "ehloIgnore": ["8BITMIME"],
            "replies": [{"code": 550, "action": "Defer"}],
        },
    }
    host = tiers.RELAY | {"delivery": limits}
    found, inherited = tiers.settle(host, own), tiers.settle(host, {})
    assert found.delivery == inherited.delivery
    assert found.delivery.endpoint_rate_per_minute == 30
    assert found.delivery.ehlo_ignore == ("PIPELINING", "SIZE")
    assert [str(rule) for rule in found.delivery.replies] == ["554 5.7.1: Defer", '"quota": Hold']
    paths = (
        *("heloName", "maxConnections", "messagesPerConnection", "timeouts.session", "timeouts.message"),
        *("ehloIgnore", "replies", "endpointRatePerMinute"),
    )
    assert {found.provenance[f"delivery.{path}"].value for path in paths} == {"Host"}


@pytest.mark.parametrize(
    ("identity", "own", "is_one"),
    [
        ("relay", "relay", True),
        ("RELAY", "relay", True),
        ("CORP\\relay", "relay", True),
        ("relay@corp.example", "CORP\\relay", True),
        ("relay@Corp.example.", "relay@corp.example", True),
        ("relay", "relay@corp.example", True),
        ("relay@tenant.example", "relay@corp.example", False),
        ("OTHER\\relay", "CORP\\relay", False),
        ("relay2", "relay", False),
        ("\u212aim", "kim", True),
        ("\uff52elay", "relay", True),
        ("rel\u00e4y", "relay", True),
        ("re\u00adl\u200bay", "relay", True),
        (" relay ", "relay", True),
        ("relay\u00a0@corp.example\u2003", "relay@corp.example", True),
        ("relay%corp.example", "relay@corp.example", True),
        ("relay%tenant.example", "relay@corp.example", False),
        ("re lay", "relay", False),
        ("relay", "", False),
    ],
)
def test_spellings_of_one_account(identity: str, own: str, is_one: bool) -> None:
    r"""`D\\u`, `u@d`, `u%d` and `u` are one account, and whatever SASLprep makes of it; two domains are two (R12)."""
    host = observed.parse_host(tiers.RELAY)
    assert not isinstance(host, observed.Invalid)
    (server,) = host_server.servers(host)
    assert host_server.is_account(server, identity, own) is is_one


@pytest.mark.parametrize(
    ("host", "org", "reasons"),
    [
        (tiers.RELAY, {"auth": _LOGIN | {"username": "relay"}}, ["HostAccountNotAllowed"]),
        (
            tiers.RELAY,
            {
                "smtp": {"host": "relay.example.com", "port": 465},
                "auth": _LOGIN | {"username": "Relay", "domain": "CORP", "usernameFormat": "DownLevel"},
            },
            ["HostAccountNotAllowed"],
        ),
        (tiers.RELAY, {"auth": _LOGIN}, []),
        (tiers.RELAY, {"smtp": {"host": "smtp.example.org"}, "auth": _LOGIN | {"username": "relay"}}, []),
        (_GMAIL, {"auth": _LOGIN | {"username": "relay"}}, ["HostAccountNotAllowed"]),
        (
            tiers.RELAY | {"smtp": {"host": "smtp.office365.com"}},
            {"smtp": {"host": "outlook.office365.com"}, "auth": _LOGIN | {"username": "relay"}},
            ["HostAccountNotAllowed"],
        ),
        (
            tiers.RELAY | {"smtp": {"host": "email-smtp.eu-central-1.amazonaws.com"}},
            {"smtp": {"host": "email-smtp.us-east-1.amazonaws.com"}, "auth": _LOGIN | {"username": "relay"}},
            [],
        ),
        (
            tiers.RELAY | {"smtp": {"host": "smtp.sendgrid.net"}, "auth": _LOGIN | {"username": "apikey"}},
            {"auth": _LOGIN | {"username": "apikey"}},
            [],
        ),
    ],
    ids=[
        "inherited",
        "another port",
        "another account",
        "another server",
        "trusted logins",
        "another name of the provider",
        "another region",
        "apikey",
    ],
)
def test_the_host_s_account_is_the_host_s(host: tiers.Json, org: tiers.Json, reasons: list[str]) -> None:
    """An organization that brings a password for the host's account could only guess it (R3, R12)."""
    assert [reason for reason, _ in tiers.findings(host, org)] == reasons


def test_the_host_s_account_is_the_host_s_in_mode_audit_too() -> None:
    """What could lock the host's account is not suspended while a policy is tried out (R12)."""
    host = tiers.RELAY | {"policy": {"mode": "Audit"}}
    assert tiers.findings(host, {"auth": _LOGIN | {"username": "relay"}}) == [
        ("HostAccountNotAllowed", "spec.auth.username")
    ]


_ALIAS = {"smtp": {"host": "alias.tenant.example"}, "auth": _LOGIN, "from": _CEO}


@pytest.mark.parametrize(
    ("host", "org", "reasons", "is_trusted"),
    [
        (tiers.RELAY, _ALIAS, ["FromNotAllowed"], False),
        (tiers.RELAY, _ALIAS | {"from": {}} | {"from": {"displayName": "Team"}}, [], False),
        (tiers.RELAY | {"policy": {"from": {"allow": ["ceo@example.com"]}}}, _ALIAS, [], False),
        (_GMAIL, _ALIAS, [], True),
        (_GMAIL | {"policy": {"from": {"ownLogins": "Enforce"}}}, _ALIAS, ["FromNotAllowed"], False),
        (tiers.RELAY | {"policy": {"mode": "Audit"}}, _ALIAS, [], False),
        (
            tiers.RELAY,
            _ALIAS | {"auth": _LOGIN | {"username": "relay"}},
            ["FromNotAllowed", "HostAccountNotAllowed"],
            False,
        ),
        (_GMAIL, _ALIAS | {"auth": _LOGIN | {"username": "relay"}}, ["HostAccountNotAllowed"], True),
        (None, _ALIAS, [], False),
        (tiers.RELAY, {}, [], False),
    ],
    ids=[
        "alias",
        "the host's From",
        "listed",
        "provider",
        "enforced",
        "audit",
        "account",
        "trusted account",
        "no host",
        "inherited",
    ],
)
def test_what_holds_if_an_address_tells_the_server(
    host: tiers.Json | None, org: tiers.Json, reasons: list[str], is_trusted: bool
) -> None:
    """What forbids an endpoint of another name, should the sender find it to be the host's server, is published."""
    found = tiers.settle(host, org)
    assert found.state is effective.State.ACTIVE
    assert [finding.reason.name for finding in found.by_address.findings] == reasons
    assert found.by_address.is_trusted is is_trusted


def test_what_is_said_of_an_address_names_no_other_tenant_s() -> None:
    """Of the policy's entries a message names what is made for the organization's namespace alone."""
    allow = ["team-b@example.com", "@secret-project.example", "{namespace}@example.com"]
    host = tiers.RELAY | {"policy": {"from": {"allow": allow}}}
    (finding,) = tiers.settle(host, {"from": _CEO}).findings
    assert finding.message == (
        "ceo@example.com may not be used on the host's server; allowed are no-reply@example.com, team-a@example.com and"
        " whatever else the host's policy.from.allow lists; use one of these, or have the platform team extend"
        " policy.from.allow"
    )


def test_providers_that_bind_from_say_so_on_a_page_of_theirs() -> None:
    """Trust rests on a fact with a source of the provider's own; where somebody runs the server, nobody can say."""
    trusted = {provider.name for provider in catalogue.ALL if provider.binds_from.value}
    assert trusted == {"gmail", "microsoft-365", "amazon-ses", "sendgrid"}
    for provider in catalogue.ALL:
        assert provider.binds_from.verified
        assert provider.hosts is not None or not provider.binds_from.value

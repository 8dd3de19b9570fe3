"""What blocks, and what a person is told about it."""

from typing import Any

import pytest

from kit import specs, tiers
from mailtier.api import policies
from mailtier.settings import effective, observed, policy

ANONYMOUS: dict[str, Any] = {"mechanism": "Anonymous"}
CLEAR = {"smtp": {"host": "relay.example.com", "tls": {"mode": "Disabled"}}, "from": {"address": "a@b"}}


def test_own_settings_need_no_host() -> None:
    """An organization with server, credentials and address of its own sends where there is no host at all."""
    assert tiers.settle(None, tiers.OWN).state is effective.State.ACTIVE


@pytest.mark.parametrize(
    ("org", "absent"),
    [
        ({}, "spec.smtp, spec.auth, spec.from.address"),
        ({"from": {"address": "a@b"}}, "spec.smtp, spec.auth"),
        ({"auth": tiers.OWN["auth"], "from": {"address": "a@b"}}, "spec.smtp"),
        ({"smtp": tiers.OWN["smtp"], "auth": tiers.OWN["auth"]}, "spec.from.address"),
    ],
)
def test_what_is_inherited_needs_a_host(org: dict[str, Any], absent: str) -> None:
    """One sentence names every value that only a host could give, and both ways to mend it."""
    (finding,) = tiers.conclude(None, org).effective.findings
    assert finding.reason.name == "HostSettingsMissing"
    assert finding.message == (
        f"there is no HostEmailSettings named default to inherit {absent} from; have the platform team apply one, or"
        f" set {absent} here"
    )


def test_without_a_host_the_policy_is_the_defaults() -> None:
    """Nobody has allowed anonymous or internal servers where nobody has said anything."""
    org = {"smtp": {"host": "10.0.0.1"}, "auth": ANONYMOUS, "from": {"address": "a@b"}}
    assert tiers.findings(None, org) == [
        ("EndpointNotAllowed", "spec.smtp.host"),
        ("AnonymousNotAllowed", "spec.auth.mechanism"),
    ]


def test_a_host_that_says_nothing_of_server_and_sender() -> None:
    """With a host that holds policy alone, what is missing is missing in both tiers."""
    assert tiers.findings({}, {}) == [("EndpointMissing", "spec.smtp.host"), ("FromMissing", "spec.from.address")]


@pytest.mark.parametrize("own", [{}, "own"])
def test_an_unknown_policy_allows_nothing(own: Any) -> None:
    """A host that does not fit the schema blocks every organization, and nothing is read for them."""
    planned = tiers.plan({"smtp": {}}, tiers.OWN if own == "own" else own)
    assert [finding.reason.name for finding in planned.findings] == ["HostSettingsInvalid"]
    assert planned.secret is None


def test_an_invalid_object_shows_no_values_of_the_host() -> None:
    """What an organization means cannot be guessed from an object that does not fit."""
    found = tiers.settle(tiers.RELAY, {"smtp": {}})
    assert [(entry.reason.name, entry.field) for entry in found.findings] == [("Invalid", "spec.smtp.host")]
    assert (found.endpoint, found.auth, found.from_) == (None, None, None)


def test_a_namespace_without_the_labels_is_not_served() -> None:
    """With mode Selector an object elsewhere is blocked, and its Secret is not read."""
    organizations = {"mode": "Selector", "selector": {"matchLabels": {"mail": "on", "tier": "1"}}}
    host = {**tiers.RELAY, "policy": {"organizations": organizations}}
    planned = tiers.plan(host, tiers.OWN, labels={"mail": "on"})
    assert [finding.reason.name for finding in planned.findings] == ["NamespaceNotAllowed"]
    assert "labelled mail=on,tier=1" in planned.findings[0].message
    assert (planned.secret, planned.ca) == (None, None)
    assert tiers.findings(host, {}, labels={"mail": "on", "tier": "1", "x": "y"}) == []


@pytest.mark.parametrize(
    ("mode", "labels", "has_object", "expected"),
    [
        (None, {}, False, False),
        ("Listed", {}, False, False),
        ("All", {}, False, True),
        ("All", {}, True, False),
        ("Selector", {}, False, False),
        ("Selector", {"mail": "off"}, False, False),
        ("Selector", {"mail": "on"}, False, True),
        ("Selector", {"mail": "on"}, True, False),
    ],
)
def test_which_namespaces_are_implicit_organizations(
    mode: str | None, labels: dict[str, str], has_object: bool, expected: bool
) -> None:
    """A namespace is an organization without an object where the mode takes it in and no object stands in it."""
    parsed = None
    if mode is not None:
        selector = {"selector": {"matchLabels": {"mail": "on"}}} if mode == "Selector" else {}
        parsed = policies.Policy.model_validate({"organizations": {"mode": mode, **selector}})
    assert policy.implicit_organization(parsed, labels, has_object=has_object) is expected


def test_an_own_endpoint_needs_a_word_on_credentials() -> None:
    """The host's password does not go to a server that an organization names."""
    found = tiers.settle(tiers.RELAY, {"smtp": {"host": "smtp.example.org"}, "from": {"address": "a@b"}})
    assert [entry.reason.name for entry in found.findings] == ["CredentialsRequired"]
    assert "smtp.example.org:587" in found.findings[0].message


@pytest.mark.parametrize(
    ("anonymous", "found"), [(None, ["AnonymousNotAllowed"]), (False, ["AnonymousNotAllowed"]), (True, [])]
)
def test_an_own_endpoint_without_credentials_needs_consent(anonymous: bool | None, found: list[str]) -> None:
    """Some relay may take mail from our address without asking who we are."""
    host = dict(tiers.RELAY)
    if anonymous is not None:
        host["policy"] = {"endpoints": {"anonymous": anonymous}}
    org = {"smtp": {"host": "smtp.example.org"}, "auth": ANONYMOUS, "from": {"address": "a@b"}}
    assert [reason for reason, _ in tiers.findings(host, org)] == found


def test_anonymous_on_the_host_s_endpoint_needs_none() -> None:
    """The host's server is the host's choice, and its policy binds the sender address there."""
    assert tiers.findings(tiers.RELAY, {"auth": ANONYMOUS}) == []


@pytest.mark.parametrize(
    ("host", "org", "found"),
    [
        ({}, {}, []),
        ({}, {"auth": {"username": "u", "passwordSecretRef": {"name": "s"}}}, ["PlaintextRefused"]),
        ({"auth": {"username": "u", "passwordSecretRef": {"name": "s"}, "allowPlaintext": True}}, {}, []),
        (
            {"auth": {"username": "u", "passwordSecretRef": {"name": "s"}, "allowPlaintext": True}},
            {"auth": {"username": "v", "passwordSecretRef": {"name": "s"}}},
            ["PlaintextRefused"],
        ),
        ({}, {"auth": ANONYMOUS}, []),
    ],
)
def test_no_password_in_clear_across_tiers(host: dict[str, Any], org: dict[str, Any], found: list[str]) -> None:
    """What the host accepts for its own credentials, it does not accept for an organization's (rule 8)."""
    assert [reason for reason, _ in tiers.findings({**CLEAR, **host}, org)] == found


SENDERS = {"address": "no-reply@example.com", "replyTo": "help@example.com", "envelope": "bounces@example.com"}


@pytest.mark.parametrize(
    ("allow", "field", "value", "allowed"),
    [
        ([], "address", "No-Reply@EXAMPLE.com", True),
        ([], "address", "team-a@example.com", False),
        ([], "address", "help@example.com", False),
        ([], "replyTo", "help@example.com", True),
        ([], "replyTo", "no-reply@example.com", True),
        ([], "replyTo", "other@example.com", False),
        ([], "envelope", "bounces@example.com", True),
        ([], "envelope", "no-reply@example.com", True),
        ([], "envelope", "help@example.com", False),
        (["Alerts@example.org"], "address", "alerts@EXAMPLE.org", True),
        (["alerts@example.org"], "address", "alerts@example.org.evil", False),
        (["alerts@example.org"], "address", "my-alerts@example.org", False),
        (["{namespace}@example.org"], "address", "not-team-a@example.org", False),
        (["@example.org"], "address", "anyone@Example.org", True),
        (["@example.org"], "address", "anyone@sub.example.org", False),
        (["@example.org"], "address", "anyone@notexample.org", False),
        (["{namespace}@example.org"], "address", "team-a@example.org", True),
        (["{namespace}@example.org"], "address", "team-b@example.org", False),
        (["{namespace}@example.org"], "replyTo", "team-a@example.org", True),
        (["{namespace}@example.org"], "envelope", "team-b@example.org", False),
    ],
)
@pytest.mark.parametrize("auth", [{}, {"auth": {"username": "u", "passwordSecretRef": {"name": "s"}}}])
def test_who_may_be_named_as_the_sender_on_the_host_s_server(
    allow: list[str], field: str, value: str, allowed: bool, auth: dict[str, Any]
) -> None:
    """The host's own address or a listed one, whoever authenticates (rule 5) (R3)."""
    host = {**tiers.RELAY, "from": SENDERS, "policy": {"from": {"allow": allow}}}
    expected = [] if allowed else [("FromNotAllowed", f"spec.from.{field}")]
    assert tiers.findings(host, {"from": {field: value}, **auth}) == expected


def test_a_refused_sender_is_told_what_is_allowed() -> None:
    """The message names the address and what is for this namespace, filled in, and of the rest that there is some."""
    host = {**tiers.RELAY, "policy": {"from": {"allow": ["{namespace}@example.org", "@example.net"]}}}
    (finding,) = tiers.settle(host, {"from": {"address": "ceo@example.com"}}).findings
    assert finding.message.startswith(
        "ceo@example.com may not be used on the host's server; allowed are no-reply@example.com, team-a@example.org"
        " and whatever else the host's policy.from.allow lists;"
    )


def test_on_its_own_server_an_organization_is_its_own_sender() -> None:
    """policy.from binds the host's server alone."""
    assert tiers.findings(tiers.RELAY, {**tiers.OWN, "from": {"address": "anyone@example.net"}}) == []


@pytest.mark.parametrize(
    ("hosts", "own", "same"),
    [
        ({"host": "relay.example.com"}, {"host": "relay.example.com"}, True),
        ({"host": "relay.example.com"}, {"host": "Relay.EXAMPLE.com."}, True),
        ({"host": "Relay.example.com."}, {"host": "relay.example.com", "port": 587}, True),
        ({"host": "relay.example.com", "port": 25}, {"host": "relay.example.com", "tls": {"mode": "Disabled"}}, True),
        ({"host": "relay.example.com"}, {"host": "relay.example.com", "port": 25}, True),
        ({"host": "relay.example.com"}, {"host": "mail.example.com"}, False),
        ({"host": "2606:4700::1111"}, {"host": "2606:4700:0:0:0:0:0:1111"}, True),
        ({"host": "1.1.1.1"}, {"host": "64:ff9b::101:101"}, True),
        ({"host": "64:ff9b::101:101"}, {"host": "1.1.1.1"}, True),
        ({"host": "1.1.1.1"}, {"host": "1.1.1.2"}, False),
        ({"host": "1.1.1.1"}, {"host": "one.example.com"}, False),
    ],
)
@pytest.mark.parametrize(
    ("hosts_auth", "auth", "refused"),
    [
        ({"auth": tiers.RELAY["auth"]}, ANONYMOUS, True),
        ({"auth": ANONYMOUS}, ANONYMOUS, False),
        ({}, ANONYMOUS, False),
        ({"auth": tiers.RELAY["auth"]}, tiers.OWN["auth"], False),
    ],
)
def test_the_host_s_server_named_once_more_is_still_the_host_s(  # noqa: PLR0917 - by name, from two tables.
    hosts: dict[str, Any],
    own: dict[str, Any],
    same: bool,
    hosts_auth: dict[str, Any],
    auth: dict[str, Any],
    refused: bool,
) -> None:
    """Its relay may trust our address, so that the host's rules hold however an organization spells it (R3)."""
    consent = {"endpoints": {"anonymous": True}}
    host = {"smtp": hosts, "from": tiers.RELAY["from"], "policy": consent, **hosts_auth}
    if auth is not ANONYMOUS:
        own = {**own, "port": own.get("port", 25 if "tls" in own else 587), "tls": {"mode": "StartTLS"}}
    anonymous = [("AnonymousNotAllowed", "spec.auth.mechanism")] if same and refused else []
    assert tiers.findings(host, {"smtp": own, "auth": auth}) == anonymous
    senders = {"address": "ceo@example.com", "replyTo": "ceo@example.com", "envelope": "ceo@example.com"}
    fields = [("FromNotAllowed", f"spec.from.{field}") for field in senders] if same else []
    assert tiers.findings(host, {"smtp": own, "auth": auth, "from": senders}) == anonymous + fields


def test_whoever_names_the_host_s_server_is_told_to_inherit_it() -> None:
    """What mends it is to say less."""
    host = {**tiers.RELAY, "policy": {"endpoints": {"anonymous": True}}}
    (finding,) = tiers.settle(host, {"smtp": tiers.RELAY["smtp"], "auth": ANONYMOUS}).findings
    assert "this is the host's server; inherit it by removing spec.smtp" in finding.message


def test_a_changed_from_address_changes_the_envelope_with_it() -> None:
    """An envelope that follows a refused From address is not reported a second time."""
    host = {**tiers.RELAY, "from": {"address": "no-reply@example.com"}}
    assert tiers.findings(host, {"from": {"address": "x@example.net"}}) == [("FromNotAllowed", "spec.from.address")]


def test_an_address_that_no_message_can_carry() -> None:
    """What the apiserver takes by its shape is still looked at; a host's is not explained to an organization."""
    address = "a@xn--zzzzzzzzzz99999"
    org = {**tiers.OWN, "from": {"address": address}}
    assert tiers.findings(None, org) == [("Invalid", "spec.from.address")]
    host = {**tiers.RELAY, "from": {"address": address}}
    (finding,) = tiers.settle(host, {}).findings
    assert "HostEmailSettings" in finding.message
    (finding,) = tiers.conclude_host(host).effective.findings
    assert "correct the address" in finding.message


def test_a_denied_or_closed_server_is_told_with_what_is_allowed() -> None:
    """Deny and allow give reasons of their own (R6)."""
    denied = {**tiers.RELAY, "policy": {"endpoints": {"deny": [{"host": "*.example.org"}]}}}
    assert tiers.findings(denied, tiers.OWN) == [("EndpointDenied", "spec.smtp.host")]
    closed = {**tiers.RELAY, "policy": {"endpoints": {"allow": [{"host": "smtp.example.net"}]}}}
    (finding,) = tiers.settle(closed, tiers.OWN).findings
    assert finding.reason.name == "EndpointNotAllowed"
    assert "smtp.example.net on port 25, 465, 587 or 2525" in finding.message


def test_a_host_on_this_machine_is_told_to_its_owner() -> None:
    """The platform team learns of hostAllow; an organization, that the platform team has to do something."""
    host = {**tiers.RELAY, "smtp": {"host": "127.0.0.1"}}
    (finding,) = tiers.conclude_host(host).effective.findings
    assert "hostAllow" in finding.message
    (finding,) = tiers.settle(host, {}).findings
    assert "127.0.0.1" not in finding.message
    opened = {**host, "policy": {"endpoints": {"hostAllow": ["127.0.0.0/8"]}}}
    assert tiers.settle(opened, {}).state is effective.State.ACTIVE


def test_a_host_may_leave_server_and_sender_to_organizations() -> None:
    """A host that is policy alone has nothing wrong with it, and nothing to send with."""
    found = tiers.conclude_host({"policy": {"organizations": {"mode": "All"}}}).effective
    assert (found.findings, found.endpoint) == ((), None)
    assert found.state is effective.State.UNRESOLVED


def test_every_finding_is_reported_at_once() -> None:
    """Whoever mends settings sees all that is wrong, Secret and CA included."""
    org = {
        "smtp": {"host": "smtp.example.org", "port": 26, "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}},
        "auth": {"username": "u", "passwordSecretRef": {"name": "s"}},
    }
    found = tiers.conclude(
        {},
        org,
        secret=observed.SecretRead(
            outcome=observed.ReadOutcome.FOUND, unfit=specs.PASSWORD, problem="the key does not exist"
        ),
        ca=observed.CaRead(outcome=observed.ReadOutcome.NOT_FOUND),
    ).effective
    assert [finding.reason.name for finding in found.findings] == [
        "EndpointNotAllowed",
        "FromMissing",
        "SecretNotBound",
        "CaNotFound",
    ]
    assert found.state is effective.State.BLOCKED


def test_a_port_that_alone_is_wrong_is_told_with_the_usual_one() -> None:
    """Whoever mistyped the port of a server that is allowed learns the port that goes with the TLS mode."""
    org = {**tiers.OWN, "smtp": {"host": "smtp.example.org", "port": 588}}
    (finding,) = tiers.conclude(tiers.RELAY, org).effective.findings
    assert "; remove spec.smtp.port to use 587, which is usual for StartTLS, name such a server, or" in finding.message
    elsewhere = {**tiers.RELAY, "policy": {"endpoints": {"allow": [{"host": "mail.example.com"}]}}}
    (finding,) = tiers.conclude(elsewhere, org).effective.findings
    assert "spec.smtp.port" not in finding.message


def test_a_namespace_that_is_not_selected_is_told_with_the_command() -> None:
    """The platform team can paste the line that makes the namespace one of organizations."""
    selector = {"matchLabels": {"mail": "on", "tier": "gold"}}
    host = {**tiers.RELAY, "policy": {"organizations": {"mode": "Selector", "selector": selector}}}
    (finding,) = tiers.conclude(host, {}).effective.findings
    assert "`kubectl label namespace team-a mail=on tier=gold --overwrite`" in finding.message

"""What blocks, and what a person is told about it."""

from typing import Any

import pytest

from kit import specs, tiers
from mailtier.api import policies, vocabulary
from mailtier.settings import effective, observed, policy

ANONYMOUS: dict[str, Any] = {"mechanism": "Anonymous"}
CLEAR = {"smtp": {"host": "relay.example.com", "tls": {"mode": "Disabled"}}, "from": {"address": "a@b"}}


def test_own_settings_need_no_host() -> None:
    """An organization with server, credentials and address of its own sends where there is no host at all."""
    assert tiers.settle(None, tiers.OWN).state is effective.State.ACTIVE


@pytest.mark.parametrize(
    ("org", "found"),
    [
        ({}, [("HostSettingsMissing", "spec.smtp.host"), ("HostSettingsMissing", "spec.from.address")]),
        ({"from": {"address": "a@b"}}, [("HostSettingsMissing", "spec.smtp.host")]),
        (
            {"smtp": {"host": "a.example"}, "auth": {"username": "u", "passwordSecretRef": {"name": "s"}}},
            [("HostSettingsMissing", "spec.from.address")],
        ),
    ],
)
def test_what_is_inherited_needs_a_host(org: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """Each value that only a host could give is named."""
    assert tiers.findings(None, org) == found


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
            {"auth": {"username": "u", "passwordSecretRef": {"name": "s"}}},
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
    """The message names the address and the list, with the namespace filled in."""
    host = {**tiers.RELAY, "policy": {"from": {"allow": ["{namespace}@example.org", "@example.net"]}}}
    (finding,) = tiers.settle(host, {"from": {"address": "ceo@example.com"}}).findings
    assert finding.message.startswith(
        "ceo@example.com may not be used on the host's server; allowed are no-reply@example.com, team-a@example.org,"
        " @example.net;"
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
        ({"host": "relay.example.com"}, {"host": "relay.example.com", "port": 25}, False),
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
    assert "this is the host's endpoint; inherit it by removing spec.smtp" in finding.message


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
            outcome=observed.Outcome.FOUND, unfit=specs.PASSWORD, problem="the key does not exist"
        ),
        ca=observed.CaRead(outcome=observed.Outcome.NOT_FOUND),
    ).effective
    assert [finding.reason.name for finding in found.findings] == [
        "EndpointNotAllowed",
        "FromMissing",
        "SecretNotBound",
        "SecretKeyMissing",
        "CaNotFound",
    ]
    assert found.state is effective.State.BLOCKED


@pytest.mark.parametrize(
    ("locked", "org", "field"),
    [
        (["smtp"], tiers.OWN, "spec.smtp"),
        (["from"], {"from": {"displayName": "Team"}}, "spec.from"),
        (["from.displayName"], {"from": {"displayName": "Team"}}, "spec.from.displayName"),
        (["delivery.ratePerMinute"], {"delivery": {"ratePerMinute": 5}}, "spec.delivery.ratePerMinute"),
        (
            ["notifications.jobAlert"],
            {"notifications": {"jobAlert": {"recipients": []}}},
            "spec.notifications.jobAlert",
        ),
        (["suspend"], {"suspend": False}, "spec.suspend"),
        (["publish"], {"publish": True}, "spec.publish"),
        (["from.address"], {"from": {"displayName": "Team"}}, None),
        (["smtp"], {}, None),
    ],
)
def test_a_locked_field_is_the_host_s(locked: list[str], org: dict[str, Any], field: str | None) -> None:
    """An organization that sets what is locked is blocked, and told which field to remove."""
    found = tiers.findings({**tiers.RELAY, "policy": {"locked": locked}}, org)
    assert found == ([] if field is None else [("FieldLocked", field)])


def test_all_locked_fields_are_named_at_once() -> None:
    """Whoever removes one field is not told of the next one afterwards."""
    host = {**tiers.RELAY, "policy": {"locked": ["suspend", "from.displayName"]}}
    (finding,) = tiers.settle(host, {"suspend": True, "from": {"displayName": "T"}}).findings
    assert finding.field == "spec.from.displayName"
    assert finding.message.endswith("the same holds for spec.suspend")


@pytest.mark.parametrize(
    ("domains", "recipients", "allowed"),
    [
        (["example.org"], ["a@example.org"], True),
        (["Example.ORG"], ["a@EXAMPLE.org"], True),
        (["example.org"], ["a@sub.example.org"], False),
        (["*.example.org"], ["a@sub.example.org"], True),
        (["*.example.org"], ["a@example.org"], False),
        (["*.example.org"], ["a@evilexample.org"], False),
        (["example.org", "example.net"], ["a@example.org", "b@elsewhere.example"], False),
        ([], ["a@example.org"], False),
        ([], [], True),
        (["*"], ["a@anywhere.example"], True),
    ],
)
def test_recipients_are_in_the_domains_that_the_host_lists(
    domains: list[str], recipients: list[str], allowed: bool
) -> None:
    """A category's recipient elsewhere blocks; the message names it and what is allowed."""
    host = {**tiers.RELAY, "policy": {"recipients": {"domains": domains}}}
    found = tiers.findings(host, {"notifications": {"jobAlert": {"recipients": recipients}}})
    assert found == ([] if allowed else [("RecipientNotAllowed", "spec.notifications.jobAlert.recipients")])


def test_the_host_s_own_recipients_are_its_own_choice() -> None:
    """What the host lists as recipients of everybody is not held against an organization."""
    host = {
        **tiers.RELAY,
        "notifications": {"jobAlert": {"recipients": ["ops@elsewhere.example"]}},
        "policy": {"recipients": {"domains": ["example.org"]}},
    }
    assert tiers.findings(host, {}) == []


@pytest.mark.parametrize(
    ("host", "port", "state"),
    [
        ("smtp.elsewhere.example", 587, "Active"),
        ("denied.example.net", 587, "Active"),
        ("smtp.elsewhere.example", 26, "Blocked"),
        ("10.0.0.1", 587, "Blocked"),
        ("169.254.169.254", 587, "Blocked"),
    ],
)
def test_audit_opens_nothing_that_is_not_public(host: str, port: int, state: str) -> None:
    """R6: in mode Audit the lists are only told, and what is closed without any list stays closed."""
    policy = {
        "mode": "Audit",
        "endpoints": {"allow": [{"host": "*.example.com"}], "deny": [{"host": "denied.example.net"}]},
    }
    org = {**tiers.OWN, "smtp": {"host": host, "port": port}}
    found = tiers.settle({**tiers.RELAY, "policy": policy}, org)
    assert found.state.value == state
    assert bool(found.audited) is (state == "Active")


def test_audit_lets_no_password_go() -> None:
    """Binding, missing credentials and plaintext block in every mode (R2, R3)."""
    host = {**tiers.RELAY, "policy": {"mode": "Audit"}}
    assert tiers.findings(host, {"smtp": {"host": "smtp.example.org"}}) == [("CredentialsRequired", "spec.auth")]
    unbound = observed.SecretRead(outcome=observed.Outcome.FOUND, version="uid/1")
    found = tiers.conclude(host, tiers.OWN, secret=unbound).effective
    assert [finding.reason.name for finding in found.findings] == ["SecretNotBound"]


def test_audit_reads_and_judges_an_object_in_a_namespace_that_is_not_selected() -> None:
    """The namespace is told, and so is everything else that is wrong."""
    selector = {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}
    host = {**tiers.RELAY, "policy": {"mode": "Audit", "organizations": selector, "locked": ["suspend"]}}
    found = tiers.settle(host, {"suspend": False})
    assert found.state is effective.State.ACTIVE
    assert [finding.reason.name for finding in found.audited] == ["NamespaceNotAllowed", "FieldLocked"]


def test_a_quota_is_the_host_s_and_draws_on_no_tier() -> None:
    """What the host says of quota reaches every organization, and does not make its settings mixed."""
    quota = {"queuedMessages": 10, "queuedBytes": "64Mi", "ratePerMinute": 60}
    found = tiers.settle({**tiers.RELAY, "policy": {"quota": quota}}, tiers.OWN)
    assert found.quota == effective.Quota(queued_messages=10, queued_bytes=64 * 1024 * 1024, rate_per_minute=60)
    assert found.source is vocabulary.Source.ORG
    assert found.provenance["quota.ratePerMinute"] is vocabulary.Origin.HOST

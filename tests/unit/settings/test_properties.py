"""What holds for every host, organization and Secret."""

import dataclasses
from typing import Any

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from kit import specs
from mailtier.api import addresses, policies, reasons, settings, vocabulary
from mailtier.settings import binding, conditions, effective, networks, observed, resolve, tiers

OAUTH2 = {
    f"oauth2.{field}" for field in ("grantType", "tokenURL", "clientID", "clientAuthentication", "scopes", "secretRef")
}
Case = tuple[observed.Observed, observed.Reads]
HOST, ORG, DEFAULT = vocabulary.Origin.HOST, vocabulary.Origin.ORG, vocabulary.Origin.DEFAULT
PATHS = {
    "smtp": {"host", "port", "tls.mode", "tls.serverName", "tls.minVersion", "tls.caRef", "tls.clientCertificateRef"},
    "from": {"address", "displayName", "replyTo", "envelope"},
    "delivery": {
        *("heloName", "maxConnections", "messagesPerConnection", "ratePerMinute", "maxAge"),
        *("timeouts.session", "timeouts.envelope", "timeouts.message"),
        *("ehloIgnore", "replies", "endpointRatePerMinute"),
    },
    "notifications": {
        f"{category}.{field}"
        for category in ("passwordRecovery", "licenseStatus", "productUpdate", "jobAlert", "robotAlert")
        for field in ("enabled", "recipients", "locale")
        if (category, field) != ("passwordRecovery", "recipients")
    },
}


def _resolve(situation: observed.Observed, reads: observed.Reads) -> effective.Effective:
    return resolve.conclude(resolve.plan(situation), reads).effective


@hypothesis.settings(max_examples=4 * hypothesis.settings.default.max_examples)
@given(specs.cases())
def test_a_password_reaches_no_endpoint_that_its_secret_does_not_name(case: Case) -> None:
    """R1, R3: whatever the tiers say, what is in use is bound, and the host's goes to the host's servers alone."""
    situation, reads = case
    found = _resolve(situation, reads)
    if found.state is not effective.State.ACTIVE or found.auth is None or found.auth.secret is None:
        return
    assert found.endpoint is not None
    assert reads.secret is not None
    assert reads.secret.outcome is observed.ReadOutcome.FOUND
    assert binding.unbound(reads.secret.annotation, binding.servers(found.endpoint, found.auth)) == ()
    assert found.auth.secret.version == reads.secret.version
    if found.auth.secret.namespace == situation.operator_namespace:
        assert isinstance(situation.host, settings.HostSpec)
        assert isinstance(situation.org, settings.OrgSpec)
        assert found.auth.origin is found.endpoint.origin is HOST
        assert (situation.org.smtp, situation.org.auth) == (None, None)
        assert situation.host.smtp is not None
        assert found.endpoint.host == binding.normalize_host(situation.host.smtp.host)
        assert found.endpoint.tls.ca == (reads.ca.digest if _has_ca(situation.host) and reads.ca else None)
    else:
        assert found.auth.origin is ORG
        assert found.auth.secret.namespace == situation.organization.namespace


@hypothesis.settings(max_examples=4 * hypothesis.settings.default.max_examples)
@given(specs.cases())
def test_a_client_certificate_is_shown_to_no_server_that_its_secret_does_not_name(case: Case) -> None:
    """R1, R3: it is the endpoint's owner's and bound to it, and the host's is never beside an organization's login."""
    situation, reads = case
    found = _resolve(situation, reads)
    if found.state is not effective.State.ACTIVE or found.auth is None or found.auth.certificate is None:
        return
    shown = found.auth.certificate
    assert found.endpoint is not None
    assert found.endpoint.tls.mode is not vocabulary.TlsMode.DISABLED
    assert reads.certificate is not None
    assert (reads.certificate.outcome, reads.certificate.unfit) == (observed.ReadOutcome.FOUND, None)
    assert binding.unbound(reads.certificate.annotation, binding.certificate_servers(found.endpoint)) == ()
    assert shown.version == reads.certificate.version
    assert found.provenance["smtp.tls.clientCertificateRef"] is found.endpoint.origin
    if found.endpoint.origin is HOST:
        assert isinstance(situation.org, settings.OrgSpec)
        assert (situation.org.smtp, situation.org.auth) == (None, None)
        assert shown.namespace == situation.operator_namespace
    else:
        assert shown.namespace == situation.organization.namespace


def _has_ca(host: settings.HostSpec) -> bool:
    return host.smtp is not None and host.smtp.tls is not None and host.smtp.tls.ca_ref is not None


@given(specs.cases())
def test_what_is_active_is_complete(case: Case) -> None:
    """The sender finds server, credentials and sender in active settings, and a CA where one was asked for."""
    situation, reads = case
    found = _resolve(situation, reads)
    if found.state is effective.State.ACTIVE:
        assert None not in (found.endpoint, found.auth, found.from_)
        assert found.endpoint is not None
        assert (found.endpoint.tls.ca is not None) == (found.provenance["smtp.tls.caRef"] is not DEFAULT)
    assert (found.state in {effective.State.BLOCKED, effective.State.UNRESOLVED}) == bool(found.findings)


@given(specs.cases())
def test_no_password_in_clear_that_the_host_did_not_accept(case: Case) -> None:
    """Rule 8: without TLS there is no password, but the host's own where allowPlaintext says so."""
    situation, reads = case
    found = _resolve(situation, reads)
    if found.state is not effective.State.ACTIVE:
        return
    assert found.endpoint is not None
    assert found.auth is not None
    if found.endpoint.tls.mode is vocabulary.TlsMode.DISABLED and found.auth.secret is not None:
        assert isinstance(situation.host, settings.HostSpec)
        assert situation.host.auth is not None
        assert situation.host.auth.allow_plaintext
        assert found.auth.origin is HOST


@given(specs.cases())
def test_nobody_sends_as_the_host_s_neighbour(case: Case) -> None:
    """R3: on the host's server, every sender address is the host's or listed, however it came about."""
    situation, reads = case
    found = _resolve(situation, reads)
    if found.state is not effective.State.ACTIVE:
        return
    assert found.endpoint is not None
    assert found.from_ is not None
    if found.endpoint.origin is ORG and not _is_host_s_server(situation.host, found.endpoint):
        return
    assert isinstance(situation.host, settings.HostSpec)
    policy = situation.host.policy
    own_logins = policy.from_.own_logins if policy is not None and policy.from_ is not None else None
    if own_logins is vocabulary.OwnLogins.TRUST and found.auth is not None and found.auth.origin is ORG:
        # The host says in so many words that the server alone decides; no server of these cases is a known provider.
        assert found.endpoint.is_host_s is (found.auth.mechanism is vocabulary.Mechanism.ANONYMOUS)
        return
    if reasons.FROM_NOT_ALLOWED in {finding.reason for finding in found.audited}:
        assert situation.host.policy is not None
        assert situation.host.policy.mode is vocabulary.PolicyMode.AUDIT
        return
    hosts = situation.host.from_
    own = {address for address in (hosts.address, hosts.reply_to, hosts.envelope) if address} if hosts else set()
    rules = policy.from_.allow if policy is not None and policy.from_ is not None else None
    listed = {entry.replace("{namespace}", situation.organization.namespace).lower() for entry in rules or ()}
    keys = {addresses.parse(address).key for address in own}
    for value in filter(None, (found.from_.address, found.from_.reply_to, found.from_.envelope)):
        key = addresses.parse(value).key
        assert key in keys | listed or key[key.index("@") :] in listed


def _is_host_s_server(host: settings.HostSpec | observed.Invalid | None, endpoint: effective.Endpoint) -> bool:
    if not isinstance(host, settings.HostSpec) or host.smtp is None:
        return False
    name, _ = tiers.server(host.smtp)
    return name == endpoint.host


@given(specs.cases(), st.ip_addresses())
def test_an_own_endpoint_never_reaches_this_machine_by_a_wide_network(case: Case, address: Any) -> None:
    """R6: what no entry names outright, no organization's server resolves to."""
    situation, reads = case
    found = _resolve(situation, reads)
    if found.endpoint is not None and found.endpoint.origin is ORG:
        rules = found.endpoint.addresses
        assert not rules.private
        for special in ("169.254.169.254", "::ffff:169.254.169.254", "::1", "fd00:ec2::254", "0.0.0.0"):  # noqa: S104 - nothing is bound.
            assert not networks.permitted(special, rules)
        if networks.permitted(str(address), rules) and networks.classify(str(address)) != networks.AddressUse.PUBLIC:
            assert any(networks.holds(network, str(address)) for network in rules.allow)


@given(specs.cases())
def test_provenance_is_total(case: Case) -> None:
    """Every effective value has an origin, and nothing else has one."""
    situation, reads = case
    found = _resolve(situation, reads)
    expected = {f"{group}.{field}" for group in ("delivery", "notifications") for field in PATHS[group]} | {"suspend"}
    if found.endpoint is not None:
        expected |= {f"smtp.{field}" for field in PATHS["smtp"]}
    if found.from_ is not None:
        expected |= {f"from.{field}" for field in PATHS["from"]}
    if found.auth is not None:
        expected |= {"auth.mechanism"}
        if found.auth.secret is not None:
            expected |= {"auth.username"}
            expected |= {f"auth.{field}" for field in OAUTH2} if found.auth.oauth2 else {"auth.passwordSecretRef"}
    if found.quota != effective.Quota():
        expected |= {"quota.queuedMessages", "quota.queuedBytes", "quota.ratePerMinute"}
    assert set(found.provenance) == expected


@given(specs.cases())
def test_resolving_is_deterministic(case: Case) -> None:
    """R8: the same objects give the same settings."""
    situation, reads = case
    assert _resolve(situation, reads) == _resolve(situation, reads)


@given(
    host=specs.host_documents(),
    org=specs.org_documents(),
    reads=specs.reads(),
    group=st.sampled_from(("smtp", "auth", "from", "delivery", "notifications", "suspend")),
)
def test_removing_an_override_is_as_if_it_had_never_been(
    host: dict[str, Any], org: dict[str, Any], reads: observed.Reads, group: str
) -> None:
    """Without the group the organization gets what one that never had it gets, and no trace of an override (R8)."""
    without = {name: value for name, value in org.items() if name != group}
    if group == "smtp":
        # What belongs to the owner of an endpoint goes with the endpoint.
        without.pop("delivery", None)
    removed = _resolve(_situation(host, without), reads)
    assert not [path for path, origin in removed.provenance.items() if origin is ORG and path.startswith(group)]
    untouched = _resolve(_situation(host, {}), reads)
    if group in {"from", "notifications"}:
        prefix = f"{group}."
        mine = {path: origin for path, origin in removed.provenance.items() if path.startswith(prefix)}
        theirs = {path: origin for path, origin in untouched.provenance.items() if path.startswith(prefix)}
        assert mine == theirs
        assert (removed.from_ == untouched.from_) or group != "from"
        assert (removed.notifications == untouched.notifications) or group != "notifications"
    if group in {"smtp", "auth"} and not {"smtp", "auth"} & without.keys():
        assert (removed.endpoint, removed.auth) == (untouched.endpoint, untouched.auth)


@given(host=specs.host_documents(), org=specs.org_documents(), reads=specs.reads())
def test_an_origin_is_org_only_for_what_the_organization_set(
    host: dict[str, Any], org: dict[str, Any], reads: observed.Reads
) -> None:
    """Nothing is said to be the organization's that does not stand in its spec."""
    found = _resolve(_situation(host, org), reads)
    for path, origin in found.provenance.items():
        if origin is ORG:
            group: Any = org
            for name in path.split("."):
                assert name in group, path
                group = group[name]


def _situation(host: dict[str, Any], org: dict[str, Any]) -> observed.Observed:
    return observed.Observed(
        organization=effective.OrganizationKey(namespace="team-a", name="default"),
        namespace_uid="uid",
        namespace_labels={"mail": "on"},
        operator_namespace=specs.OPERATOR_NAMESPACE,
        host=settings.HostSpec.model_validate(host),
        org=settings.OrgSpec.model_validate(org),
    )


@given(host=specs.hosts(), reads=specs.reads())
def test_the_host_s_own_settings_are_what_an_empty_spec_gets(host: settings.HostSpec, reads: observed.Reads) -> None:
    """What the host's status shows is what an organization gets that overrides nothing."""
    planned = resolve.plan_host(host, operator_namespace=specs.OPERATOR_NAMESPACE)
    own = resolve.conclude(planned, reads).effective
    situation = observed.Observed(
        organization=effective.OrganizationKey(namespace="team-a", name="default"),
        namespace_uid="uid",
        namespace_labels={"mail": "on"},
        operator_namespace=specs.OPERATOR_NAMESPACE,
        host=host,
        org=settings.OrgSpec(),
    )
    inherited = _resolve(situation, reads)
    for field in ("endpoint", "auth", "from_", "delivery", "notifications", "provenance", "source"):
        assert getattr(own, field) == getattr(inherited, field)
    assert {finding.reason for finding in own.findings} <= {finding.reason for finding in inherited.findings}


@given(specs.cases())
def test_no_status_of_an_organization_shows_what_is_the_host_s(case: Case) -> None:
    """R7: neither username nor Secret nor CA of an inherited endpoint stand in an organization's status."""
    situation, reads = case
    resolution = resolve.conclude(resolve.plan(situation), reads)
    shown = conditions.org_status(
        resolution,
        published=True,
        projection=conditions.Projection.NONE,
        probe=None,
        generation=1,
        previous=(),
        now=specs.NOW,
    )
    found = resolution.effective
    if found.endpoint is not None and found.endpoint.origin is HOST:
        assert "username" not in shown["effective"].get("auth", {})
        assert not any(name in shown["effective"]["provenance"] for name in ("auth.username", "smtp.tls.caRef"))
        assert f"{situation.operator_namespace}/" not in str(shown)


@given(specs.cases())
def test_audit_tells_and_does_not_block(case: Case) -> None:
    """In mode Audit nothing that the policy alone forbids blocks, and in mode Enforce nothing is only told."""
    situation, reads = case
    found = _resolve(situation, reads)
    policy = situation.host.policy if isinstance(situation.host, settings.HostSpec) else None
    if policy is None or policy.mode is not vocabulary.PolicyMode.AUDIT:
        assert found.audited == ()
    else:
        assert isinstance(situation.host, settings.HostSpec)
        enforced = situation.host.model_copy(
            update={"policy": policy.model_copy(update={"mode": vocabulary.PolicyMode.ENFORCE})}
        )
        strict = _resolve(dataclasses.replace(situation, host=enforced), reads)
        if reasons.NAMESPACE_NOT_ALLOWED in {finding.reason for finding in strict.findings}:
            # Then nothing else is looked at, and in mode Audit it is.
            return
        assert {finding.reason for finding in found.audited} <= {finding.reason for finding in strict.findings}
        assert not set(found.audited) & set(found.findings)


@given(specs.cases(), st.sampled_from(list(vocabulary.Lockable)))
def test_what_is_locked_is_the_host_s(case: Case, path: vocabulary.Lockable) -> None:
    """R3: where a field is locked and settings are used, nothing below it is the organization's."""
    situation, reads = case
    if not isinstance(situation.host, settings.HostSpec):
        return
    locking = policies.Policy.model_validate({"locked": [path.value]})
    locked = situation.host.model_copy(update={"policy": locking})
    found = _resolve(dataclasses.replace(situation, host=locked), reads)
    if found.state is not effective.State.BLOCKED:
        prefix = f"{path.value}."
        mine = {name for name, origin in found.provenance.items() if origin is ORG}
        assert not [name for name in mine if name == path.value or name.startswith(prefix)]

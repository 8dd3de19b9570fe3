"""A fallback is held to everything that the first server is held to, by being asked the same."""

import dataclasses
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import specs, tiers
from mailtier.api import feed, reasons, settings, vocabulary
from mailtier.settings import binding, codec, conditions, effective, observed, resolve, view

Json = dict[str, typing.Any]
HOST, ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG
_OWN_LOGIN: typing.Final[Json] = {"username": "spare", "passwordSecretRef": {"name": "spare"}}
_RELAYS: typing.Final[Json] = {
    **tiers.RELAY,
    "smtp": {"host": "relay.example.com", "fallback": {"host": "spare.example.com", "auth": _OWN_LOGIN}},
}
_ALIKE: typing.Final[Json] = {
    **tiers.RELAY,
    "smtp": {"host": "relay.example.com", "fallback": {"host": "spare.example.com"}},
}
_BLOCKING: typing.Final = frozenset(
    {
        "EndpointDenied",
        "EndpointNotAllowed",
        "TokenServerNotAllowed",
        "AnonymousNotAllowed",
        "PlaintextRefused",
        "HostAccountNotAllowed",
        "FromNotAllowed",
    }
)


def _own(fallback: Json, **more: typing.Any) -> Json:
    return {**tiers.OWN, "smtp": {"host": "smtp.example.org", "fallback": fallback}, **more}


def _read(
    planned: resolve.Plan, *, lists: typing.Callable[[resolve.Plan, observed.SecretNeed], typing.Iterable[object]]
) -> observed.Reads:
    """Return reads in which each Secret lists what a test says."""

    def secret(need: observed.SecretNeed | None) -> observed.SecretRead | None:
        if need is None:
            return None
        annotation = ",".join(map(str, lists(planned, need)))
        return observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version=f"{need.name}/1", annotation=annotation)

    def of(plan: resolve.Plan) -> observed.Reads:
        return observed.Reads(secret=secret(plan.secret), certificate=secret(plan.certificate), ca=tiers.CA)

    first = of(planned)
    return first if planned.fallback is None else dataclasses.replace(first, fallback=of(planned.fallback))


def _all(planned: resolve.Plan, need: observed.SecretNeed) -> typing.Iterable[object]:
    return planned.wanted(need)


def _settle(host: Json | None, org: Json) -> effective.Effective:
    planned = tiers.plan(host, org)
    return resolve.conclude(planned, _read(planned, lists=_all)).effective


def _found(host: Json | None, org: Json) -> list[tuple[str, str]]:
    return [(finding.reason.name, finding.field) for finding in _settle(host, org).findings]


def test_the_host_s_is_inherited_with_all_of_its_server() -> None:
    """An organization that overrides nothing has both servers, each with the host's credentials for it."""
    found = _settle(_RELAYS, {})
    assert found.state is effective.State.ACTIVE
    assert found.fallback is not None
    assert str(found.fallback.endpoint) == "spare.example.com:587"
    assert (found.fallback.endpoint.origin, found.fallback.auth.origin) == (HOST, HOST)
    assert found.fallback.endpoint.is_host_s
    assert found.fallback.auth.identity == "spare"
    assert found.auth is not None
    assert found.auth.identity == "relay"


@pytest.mark.parametrize("org", [tiers.OWN, {"auth": tiers.OWN["auth"]}, {"auth": {"mechanism": "Anonymous"}}])
def test_nobody_else_has_the_host_s(org: Json) -> None:
    """With a server or a login of its own an organization is never sent to the host's fallback (R3)."""
    assert _settle(_RELAYS, org).fallback is None


def test_an_organization_s_replaces_the_group() -> None:
    """An organization's smtp has a fallback if it says so itself, and nothing of the host's."""
    found = _settle(_RELAYS, _own({"host": "spare.example.org", "port": 465, "tls": {"mode": "Implicit"}}))
    assert found.fallback is not None
    assert (str(found.fallback.endpoint), found.fallback.endpoint.origin) == ("spare.example.org:465", ORG)
    assert found.fallback.auth == found.auth


def test_the_same_secret_lists_both_servers() -> None:
    """Consent for the first server alone is none for both, and the line that mends it names both (R1, R3)."""
    planned = tiers.plan(_ALIKE, {})
    reads = _read(planned, lists=lambda _plan, _need: ["relay.example.com:587"])
    found = resolve.conclude(planned, reads)
    assert found.effective.state is effective.State.UNRESOLVED
    host = resolve.plan_host(observed.parse_host(_ALIKE), operator_namespace=specs.OPERATOR_NAMESPACE)
    (finding,) = resolve.conclude(host, reads).effective.findings
    assert (finding.reason, finding.field) == (reasons.SECRET_NOT_BOUND, "spec.auth.passwordSecretRef")
    assert "spare.example.com:587" in finding.message
    assert "mailtier.dev/endpoint=relay.example.com:587,spare.example.com:587" in finding.message


def test_a_secret_of_its_own_lists_the_fallback_alone() -> None:
    """Each password is for one server, and said so where it is named."""
    host = resolve.plan_host(observed.parse_host(_RELAYS), operator_namespace=specs.OPERATOR_NAMESPACE)
    reads = _read(host, lists=lambda _plan, _need: ["relay.example.com:587"])
    (finding,) = resolve.conclude(host, reads).effective.findings
    assert finding.field == "spec.smtp.fallback.auth.passwordSecretRef"
    assert "spare.example.com:587" in finding.message
    assert resolve.conclude(host, _read(host, lists=_all)).effective.state is effective.State.ACTIVE


@pytest.mark.parametrize(
    ("host", "fallback", "found"),
    [
        (tiers.RELAY, {"host": "127.0.0.1"}, [("EndpointNotAllowed", "spec.smtp.fallback.host")]),
        (tiers.RELAY, {"host": "169.254.169.254"}, [("EndpointNotAllowed", "spec.smtp.fallback.host")]),
        (tiers.RELAY, {"host": "spare.example.org", "port": 6379}, [("EndpointNotAllowed", "spec.smtp.fallback.host")]),
        (
            {**tiers.RELAY, "policy": {"endpoints": {"deny": [{"host": "*.example.net"}]}}},
            {"host": "spare.example.net"},
            [("EndpointDenied", "spec.smtp.fallback.host")],
        ),
        (
            tiers.RELAY,
            {"host": "spare.example.org", "auth": {"mechanism": "Anonymous"}},
            [("AnonymousNotAllowed", "spec.smtp.fallback.auth.mechanism")],
        ),
        (tiers.RELAY, {"host": "relay.example.com"}, [("FromNotAllowed", "spec.from.address")]),
        (
            tiers.RELAY,
            {"host": "relay.example.com", "auth": {**_OWN_LOGIN, "username": "relay"}},
            [("HostAccountNotAllowed", "spec.smtp.fallback.auth.username"), ("FromNotAllowed", "spec.from.address")],
        ),
        (_RELAYS, {"host": "spare.example.com"}, [("FromNotAllowed", "spec.from.address")]),
        (
            _RELAYS,
            {"host": "Spare.example.com.", "auth": _OWN_LOGIN},
            [("HostAccountNotAllowed", "spec.smtp.fallback.auth.username"), ("FromNotAllowed", "spec.from.address")],
        ),
    ],
)
def test_what_a_first_server_may_not_be_a_fallback_may_not_be(
    host: Json, fallback: Json, found: list[tuple[str, str]]
) -> None:
    """An attack by way of the fallback is found, and told where it stands."""
    assert _found(host, _own(fallback)) == found


def test_the_host_s_fallback_is_the_host_s_server() -> None:
    """An organization that names it as its own first server is held to the host's rules there (R3)."""
    org = {**tiers.OWN, "smtp": {"host": "spare.example.com"}}
    found = _settle(_RELAYS, org)
    assert found.endpoint is not None
    assert found.endpoint.is_host_s
    assert _found(_RELAYS, org) == [("FromNotAllowed", "spec.from.address")]


def test_what_the_host_accepts_of_its_first_credentials_it_does_not_accept_of_others() -> None:
    """AllowPlaintext covers spec.auth: with it both servers may be without TLS, and it is the same password."""
    host = {
        **tiers.RELAY,
        "smtp": {
            "host": "relay.example.com",
            "tls": {"mode": "Disabled"},
            "fallback": {"host": "spare.example.com", "tls": {"mode": "Disabled"}},
        },
        "auth": {**tiers.RELAY["auth"], "allowPlaintext": True},
    }
    assert _settle(host, {}).state is effective.State.ACTIVE


def test_another_address_may_be_the_host_s_server_for_the_fallback_too() -> None:
    """What holds if a fallback's name leads to the host's server is decided with the settings."""
    found = _settle(tiers.RELAY, _own({"host": "spare.example.org"}))
    assert found.fallback is not None
    assert [finding.reason.name for finding in found.fallback.by_address.findings] == ["FromNotAllowed"]


@st.composite
def _documents(draw: st.DrawFn) -> tuple[Json, Json]:
    """Return two tiers, of which either may have a fallback."""
    host, org = dict(draw(specs.host_documents())), dict(draw(specs.org_documents()))
    for document in (host, org):
        if "smtp" in document and draw(st.booleans()):
            document["smtp"] = {**document["smtp"], "fallback": draw(_fallbacks(document["smtp"]))}
    return host, org


@st.composite
def _fallbacks(draw: st.DrawFn, first: Json) -> Json:
    fallback = dict(draw(specs.smtp()))
    if draw(st.booleans()):
        fallback["auth"] = draw(specs.auth())
    tls = first.get("tls", {})
    is_clear = fallback.get("tls", {}).get("mode") == "Disabled"
    if is_clear and (tls.get("mode") != "Disabled" or "auth" in fallback):
        del fallback["tls"]
    if tls.get("minVersion") == "TLS1.3":
        fallback["tls"] = {**fallback.get("tls", {}), "minVersion": "TLS1.3"}
    return fallback


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Json, Json, resolve.Plan, observed.Reads]:
    host, org = draw(_documents())
    planned = tiers.plan(host, org)
    extent = draw(st.sampled_from(("both", "both", "first", "nothing")))

    def lists(plan: resolve.Plan, need: observed.SecretNeed) -> typing.Iterable[object]:
        return plan.wanted(need)[: {"both": None, "first": 1, "nothing": 0}[extent]]

    return host, org, planned, _read(planned, lists=lists)


@given(_cases())
def test_no_password_goes_to_a_server_that_its_secret_does_not_list(
    case: tuple[Json, Json, resolve.Plan, observed.Reads],
) -> None:
    """R1, R3: of either server; and the host's is for whom inherits all of the host's server."""
    _, org, planned, reads = case
    found = resolve.conclude(planned, reads).effective
    there, read = found.at_fallback(), reads.fallback
    if found.state is not effective.State.ACTIVE or there is None or there.auth is None or there.auth.secret is None:
        return
    assert there.endpoint is not None
    assert read is not None
    assert read.secret is not None
    assert binding.unbound(read.secret.annotation, binding.servers(there.endpoint, there.auth)) == ()
    assert there.auth.secret.version == read.secret.version
    if there.auth.secret.namespace == specs.OPERATOR_NAMESPACE:
        assert there.endpoint.origin is there.auth.origin is HOST
        assert not {"smtp", "auth"} & org.keys()
    else:
        assert there.endpoint.origin is there.auth.origin is ORG


@given(_cases())
def test_tls_is_never_weaker(case: tuple[Json, Json, resolve.Plan, observed.Reads]) -> None:
    """R2: who may break the first server's connections does not thereby get mail without TLS, or with an older one."""
    _, _, planned, reads = case
    found = resolve.conclude(planned, reads).effective
    if found.endpoint is None or found.fallback is None:
        return
    first, there = found.endpoint.tls, found.fallback.endpoint.tls
    if first.mode is not vocabulary.TlsMode.DISABLED:
        assert there.mode is not vocabulary.TlsMode.DISABLED
        assert there.min_version >= first.min_version


@given(_documents())
def test_a_fallback_is_refused_for_what_a_first_server_is_refused_for(documents: tuple[Json, Json]) -> None:
    """What is found of a fallback is what is found of the same as a first server: every rule holds for it (R3)."""
    host, org = documents
    if "fallback" not in org.get("smtp", {}):
        return
    fallback = dict(org["smtp"]["fallback"])
    auth = fallback.pop("auth", org.get("auth"))
    alone = {**org, "smtp": fallback, **({} if auth is None else {"auth": auth})}
    try:
        settings.OrgSpec.model_validate(alone)
    except ValueError:
        # Without TLS, and with a password that goes to the first server alone.
        return
    planned, as_first = tiers.plan(host, org), tiers.plan(host, alone)
    if planned.fallback is None:
        assert any(finding.reason is reasons.HOST_INVALID for finding in planned.findings) or planned.admitted is False
        return
    wanted = {finding.reason.name for finding in as_first.findings} & _BLOCKING
    assert {finding.reason.name for finding in planned.fallback.findings} == wanted
    barred, as_barred = planned.fallback.by_address, as_first.by_address
    assert barred.is_trusted is as_barred.is_trusted
    assert [each.reason for each in barred.findings] == [each.reason for each in as_barred.findings]
    assert planned.fallback.values.endpoint == as_first.values.endpoint


@given(_cases())
def test_a_fallback_survives_the_way_to_the_sender(case: tuple[Json, Json, resolve.Plan, observed.Reads]) -> None:
    """What the operator publishes is what the sender reads."""
    _, _, planned, reads = case
    found = resolve.conclude(planned, reads).effective
    assert codec.decode(codec.encode(found)) == found


@given(_cases())
def test_no_status_of_an_organization_shows_what_is_the_host_s(
    case: tuple[Json, Json, resolve.Plan, observed.Reads],
) -> None:
    """R7: neither username nor Secret nor CA of an inherited fallback stand in an organization's status."""
    _, _, planned, reads = case
    found = resolve.conclude(planned, reads)
    shown = view.nest(found.effective, viewer=ORG)
    there = found.effective.fallback
    if there is None or there.endpoint.origin is ORG:
        return
    fallback = shown["smtp"]["fallback"]
    assert set(fallback) <= {"host", "port", "tls", "auth"}
    assert not {"username", "secretName", "oauth2"} & fallback.get("auth", {}).keys()
    assert "clientCertificateSecretName" not in fallback["tls"]


def _probe(of: effective.Effective, reason: reasons.Reason, **more: typing.Any) -> feed.Probe:
    assert of.auth is not None
    return feed.Probe(
        key=codec.probe_key(of),
        secret_version=of.auth.version,
        reason=reason.name,
        stage=None if reason is reasons.VERIFIED else vocabulary.ProbeStage.TCP,
        owner_message=reason.meaning,
        tenant_message=reason.meaning,
        certificate_expires_at=None,
        probed_at=specs.NOW,
        **more,
    )


@pytest.mark.parametrize(
    ("first", "fallback", "status", "reason"),
    [
        (reasons.VERIFIED, reasons.VERIFIED, "True", "Verified"),
        (reasons.CONNECT_FAILED, reasons.VERIFIED, "False", "ConnectFailed"),
        (reasons.VERIFIED, reasons.CONNECT_FAILED, "False", "ConnectFailed"),
        (reasons.VERIFIED, None, "Unknown", "ProbePending"),
        (None, reasons.VERIFIED, "Unknown", "ProbePending"),
        (None, reasons.CONNECT_FAILED, "False", "ConnectFailed"),
    ],
)
def test_verified_speaks_of_both_servers(
    first: reasons.Reason | None, fallback: reasons.Reason | None, status: str, reason: str
) -> None:
    """A fallback that does not work is told while nobody needs it."""
    planned = tiers.plan(_RELAYS, _own({"host": "spare.example.org"}))
    resolution = resolve.conclude(planned, _read(planned, lists=_all))
    there = resolution.effective.at_fallback()
    assert there is not None
    since = specs.NOW if first is reasons.CONNECT_FAILED else None
    document = conditions.org_status(
        resolution,
        published=True,
        projection=conditions.Projection.NONE,
        probe=None if first is None else _probe(resolution.effective, first, fallback_since=since),
        fallback_probe=None if fallback is None else _probe(there, fallback),
        generation=1,
        previous=(),
        now=specs.NOW,
    )
    (verified,) = [entry for entry in document["conditions"] if entry["type"] == "Verified"]
    assert (verified["status"], verified["reason"]) == (status, reason)
    assert ("smtp.fallback: " in verified["message"]) == (fallback is not reasons.VERIFIED and first is not None) or (
        first is None
    )
    if since is None:
        assert document["server"] == {"inUse": "First"}
    else:
        assert document["server"] == {"inUse": "Fallback", "since": "2026-01-02T03:04:05Z"}
        assert "Since 2026-01-02T03:04:05Z smtp.fallback takes the mail." in verified["message"]

"""Strategies for valid settings: specs as YAML would hold them, and everything that a resolution looks at.

Names are drawn from small pools, so that two tiers often name the same server, address or namespace.
"""

import dataclasses
import datetime as dt
from typing import Any

from hypothesis import strategies as st

from mailtier.api import settings, vocabulary
from mailtier.settings import binding, effective, observed, resolve

Json = dict[str, Any]

OPERATOR_NAMESPACE = "mailtier"
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
HOSTS = (
    "relay.example.com",
    "Relay.Example.COM.",
    "smtp.example.org",
    "mail.corp.example.net",
    "10.0.0.25",
    "8.8.8.8",
    "127.0.0.1",
    "2606:4700::1111",
    "2001:DB8:0::25",
    "fd00::25",
)
ADDRESSES = ("no-reply@example.com", "No-Reply@Example.com", "team-a@example.com", "alerts@example.org", "a@b")
UNUSABLE_ADDRESS = "ops@xn--a.example"
"""Of a shape that the apiserver takes, and with a label that is none (RFC 5891)."""
TOKEN_URLS = (
    "https://login.example.com/token",
    "https://Login.example.com:8443/token?tenant=1",
    "https://a.example.net",
)
_PORTS = st.sampled_from((25, 465, 587, 2525, 1025, 10025))
_NAMES = st.sampled_from(("relay", "smtp-password", "ca"))
_CIDRS = st.sampled_from(("10.0.0.0/8", "127.0.0.0/8", "0.0.0.0/0", "8.8.8.0/24", "fd00::/8", "2606:4700::/32"))
PASSWORD = observed.SecretKey(purpose=observed.Purpose.PASSWORD, name="password")
CERTIFICATE = observed.SecretKey(purpose=observed.Purpose.CERTIFICATE, name="tls.crt")
_GLOBS = st.sampled_from(("*", "*.example.com", "relay.example.com", "*.example.net", "8.8.8.8"))
_LINES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=12)
_NAMES_OF_PEOPLE = _LINES.filter(lambda text: bool(text.strip()))


def _group(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Return a group with any of its fields, and at least one."""
    return st.fixed_dictionaries({}, optional=fields).filter(bool)


def _any_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


def _address() -> st.SearchStrategy[str]:
    return st.sampled_from(ADDRESSES)


def _recipients() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from((*ADDRESSES, UNUSABLE_ADDRESS)), max_size=3, unique=True)


def smtp() -> st.SearchStrategy[Json]:
    """Return endpoints with every way to protect the connection."""
    ca = st.fixed_dictionaries(
        {"kind": st.sampled_from(("ConfigMap", "Secret")), "name": _NAMES}, optional={"key": st.just("bundle.pem")}
    )
    protected = _group(
        mode=st.sampled_from(("StartTLS", "Implicit")),
        serverName=st.sampled_from(("mail.example.com", "Mail.example.com.")),
        minVersion=st.sampled_from(("TLS1.2", "TLS1.3")),
        caRef=ca,
        clientCertificateRef=st.fixed_dictionaries({"name": _NAMES}),
    )
    tls = st.one_of(st.just({"mode": "Disabled"}), protected)
    return st.fixed_dictionaries({"host": st.sampled_from(HOSTS)}, optional={"port": _PORTS, "tls": tls})


def auth() -> st.SearchStrategy[Json]:
    """Return credentials with every way to render the username, and Anonymous."""
    reference = st.fixed_dictionaries({"name": _NAMES}, optional={"key": st.just("smtp")})
    plain = st.fixed_dictionaries(
        {"username": st.sampled_from(("relay", "a@example.com", "DOMAIN\\a")), "passwordSecretRef": reference},
        optional={"mechanism": st.sampled_from(("PLAIN", "LOGIN")), "usernameFormat": st.just("Plain")},
    )
    joined = st.fixed_dictionaries(
        {
            "username": st.just("relay"),
            "domain": st.just("example.com"),
            "usernameFormat": st.sampled_from(("DownLevel", "UserPrincipalName")),
            "passwordSecretRef": reference,
        }
    )
    return st.one_of(plain, joined, oauth2(), st.just({"mechanism": "Anonymous"}))


def oauth2() -> st.SearchStrategy[Json]:
    """Return credentials with an access token, by every grant and every way to authenticate the client."""
    common = {"tokenURL": st.sampled_from(TOKEN_URLS), "clientID": st.just("mailtier")}
    scopes = st.lists(st.sampled_from(("smtp.send", "https://outlook.office365.com/.default")), min_size=1, unique=True)
    secret = st.fixed_dictionaries({"name": _NAMES}, optional={"clientSecretKey": st.just("id")})
    signed = st.fixed_dictionaries({"name": _NAMES}, optional={"privateKeyKey": st.just("tls.key")})
    refreshing = st.fixed_dictionaries({"name": _NAMES}, optional={"refreshTokenKey": st.just("refresh")})
    grants = st.one_of(
        st.fixed_dictionaries({**common, "secretRef": secret}, optional={"scopes": scopes}),
        st.fixed_dictionaries(
            {**common, "secretRef": signed, "clientAuthentication": st.just("PrivateKeyJWT")},
            optional={"keyID": st.just("1"), "scopes": scopes},
        ),
        st.fixed_dictionaries(
            {**common, "secretRef": refreshing, "grantType": st.just("RefreshToken")},
            optional={"clientAuthentication": st.sampled_from(("ClientSecret", "Public"))},
        ),
    )
    return st.fixed_dictionaries(
        {"username": st.just("team@example.org"), "oauth2": grants}, optional={"mechanism": st.just("XOAUTH2")}
    )


def sender() -> st.SearchStrategy[Json]:
    """Return `from` groups."""
    return _group(address=_address(), displayName=_NAMES_OF_PEOPLE, replyTo=_address(), envelope=_address())


def reply_rules() -> st.SearchStrategy[Json]:
    """Return rules on replies, by each part of a reply."""
    action = st.sampled_from([action.value for action in vocabulary.ReplyAction])
    by_code = st.fixed_dictionaries({"code": st.integers(500, 599), "action": action})
    by_enhanced = st.fixed_dictionaries({"enhanced": st.just("5.7.1"), "action": action}, optional={"text": _LINES})
    by_text = st.fixed_dictionaries({"text": _LINES, "action": action}, optional={"code": st.integers(400, 499)})
    return st.one_of(by_code, by_enhanced, by_text)


def delivery(*, owner: bool) -> st.SearchStrategy[Json]:
    """Return `delivery` groups.

    Args:
        owner: Whether they may hold what belongs to the owner of the endpoint.
    """
    own: dict[str, st.SearchStrategy[Any]] = {
        "ratePerMinute": st.integers(1, 100_000),
        "maxAge": st.sampled_from(("1m", "90s", "1h30m", "168h")),
    }
    if owner:
        own |= {
            "heloName": st.sampled_from(("mail.example.com", "mail.example.com.")),
            "maxConnections": st.integers(1, 100),
            "messagesPerConnection": st.integers(1, 10_000),
            "endpointRatePerMinute": st.integers(1, 100_000),
            "replies": st.lists(reply_rules(), max_size=3),
            "ehloIgnore": st.lists(st.sampled_from([keyword.value for keyword in vocabulary.EhloKeyword]), unique=True),
            "timeouts": _group(
                session=st.sampled_from(("1s", "30s")),
                envelope=st.sampled_from(("5s", "1m")),
                message=st.sampled_from(("60s", "10m")),
            ),
        }
    return _group(**own)


def notifications() -> st.SearchStrategy[Json]:
    """Return settings for some of the categories."""
    locale = st.sampled_from(("en", "ja"))
    category = _group(enabled=st.booleans(), recipients=_recipients(), locale=locale)
    return _group(
        passwordRecovery=_group(enabled=st.booleans(), locale=locale),
        licenseStatus=category,
        productUpdate=category,
        jobAlert=category,
        robotAlert=category,
    )


def policy() -> st.SearchStrategy[Json]:
    """Return policies."""
    ports = st.lists(_PORTS, min_size=1, max_size=3, unique=True)
    entry = st.one_of(
        st.fixed_dictionaries({"host": _GLOBS}, optional={"ports": ports}),
        st.fixed_dictionaries({"cidr": _CIDRS}, optional={"ports": ports}),
    )
    organizations = st.one_of(
        st.just({"mode": "Listed"}),
        st.just({"mode": "All"}),
        st.just({"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}),
    )
    entries = st.sampled_from(("@example.com", "{namespace}@example.com", "alerts@example.org"))
    return _group(
        mode=st.sampled_from(("Enforce", "Audit")),
        locked=st.lists(st.sampled_from([path.value for path in vocabulary.Lockable]), max_size=3, unique=True),
        recipients=st.fixed_dictionaries({"domains": st.lists(_GLOBS, max_size=3, unique=True)}),
        quota=_group(
            queuedMessages=st.integers(1, 1_000_000),
            queuedBytes=st.sampled_from(("1", "500k", "64Mi")),
            ratePerMinute=st.integers(1, 100_000),
        ),
        organizations=organizations,
        **{
            "from": st.fixed_dictionaries(
                {"allow": st.lists(entries, max_size=3, unique=True)},
                optional={"ownLogins": st.sampled_from(("Enforce", "KnownProviders", "Trust"))},
            )
        },
        endpoints=_group(
            allow=st.lists(entry, max_size=3),
            deny=st.lists(entry, max_size=2),
            anonymous=st.booleans(),
            hostAllow=st.lists(_CIDRS, max_size=2, unique=True),
        ),
    )


def _is_disabled(spec: Json) -> bool:
    mode: object = spec.get("smtp", {}).get("tls", {}).get("mode")
    return mode == "Disabled"


def _mend_host(spec: Json) -> Json:
    """Return the spec without what the rules across its groups refuse."""
    if "smtp" not in spec:
        return {name: group for name, group in spec.items() if name != "auth"}
    if _is_disabled(spec) and spec.get("auth", {}).get("mechanism", "PLAIN") != "Anonymous" and "auth" in spec:
        return {**spec, "auth": {**spec["auth"], "allowPlaintext": True}}
    return spec


def _mend_org(spec: Json) -> Json:
    if _is_disabled(spec) and "auth" in spec:
        return {**spec, "auth": {"mechanism": "Anonymous"}}
    return spec


def host_documents() -> st.SearchStrategy[Json]:
    """Return specs of HostEmailSettings that the apiserver takes; most of them name a server and a sender."""
    rest = {
        "delivery": delivery(owner=True),
        "notifications": notifications(),
        "suspend": st.sampled_from((False, False, True)),
        "policy": policy(),
    }
    complete = st.fixed_dictionaries({"smtp": smtp(), "auth": auth(), "from": _complete_sender()}, optional=rest)
    partial = _any_of(smtp=smtp(), auth=auth(), **{"from": sender()}, **rest)
    return st.one_of(complete, complete, partial).map(_mend_host)


def org_documents() -> st.SearchStrategy[Json]:
    """Return specs of OrgEmailSettings that the apiserver takes."""
    rest = {
        "notifications": notifications(),
        "suspend": st.sampled_from((False, False, True)),
        "publish": st.booleans(),
    }
    common = {"auth": auth(), "from": sender(), **rest}
    inheriting = _any_of(**common, delivery=delivery(owner=False))
    own: dict[str, st.SearchStrategy[Any]] = {"delivery": delivery(owner=True)}
    owning = st.fixed_dictionaries({"smtp": smtp()}, optional={**common, **own})
    complete = st.fixed_dictionaries(
        {"smtp": smtp(), "auth": auth(), "from": _complete_sender()}, optional={**rest, **own}
    )
    return st.one_of(st.just({}), inheriting, owning, complete).map(_mend_org)


def _complete_sender() -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"address": _address()},
        optional={"displayName": _NAMES_OF_PEOPLE, "replyTo": _address(), "envelope": _address()},
    )


def hosts() -> st.SearchStrategy[settings.HostSpec]:
    """Return the host's settings."""
    return host_documents().map(settings.HostSpec.model_validate)


def orgs() -> st.SearchStrategy[settings.OrgSpec]:
    """Return an organization's settings."""
    return org_documents().map(settings.OrgSpec.model_validate)


def organizations() -> st.SearchStrategy[effective.OrganizationKey]:
    """Return keys of organizations."""
    return st.builds(
        effective.OrganizationKey, namespace=st.sampled_from(("team-a", "team-b")), name=st.just("default")
    )


def situations() -> st.SearchStrategy[observed.Observed]:
    """Return what a resolution starts from; now and then the host is absent or does not fit."""
    invalid = st.just(observed.Invalid(field="spec.smtp.host", message="is required"))
    return st.builds(
        observed.Observed,
        organization=organizations(),
        namespace_uid=st.uuids().map(str),
        namespace_labels=st.sampled_from(({"mail": "on"}, {}, {"mail": "off"})),
        operator_namespace=st.just(OPERATOR_NAMESPACE),
        host=_mostly(hosts(), st.none() | invalid),
        org=_mostly(orgs(), invalid),
    )


def _mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda number: rare if number == 9 else usual)


@st.composite
def cases(draw: st.DrawFn) -> tuple[observed.Observed, observed.Reads]:
    """Return what a resolution starts from and what is then read; a Secret is bound more often than chance has it."""
    situation = draw(situations())
    values = resolve.plan(situation).values
    right: st.SearchStrategy[str | None] = st.none()
    shown: st.SearchStrategy[str | None] = st.none()
    if values.endpoint is not None and values.auth is not None:
        right = st.just(",".join(str(server) for server in binding.servers(values.endpoint, values.auth)))
        shown = st.just(",".join(str(server) for server in binding.certificate_servers(values.endpoint)))
    fine = st.builds(
        observed.SecretRead,
        outcome=st.just(observed.ReadOutcome.FOUND),
        version=st.sampled_from(("uid/1", "uid/2")),
        annotation=right,
    )
    found = observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest="ab" * 32)
    certificate = st.builds(lambda read, bound: dataclasses.replace(read, annotation=bound), fine, shown)
    well = st.builds(observed.Reads, secret=fine, certificate=certificate, ca=st.just(found))
    return situation, draw(well | reads())


def annotations() -> st.SearchStrategy[str | None]:
    """Return texts of the annotation that binds a Secret: right, wrong, and no such thing."""
    host = st.sampled_from((*HOSTS, "[2606:4700::1111]", "[2001:db8::25]", "[fd00::25]", "*", "*.example.com", ""))
    entry = st.tuples(host, st.sampled_from(("", ":25", ":465", ":587", ":2525", ":*", ":0", ": 587"))).map("".join)
    return st.none() | st.lists(entry, max_size=4).map(",".join)


def reads() -> st.SearchStrategy[observed.Reads]:
    """Return what may be found where a Secret or a CA bundle is looked for."""
    outcome = st.sampled_from((*[observed.ReadOutcome.FOUND] * 4, *observed.ReadOutcome))
    fit: dict[str, Any] = {}
    unfit = {"unfit": PASSWORD, "problem": "the value is empty"}
    secret = st.builds(
        lambda outcome, version, annotation, flaw: observed.SecretRead(
            outcome=outcome, version=version, annotation=annotation, **flaw
        ),
        outcome,
        st.sampled_from(("uid/1", "uid/2")),
        annotations(),
        st.sampled_from((fit, fit, fit, unfit)),
    )
    ca = st.sampled_from(
        (
            observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest="ab" * 32),
            observed.CaRead(outcome=observed.ReadOutcome.FOUND, problem="it holds no certificate"),
            observed.CaRead(outcome=observed.ReadOutcome.NOT_FOUND),
        )
    )
    ended = {"unfit": CERTIFICATE, "problem": "the certificate ended on 2026-01-01"}
    certificate = st.builds(
        lambda read, flaw: dataclasses.replace(read, **{"unfit": None, "problem": "", **flaw}),
        secret,
        st.sampled_from(({}, {}, {}, {"expires_at": NOW + dt.timedelta(days=20)}, ended)),
    )
    return st.builds(
        observed.Reads,
        secret=st.none() | secret | secret,
        certificate=st.none() | certificate | certificate,
        ca=st.none() | ca | ca,
    )

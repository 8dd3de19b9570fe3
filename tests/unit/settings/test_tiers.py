"""How two tiers become values, and where each came from."""

import datetime as dt
from typing import Any

import pytest

from kit import tiers
from mailtier.api import vocabulary
from mailtier.settings import effective, observed

HOST, ORG, DEFAULT = vocabulary.Origin.HOST, vocabulary.Origin.ORG, vocabulary.Origin.DEFAULT


def _password(namespace: str, name: str, key: str) -> observed.SecretNeed:
    keys = (observed.SecretKey(purpose=observed.Purpose.PASSWORD, name=key),)
    return observed.SecretNeed(namespace=namespace, name=name, keys=keys)


def test_an_empty_spec_inherits_everything() -> None:
    """An organization that says nothing sends with the host's server, credentials and address."""
    found = tiers.settle(tiers.RELAY, {})
    assert found.state is effective.State.ACTIVE
    assert found.source is vocabulary.Source.HOST
    assert found.endpoint is not None
    assert (found.endpoint.host, found.endpoint.port, found.endpoint.origin) == ("relay.example.com", 587, HOST)
    assert found.auth is not None
    assert found.auth.secret == effective.SecretReference(
        namespace="mailtier", name="relay", key="password", version="uid/1"
    )
    assert found.from_ is not None
    assert found.from_.envelope == "no-reply@example.com"


def test_an_own_endpoint_inherits_nothing_of_the_host_s() -> None:
    """Port, TLS, CA, EHLO name and limits of the host's server never reach an organization's own."""
    host = {
        "smtp": {"host": "relay.example.com", "port": 25, "tls": {"mode": "Disabled"}},
        "delivery": {"heloName": "h.example.com", "maxConnections": 9, "timeouts": {"session": "1s"}},
        "policy": {"endpoints": {"anonymous": True}},
    }
    found = tiers.settle(host, tiers.OWN)
    assert found.endpoint is not None
    assert found.endpoint.port == 587
    assert found.endpoint.tls.mode is vocabulary.TlsMode.STARTTLS
    assert (found.delivery.helo_name, found.delivery.max_connections) == (None, 3)
    assert found.delivery.session_timeout == dt.timedelta(seconds=30)
    assert found.provenance["smtp.port"] is DEFAULT
    assert found.provenance["smtp.tls.mode"] is DEFAULT
    assert found.source is vocabulary.Source.ORG


def test_an_own_endpoint_never_gets_the_host_s_credentials() -> None:
    """Without credentials of its own, an organization's server gets none (R3)."""
    planned = tiers.plan(tiers.RELAY, {"smtp": {"host": "smtp.example.org"}})
    assert planned.values.auth is None
    assert planned.secret is None


def test_own_credentials_on_the_host_s_endpoint() -> None:
    """An organization may authenticate as itself at the host's server; its Secret is in its own namespace."""
    org = {"auth": {"username": "team", "mechanism": "LOGIN", "passwordSecretRef": {"name": "mine", "key": "pw"}}}
    planned = tiers.plan(tiers.RELAY, org)
    assert planned.secret == _password("team-a", "mine", "pw")
    found = tiers.settle(tiers.RELAY, org)
    assert found.auth is not None
    assert (found.auth.origin, found.auth.mechanism) == (ORG, vocabulary.Mechanism.LOGIN)
    assert found.endpoint is not None
    assert found.endpoint.origin is HOST
    assert found.source is vocabulary.Source.MIXED


@pytest.mark.parametrize(
    ("tls", "port"), [(None, 587), ({"mode": "StartTLS"}, 587), ({"mode": "Implicit"}, 465), ({"mode": "Disabled"}, 25)]
)
def test_the_port_follows_the_tls_mode(tls: dict[str, str] | None, port: int) -> None:
    """A server without a port is asked on the usual one for its protection."""
    smtp: dict[str, Any] = {"host": "smtp.example.com", **({"tls": tls} if tls else {})}
    found = tiers.conclude_host({"smtp": smtp}).effective.endpoint
    assert found is not None
    assert found.port == port


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({}, "svc"),
        ({"usernameFormat": "Plain"}, "svc"),
        ({"usernameFormat": "DownLevel", "domain": "CORP"}, "CORP\\svc"),
        ({"usernameFormat": "UserPrincipalName", "domain": "corp.example.com"}, "svc@corp.example.com"),
    ],
)
def test_the_username_is_rendered(fields: dict[str, str], identity: str) -> None:
    """Username and domain are joined as usernameFormat says."""
    auth = {"username": "svc", "passwordSecretRef": {"name": "relay"}, **fields}
    found = tiers.settle({**tiers.RELAY, "auth": auth}, {})
    assert found.auth is not None
    assert found.auth.identity == identity


def test_a_host_that_says_nothing_of_auth_is_anonymous() -> None:
    """No AUTH is sent where no tier names credentials for the host's server."""
    found = tiers.settle({**tiers.RELAY, "auth": {"mechanism": "Anonymous"}}, {})
    assert found.provenance["auth.mechanism"] is HOST
    host = {name: group for name, group in tiers.RELAY.items() if name != "auth"}
    found = tiers.settle(host, {})
    assert found.auth == effective.Auth(
        mechanism=vocabulary.Mechanism.ANONYMOUS, identity="", secret=None, origin=DEFAULT
    )
    assert found.state is effective.State.ACTIVE


def test_from_is_resolved_field_by_field() -> None:
    """Each field of from comes from the organization, else the host; the envelope falls back to the address."""
    host = {**tiers.RELAY, "from": {"address": "no-reply@example.com", "replyTo": "help@example.com"}}
    found = tiers.settle(host, {"from": {"displayName": "Team A"}})
    assert found.from_ == effective.From(
        address="no-reply@example.com",
        display_name="Team A",
        reply_to="help@example.com",
        envelope="no-reply@example.com",
    )
    origins = [found.provenance[f"from.{name}"] for name in ("address", "displayName", "replyTo", "envelope")]
    assert origins == [HOST, ORG, HOST, DEFAULT]


@pytest.mark.parametrize(
    ("hosts", "own", "value", "origin"),
    [
        (None, None, None, DEFAULT),
        (10, None, 10, HOST),
        (None, 5, 5, ORG),
        (10, 5, 5, ORG),
        (10, 10, 10, ORG),
        (10, 50, 10, HOST),
    ],
)
def test_the_host_caps_what_goes_through_its_server(
    hosts: int | None, own: int | None, value: int | None, origin: vocabulary.Origin
) -> None:
    """On an inherited endpoint an organization may only tighten ratePerMinute and maxAge."""
    host = {**tiers.RELAY, **({"delivery": {"ratePerMinute": hosts, "maxAge": f"{hosts}h"}} if hosts else {})}
    org: dict[str, Any] = {"delivery": {"ratePerMinute": own, "maxAge": f"{own}h"}} if own else {}
    found = tiers.settle(host, org)
    assert found.delivery.rate_per_minute == value
    assert found.delivery.max_age == (dt.timedelta(hours=value) if value else None)
    assert found.provenance["delivery.ratePerMinute"] is origin
    assert found.provenance["delivery.maxAge"] is origin


def test_the_host_does_not_cap_what_goes_elsewhere() -> None:
    """On its own server an organization sends as fast as it likes, and at the host's rate if it does not say."""
    host = {**tiers.RELAY, "delivery": {"ratePerMinute": 10}}
    assert tiers.settle(host, {**tiers.OWN, "delivery": {"ratePerMinute": 50}}).delivery.rate_per_minute == 50
    assert tiers.settle(host, tiers.OWN).delivery.rate_per_minute == 10


def test_a_list_replaces_and_an_empty_one_means_nobody() -> None:
    """Recipients are not merged, and [] is not the same as nothing."""
    host = {**tiers.RELAY, "notifications": {"jobAlert": {"recipients": ["a@b", "c@d"], "enabled": False}}}
    org: dict[str, Any] = {"notifications": {"jobAlert": {"recipients": []}}}
    inherited = tiers.settle(host, {}).notifications[vocabulary.Category.JOB_ALERT]
    assert inherited == effective.CategorySettings(enabled=False, recipients=("a@b", "c@d"))
    found = tiers.settle(host, org)
    assert found.notifications[vocabulary.Category.JOB_ALERT].recipients == ()
    assert found.provenance["notifications.jobAlert.recipients"] is ORG
    assert found.provenance["notifications.jobAlert.enabled"] is HOST


@pytest.mark.parametrize(
    ("hosts", "own", "state", "origin"),
    [
        (None, None, "Active", DEFAULT),
        (False, None, "Active", HOST),
        (None, True, "Suspended", ORG),
        (True, None, "Suspended", HOST),
        (True, False, "Suspended", HOST),
        (False, True, "Suspended", ORG),
    ],
)
def test_either_tier_may_hold_delivery(
    hosts: bool | None, own: bool | None, state: str, origin: vocabulary.Origin
) -> None:
    """The host's suspend holds everybody, whatever an organization says; an organization's holds itself."""
    host = {**tiers.RELAY, **({} if hosts is None else {"suspend": hosts})}
    found = tiers.settle(host, {} if own is None else {"suspend": own})
    assert found.state.value == state
    assert found.provenance["suspend"] is origin
    assert found.source is vocabulary.Source.HOST


def test_names_are_normalized() -> None:
    """Host, server name and EHLO name lose their case or trailing dot where those mean nothing."""
    host = {
        "smtp": {"host": "Relay.Example.COM.", "tls": {"serverName": "Mail.Example.COM."}},
        "delivery": {"heloName": "h.example.com."},
    }
    found = tiers.conclude_host(host).effective
    assert found.endpoint is not None
    assert (found.endpoint.host, found.endpoint.tls.server_name) == ("relay.example.com", "mail.example.com")
    assert found.delivery.helo_name == "h.example.com"


_SHOWN = {"tls": {"clientCertificateRef": {"name": "client"}}}


def _certificate(name: str, namespace: str) -> effective.CertificateReference:
    return effective.CertificateReference(namespace=namespace, name=name, version="uid/2")


@pytest.mark.parametrize(
    ("org", "expected"),
    [
        ({}, _certificate("client", "mailtier")),
        ({"from": {"displayName": "Team A"}}, _certificate("client", "mailtier")),
        # Whatever an organization brings to the host's server, it comes without what the server knows the host by.
        ({"auth": tiers.OWN["auth"]}, None),
        ({"auth": {"mechanism": "Anonymous"}}, None),
        # Nor does the host's server by another way in the settings.
        ({**tiers.OWN, "smtp": {"host": "relay.example.com"}}, None),
        (tiers.OWN, None),
        ({**tiers.OWN, "smtp": {**tiers.OWN["smtp"], **_SHOWN}}, _certificate("client", "team-a")),
    ],
)
def test_whose_certificate_a_server_is_shown(org: tiers.Json, expected: effective.CertificateReference | None) -> None:
    """R3: the endpoint's owner's, and the host's together with nothing but the host's own auth."""
    found = tiers.settle({**tiers.RELAY, "smtp": {**tiers.RELAY["smtp"], **_SHOWN}}, org)
    assert found.auth is not None
    assert found.auth.certificate == expected


def test_a_certificate_in_place_of_a_login_is_anonymous() -> None:
    """The host's goes without auth; an organization's own server needs the leave that an anonymous one needs."""
    host = {"smtp": {"host": "relay.example.com", **_SHOWN}, "from": tiers.RELAY["from"]}
    found = tiers.settle(host, {})
    assert found.auth is not None
    assert found.auth.mechanism is vocabulary.Mechanism.ANONYMOUS
    assert found.auth.certificate == _certificate("client", "mailtier")
    own = {**tiers.OWN, "smtp": {**tiers.OWN["smtp"], **_SHOWN}, "auth": {"mechanism": "Anonymous"}}
    assert tiers.findings(host, own) == [("AnonymousNotAllowed", "spec.auth.mechanism")]
    allowed = {**host, "policy": {"endpoints": {"anonymous": True}}}
    assert tiers.findings(allowed, own) == []

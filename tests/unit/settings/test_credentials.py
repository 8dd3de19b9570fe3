"""Credentials by access token: what is read, what is bound, and whose they are."""

from typing import Any

import pytest

from kit import specs, tiers
from mailtier.api import vocabulary
from mailtier.settings import codec, conditions, effective, observed

Purpose = observed.Purpose


def _with(**fields: Any) -> tiers.Json:
    auth = {**tiers.OAUTH2["auth"], "oauth2": {**tiers.OAUTH2["auth"]["oauth2"], **fields}}
    return {**tiers.OAUTH2, "auth": auth}


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({}, [(Purpose.CLIENT_SECRET, "client-secret")]),
        ({"secretRef": {"name": "oauth", "clientSecretKey": "id"}}, [(Purpose.CLIENT_SECRET, "id")]),
        ({"clientAuthentication": "PrivateKeyJWT"}, [(Purpose.PRIVATE_KEY, "private-key")]),
        (
            {"grantType": "RefreshToken"},
            [(Purpose.CLIENT_SECRET, "client-secret"), (Purpose.REFRESH_TOKEN, "refresh-token")],
        ),
        ({"grantType": "RefreshToken", "clientAuthentication": "Public"}, [(Purpose.REFRESH_TOKEN, "refresh-token")]),
    ],
)
def test_exactly_what_the_grant_needs_is_read(fields: tiers.Json, keys: list[tuple[Purpose, str]]) -> None:
    """One Secret holds what the token server is shown; no key is asked for that is not used."""
    need = tiers.plan(None, _with(**fields)).secret
    assert need is not None
    assert (need.namespace, need.name) == ("team-a", "oauth")
    assert [(key.purpose, key.name) for key in need.keys] == keys


def test_the_mechanism_is_xoauth2() -> None:
    """With oauth2, nobody has to say the mechanism, and it is what the sender uses."""
    found = tiers.settle(None, tiers.OAUTH2)
    assert found.state is effective.State.ACTIVE
    assert found.auth is not None
    assert found.auth.mechanism is vocabulary.Mechanism.XOAUTH2
    assert found.auth.oauth2 is not None
    assert str(found.auth.oauth2.server) == "login.example.org:443"
    assert found.auth.oauth2.server.url == "https://Login.example.org/oauth2/token"


@pytest.mark.parametrize(
    "annotation",
    ["smtp.example.org:587", "https://login.example.org", "smtp.example.org:587,login.example.org:443", ""],
)
def test_a_secret_that_names_one_server_only_is_not_bound(annotation: str) -> None:
    """Whoever may write the settings can move neither the client's secret nor the token elsewhere (R3)."""
    read = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1", annotation=annotation)
    found = tiers.conclude(None, tiers.OAUTH2, secret=read).effective
    assert [finding.reason.name for finding in found.findings] == ["SecretNotBound"]
    assert found.findings[0].field == "spec.auth.oauth2.secretRef"
    assert "/oauth2/token" not in found.findings[0].message
    for server in ("smtp.example.org:587", "https://login.example.org"):
        assert server in found.findings[0].message.partition("mailtier.dev/endpoint=")[2]


def test_a_key_that_is_not_fit_is_named() -> None:
    """The message names the field that chooses the key, and the purpose."""
    read = observed.SecretRead(
        outcome=observed.ReadOutcome.FOUND,
        version="uid/1",
        annotation="smtp.example.org,https://login.example.org",
        unfit=observed.SecretKey(purpose=Purpose.PRIVATE_KEY, name="private-key"),
        problem="the key does not exist",
    )
    found = tiers.conclude(None, _with(clientAuthentication="PrivateKeyJWT"), secret=read).effective
    assert [finding.field for finding in found.findings] == ["spec.auth.oauth2.secretRef.privateKeyKey"]
    assert "Put the private key under this key" in found.findings[0].message


@pytest.mark.parametrize(
    ("url", "policy", "reasons"),
    [
        ("https://login.example.org/t", {}, []),
        ("https://login.example.org:8443/t", {}, ["TokenServerNotAllowed"]),
        ("https://login.example.org/t", {"allow": [{"host": "smtp.example.org"}]}, ["TokenServerNotAllowed"]),
        ("https://login.example.org/t", {"allow": [{"host": "*.example.org"}]}, []),
        (
            "https://login.example.org:8443/t",
            {"allow": [{"host": "*.example.org"}, {"host": "login.example.org", "ports": [8443]}]},
            [],
        ),
        ("https://login.example.org/t", {"deny": [{"host": "login.example.org"}]}, ["TokenServerNotAllowed"]),
    ],
)
def test_token_servers_are_judged_as_endpoints_are(url: str, policy: tiers.Json, reasons: list[str]) -> None:
    """R6: the host's policy says which servers an organization has tokens from, with port 443 as the usual one."""
    host = {"policy": {"endpoints": policy}} if policy else {}
    assert [reason for reason, _ in tiers.findings(host, _with(tokenURL=url))] == reasons


def test_an_organization_sees_nothing_of_the_host_s_client() -> None:
    """R7: neither token server nor client of inherited credentials stand in an organization's status."""
    resolution = tiers.conclude(tiers.OAUTH2, {})
    document = conditions.org_status(
        resolution,
        published=True,
        projection=conditions.Projection.NONE,
        probe=None,
        generation=1,
        previous=(),
        now=specs.NOW,
    )
    assert document["effective"]["auth"] == {"mechanism": "XOAUTH2"}
    assert not [path for path in document["effective"]["provenance"] if path.startswith("auth.oauth2")]


def test_settings_with_tokens_travel() -> None:
    """`effective.json` carries all of it, and nothing of it is lost on the way."""
    found = tiers.settle(None, _with(grantType="RefreshToken", clientAuthentication="PrivateKeyJWT", keyID="k"))
    assert codec.decode(codec.encode(found)) == found


def test_a_secret_for_tokens_is_no_password() -> None:
    """An organization that may write settings and not read Secrets gets no part of one sent elsewhere (R1, R3)."""
    read = observed.SecretRead(
        outcome=observed.ReadOutcome.FOUND, version="uid/1", annotation="smtp.example.org:587,https://login.example.org"
    )
    spec = {**tiers.OWN, "auth": {"username": "u", "passwordSecretRef": {"name": "oauth", "key": "client-secret"}}}
    found = tiers.conclude(None, spec, secret=read).effective
    assert [finding.reason.name for finding in found.findings] == ["SecretNotBound"]
    assert "is for access tokens" in found.findings[0].message
    assert "kubectl" not in found.findings[0].message


def test_nothing_is_told_of_a_secret_that_is_not_bound() -> None:
    """Whether a key exists, and what is wrong with its value, is the business of whoever may read the Secret."""
    read = observed.SecretRead(
        outcome=observed.ReadOutcome.FOUND, version="uid/1", unfit=specs.PASSWORD, problem="the value is empty"
    )
    found = tiers.conclude(None, tiers.OWN, secret=read).effective
    assert [finding.reason.name for finding in found.findings] == ["SecretNotBound"]

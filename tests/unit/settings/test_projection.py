"""What applications read of their organization's settings."""

import json
from typing import Any

import pytest

from kit import tiers
from mailtier.settings import projection

INTAKE = projection.Intake(url="https://mailtier.mailtier-system.svc:8443", ca="-----BEGIN CERTIFICATE-----\n")
ANONYMOUS = {"endpoints": {"anonymous": True}}


def data(host: tiers.Json, org: tiers.Json, intake: projection.Intake = INTAKE) -> dict[str, str]:
    """Return what is published for team-a/default."""
    return projection.data(tiers.settle(host, org), intake)


def test_who_inherits_reads_where_to_hand_over_and_who_it_is_from() -> None:
    """Everything to notify with is there, and the values are what a program may use as they are."""
    assert data(tiers.RELAY, {"from": {"displayName": "Team A"}}) == {
        "MAILTIER_ORGANIZATION": "team-a/default",
        "MAILTIER_URL": "https://mailtier.mailtier-system.svc:8443/v1/namespaces/team-a/organizations/default"
        "/notifications",
        "MAILTIER_CA": "-----BEGIN CERTIFICATE-----\n",
        "MAIL_FROM": "no-reply@example.com",
        "MAIL_FROM_NAME": "Team A",
    }


@pytest.mark.parametrize("org", [{}, {"auth": tiers.OWN["auth"]}, {"from": {"displayName": "Team A"}}])
def test_the_host_s_server_is_never_named(org: dict[str, Any]) -> None:
    """Neither server nor user nor Secret of the host is told to a tenant, whoever authenticates there (R3)."""
    found = data(tiers.RELAY, org)
    assert not [key for key in found if key.startswith("SMTP_")]
    assert "relay" not in json.dumps(found)


def test_an_own_server_is_named_with_its_secret_and_without_the_password() -> None:
    """A program that speaks SMTP itself learns where, as whom, and which Secret to read (R1)."""
    org = {**tiers.OWN, "auth": {**tiers.OWN["auth"], "domain": "EXAMPLE", "usernameFormat": "DownLevel"}}
    found = {key: value for key, value in data(tiers.RELAY, org).items() if key.startswith("SMTP_")}
    assert found == {
        "SMTP_HOST": "smtp.example.org",
        "SMTP_PORT": "587",
        "SMTP_TLS": "StartTLS",
        "SMTP_USERNAME": "EXAMPLE\\team",
        "SMTP_SECRET_NAME": "smtp",
        "SMTP_SECRET_KEY": "password",
    }


def test_tokens_have_no_one_key() -> None:
    """With OAuth 2 there is no password in the Secret, so that no key is called one."""
    found = data(tiers.RELAY, tiers.OAUTH2)
    assert (found["SMTP_SECRET_NAME"], found.get("SMTP_SECRET_KEY")) == ("oauth", None)


def test_an_anonymous_server_has_no_user() -> None:
    """What does not exist has no key, rather than an empty one."""
    org = {"smtp": tiers.OWN["smtp"], "from": tiers.OWN["from"], "auth": {"mechanism": "Anonymous"}}
    found = data({**tiers.RELAY, "policy": ANONYMOUS}, org)
    assert {key for key in found if key.startswith("SMTP_")} == {"SMTP_HOST", "SMTP_PORT", "SMTP_TLS"}


def test_what_nobody_knows_is_left_out() -> None:
    """Where neither address nor certificates of the intake are known, the rest is published."""
    found = data(tiers.RELAY, {}, projection.Intake(url="", ca=""))
    assert set(found) == {"MAILTIER_ORGANIZATION", "MAIL_FROM"}

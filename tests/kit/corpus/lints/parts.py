"""Groups of settings that examples of lints are put together from."""

from typing import Any

from kit import linting, tiers
from mailtier.settings.lints import terms

Json = dict[str, Any]

_PASSWORD = {"passwordSecretRef": {"name": "smtp"}}
OAUTH2 = {
    "tokenURL": "https://login.microsoftonline.com/example.onmicrosoft.com/oauth2/v2.0/token",
    "clientID": "client",
    "secretRef": {"name": "smtp"},
}


def host(**groups: Any) -> Json:
    """Return the relay's spec with other groups; `sender` stands for `from`, and None takes a group away."""
    spec = {**tiers.RELAY, **{("from" if name == "sender" else name): group for name, group in groups.items()}}
    return {name: group for name, group in spec.items() if group is not None}


def smtp(server: str = "relay.example.com", port: int | None = None, **tls: str) -> Json:
    """Return an smtp group; its tls group has the named fields."""
    group: Json = {"host": server}
    if port is not None:
        group["port"] = port
    if tls:
        group["tls"] = tls
    return group


def auth(username: str = "relay@example.com", **fields: Any) -> Json:
    """Return credentials with a password, or with oauth2 where that is among the fields."""
    return {"username": username, **(fields if "oauth2" in fields else {**_PASSWORD, **fields})}


def of(**groups: Any) -> terms.Subject:
    """Return what the host sees of the relay's spec with other groups."""
    return linting.of_host(host(**groups))


GMAIL = smtp("smtp.gmail.com")
MICROSOFT = smtp("smtp.office365.com")
SES = smtp("email-smtp.eu-west-1.amazonaws.com")
RELAY = smtp("smtp-relay.gmail.com")
OFFICE_AUTH = auth("no-reply@example.com", oauth2={**OAUTH2, "scopes": ["https://outlook.office365.com/.default"]})


BOUNCING = host(sender={"address": "no-reply@example.com", "envelope": "bounces@example.com"})
"""A host whose platform team reads the bounces of all."""


def mail(**fields: str) -> Json:
    """Return a from group with the relay's address."""
    return {"address": "no-reply@example.com", **fields}


def policy(**endpoints: Any) -> terms.Subject:
    """Return what the host sees of the relay's spec with policy.endpoints."""
    return of(policy={"endpoints": endpoints})


def job(hosts: Json | None = None, **fields: Any) -> terms.Subject:
    """Return what an organization sees that says something of JobAlert, or nothing at all.

    Args:
        hosts: Groups of the host's beside the relay's.
        fields: What the organization says.
    """
    org = {"notifications": {"jobAlert": fields}} if fields else {}
    return linting.of_org({**tiers.RELAY, **(hosts or {})}, org)


ALL_OFF = {
    name: {"enabled": False}
    for name in ("passwordRecovery", "licenseStatus", "productUpdate", "jobAlert", "robotAlert")
}

"""A full status of each kind: every field that the operator may write."""

import typing

from mailtier.api import names

_TIME = "2026-11-24T10:00:00Z"
_BACKLOG = {"queued": 200, "deferred": 20, "held": 0, "oldest": _TIME}


def condition(type_: str, status: str, reason: str, message: str = "") -> dict[str, typing.Any]:
    """Return a condition of generation 1."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": _TIME,
    }


def full() -> dict[str, dict[str, typing.Any]]:
    """Return a status for each kind."""
    conditions = [
        condition("Accepted", "True", "Accepted"),
        condition("ResolvedRefs", "True", "Resolved"),
        condition("Ready", "True", "Published", "delivers through smtp.example.com:587"),
        condition("Verified", "Unknown", "ProbePending"),
        condition("Linted", "True", "NoFindings"),
    ]
    return {
        names.HOST_KIND: {
            "observedGeneration": 1,
            "conditions": conditions,
            "lastHandledRequestedAt": _TIME,
            "server": {"inUse": "Fallback", "since": _TIME},
            "summary": {"organizations": 12, "ready": 10, "blocked": 2, "overriding": 3, "wouldBlock": 1},
            "queue": {**_BACKLOG, "restoredFrom": "2026-03-01T00:00:00Z", "unansweredSince": "2026-03-01T00:00:00Z"},
            "effective": _effective(),
        },
        names.ORG_KIND: {
            "observedGeneration": 1,
            "conditions": conditions,
            "lastHandledRequestedAt": _TIME,
            "source": "Host",
            "state": "Active",
            "server": {"inUse": "Fallback", "since": _TIME},
            "projection": "mailtier-default",
            "queue": _BACKLOG,
            "effective": _effective(),
        },
        names.NOTIFICATION_KIND: {
            "observedGeneration": 1,
            "conditions": [
                condition("Accepted", "True", "Queued"),
                condition("Complete", "False", "Delivering"),
                condition("Ready", "False", "Delivering"),
                condition("Reconciling", "True", "Delivering"),
            ],
            "id": "01JDFQ8Z",
            "recipients": [
                {
                    "address": "a@example.com",
                    "state": "in doubt",
                    "reason": "InDoubt",
                    "message": "the connection was lost after the final dot",
                    "attempts": 1,
                    "changedAt": _TIME,
                }
            ],
        },
    }


def _tls() -> dict[str, typing.Any]:
    return {
        "mode": "StartTLS",
        "serverName": "mail.example.com",
        "minVersion": "TLS1.2",
        "clientCertificateSecretName": "client",
    }


def _auth() -> dict[str, typing.Any]:
    return {
        "mechanism": "XOAUTH2",
        "username": "mailer",
        "secretName": "smtp",
        "oauth2": {
            "grantType": "ClientCredentials",
            "tokenURL": "https://login.example.com/token",
            "clientID": "mailtier",
            "clientAuthentication": "ClientSecret",
            "scopes": ["smtp.send"],
        },
    }


def _effective() -> dict[str, typing.Any]:
    category = {"enabled": True, "recipients": ["a@example.com"], "locale": "ja"}
    return {
        "smtp": {
            "host": "smtp.example.com",
            "port": 587,
            "tls": _tls(),
            "fallback": {"host": "spare.example.com", "port": 587, "tls": _tls(), "auth": _auth()},
        },
        "auth": _auth(),
        "from": {
            "address": "no-reply@example.com",
            "displayName": "Example",
            "replyTo": "help@example.com",
            "envelope": "bounces@example.com",
        },
        "delivery": {
            "heloName": "mail.example.com",
            "maxConnections": 3,
            "messagesPerConnection": 100,
            "timeouts": {"session": "30s", "envelope": "60s", "message": "10m"},
            "endpointRatePerMinute": 600,
            "ehloIgnore": ["PIPELINING"],
            "replies": ['554 5.7.1 "greylisted": Defer'],
            "ratePerMinute": 60,
            "maxAge": "24h",
        },
        "notifications": {
            "passwordRecovery": {"enabled": True, "recipients": [], "locale": "en"},
            "licenseStatus": category,
            "productUpdate": category,
            "jobAlert": category,
            "robotAlert": category,
        },
        "quota": {"queuedMessages": 1000, "queuedBytes": 67108864, "ratePerMinute": 600},
        "provenance": {"smtp.host": "Host", "from.displayName": "Org", "delivery.maxConnections": "Default"},
    }

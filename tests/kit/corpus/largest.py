"""Objects with every string, list, map and number at its upper bound."""

import typing

from kit import corpus
from mailtier.api import names, vocabulary

_WIDE = "𠀀"
"""Four bytes in UTF-8, so that a bound in characters is tried with the most bytes."""


def _name(length: int, *, marker: str = "") -> str:
    """Return a DNS name of exactly `length` characters, with labels as long as they may be."""
    text = marker
    while len(text) < length:
        text += "." if len(text.rpartition(".")[2]) == 63 else "a"
    return text[:-1] + "a"


def _address(marker: str) -> str:
    return f"{marker}".ljust(64, "x") + "@" + _name(189)


def _addresses(count: int) -> list[str]:
    return [_address(f"r{number}") for number in range(count)]


def _from_entries() -> list[str]:
    return [*_addresses(62), "@" + _name(253), "{namespace}@" + _name(242)]


def _labels() -> dict[str, str]:
    return {f"{_name(253, marker=f'p{number:02}')}/{'n' * 63}": "v" * 63 for number in range(16)}


def _pattern(number: int, **what: str) -> dict[str, typing.Any]:
    return {**what, "ports": [65535 - number - port for port in range(16)]}


def _patterns() -> list[dict[str, typing.Any]]:
    by_name = [_pattern(number, host="*." + _name(251, marker=f"h{number}")) for number in range(32)]
    return by_name + [_pattern(number, cidr=_network(number)) for number in range(32)]


def _network(number: int) -> str:
    return f"2001:0db8:0000:0000:0000:0000:0000:{number + 0xFF00:04x}/128"


def _auth() -> dict[str, typing.Any]:
    return {
        "mechanism": "PLAIN",
        "username": _WIDE * 256,
        "domain": _name(253),
        "usernameFormat": "UserPrincipalName",
        "passwordSecretRef": {"name": _name(253), "key": "k" * 253},
    }


def _settings() -> dict[str, typing.Any]:
    return {
        "smtp": {
            "host": _name(253),
            "port": 65535,
            "tls": {
                "mode": "StartTLS",
                "serverName": _name(253),
                "minVersion": "TLS1.3",
                "caRef": {"kind": "ConfigMap", "name": _name(253), "key": "k" * 253},
                "clientCertificateRef": {"name": _name(253)},
            },
            "fallback": {
                "host": _name(253, marker="f"),
                "port": 65535,
                "tls": {
                    "mode": "StartTLS",
                    "serverName": _name(253),
                    "minVersion": "TLS1.3",
                    "caRef": {"kind": "ConfigMap", "name": _name(253), "key": "k" * 253},
                    "clientCertificateRef": {"name": _name(253)},
                },
                "auth": _auth(),
            },
        },
        "auth": _auth(),
        "from": {
            "address": _address("a"),
            "displayName": _WIDE * 256,
            "replyTo": _address("b"),
            "envelope": _address("c"),
        },
        "delivery": {
            "heloName": _name(253),
            "maxConnections": 100,
            "messagesPerConnection": 10_000,
            "timeouts": {
                "session": "000000h000000m000030s",
                "envelope": "000000h000001m000000s",
                "message": "000000h000010m000000s",
            },
            "ehloIgnore": [keyword.value for keyword in vocabulary.EhloKeyword],
            "endpointRatePerMinute": 100_000,
            "replies": [
                {"code": 599, "enhanced": "5.999.999", "text": _WIDE * 128, "action": "Defer"} for _ in range(20)
            ],
            "ratePerMinute": 100_000,
            "maxAge": "000168h000000m000000s",
        },
        "notifications": {
            "passwordRecovery": {"enabled": True, "locale": "ja"},
            **{
                category: {"enabled": True, "recipients": _addresses(20), "locale": "ja"}
                for category in ("licenseStatus", "productUpdate", "jobAlert", "robotAlert")
            },
        },
        "suspend": True,
    }


def accepted() -> list[corpus.Case]:
    """Return objects that are still accepted; together they reach every bound."""
    specs: dict[str, dict[str, typing.Any]] = {
        "many entries": {"category": "JobAlert", "data": _data(63, "a") | {"wide": "a" * 4096}},
        "a long text": {"category": "JobAlert", "text": _WIDE * 65536},
        "long values": {"category": "JobAlert", "subject": _WIDE * 256, "data": {"a": _WIDE * 4096, "b": _WIDE * 4096}},
        "many recipients": {
            "category": "JobAlert",
            "organization": "o" * names.ORGANIZATION_NAME_LENGTH,
            "recipients": _addresses(20),
        },
    }
    return [
        corpus.Case(why="everything at its bound", document=_host()),
        corpus.Case(why="everything at its bound", document=_organization()),
        corpus.Case(why="a token with everything at its bound", document=_token(names.ORG_KIND, "secret")),
        corpus.Case(
            why="a signed request for a token with everything at its bound", document=_token(names.ORG_KIND, "key")
        ),
        corpus.Case(why="a token with everything at its bound", document=_token(names.HOST_KIND, "secret")),
        corpus.Case(
            why="a signed request for a token with everything at its bound", document=_token(names.HOST_KIND, "key")
        ),
        *(
            corpus.Case(why=f"{why} at the bound", document=corpus.document(names.NOTIFICATION_KIND, spec))
            for why, spec in specs.items()
        ),
    ]


def refused() -> list[corpus.Case]:
    """Return Notifications within every single bound that hold too much together."""
    says = "subject, text and data hold more than 256 KiB together; shorten them, or send a link instead"
    specs: dict[str, dict[str, typing.Any]] = {
        "everything at its bound": {"subject": _WIDE * 256, "text": _WIDE * 65536, "data": _data(64, _WIDE * 4096)},
        "one byte of subject too much": {"subject": "a", "text": _WIDE * 65536},
        "a name of data too much": {"text": _WIDE * 65536, "data": {"a": ""}},
        "a value of data too much": {"text": _WIDE * 65535, "data": {"a": "abcd"}},
    }
    return [
        corpus.Case(
            why=why,
            document=corpus.document(names.NOTIFICATION_KIND, {"category": "JobAlert", **spec}),
            says=f"spec: Invalid value: {says}",
            offline=f"spec: {says}",
        )
        for why, spec in specs.items()
    ]


def _data(count: int, value: str) -> dict[str, str]:
    return {f"name_{number:02}".ljust(63, "x"): value for number in range(count)}


def _host() -> dict[str, typing.Any]:
    spec = _settings()
    spec["auth"]["allowPlaintext"] = True
    spec["policy"] = {
        "mode": "Audit",
        "locked": [path.value for path in vocabulary.Lockable],
        "recipients": {"domains": ["*." + _name(251, marker=f"d{number}") for number in range(64)]},
        "quota": {"queuedMessages": 1_000_000, "queuedBytes": "1099511627776", "ratePerMinute": 100_000},
        "organizations": {"mode": "Selector", "selector": {"matchLabels": _labels()}},
        "from": {"allow": _from_entries(), "ownLogins": "KnownProviders"},
        "endpoints": {
            "allow": _patterns(),
            "deny": _patterns(),
            "anonymous": True,
            "hostAllow": [_network(number) for number in range(16)],
        },
    }
    return corpus.document(names.HOST_KIND, spec)


def _organization() -> dict[str, typing.Any]:
    return corpus.document(names.ORG_KIND, _settings(), {"name": "o" * names.ORGANIZATION_NAME_LENGTH})


def _token(kind: str, how: str) -> dict[str, typing.Any]:
    """Return an organization with an access token by `secret` or by `key`, at every bound."""
    spec = _settings()
    oauth2 = {
        "grantType": "RefreshToken",
        "tokenURL": ("https://" + _name(253) + ":65535/").ljust(512, "t"),
        "clientID": _WIDE * 256,
        "scopes": [f"{number:02}".ljust(256, "s") for number in range(16)],
    }
    secret = {"name": _name(253), "refreshTokenKey": "r" * 253}
    if how == "key":
        oauth2 |= {"clientAuthentication": "PrivateKeyJWT", "keyID": _WIDE * 256}
        secret["privateKeyKey"] = "k" * 253
    else:
        secret["clientSecretKey"] = "k" * 253
    auth = spec["auth"]
    del auth["passwordSecretRef"]
    spec["auth"] = {**auth, "mechanism": "XOAUTH2", "oauth2": {**oauth2, "secretRef": secret}}
    spec["smtp"]["fallback"]["auth"] = spec["auth"]
    return corpus.document(kind, spec)

"""What can be told of host and domain names by looking at them."""

import ipaddress
from typing import Final

from mailtier.settings import endpoints

_SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gov", "gob", "go", "mil", "ne", "net", "or", "org"})
"""Labels under which countries give names out, as in `co.uk` and `or.jp`."""

# RFC 6761 and RFC 6762, RFC 8375, the name that ICANN reserved for private use in 2024, and what people use instead.
_PRIVATE_TOPS: Final = frozenset(
    {"localhost", "local", "localdomain", "internal", "intranet", "lan", "corp", "home", "private", "svc", "cluster"}
)
_NEVER_PUBLIC: Final = _PRIVATE_TOPS | {"invalid", "onion", "test"}
_PRIVATE_SUFFIX: Final = ".home.arpa"

_NO_TOPS: Final = frozenset({"default", "mail", "postfix", "relay", "smtp", "svc"})
"""Names of namespaces, and what follows them, that are no top-level domains; ICANN has ruled `mail` out for good."""

FREEMAIL: Final = frozenset(
    {
        *("gmail.com", "googlemail.com", "yahoo.com", "yahoo.co.jp", "ymail.com", "aol.com", "icloud.com", "me.com"),
        *("outlook.com", "hotmail.com", "live.com", "msn.com", "gmx.net", "gmx.de", "gmx.com", "web.de", "mail.com"),
        *("mail.ru", "yandex.ru", "yandex.com", "proton.me", "protonmail.com", "qq.com", "163.com", "126.com"),
    }
)
"""Domains whose mailboxes belong to whoever signs up; their providers disown what other servers send."""


def is_loopback(host: str) -> bool:
    """Return whether a normalized host is the machine that looks it up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return endpoints.is_address(host) and ipaddress.ip_address(host).is_loopback


def is_private(name: str) -> bool:
    """Return whether a name means nothing on the internet: a single label, or below a name for private use."""
    top = name.rpartition(".")[2]
    return "." not in name or top in _PRIVATE_TOPS or name.endswith((_PRIVATE_SUFFIX, ".svc"))


def is_relative_to_a_cluster(name: str) -> bool:
    """Return whether only the search list of a pod would find a name, as far as its looks tell.

    That is a single label, `service.namespace` where the last is no top-level domain (they are letters alone, RFC 3696
    section 2, or A-labels), and `service.namespace.svc`.
    """
    labels = name.split(".")
    top = labels[-1]
    if len(labels) == 1 or top == "svc":
        return True
    is_no_domain = top in _NO_TOPS or not (top.isalpha() or top.startswith("xn--"))
    return len(labels) == 2 and is_no_domain  # noqa: PLR2004 - a Service and its namespace.


def is_never_public(name: str) -> bool:
    """Return whether no receiver on the internet can find a mail domain."""
    top = name.rpartition(".")[2]
    return is_private(name) or top in _NEVER_PUBLIC


def organizational(name: str) -> str:
    """Return the part of a name that somebody registered, as `example.co.uk` of `mail.example.co.uk`.

    A guess without the Public Suffix List, which changes weekly and would age in a release. Below suffixes that few use
    it returns the suffix, as `me.uk` for `mail.example.me.uk`: strangers there count as related, and a lint says
    nothing. Where somebody registered a name such as `co.de`, it returns one label too many.
    """
    labels = name.split(".")
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL  # noqa: PLR2004
    return ".".join(labels[-3:] if country else labels[-2:])


def are_related(one: str, other: str) -> bool:
    """Return whether two names belong to the same registered one."""
    return organizational(one.lower()) == organizational(other.lower())


def domain_of(address: str) -> str:
    """Return the domain of a mail address in lower case; the whole text where there is no `@`."""
    return address.rpartition("@")[2].lower()

"""Credentials name their endpoint: the annotation on a Secret that says where its password may be sent (R3)."""

import dataclasses
import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from mailtier.api import names
from mailtier.api import text as texts
from mailtier.settings import effective

_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAXIMUM_PORT: Final = 65535
MAXIMUM_LENGTH: Final = 8192
"""Characters of an annotation."""

_HTTPS: Final = "https://"
_HTTPS_PORT: Final = 443


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BoundServer:
    """One server that an annotation lists.

    Attributes:
        name: Or an address; normalized.
        port: None for every port.
        is_token_server: Whether it is one that gives access tokens, which is written `https://host[:port]`.
    """

    name: str
    port: int | None
    is_token_server: bool = False

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        if self.is_token_server:
            return f"{_HTTPS}{name}" if self.port == _HTTPS_PORT else f"{_HTTPS}{name}:{self.port}"
        return name if self.port is None else f"{name}:{self.port}"


def normalize_host(host: str) -> str:
    """Return the one spelling of a server's name or address that all comparisons use.

    Args:
        host: A DNS name (A-labels) or an IP address, IPv6 without brackets.

    Returns:
        A name in lower case without its trailing dot; an address in its canonical form (RFC 5952).
    """
    lowered = texts.lower_ascii(host).removesuffix(".")
    try:
        return str(ipaddress.ip_address(lowered))
    except ValueError:
        return lowered


def is_too_long(annotation: str | None) -> bool:
    """Return whether an annotation has more than is looked at: it is kept for each Secret, and told in a status."""
    return annotation is not None and len(annotation) > MAXIMUM_LENGTH


def parse(annotation: str | None) -> tuple[BoundServer, ...]:
    """Return the endpoints that an annotation lists; what cannot be read as one, or is too long, lists nothing.

    Args:
        annotation: Comma-separated `host[:port]`, IPv6 in brackets; None for no annotation.
    """
    if is_too_long(annotation):
        return ()
    entries = (_parse_entry(text.strip(texts.ASCII_BLANKS)) for text in (annotation or "").split(","))
    return tuple(entry for entry in entries if entry is not None)


def servers(endpoint: effective.Endpoint, auth: effective.Auth) -> tuple[BoundServer, ...]:
    """Return every server that what comes from a Secret is sent to: the endpoint, and with OAuth2 the token server.

    The endpoint gets the token. If its consent were not needed, whoever may write the settings could have tokens for
    somebody's mailbox sent to a server of their own.
    """
    found = (BoundServer(name=endpoint.host, port=endpoint.port),)
    if auth.oauth2 is None:
        return found
    server = auth.oauth2.server
    return (*found, BoundServer(name=server.host, port=server.port, is_token_server=True))


def certificate_servers(endpoint: effective.Endpoint) -> tuple[BoundServer, ...]:
    """Return every server that a client certificate is shown to."""
    return (BoundServer(name=endpoint.host, port=endpoint.port),)


def is_for_tokens(annotation: str | None) -> bool:
    """Return whether a Secret is one that access tokens are had with.

    Nothing in it is ever a password: its owner has agreed that tokens go to the endpoint, and not that the client's
    secret or the refresh token does, which whoever may write the settings could name as the password's key.
    """
    return any(entry.is_token_server for entry in parse(annotation))


def unbound(annotation: str | None, wanted: Sequence[BoundServer]) -> tuple[BoundServer, ...]:
    """Return the servers that the annotation of a Secret does not list, so that nothing of it may be sent there.

    There is no wildcard for hosts: consent is given to a server, by name. Consent for access tokens is none for a
    password (see `is_for_tokens`).
    """
    listed = parse(annotation)
    if is_for_tokens(annotation) and not any(server.is_token_server for server in wanted):
        return tuple(wanted)
    return tuple(server for server in wanted if not any(_covers(entry, server) for entry in listed))


def refusal(
    *,
    namespace: str,
    name: str,
    annotation: str | None,
    wanted: Sequence[BoundServer],
    is_certificate: bool = False,
    advise: bool = True,
) -> str | None:
    """Return why nothing of a Secret may be sent to servers, and what to do; None where its owner has agreed.

    It is decided and said here alone: the operator tells it in a status, and the sender decides again on the read that
    yields the value.

    Args:
        namespace: The Secret's.
        name: The Secret's.
        annotation: Its text; None for none.
        wanted: The servers that what is in it would be sent to.
        is_certificate: Whether that is a client certificate, and neither a password nor what tokens are had with.
        advise: Whether consent would help; not where one of these servers must not be used at all.
    """
    missing = unbound(annotation, wanted)
    if not missing:
        return None
    label, is_for_login = f"Secret {namespace}/{name}", not any(server.is_token_server for server in wanted)
    what = "certificate" if is_certificate else "password"
    if is_for_login and is_for_tokens(annotation):
        return (
            f"{label} is for access tokens, as its annotation says, so that nothing in it is sent as a {what}; put"
            f" the {what} into another Secret"
        )
    if is_too_long(annotation):
        label = f"the annotation of {label} has more than {MAXIMUM_LENGTH} characters, so that nothing in it counts; it"
    said = f"{label} does not list {' and '.join(str(server) for server in missing)} in its annotation"
    if not advise:
        return f"{said}; mend the other fault first, for the server cannot be used as it stands"
    consent = (
        f"its {what} may be sent there" if is_for_login else "tokens may be had with it there and sent to the endpoint"
    )
    command = annotate_command(namespace=namespace, name=name, annotation=annotation, wanted=wanted)
    return f"{said}; if {consent}, run `{command}`"


def joined(annotation: str | None, wanted: Sequence[BoundServer]) -> str:
    """Return the text of an annotation that lists what it did and these servers, each once."""
    return ",".join(dict.fromkeys(str(entry) for entry in (*parse(annotation), *wanted)))


def annotate_command(*, namespace: str, name: str, annotation: str | None, wanted: Sequence[BoundServer]) -> str:
    """Return the kubectl line that binds a Secret to an endpoint, and keeps the bindings it has.

    Args:
        namespace: The Secret's.
        name: The Secret's.
        annotation: Its present text. Only what was read as an endpoint is repeated: a person is going to paste the
            line into a shell, and whoever wrote the annotation must not get a command into it.
        wanted: The servers to be listed.
    """
    value = joined(annotation, wanted)
    return f"kubectl annotate secret -n {namespace} {name} '{names.ENDPOINT_ANNOTATION}={value}' --overwrite"


def _covers(entry: BoundServer, server: BoundServer) -> bool:
    same_kind = entry.is_token_server == server.is_token_server
    return same_kind and entry.name == server.name and entry.port in {None, server.port}


def _parse_entry(text: str) -> BoundServer | None:
    if text.startswith(_HTTPS):
        found = _parse_entry(text.removeprefix(_HTTPS)) if not text.startswith(_HTTPS * 2) else None
        return (
            None
            if found is None
            else BoundServer(name=found.name, port=found.port or _HTTPS_PORT, is_token_server=True)
        )
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            return None
        port, has_port, is_ipv6 = rest[1:], bool(rest), True
    else:
        # A second colon is an IPv6 address without brackets, whose last group must not be taken for a port.
        host, colon, port = text.partition(":")
        has_port, is_ipv6 = bool(colon), False
    normalized = normalize_host(host)
    if is_ipv6 != (":" in normalized) or not _is_host(normalized):
        return None
    if has_port and (_PORT.fullmatch(port) is None or int(port) > _MAXIMUM_PORT):
        return None
    return BoundServer(name=normalized, port=int(port) if has_port else None)


def _is_host(normalized: str) -> bool:
    if ":" not in normalized:
        return _NAME.fullmatch(normalized) is not None
    try:
        return ipaddress.IPv6Address(normalized).scope_id is None
    except ValueError:
        return False

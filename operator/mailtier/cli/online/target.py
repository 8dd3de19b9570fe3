"""The organization that a command speaks of, and how long it may take, as people write them."""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable
from typing import Self

import typer

from mailtier.api import names, types

_LONGEST = dt.timedelta(hours=24)
_LAST_PORT = 65_535
_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@?#\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationName:
    """An organization by its names."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the organization of NAMESPACE or NAMESPACE/NAME.

        Raises:
            BadParameter: It is not of that form.
        """
        namespace, slash, name = text.partition("/")
        name = name if slash else names.DEFAULT_ORGANIZATION
        if not namespace or not name or "/" in name:
            raise typer.BadParameter(
                f"{text!r} is not NAMESPACE/NAME, such as acme/default; the name alone of a namespace means"
                f" {names.DEFAULT_ORGANIZATION}",
                param_hint="ORGANIZATION",
            )
        return cls(namespace=namespace, name=name)


def require_organization(text: str, option: str) -> str:
    """Return the name of an organization within its namespace, or "" for none.

    Raises:
        BadParameter: It has a namespace with it.
    """
    if "/" in text:
        raise typer.BadParameter(f"{text!r} has to be the name alone, such as default", param_hint=option)
    return text


def require_server(text: str, option: str) -> str:
    """Return HOST or HOST:PORT, or "" for none.

    Raises:
        BadParameter: It is not of that form.
    """
    if text and not _is_server(text):
        raise typer.BadParameter(f"{text!r} is not HOST or HOST:PORT, such as smtp.example.com:587", param_hint=option)
    return text


def _is_server(text: str) -> bool:
    if text.count(":") > 1 and not text.startswith("["):
        # An IPv6 address alone.
        return True
    found = _SERVER.fullmatch(text)
    return found is not None and (found["port"] is None or 0 < int(found["port"]) <= _LAST_PORT)


def require_ids(texts: Iterable[str], namespace: str) -> list[str]:
    """Return ids of notifications.

    Raises:
        BadParameter: One is none.
    """
    found = list(texts)
    for text in found:
        if not _ID.fullmatch(text):
            raise typer.BadParameter(
                f"{text!r} is not the id of a notification, such as 01a21045-6d0f-7c3e-9b51-0d8f6a1c2e34:"
                f" `mailtier queue list {namespace}` shows them",
                param_hint="ID",
            )
    return found


def parse_timeout(text: str, *, option: str = "--timeout") -> dt.timedelta:
    """Return the time that an option says.

    Raises:
        BadParameter: It is no duration, or an absurd one.
    """
    try:
        # A number alone is seconds, as timeout(1) has it.
        found = types.parse_duration(f"{text}s" if text.isascii() and text.isdecimal() else text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if not dt.timedelta() < found <= _LONGEST:
        raise typer.BadParameter("must be between 1s and 24h", param_hint=option)
    return found

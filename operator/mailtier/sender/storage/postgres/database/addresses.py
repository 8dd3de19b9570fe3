"""What an address of a database names, for messages: never a user or a password (R1)."""

import pathlib
import re
from typing import Final
from urllib import parse

_HOSTS: Final = re.compile(r"[A-Za-z0-9_.,:\[\]-]+")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


def server(dsn: str) -> str:
    """Return HOST:PORT of an address; "" where it names none, or where that cannot be told from a password.

    Source:
        https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
    """
    # Neither "@" nor "/" of a password that is not encoded may make a part of it a host.
    before, at, hosts = _netloc(dsn).rpartition("@")
    if dsn.count("@") > 1 or (not at and "@" in dsn) or "@" in before or not _HOSTS.fullmatch(hosts):
        return ""
    return hosts if hosts.rpartition("]")[2].count(":") or "," in hosts else f"{hosts}:5432"


def missing_file(dsn: str) -> str:
    """Return what an address names of certificates and is not there, as `sslrootcert PATH`; "" where nothing is."""
    try:
        query = parse.parse_qs(parse.urlsplit(dsn).query)
    except ValueError:
        return ""
    for name in _FILES:
        for path in query.get(name, ()):
            if path != "system" and not pathlib.Path(path).is_file():
                return f"{name} {path}"
    return ""


def _netloc(dsn: str) -> str:
    try:
        return parse.urlsplit(dsn).netloc
    except ValueError:
        return ""

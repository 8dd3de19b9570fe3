"""Why a database cannot be used, in a sentence that says what to look at."""

import contextlib
from collections.abc import Iterator
from typing import Final

from mailtier.sender.storage.postgres.database import addresses, connections, schema

_OF_ITS_OWN: Final = ("28", "3D")
"""SQLSTATE classes of which the server's sentence names a user or a database, and nothing else: who may not come in."""


@contextlib.contextmanager
def explained(dsn: str) -> Iterator[None]:
    """Say of what fails inside why the database at an address cannot be used.

    Raises:
        connections.NoDatabaseError: It cannot; no password is in the text (R1).
        schema.NewerTablesError: A newer version of this program changed its tables.
    """
    if missing := addresses.missing_file(dsn):
        raise connections.NoDatabaseError(
            f"the address of the queue's database names a file that is not there: {missing}"
        )
    try:
        yield
    except (connections.NoDatabaseError, schema.NewerTablesError):
        raise
    except Exception as error:
        server = addresses.server(dsn)
        raise connections.NoDatabaseError(
            f"the queue's database{' at ' if server else ''}{server} cannot be used ({_cause(error)}): look whether it"
            " runs, whether its address, user and password are right, and whether that user may create a schema in it"
        ) from error


def _cause(error: Exception) -> str:
    cause = error.__cause__ or error
    is_told = str(getattr(cause, "sqlstate", None) or "").startswith(_OF_ITS_OWN)
    return str(cause) if is_told else connections.describe(cause)

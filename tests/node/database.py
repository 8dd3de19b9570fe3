"""A Postgres that the cluster's pods reach, and that is not in the cluster."""

import contextlib
import pathlib
import secrets

from kit import postgres
from node.ground import configuration

_ROLE = "mailtier"


class Database:
    """A server on the node's address, with a role and a database for the queue, while its context is open.

    Args:
        stack: Gets what has to be ended.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        folder: pathlib.Path = stack.enter_context(postgres.new_folder())
        self._server = postgres.Server(folder)
        self._server.make()
        with (self._server.data / "pg_hba.conf").open("a", encoding="ascii") as file:
            file.write(f"host all {_ROLE} {configuration.PODS} scram-sha-256\n")
        self._server.begin(f"listen_addresses={configuration.ADDRESS}")
        stack.callback(self._server.end)
        self._password = secrets.token_urlsafe(12)
        self._execute(f"CREATE ROLE {_ROLE} LOGIN PASSWORD '{self._password}'")
        self._execute(f"CREATE DATABASE {_ROLE} OWNER {_ROLE}")

    @property
    def dsn(self) -> str:
        """The address of the queue, as a Secret has it."""
        return f"postgresql://{_ROLE}:{self._password}@{configuration.ADDRESS}:{postgres.PORT}/{_ROLE}"

    def rotate(self) -> None:
        """Give the role another password, and end the connections that know the old one."""
        self._password = secrets.token_urlsafe(12)
        self._execute(f"ALTER ROLE {_ROLE} PASSWORD '{self._password}'")
        self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{_ROLE}'")

    def _execute(self, statement: str) -> None:
        postgres.execute(self._server.dsn("postgres"), statement)

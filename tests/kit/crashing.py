"""What a queue is stored in, for tests that kill: what a sender is told of it, what of it can be killed, what holds."""

import collections.abc
import contextlib
import pathlib
import random
import typing

from kit import invariants, postgres


class KillableStorage(typing.Protocol):
    """What a queue is stored in.

    Attributes:
        kills: Which part of the kills concerns it, and not the sender.
        doubt_seconds: How long before the end of a connection that is in doubt which came over it; 0 where nothing
            but its last message is.
    """

    kills: float
    doubt_seconds: float

    def arguments(self) -> list[str]:
        """Return those that a sender has for it."""

    def kill(self, chance: random.Random) -> str:
        """Kill something of it, have it running again, and return what it was."""

    def violations(self) -> list[str]:
        """Return what does not hold of what is stored, once nobody has it open."""


class EmbeddedStorage:
    """A file on the sender's volume: no process of its own."""

    kills = 0.0
    doubt_seconds = 0.0

    def __init__(self, data: pathlib.Path) -> None:
        self._data = data

    def arguments(self) -> list[str]:
        """Return nothing: it is what a sender has by default."""
        return []

    def kill(self, _: random.Random) -> str:
        """Refuse to be killed: there is nothing that runs."""
        raise NotImplementedError

    def violations(self) -> list[str]:
        """Return what does not hold of its file."""
        return invariants.violations(self._data / "queue" / "queue.sqlite3")


class DatabaseStorage:
    """A database of a Postgres server of its own, which waits for its disk as one at work does."""

    kills = 0.25
    # Acceptances are noted within 50 ms, and a crash of the database may lose the notes of half a second.
    doubt_seconds = 1.0

    def __init__(self, server: postgres.Server, folder: pathlib.Path) -> None:
        self._server = server
        self._dsn = postgres.new_database(server)
        self._dsn_file = folder / "dsn"
        self._dsn_file.write_text(self._dsn, encoding="utf-8")

    def arguments(self) -> list[str]:
        """Return where it is, and a name that a sender keeps."""
        return [f"--queue-dsn-file={self._dsn_file}", "--sender-name=sender-0"]

    def kill(self, chance: random.Random) -> str:
        """Kill one process of the server, all of them at once, or end it without a checkpoint."""
        name = chance.choice(["a process of the database", "the database", "the database (immediate)"])
        if name == "a process of the database":
            self._server.kill_one(chance)
        elif name == "the database":
            self._server.kill()
        else:
            self._server.end_immediately()
        if self._server.child is None:
            self._server.begin()
        return name

    def violations(self) -> list[str]:
        """Return what does not hold of its tables."""
        return invariants.shared_violations(self._dsn)


@contextlib.contextmanager
def _embedded(folder: pathlib.Path) -> collections.abc.Iterator[KillableStorage]:
    yield EmbeddedStorage(folder / "sender" / "data")


@contextlib.contextmanager
def _database(folder: pathlib.Path) -> collections.abc.Iterator[KillableStorage]:
    with postgres.running("fsync=on") as server:
        yield DatabaseStorage(server, folder)


STORAGES: dict[str, collections.abc.Callable[[pathlib.Path], contextlib.AbstractContextManager[KillableStorage]]] = {
    "sqlite": _embedded,
    "postgres": _database,
}
"""Every backend: given the test's folder, whose `sender` is the sender's, what it is stored in."""

"""Real Postgres servers for tests: Debian's, in folders of their own, on Unix sockets; a database for each test.

One server serves a test session, and ends with it. A database is a copy of one that has the tables. Run as
`python -m kit.postgres` it installs the package where it is missing.
"""

import asyncio
import atexit
import collections.abc
import contextlib
import functools
import itertools
import os
import pathlib
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import typing
from typing import Final

import asyncpg

from kit import processes, wait

_PACKAGE: Final = "postgresql"
USER: Final = "postgres"
PORT: Final = 5432
"""Of a socket's name only; nothing is listened on."""

FAST: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
"""For tests of what is stored, not of what a crash of the server leaves."""


class NoPostgresError(RuntimeError):
    """This machine has no Postgres and cannot install it."""


@functools.cache
def programs() -> pathlib.Path:
    """Return the folder of the server's programs, once the package is installed.

    Raises:
        NoPostgresError: It is not there and cannot be installed; the text says what to do.
    """
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing Debian's {_PACKAGE} ...", file=sys.stderr, flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", _PACKAGE]):
            subprocess.run(
                ["apt-get", "-q", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        found = _find()
    if found is None:
        raise NoPostgresError(
            f"tests of the shared queue need Postgres; on Debian, as root: apt-get install {_PACKAGE}"
        )
    return found


def version() -> str:
    """Return which Postgres it is."""
    said = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]


def _find() -> pathlib.Path | None:
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


class Server:
    """A server of its own cluster; made by `start`.

    Args:
        folder: Where its data lie, its log and its socket.
        launcher: What starts its programs, before their own command lines.
        env: Variables that are added to its environment.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        launcher: collections.abc.Sequence[str] = (),
        env: collections.abc.Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._launcher = launcher
        self._env = env
        self.child: processes.Child | None = None
        self.settings: tuple[str, ...] = ()

    @property
    def data(self) -> pathlib.Path:
        """The cluster."""
        return self.folder / "data"

    def dsn(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={PORT}"

    def make(self, *options: str) -> None:
        """Make the cluster; options are initdb's."""
        usual = ["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        run(["initdb", "-D", self.data, *usual, *options], launcher=self._launcher)

    def begin(self, *settings: str) -> None:
        """Run the server until it is ended, and return when it answers."""
        self.settings = settings or self.settings
        fixed = ("listen_addresses=", f"unix_socket_directories={self.folder}", f"port={PORT}", "max_connections=200")
        options = [word for setting in (*fixed, *self.settings) for word in ("-c", setting)]
        log = self.folder / "server.log"
        command = [*self._launcher, *_as_user([programs() / "postgres", "-D", self.data, *options])]
        self.child = processes.start(command, log=log, env=self._env)
        self.until_ready()

    def until_ready(self) -> None:
        """Return when it answers.

        Raises:
            NoPostgresError: It has ended.
        """
        assert self.child is not None
        child = self.child
        ready: list[str | pathlib.Path] = [programs() / "pg_isready", "-q", "-h", self.folder, "-p", str(PORT)]
        wait.until(
            lambda: subprocess.run(ready, check=False).returncode == 0 or not child.running,
            within_seconds=60,
            why="Postgres answers",
        )
        if not child.running:
            raise NoPostgresError(f"Postgres did not start; its log ends with:\n{child.log.read_text()[-2000:]}")

    def end(self) -> None:
        """End the server at once, in good order."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def kill(self) -> None:
        """End all its processes with SIGKILL at the same time; what they had in memory is gone."""
        assert self.child is not None
        family = processes.family(self.child.pid)
        for pid in family:
            _kill(pid)
        self.child.wait(within_seconds=30)
        # The next one does not start beside a process of this one.
        wait.until(
            lambda: not any(map(processes.runs, family)), within_seconds=30, why="every process of Postgres is gone"
        )
        self.child = None

    def kill_one(self, chance: random.Random) -> None:
        """End one of its processes with SIGKILL: it ends the others, recovers, and answers again by itself."""
        assert self.child is not None
        _, *others = processes.family(self.child.pid)
        _kill(chance.choice(others))
        self.until_ready()

    def end_immediately(self) -> None:
        """End it as `pg_ctl stop -m immediate` does: without a checkpoint, so that its next start recovers."""
        assert self.child is not None
        self.child.signal(signal.SIGQUIT)
        self.child.wait(within_seconds=30)
        self.child = None


def start(folder: pathlib.Path, *settings: str, env: collections.abc.Mapping[str, str] | None = None) -> Server:
    """Return a server that runs, of a new cluster.

    Args:
        folder: Where it lies; made, and given to the user that it runs as.
        settings: As in its file of settings, `name=value`.
        env: Variables that are added to its environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _give(folder)
    server = Server(folder, env=env)
    server.make()
    server.begin(*settings)
    return server


@contextlib.contextmanager
def running(*settings: str, env: collections.abc.Mapping[str, str] | None = None) -> collections.abc.Iterator[Server]:
    """Give a server of a new cluster while the context is entered; see `start`."""
    with new_folder() as folder:
        server = start(folder, *settings, env=env)
        try:
            yield server
        finally:
            server.end()


@contextlib.contextmanager
def new_folder() -> collections.abc.Iterator[pathlib.Path]:
    """Give a folder of the server's while the context is entered."""
    # Beside pytest's own folders, which only root may enter.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mailtier-postgres-"))
    _give(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give(folder: pathlib.Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, USER)


def run(command: collections.abc.Sequence[str | pathlib.Path], *, launcher: collections.abc.Sequence[str] = ()) -> None:
    """Run one of the server's programs.

    Args:
        command: Its name and its arguments.
        launcher: What starts it, before its own command line.

    Raises:
        NoPostgresError: It failed.
    """
    name, *arguments = command
    whole = [*launcher, *_as_user([programs() / name, *arguments])]
    found = subprocess.run(whole, capture_output=True, text=True, check=False)
    if found.returncode:
        raise NoPostgresError(f"{name} failed: {found.stderr[-2000:]}")


def _kill(pid: int) -> None:
    # It may have ended meanwhile.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _as_user(command: collections.abc.Sequence[str | pathlib.Path]) -> list[str | pathlib.Path]:
    """Return a command that runs as somebody whom the server allows: never as root."""
    if os.geteuid() != 0:
        return list(command)
    user = pwd.getpwnam(USER)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]


@functools.cache
def shared() -> Server:
    """Return the server of this test session."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running(*FAST))


_names = itertools.count(1)
_TEMPLATE: Final = "tables"


def new_database(server: Server | None = None) -> str:
    """Return the address of a new database, with the tables of the queue in it."""
    server = server or shared()
    _make_template(server.folder)
    name = f"queue_{next(_names)}"
    _sql(server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    return server.dsn(name)


def drop_database(dsn: str, server: Server | None = None) -> None:
    """Remove a database, whoever is connected with it."""
    _sql(server or shared(), f"DROP DATABASE IF EXISTS {name_of(dsn)} WITH (FORCE)")


def name_of(dsn: str) -> str:
    """Return the name of a database, given the address that `new_database` returned."""
    return dsn.partition("@/")[2].partition("?")[0]


async def held(dsn: str, marks: collections.abc.Iterable[str]) -> list[str]:
    """Return which texts payloads have; all of them where former versions of rows are still there, which may have any.

    The files are no measure: of what was removed a page keeps remains until it is used again, as the log does.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pageinspect")
        table = "mailtier.notifications"
        toast = await connection.fetchval(
            "SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = $1::text::regclass", table
        )
        if any([await _has_former_versions(connection, each) for each in (table, toast)]):
            return list(marks)
        bodies = await connection.fetch(f"SELECT body FROM {table} WHERE body IS NOT NULL")
        content = b"".join(body for (body,) in bodies)
        return [mark for mark in marks if mark.encode() in content]
    finally:
        await connection.close()


async def _has_former_versions(connection: typing.Any, table: str) -> bool:
    stored = await connection.fetchval(
        "SELECT count(*) FROM generate_series(0, pg_relation_size($1::text::regclass) / 8192 - 1) page, "
        "heap_page_items(get_raw_page($1, page::integer)) WHERE lp_flags = 1",
        table,
    )
    return bool(stored > await connection.fetchval(f"SELECT count(*) FROM {table}"))


@functools.cache
def _make_template(folder: pathlib.Path) -> None:
    server = Server(folder)
    _sql(server, f"CREATE DATABASE {_TEMPLATE}")

    # Not at the top: the kit's other parts do without the sender.
    from mailtier.sender.storage.postgres.database import connections, schema  # noqa: PLC0415

    async def prepare() -> None:
        pool = connections.Connections(lambda: server.dsn(_TEMPLATE))
        await schema.prepare(pool)
        await pool.close()

    _in_thread(prepare)


def _sql(server: Server, statement: str) -> None:
    execute(server.dsn("postgres"), statement)


def execute(dsn: str, statement: str) -> None:
    """Run statements in a database."""

    async def work(connection: typing.Any) -> None:
        await connection.execute(statement)

    _connected(dsn, work)


def read(dsn: str, statement: str) -> list[tuple[typing.Any, ...]]:
    """Return the rows of a statement."""
    found: list[tuple[typing.Any, ...]] = []

    async def work(connection: typing.Any) -> None:
        found.extend(tuple(row) for row in await connection.fetch(statement))

    _connected(dsn, work)
    return found


def _connected(dsn: str, work: collections.abc.Callable[[typing.Any], collections.abc.Awaitable[None]]) -> None:
    async def connected() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await work(connection)
        finally:
            await connection.close()

    _in_thread(connected)


def _in_thread(work: collections.abc.Callable[[], collections.abc.Coroutine[typing.Any, typing.Any, None]]) -> None:
    """Run a coroutine to its end, whether or not a loop runs here."""
    import threading  # noqa: PLC0415

    errors: list[BaseException] = []

    def main() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001 - raised again below.
            errors.append(error)

    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


if __name__ == "__main__":
    print(programs())

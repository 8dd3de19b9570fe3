"""A real pooler between a sender and its database: Debian's PgBouncer, which hands out connections by transaction."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import typing

from kit import ports, postgres, processes, wait

_PACKAGE = "pgbouncer"
_USER = "postgres"
_SETTINGS = """
[databases]
{database} = host={socket} port=5432 user={user} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 200
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
logfile = {log}
"""


def program() -> pathlib.Path:
    """Return the pooler, once the package is installed.

    Raises:
        postgres.NoPostgresError: It is not there and cannot be installed; the text says what to do.
    """
    found = shutil.which(_PACKAGE, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing Debian's {_PACKAGE} ...", file=sys.stderr, flush=True)
        for command in (["update"], ["install", "-y", "--no-install-recommends", _PACKAGE]):
            subprocess.run(
                ["apt-get", "-q", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        found = shutil.which(_PACKAGE, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise postgres.NoPostgresError(
            f"tests of a pooler need PgBouncer; on Debian, as root: apt-get install {_PACKAGE}"
        )
    return pathlib.Path(found)


class Pooler:
    """Stands before one database of the test session's server; runs while its context is entered.

    Args:
        folder: Where its settings and its log lie: one that the server's user may enter.
        dsn: Of the database.
    """

    def __init__(self, folder: pathlib.Path, dsn: str) -> None:
        self._database = dsn.partition("@/")[2].partition("?")[0]
        self._folder = folder
        self._port = ports.free()
        self._child: processes.Child | None = None

    @property
    def dsn(self) -> str:
        """Where a sender finds the database through it."""
        return f"postgresql://{_USER}@127.0.0.1:{self._port}/{self._database}?sslmode=disable"

    def __enter__(self) -> typing.Self:
        settings = _SETTINGS.format(
            database=self._database,
            socket=postgres.shared().folder,
            user=_USER,
            port=self._port,
            log=self._folder / "pooler.log",
        )
        (self._folder / "pooler.ini").write_text(settings, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (self._folder, self._folder / "pooler.ini"):
                shutil.chown(path, _USER)
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def start(self) -> None:
        """Run it, and return when it takes connections."""
        command: list[str | pathlib.Path] = [program(), self._folder / "pooler.ini"]
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]
        self._child = child = processes.start(command, log=self._folder / "pooler.out")
        wait.until(lambda: self._answers() or not child.running, within_seconds=30, why="the pooler answers")
        assert child.running, child.ended_early()

    def kill(self) -> None:
        """End it by SIGKILL: whatever is under way has no answer."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

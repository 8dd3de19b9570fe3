"""A Postgres server whose tables lie on a small disk that is filled, and has room again; its log of writes does not.

The disk is a tmpfs in a mount namespace of the server's: neither is the machine's filled, nor does anybody else see it.
"""

import collections.abc
import contextlib
import os
import pwd
from typing import Final

import asyncpg

from kit import full_volume, postgres, processes, wait

_MEGABYTES: Final = 96
_PORTIONS: Final = (1_000, 100, 10, 1)
"""Rows of a page each that are written at once, as long as they fit."""


class FullDatabase:
    """The server, and a table that takes the room; made by `running`."""

    def __init__(self, server: postgres.Server) -> None:
        self.server = server
        self._dsn = server.dsn("postgres")

    def fill(self) -> None:
        """Write until nothing more fits, down to the last page."""
        postgres.execute(
            self._dsn, "CREATE TABLE ballast (body text); ALTER TABLE ballast ALTER body SET STORAGE PLAIN"
        )
        for count in _PORTIONS:
            with contextlib.suppress(asyncpg.DiskFullError):
                while True:
                    postgres.execute(
                        self._dsn, f"INSERT INTO ballast SELECT repeat('x', 8000) FROM generate_series(1, {count})"
                    )

    def free(self) -> None:
        """Give the room back."""
        postgres.execute(self._dsn, "DROP TABLE ballast")


@contextlib.contextmanager
def running() -> collections.abc.Iterator[FullDatabase]:
    """Give a server on a disk of its own while the context is entered.

    Raises:
        full_volume.NoVolumeError: Nothing can be mounted here.
    """
    is_root = os.geteuid() == 0
    # Postgres does not run as root, whom a user namespace would make of anybody.
    unshare = ["--mount"] if is_root else ["--user", "--map-current-user", "--keep-caps", "--mount"]
    enter = ["--mount"] if is_root else ["--user", "--preserve-credentials", "--mount"]
    owner = pwd.getpwnam(postgres.USER) if is_root else pwd.getpwuid(os.geteuid())
    with postgres.new_folder() as folder:
        (folder / "data").mkdir()
        options = f"size={_MEGABYTES}m,mode=0700,uid={owner.pw_uid},gid={owner.pw_gid}"
        mount = f"mount -t tmpfs -o {options} tmpfs {folder}/data && echo mounted && exec sleep infinity"
        log = folder / "volume.log"
        volume = processes.start(["unshare", *unshare, "sh", "-c", mount], log=log, name="volume")
        try:
            wait.until(
                lambda: "mounted" in volume.last_lines() or not volume.running, within_seconds=20, why="it is there"
            )
            if not volume.running:
                raise full_volume.NoVolumeError(volume.ended_early())
            server = postgres.Server(folder, launcher=["nsenter", *enter, f"--target={volume.pid}"])
            server.make(f"--waldir={folder}/wal")
            server.begin("autovacuum=off")
            try:
                yield FullDatabase(server)
            finally:
                server.end()
        finally:
            volume.kill()

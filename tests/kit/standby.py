"""A Postgres server whose commits wait for a standby, which takes its place when it is gone."""

import collections.abc
import contextlib
from typing import Final

from kit import postgres, wait

_NAME: Final = "standby"


class Pair:
    """A primary and its synchronous standby; made by `running`."""

    def __init__(self, primary: postgres.Server, standby: postgres.Server) -> None:
        self.primary = primary
        self.standby = standby
        self.dsn = postgres.new_database(primary)
        """The address of a database with the queue's tables, at the primary."""

    def both(self) -> str:
        """Return the address of the database at whichever of the two takes writes."""
        return self.dsn.replace(
            f"host={self.primary.folder}&port={postgres.PORT}",
            f"host={self.primary.folder},{self.standby.folder}&port={postgres.PORT},{postgres.PORT}",
        )

    def promoted(self) -> str:
        """Return the address of the database at what was the standby."""
        return self.dsn.replace(str(self.primary.folder), str(self.standby.folder))

    def promote(self) -> None:
        """Have the standby take writes from now on."""
        postgres.execute(self.standby.dsn("postgres"), "SELECT pg_promote()")


@contextlib.contextmanager
def running() -> collections.abc.Iterator[Pair]:
    """Give both while the context is entered."""
    with postgres.running("fsync=on") as primary, postgres.new_folder() as folder:
        standby = postgres.Server(folder)
        source = f"host={primary.folder} port={postgres.PORT} user={postgres.USER} application_name={_NAME}"
        postgres.run(["pg_basebackup", "-d", source, "-D", standby.data, "--write-recovery-conf", "--checkpoint=fast"])
        standby.begin(*primary.settings)
        try:
            # In files of the primary alone: once the standby is promoted it waits for nobody.
            postgres.execute(primary.dsn("postgres"), f"ALTER SYSTEM SET synchronous_standby_names = '{_NAME}'")
            postgres.execute(primary.dsn("postgres"), "SELECT pg_reload_conf()")
            wait.until(lambda: _is_waited_for(primary), within_seconds=30, why="commits wait for the standby")
            yield Pair(primary, standby)
        finally:
            standby.end()


def _is_waited_for(primary: postgres.Server) -> bool:
    found = postgres.read(primary.dsn("postgres"), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
    return found == [(1,)]

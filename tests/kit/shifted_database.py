"""A Postgres server whose wall clock is set while it runs."""

import collections.abc
import contextlib
import datetime as dt
import pathlib

from kit import postgres, preloaded

_SOURCE = pathlib.Path(__file__).with_name("shifted_clock") / "shifted.c"


class ShiftedDatabase:
    """The server, and the file that says by how much its clock is off; made by `running`."""

    def __init__(self, server: postgres.Server, file: pathlib.Path) -> None:
        self.server = server
        self._file = file

    def shift(self, by: dt.timedelta) -> None:
        """Set its clock to what it would show, and so much more."""
        with self._file.open("r+b") as file:
            file.write(_encode(by))


@contextlib.contextmanager
def running(*settings: str) -> collections.abc.Iterator[ShiftedDatabase]:
    """Give a server of a new cluster while the context is entered; see `postgres.start`.

    Raises:
        preloaded.NoCompilerError: This machine has no C compiler.
    """
    with postgres.new_folder() as folder:
        file = folder / "shifted-by"
        file.write_bytes(_encode(dt.timedelta(0)))
        env = {"LD_PRELOAD": str(preloaded.build(_SOURCE, folder)), "SHIFTED_BY": str(file)}
        with postgres.running(*settings, env=env) as server:
            yield ShiftedDatabase(server, file)


def _encode(by: dt.timedelta) -> bytes:
    return (by // dt.timedelta(microseconds=1)).to_bytes(8, "little", signed=True)

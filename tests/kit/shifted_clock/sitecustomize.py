"""Loaded by a Python whose PYTHONPATH names this folder: its wall clock is off by what a file says, in seconds.

The monotonic clock stays, as it does when somebody sets the time of a machine.
"""

import contextlib
import datetime as dt
import os
import pathlib

_FILE = pathlib.Path(os.environ["MAILTIER_TEST_CLOCK"])


def _offset() -> dt.timedelta:
    with contextlib.suppress(OSError, ValueError):
        return dt.timedelta(seconds=float(_FILE.read_text(encoding="ascii")))
    return dt.timedelta(0)


class _Shifted(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_Shifted":
        """Return the time that the clock shows."""
        return super().now(tz) + _offset()


setattr(dt, "datetime", _Shifted)  # noqa: B010 - To a type checker this name is no variable.

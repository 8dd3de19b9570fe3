"""Loaded by a Python whose PYTHONPATH names this folder: its wall clock is off by what a file says, in seconds.

The monotonic clock stays, as it does when somebody sets the time of a machine.
"""

import contextlib
import datetime
import os
import pathlib

_FILE = pathlib.Path(os.environ["MAILTIER_TEST_CLOCK"])


def _offset() -> datetime.timedelta:
    with contextlib.suppress(OSError, ValueError):
        return datetime.timedelta(seconds=float(_FILE.read_text(encoding="ascii")))
    return datetime.timedelta(0)


class _Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Shifted":
        """Return the time that the clock shows."""
        return super().now(tz) + _offset()


setattr(datetime, "datetime", _Shifted)  # noqa: B010 - To a type checker this name is no variable.

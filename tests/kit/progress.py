"""How far something is that takes minutes: a bar on a terminal, and elsewhere a line now and then."""

import shutil
import time
import typing

_LINE_SECONDS = 30
"""Between two lines where there is no terminal."""

_CELLS = 24
_EARLY = 0.03
"""Before this share is done, nobody can say how long the rest takes."""


class Progress:
    """One thing that is going on.

    Args:
        what: What it is, as a sentence begins: `building etcd`.
        stream: Where it is told.
        clock: Tells seconds.
    """

    def __init__(self, what: str, stream: typing.TextIO, *, clock: typing.Callable[[], float] = time.monotonic) -> None:
        self._what, self._stream, self._clock = what, stream, clock
        self._live = stream.isatty()
        self._begin = self._told = clock()
        self._shown = False

    def show(self, share: float | None) -> None:
        """Tell how much is done, 0 to 1, or that it goes on where nobody knows."""
        now = self._clock()
        if self._live:
            self._stream.write(f"\r{self._line(share, now - self._begin)}\x1b[K")
            self._stream.flush()
            self._shown = True
        elif now - self._told >= _LINE_SECONDS:
            self._told = now
            self._stream.write(f"{self._what}: {_said(share, now - self._begin)} ...\n")
            self._stream.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False

    def _line(self, share: float | None, seconds: float) -> str:
        """Return what stands on a terminal, short enough for one row, and its end the part that can be spared."""
        full = round(_CELLS * (share or 0))
        bar = "" if share is None else f"{'█' * full}{'░' * (_CELLS - full)} "
        # A row that is full to its last column wraps where the next character comes.
        return f"  {bar}{_said(share, seconds)}: {self._what}"[: shutil.get_terminal_size().columns - 1]


def _said(share: float | None, seconds: float) -> str:
    if share is None or share < _EARLY:
        return f"{_duration(seconds)} so far"
    return f"{share:.0%}, about {_duration(seconds * (1 / share - 1))} left"


def _duration(seconds: float) -> str:
    """Return a time as people say it."""
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{round(whole / 60)} min"

"""A terminal's screen while something is shown on it that changes."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from mailtier.cli import screen, terminal


@contextlib.contextmanager
def drawing() -> Iterator[Callable[[Sequence[str]], None]]:
    """Give what draws lines over the screen of standard output, which is as it was afterwards."""
    sys.stdout.write(screen.ENTER)
    try:
        yield _draw
    finally:
        sys.stdout.write(screen.LEAVE)
        sys.stdout.flush()


def _draw(lines: Sequence[str]) -> None:
    size = terminal.screen(sys.stdout)
    sys.stdout.write(screen.frame(lines, columns=size.columns, rows=size.lines))
    sys.stdout.flush()

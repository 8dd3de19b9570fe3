"""What the demo prints: titles, steps with their seconds, quoted output. Colours only on a terminal."""

import collections.abc
import contextlib
import os
import shutil
import sys
import textwrap
import time

from mailtier.cli import tables, terminal

_COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class StepFailedError(Exception):
    """A step did not do what it should; the text says what was expected and what was seen."""


def _paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if _COLOURED else text


def title(text: str) -> None:
    """Print the title of a part."""
    print(f"\n{_paint('1', text)}", flush=True)


def room(indent: int) -> int:
    """Return how many characters a line has behind an indent."""
    return shutil.get_terminal_size().columns - indent


def table(head: collections.abc.Sequence[str], rows: collections.abc.Iterable[collections.abc.Sequence[str]]) -> None:
    """Print a table, its cells wrapped between words where the terminal is narrow."""
    body = [[(cell, None) for cell in row] for row in rows]
    say("\n".join(tables.table(head, body, terminal.Painter(on=False), width=room(2))))


def say(text: str, *, indent: int = 2, wrapped: bool = False) -> None:
    """Print a line or several, indented, and wrapped at the terminal's width where they are a sentence."""
    if wrapped:
        text = "\n".join(textwrap.fill(line, room(indent)) for line in text.split("\n"))
    print(textwrap.indent(text.rstrip(), " " * indent), flush=True)


def command(text: str) -> None:
    """Print a command as a person would type it."""
    print(_paint("36", f"  $ {text}"), flush=True)


@contextlib.contextmanager
def step(text: str) -> collections.abc.Iterator[None]:
    """Print a step when it begins, and its seconds when it has ended well.

    Raises:
        StepFailedError: Whatever the step raised, with its name.
    """
    live = sys.stdout.isatty()
    if live:
        # A line that wraps cannot be written over.
        print(f"  … {text}"[: room(1)], end="\r", flush=True)
    started = time.monotonic()
    try:
        yield
    except (Exception, KeyboardInterrupt):
        print(f"  {_paint('31', '✗')} {text}", flush=True)
        raise
    print(f"  {_paint('32', '✓')} {text} {_paint('2', f'({time.monotonic() - started:.1f} s)')}", flush=True)


def expect(condition: object, what: str, seen: object) -> None:
    """Fail the step unless a condition holds.

    Raises:
        StepFailedError: It does not hold.
    """
    if not condition:
        raise StepFailedError(f"expected {what}; saw {seen}")

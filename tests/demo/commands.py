"""Command lines that the demo runs as a person would, before or while it shows them."""

import collections.abc
import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys
import textwrap

from demo import screen, stage

PROGRAM = pathlib.Path(sys.executable).with_name("mailtier")
"""Mailtier of this checkout."""

_SECONDS = 150
"""A namespace has three probes at once, then one a minute, for which `verify` waits."""

_INDENT = 4
"""Of what a command prints."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line.

    Attributes:
        meaning: What it is for, as a comment.
        text: What a person types in any shell, in the checkout.
        shown: What it is called while it runs.
        status: What it exits with in the demo.
        says: Words of its output.
    """

    meaning: str
    text: str
    shown: str
    status: int
    says: tuple[str, ...]

    def run(self) -> None:
        """Run it, and print what it printed.

        Raises:
            StepFailedError: It did not do what it should.
        """
        screen.say(f"\n{self.meaning}", wrapped=True)
        with screen.step(f"{self.shown} exits with {self.status}"):
            done = subprocess.run(
                ["sh", "-c", self.text],
                cwd=stage.ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
                env={**os.environ, "COLUMNS": str(screen.room(_INDENT))},
            )
            printed = " ".join(done.stdout.split())
            screen.expect(done.returncode == self.status, f"exit status {self.status}", done)
            for words in self.says:
                screen.expect(words in printed, f"{words!r} in what it prints", done)
        screen.say(done.stdout, indent=_INDENT)


def line(*arguments: str | os.PathLike[str]) -> str:
    """Return what runs Mailtier, wherever it is typed."""
    return shlex.join([str(PROGRAM), *map(str, arguments)])


def listed(commands: collections.abc.Iterable[Command]) -> str:
    """Return the commands with their meanings, for people to copy."""
    return "\n".join(
        "\n".join(
            (*textwrap.wrap(command.meaning, screen.room(2), initial_indent="# ", subsequent_indent="# "), command.text)
        )
        for command in commands
    )

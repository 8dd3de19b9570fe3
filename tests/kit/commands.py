"""The program's own commands, run as a person would run them."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing

from kit import screens

_SECONDS = 120


def _hear_interrupts() -> None:
    """Have a child end on SIGINT, which a shell that runs the tests in its background has ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> typing.Any:
        """What it printed as JSON."""
        return json.loads(self.out)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`mailtier` with options that each call has.

    Attributes:
        environment: Variables beside the test's own.
    """

    kubeconfig: pathlib.Path
    options: tuple[str, ...] = ()
    environment: typing.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def run(self, command: str, *arguments: str, answer: str = "") -> Finished:
        """Return a command once it has ended; it reads the answer."""
        done = subprocess.run(
            self._argv(command, arguments),
            env=self._env(),
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return Finished(status=done.returncode, out=done.stdout, err=done.stderr)

    @contextlib.contextmanager
    def started(self, command: str, *arguments: str, out: pathlib.Path) -> typing.Iterator[subprocess.Popen[bytes]]:
        """Give a command that runs, whose output goes into a file; it is killed at the end if it still does."""
        with out.open("wb") as file, self._child(command, arguments, file.fileno(), self._env()) as child:
            yield child

    @contextlib.contextmanager
    def on(self, terminal: screens.Terminal, command: str, *arguments: str) -> typing.Iterator[subprocess.Popen[bytes]]:
        """Give a command that runs on a terminal, and takes the width from it; it is killed at the end."""
        environment = {name: value for name, value in self._env().items() if name != "COLUMNS"}
        with self._child(command, arguments, terminal.theirs, environment) as child:
            yield child

    @contextlib.contextmanager
    def _child(
        self, command: str, arguments: tuple[str, ...], out: int, environment: typing.Mapping[str, str]
    ) -> typing.Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(
            self._argv(command, arguments),
            env=environment,
            stdout=out,
            stderr=out,
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - no thread holds a lock that it needs.
        ) as child:
            try:
                yield child
            finally:
                child.kill()

    def _argv(self, command: str, arguments: tuple[str, ...]) -> list[str]:
        options = (f"--kubeconfig={self.kubeconfig}", *self.options)
        return [sys.executable, "-m", "mailtier", command, *arguments, *options]

    def _env(self) -> dict[str, str]:
        # Wide, so that what a test looks for stands on one line.
        return {**os.environ, "COLUMNS": "200", **self.environment}

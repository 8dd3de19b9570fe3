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

    def run(self, command: str, *arguments: str) -> Finished:
        """Return a command once it has ended."""
        done = subprocess.run(
            self._argv(command, arguments),
            env=self._env(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return Finished(status=done.returncode, out=done.stdout, err=done.stderr)

    @contextlib.contextmanager
    def started(self, command: str, *arguments: str, out: pathlib.Path) -> typing.Iterator[subprocess.Popen[bytes]]:
        """Give a command that runs, whose output goes into a file; it is killed at the end if it still does."""
        with (
            out.open("wb") as file,
            subprocess.Popen(
                self._argv(command, arguments),
                env=self._env(),
                stdout=file,
                stderr=file,
                preexec_fn=_hear_interrupts,  # noqa: PLW1509 - no thread holds a lock that it needs.
            ) as child,
        ):
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

"""Other programs that send mail, as they are run beside our transport: found or installed, and named with versions."""

import collections.abc
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import subprocess
import time
import typing

from bench.sender import sinks
from kit import binaries, toolchain

_NODEMAILER = "10.6.1"
_GO_MAIL = "github.com/wneessen/go-mail"
_SECONDS = 60


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a client has to do.

    Attributes:
        port: Of the server on loopback.
        message: A file with the message.
        ca: Whom to trust where TLS begins at once; None where there is no TLS.
    """

    port: int
    connections: int
    messages: int
    message: pathlib.Path
    ca: pathlib.Path | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What it took."""

    seconds: float
    cpu_seconds: float


class Peer(typing.Protocol):
    """A program beside ours."""

    @property
    def name(self) -> str:
        """What it is."""

    def prepare(self) -> str:
        """Return its version, after installing it where it is missing.

        Raises:
            sinks.MissingError: It cannot be had.
        """

    def send(self, work: Work) -> Took:
        """Return what the work took.

        Raises:
            sinks.MissingError: It cannot do that.
        """


class SmtpSource:
    """Postfix's smtp-source, which makes up a message of the same size."""

    name = "smtp-source"

    def __init__(self) -> None:
        self._found: sinks.Postfix

    def prepare(self) -> str:
        """Return the version of Postfix."""
        self._found = sinks.postfix()
        return f"Postfix {self._found.version}"

    def send(self, work: Work) -> Took:
        """Return what it took, its start included: C needs a millisecond for that."""
        if work.ca is not None:
            raise sinks.MissingError("it speaks no TLS")
        counts = ["-s", work.connections, "-m", work.messages, "-l", work.message.stat().st_size]
        addresses = ["-f", "no-reply@example.com", "-t", "somebody@example.org", f"127.0.0.1:{work.port}"]
        before, started = _children_seconds(), time.monotonic()
        # With `-d` it goes on with the same connection.
        _run([self._found.source, "-d", *map(str, counts), *addresses], environment=self._found.environment)
        return Took(seconds=time.monotonic() - started, cpu_seconds=_children_seconds() - before)


class Nodemailer:
    """nodemailer with a pool, which is given the message as it is."""

    name = "nodemailer, pooled"

    def __init__(self) -> None:
        self._folder = toolchain.cache() / "npm" / f"nodemailer-{_NODEMAILER}"
        self._node = ""

    def prepare(self) -> str:
        """Return its version and Node's, after installing it with npm into the cache."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise sinks.MissingError("there is no Node.js with npm on the PATH")
        self._node = node
        if not (self._folder / "node_modules/nodemailer").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(self._folder)]
            _run([npm, "install", *options, f"nodemailer@{_NODEMAILER}"])
        return f"{_NODEMAILER}, Node.js {_run([node, '--version']).strip().removeprefix('v')}"

    def send(self, work: Work) -> Took:
        """Return what it says it took."""
        script = pathlib.Path(__file__).with_name("pooled.mjs")
        numbers = [work.port, work.connections, work.messages]
        authority = [] if work.ca is None else [work.ca]
        return _told([self._node, script, self._folder, *map(str, numbers), work.message, *authority])


class GoMail:
    """go-mail, which makes a message of the same size anew each time: it sends no prepared bytes."""

    name = "go-mail"

    def prepare(self) -> str:
        """Return its version, after building the program that uses it."""
        sinks.mailer()
        return binaries.version("mailer", _GO_MAIL)

    def send(self, work: Work) -> Took:
        """Return what it says it took."""
        size = work.message.stat().st_size
        numbers = [f"-connections={work.connections}", f"-messages={work.messages}", f"-size={size}"]
        authority = [] if work.ca is None else [f"-ca={work.ca}"]
        return _told([sinks.mailer(), "send", f"-address=127.0.0.1:{work.port}", *numbers, *authority])


def all_of_them() -> list[Peer]:
    """Return the peers, none of which is prepared yet."""
    return [SmtpSource(), Nodemailer(), GoMail()]


def _told(argv: collections.abc.Sequence[str | pathlib.Path]) -> Took:
    """Return what a program prints as JSON."""
    said = json.loads(_run(argv))
    return Took(seconds=said["seconds"], cpu_seconds=said["cpu_seconds"])


def _run(
    argv: collections.abc.Sequence[str | pathlib.Path],
    *,
    environment: collections.abc.Mapping[str, str] | None = None,
) -> str:
    try:
        answer = subprocess.run(
            argv,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["nothing"])[-1]
        raise sinks.MissingError(f"{pathlib.Path(argv[0]).name} failed: {said}") from None
    except subprocess.TimeoutExpired:
        raise sinks.MissingError(f"{pathlib.Path(argv[0]).name} was not through in {_SECONDS} s") from None
    return answer.stdout


def _children_seconds() -> float:
    """Return the CPU time of the children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

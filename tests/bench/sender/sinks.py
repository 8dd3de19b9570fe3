"""Where the mail of the bench ends: Postfix's smtp-sink, and relays before it that add TLS or delay."""

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess

from kit import binaries, building, certs, ports, processes, toolchain, wait

_START_SECONDS = 30
_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin"


class MissingError(Exception):
    """A program is not there, and cannot be had; the text says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """Postfix's programs for measuring.

    Attributes:
        sink: smtp-sink, a server that keeps nothing.
        source: smtp-source, a client.
        environment: What they are started with.
    """

    sink: pathlib.Path
    source: pathlib.Path
    version: str
    environment: collections.abc.Mapping[str, str]


def postfix() -> Postfix:
    """Return the machine's own Postfix, else Debian's package unpacked into the cache: no mail server is set up.

    Raises:
        MissingError: There is neither.
    """
    found = shutil.which("smtp-sink", path=_PLACES)
    if found is not None:
        sink = pathlib.Path(found)
        answer = _output(["postconf", "-dh", "mail_version"])
        return Postfix(sink=sink, source=sink.with_name("smtp-source"), version=answer.strip(), environment={})
    folder = toolchain.cache() / "postfix"
    sink = folder / "usr/sbin/smtp-sink"
    if not sink.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _output(["apt-get", "download", "postfix"], cwd=folder)
        (package,) = folder.glob("postfix_*.deb")
        _output(["dpkg-deb", "-x", str(package), str(folder)])
    version = next(folder.glob("postfix_*.deb")).name.split("_")[1]
    environment = {"LD_LIBRARY_PATH": str(folder / "usr/lib/postfix")}
    usage = subprocess.run([sink], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if "usage" not in usage.stderr:
        raise MissingError(f"smtp-sink says {usage.stderr.strip()}; install Debian's package postfix")
    return Postfix(sink=sink, source=sink.with_name("smtp-source"), version=version, environment=environment)


@contextlib.contextmanager
def sink(
    found: Postfix, folder: pathlib.Path, port: int, *, host: str = "127.0.0.1"
) -> collections.abc.Iterator[processes.Child]:
    """Give a running smtp-sink at a port of loopback, which drops root's rights where it has them."""
    unprivileged = ["-u", "nobody"] if os.geteuid() == 0 else []
    argv: list[str | pathlib.Path] = [found.sink, *unprivileged, f"{host}:{port}", "1024"]
    with _running(argv, folder / "smtp-sink.log", port, host=host, env=found.environment) as child:
        yield child


@contextlib.contextmanager
def relay(
    folder: pathlib.Path, to: int, *, leaf: certs.Leaf | None = None, delay_milliseconds: int = 0
) -> collections.abc.Iterator[tuple[processes.Child, int]]:
    """Give a running relay to a port of loopback, and the port that it listens at.

    Args:
        folder: Where its log goes.
        to: The server's port.
        leaf: Its certificate; without one it speaks no TLS.
        delay_milliseconds: Of each way.

    Raises:
        MissingError: It cannot be built.
    """
    port = ports.free()
    argv: list[str | pathlib.Path] = [mailer(), "relay", "-listen", f"127.0.0.1:{port}", "-to", f"127.0.0.1:{to}"]
    argv += ["-delay", f"{delay_milliseconds}ms"]
    if leaf is not None:
        argv += ["-cert", leaf.cert_path, "-key", leaf.key_path]
    with _running(argv, folder / "relay.log", port) as child:
        yield child, port


def mailer() -> pathlib.Path:
    """Return the program with the relay and go-mail, built where it is missing.

    Raises:
        MissingError: It cannot be built.
    """
    try:
        return binaries.ensure("mailer")["mailer"]
    except (building.BuildError, toolchain.ToolchainError) as error:
        raise MissingError(str(error).splitlines()[0]) from None


@contextlib.contextmanager
def _running(
    argv: collections.abc.Sequence[str | pathlib.Path],
    log: pathlib.Path,
    port: int,
    *,
    host: str = "127.0.0.1",
    env: collections.abc.Mapping[str, str] | None = None,
) -> collections.abc.Iterator[processes.Child]:
    child = processes.start(argv, log=log, env=env)
    try:
        until_listening(child, port, host=host)
        yield child
    finally:
        child.stop()


def until_listening(child: processes.Child, port: int, *, host: str = "127.0.0.1") -> None:
    """Return when something listens at a port of loopback.

    Raises:
        RuntimeError: The program that should has ended; the text quotes its log.
    """

    def look() -> bool:
        if not child.running:
            raise RuntimeError(child.ended_early())
        with socket.socket() as probe:
            return probe.connect_ex((host, port)) == 0

    wait.until(look, within_seconds=_START_SECONDS, why=f"{child.name} listens")


def _output(argv: collections.abc.Sequence[str], *, cwd: pathlib.Path | None = None) -> str:
    try:
        return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise MissingError(f"there is no {argv[0]}; with Debian's package postfix installed none is needed") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["nothing"])[-1]
        raise MissingError(f"`{' '.join(argv)}` said {said}; install Debian's package postfix") from None

"""Measure what a request costs at each server, and print the table; see the package."""

import argparse
import asyncio
import importlib.metadata
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import typing

from bench.intake import identities
from bench.sender import client, sinks, table, whole_way
from kit import certs, ports, processes, toolchain

_SERVER = "bench.intake.serving"
_PEERS: typing.Final = {"granian": "2.8.9", "uvloop": "0.23.0"}
_REQUESTS = 3_000
_ROUNDS = 3
_ORGANIZATIONS = 20
_KINDS: typing.Final = {
    "ours": "the intake, down to its commit",
    "empty": "aiohttp, a handler that does nothing",
    "granian": "granian (RSGI), a handler that does nothing",
}
_LOOPS = ("asyncio", "uvloop")


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="intake",
        title=f"Intake alone: {client.CONNECTIONS} kept TLS connections, one notification a request (CPU in µs)",
        columns={
            "server": "server",
            "loop": "event loop",
            "per_second": "requests/s",
            "server_us": "server, a request",
            "client_us": "client, a request",
        },
    )


def install() -> tuple[pathlib.Path, dict[str, str]]:
    """Return the folder with the peers, installed where they are missing, and their versions by their names.

    Raises:
        sinks.MissingError: They cannot be had.
    """
    wanted = [f"{name}=={version}" for name, version in _PEERS.items()]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = toolchain.cache() / "pip" / "-".join([*wanted, version]).replace("==", "-")
    if not (folder / "granian").exists():
        options = ["-q", "--disable-pip-version-check", "--target", str(folder)]
        argv = [sys.executable, "-m", "pip", "install", *options, *wanted]
        try:
            subprocess.run(argv, check=True, capture_output=True, text=True)
        except (subprocess.CalledProcessError, OSError) as error:
            said = (str(getattr(error, "stderr", "") or error).strip().splitlines() or ["nothing"])[-1]
            raise sinks.MissingError(f"pip said {said}") from None
    found = {found.name: found.version for found in importlib.metadata.distributions(path=[str(folder)])}
    return folder, {name: found[name] for name in _PEERS}


def measure(folder: pathlib.Path, kind: str, loop: str, peers: pathlib.Path | None, requests: int) -> dict[str, float]:
    """Return the figures of a row: of the round in which the server used the least CPU.

    Args:
        folder: For its queue and log.
        peers: What else it can import.
    """
    authority = certs.Authority(folder)
    leaf = authority.issue("localhost")
    for made, name in ((leaf.cert_path, "tls.crt"), (leaf.key_path, "tls.key")):
        (folder / name).write_bytes(made.read_bytes())
    port = ports.free()
    here = pathlib.Path(__file__).parents[2]
    searched = ":".join(map(str, [here, here.parent / "operator", *([peers] if peers else [])]))
    argv = [sys.executable, "-m", _SERVER, kind, str(port), str(folder), loop]
    child = processes.start(argv, log=folder / "server.log", env={"PYTHONPATH": searched})
    try:
        sinks.until_listening(child, port)
        tls = ssl.create_default_context(cafile=authority.ca_path)
        organizations = [identities.tenant(number) for number in range(_ORGANIZATIONS)]
        rounds = [_round(child, port, tls, whole_way.requests(organizations, requests)) for _ in range(1 + _ROUNDS)]
    finally:
        child.stop()
    # The first one looks tokens up, and warms caches.
    return min(rounds[1:], key=lambda row: row["server_us"])


def _round(child: processes.Child, port: int, tls: ssl.SSLContext, prepared: list[bytes]) -> dict[str, float]:
    used, own, started = child.cpu_seconds(), time.process_time(), time.monotonic()
    asyncio.run(_send(port, tls, prepared))
    seconds = time.monotonic() - started
    to_us = 1e6 / len(prepared)
    return {
        "per_second": len(prepared) / seconds,
        "server_us": (child.cpu_seconds() - used) * to_us,
        "client_us": (time.process_time() - own) * to_us,
    }


async def _send(port: int, tls: ssl.SSLContext, prepared: list[bytes]) -> None:
    sending = client.Client(port, tls)
    await sending.open()
    await sending.send_all(prepared)
    sending.close()


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.intake", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(_KINDS), help="may be repeated")
    parser.add_argument("--loop", action="append", choices=_LOOPS, help="may be repeated")
    parser.add_argument("--requests", type=int, default=_REQUESTS, help="of each round")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    about: dict[str, object] = {**table.machine()}
    peers: pathlib.Path | None = None
    missing = ""
    try:
        peers, versions = install()
        about |= versions
    except sinks.MissingError as error:
        missing = str(error)
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    into = new_table()
    for kind in options.only or _KINDS:
        for loop in options.loop or _LOOPS:
            if peers is None and (kind == "granian" or loop == "uvloop"):
                into.add(server=f"{_KINDS[kind]}: not measured, {missing}", loop=loop)
                continue
            with tempfile.TemporaryDirectory(prefix="mailtier-bench-") as folder:
                try:
                    row = measure(pathlib.Path(folder), kind, loop, peers, options.requests)
                except (OSError, RuntimeError, client.RefusedError) as error:
                    into.add(server=f"{_KINDS[kind]}: failed, {error}", loop=loop)
                    continue
            into.add(server=_KINDS[kind], loop=loop, **row)
    if options.json is not None:
        table.write(options.json, about, [into])
    return 0


if __name__ == "__main__":
    sys.exit(main())

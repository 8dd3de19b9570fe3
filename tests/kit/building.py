"""Builds Go programs, several of a module in one run, and tells how far they have come."""

import collections.abc
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from kit import progress

_TICK_SECONDS = 0.5

_LIST = '{{if .Stale}}{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles " "}}{{end}}'
"""A package that has to be compiled, its folder and its sources."""

_COMPILED = 0.95
"""The share of a build that is compiled. What follows is linked, of which nothing is told until it is done."""

_MAJOR = re.compile(r"v\d+$")


class BuildError(RuntimeError):
    """A program could not be built."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be built.

    Attributes:
        go: The `go` command.
        module: The folder of the module that requires the packages, or is the program's own.
        packages: By the name of the program; `.` is the module's own.
        link: Flags of the linker.
        folder: Where the programs go, by their names; it exists.
    """

    go: pathlib.Path
    module: pathlib.Path
    packages: collections.abc.Mapping[str, str]
    link: str
    folder: pathlib.Path


def flags(link: str) -> list[str]:
    """Return the flags of `go build`: no paths of this machine, and no data for a debugger, which nobody asks for."""
    return ["-trimpath", "-gcflags=all=-dwarf=false", f"-ldflags={link}"]


def run(order: Order, *, meanwhile: collections.abc.Callable[[], None] | None = None) -> None:
    """Return once all programs are in their places.

    One run for all, because they share most of what is compiled, and one is linked while another is compiled.

    Args:
        order: What to build.
        meanwhile: Called once, while the build is running.

    Raises:
        BuildError: The build failed; the text quotes the end of its log.
    """
    names = ", ".join(order.packages)
    unfinished, log = order.folder / "new", order.folder / f"{'-'.join(order.packages)}.log"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    begin = time.monotonic()
    sizes = _sizes(order)
    with log.open("wb") as output:
        process = subprocess.Popen(
            # With a slash at its end it is a folder.
            [order.go, "build", "-v", *flags(order.link), "-o", f"{unfinished}/", *order.packages.values()],
            cwd=order.module,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        with process:
            status = _watch(process, progress.Progress(f"building {names}", sys.stderr), log, sizes, meanwhile)
    if status != 0:
        lines = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise BuildError(f"building {names} failed with status {status}; {log} ends with:\n{lines}")
    for name, package in order.packages.items():
        (unfinished / _written_as(order, package)).rename(order.folder / name)
    shutil.rmtree(unfinished)
    log.unlink()
    print(f"built {names} in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def _watch(
    process: subprocess.Popen[bytes],
    shown: progress.Progress,
    log: pathlib.Path,
    sizes: collections.abc.Mapping[str, int],
    meanwhile: collections.abc.Callable[[], None] | None,
) -> int:
    """Return the build's exit status, telling how far it is."""
    try:
        if meanwhile is not None:
            meanwhile()
        while True:
            try:
                return process.wait(timeout=_TICK_SECONDS)
            except subprocess.TimeoutExpired:
                shown.show(share(log.read_text(encoding="utf-8", errors="replace"), sizes))
    except BaseException:
        process.terminate()
        raise
    finally:
        shown.clear()


def share(log: str, sizes: collections.abc.Mapping[str, int]) -> float | None:
    """Return how much of the sources was compiled, 0 to 1, by the packages that `go build -v` named so far."""
    whole = sum(sizes.values())
    if not whole:
        return None
    return min(1.0, sum(sizes.get(line, 0) for line in set(log.splitlines())) / whole) * _COMPILED


def _sizes(order: Order) -> dict[str, int]:
    """Return the bytes of source of each package that has to be compiled; nothing where that cannot be told."""
    command: list[str | pathlib.Path] = [
        order.go,
        "list",
        "-deps",
        "-f",
        _LIST,
        *flags(order.link),
        *order.packages.values(),
    ]
    listed = subprocess.run(
        command, cwd=order.module, env=_environment(), capture_output=True, text=True, errors="replace", check=False
    )
    found = {}
    for line in listed.stdout.splitlines():
        name, _, rest = line.partition("\t")
        folder, _, files = rest.partition("\t")
        found[name] = sum(_size(pathlib.Path(folder) / file) for file in files.split())
    return found


def _size(file: pathlib.Path) -> int:
    # A name with a blank in it is none of Go's.
    return file.stat().st_size if file.exists() else 0


def _written_as(order: Order, package: str) -> str:
    """Return the name that `go build` gives a program: the last part of its path that is no major version."""
    parts = order.module.parts if package == "." else package.split("/")
    return parts[-2] if _MAJOR.match(parts[-1]) else parts[-1]


def _environment() -> dict[str, str]:
    """Return what Go is to know: nothing of C, no other toolchain than the one that was found, how lazily it collects.

    A compiler lives for seconds: with half a gigabyte for each, as it has with data for a debugger, it need not collect
    as often as by default. The two take a quarter to a third of the time that a package takes.
    """
    return {"GOGC": "400", **os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}

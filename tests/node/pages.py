"""Commands that are taken from the documentation and run as a person would run them."""

import os
import pathlib
import re
import subprocess
import sys

from kit import binaries, repository

_SECONDS = 300


class PageError(AssertionError):
    """A command of a page did not do what the page says; the text has what was printed."""


class Shell:
    """A terminal of somebody who has kubectl, Helm and mailtier.

    Args:
        folder: The working folder.
        kubeconfig: Whose rights they have.
    """

    def __init__(self, folder: pathlib.Path, kubeconfig: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        programs = [str(binaries.path(name).parent) for name in ("kubectl", "helm")]
        path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), *programs, os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig), "COLUMNS": "160"}

    def write(self, name: str, text: str) -> None:
        """Write a file of the working folder."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def run(self, script: str) -> str:
        """Return what a script printed.

        Raises:
            PageError: One of its commands failed.
        """
        result = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            raise PageError(f"ended with {result.returncode}:\n{result.stderr[-3000:]}\n{result.stdout[-2000:]}")
        return result.stdout


def block(page: str, heading: str, language: str = "sh", *, containing: str = "") -> str:
    """Return a block of code of a page.

    Args:
        page: Its path.
        heading: Under which it stands.
        language: As its fence names it.
        containing: What tells it from others of the section.

    Raises:
        LookupError: The page has none.
    """
    _, _, section = repository.read(page).partition(f"\n## {heading}\n")
    for found in re.finditer(rf"^```{language}\n(.*?)^```", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL):
        if containing in found[1]:
            return found[1]
    raise LookupError(f"{page}: no block of {language} with {containing!r} under {heading!r}")

"""The broken examples of the tutorial, and the solutions that its page shows."""

import dataclasses
import pathlib
import re
import shlex

from kit import cluster as cluster_kit
from kit import repository

_FOLDER = pathlib.Path("docs/tutorial/broken")

_SECTION = re.compile(r"^## (\d\d) .*?$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOLD = re.compile(r"^> (.*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example, in the namespace that it has in the tutorial or in another.

    Attributes:
        number: Its number, two digits.
        title: What it is about, from the file's name.
        reason: What its status is to say, as the page quotes it.
        told: The message of its status, as the page quotes it.
        commands: The page's solution.
    """

    number: str
    title: str
    reason: str
    told: str
    commands: tuple[str, ...]

    @property
    def path(self) -> pathlib.Path:
        """Its file."""
        return folder() / f"{self.number}-{self.title}.yaml"

    def moved(self, text: str, *, namespace: str) -> str:
        """Return a text of it, for another namespace."""
        return text.replace(f"broken-{self.number}", namespace)

    def solve(self, cluster: cluster_kit.LocalCluster, *, namespace: str) -> None:
        """Run the page's commands."""
        for command in self.commands:
            program, *arguments = shlex.split(self.moved(command, namespace=namespace))
            assert program == "kubectl", command
            text = None
            if arguments[:2] == ["apply", "-f"]:
                text = self.moved((repository.ROOT / arguments[2]).read_text(encoding="utf-8"), namespace=namespace)
                arguments = ["apply", "-f", "-"]
            cluster.kubectl(*arguments, input=text)


def folder() -> pathlib.Path:
    """Return where the examples are."""
    return repository.ROOT / _FOLDER


def host_file() -> pathlib.Path:
    """Return the platform team's settings."""
    return folder() / "00-host.yaml"


def examples() -> tuple[Example, ...]:
    """Return all of them as the tutorial's page tells of them, in their order."""
    page = (folder() / "README.md").read_text(encoding="utf-8")
    titles = dict(path.stem.split("-", 1) for path in sorted(folder().glob("*.yaml")))
    found = []
    for number, text in _SECTION.findall(page):
        (quoted,) = _TOLD.findall(text)
        reason, _, told = quoted.partition(": ")
        commands = tuple(line for block in _SHELL.findall(text) for line in block.splitlines())
        found.append(Example(number=number, title=titles[number], reason=reason, told=told, commands=commands))
    return tuple(found)

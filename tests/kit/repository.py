"""The repository as data: which files are its own, which tests it has, what its pages say. Nothing is imported."""

import ast
import collections.abc
import dataclasses
import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

RULE = re.compile(r"\bR([1-9][0-9]?)\b")
"""A rule of the threat model, as tests cite it."""

_FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test.

    Attributes:
        id: As pytest names it, without parameters.
        docstring: Its own; that of its module for a state machine's, which has none.
    """

    id: str
    docstring: str

    @property
    def rules(self) -> frozenset[str]:
        """The rules that it cites."""
        return rules(self.docstring)


@functools.cache
def files() -> tuple[pathlib.PurePosixPath, ...]:
    """Return the files of the repository that git tracks or would, relative to its root."""
    # With the option git answers too where the checkout belongs to somebody else, as it does in a container.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = (pathlib.PurePosixPath(name) for name in sorted(set(listed.split("\0"))) if name)
    return tuple(path for path in paths if (ROOT / path).is_file())


def read(path: pathlib.PurePath | str) -> str:
    """Return a file's text."""
    return (ROOT / path).read_text(encoding="utf-8")


def python() -> list[pathlib.PurePosixPath]:
    """Return the Python files."""
    return [path for path in files() if path.suffix == ".py"]


def pages() -> list[pathlib.PurePosixPath]:
    """Return the Markdown files."""
    return [path for path in files() if path.suffix == ".md"]


def docstring(path: pathlib.PurePath) -> str:
    """Return the docstring of a module, or an empty text."""
    return ast.get_docstring(ast.parse(read(path))) or ""


@functools.cache
def tests() -> tuple[Test, ...]:
    """Return every test, read and not imported."""
    modules = [path for path in python() if path.parts[0] == "tests" and path.name.startswith("test_")]
    return tuple(test for path in modules for test in _tests_of(path))


def _tests_of(path: pathlib.PurePosixPath) -> collections.abc.Iterator[Test]:
    tree = ast.parse(read(path))
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                yield Test(id=f"{path}::{name}", docstring=ast.get_docstring(node) or "")
            case ast.Assign(targets=[ast.Name(id=name)]) if name.startswith("Test"):
                yield Test(id=f"{path}::{name}", docstring=ast.get_docstring(tree) or "")


def rules(text: str) -> frozenset[str]:
    """Return the rules of the threat model that a text cites."""
    return frozenset(match.group() for match in RULE.finditer(text))


def rows(page: str, heading: str) -> list[tuple[str, ...]]:
    """Return the rows of the table under a heading, without its head, each cell without blanks around it."""
    _, _, section = page.partition(f"\n## {heading}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def prose(text: str) -> str:
    """Return Markdown without its blocks of code."""
    return _FENCE.sub("", text)

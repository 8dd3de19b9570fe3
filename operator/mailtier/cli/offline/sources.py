"""The Kubernetes objects in files, folders and standard input, each with the file and line it stands at."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from mailtier.cli import failures
from mailtier.cli.offline import loading

STDIN: Final = "-"
_STDIN_NAME: Final = "<stdin>"
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Document:
    """One Kubernetes object.

    Attributes:
        body: The object; it has a kind.
        origin: The YAML document that holds it.
        below: Where in that document, as in `items[3]`; "" for the whole of it.
    """

    body: dict[str, Any]
    origin: loading.Origin
    below: str = ""

    @property
    def group_version(self) -> str:
        """Its apiVersion; "" where it has none."""
        return str(self.body.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.body["kind"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata; {} where it has none."""
        metadata = self.body.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    @property
    def name(self) -> str:
        """Its name; "" where it has none."""
        name = self.metadata.get("name")
        return name if isinstance(name, str) else ""

    def place(self, field: str = "") -> loading.Place:
        """Return where a field stands, or what would hold it."""
        return loading.locate(self.origin, field, below=self.below)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file, or the rest of one, that is no YAML."""

    place: loading.Place
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was found.

    Attributes:
        files: The files that were read, as the user named them.
    """

    documents: tuple[Document, ...]
    unreadable: tuple[Unreadable, ...]
    files: tuple[str, ...]


def read(paths: Sequence[str]) -> Read:
    """Return the objects in files, in folders with all that is below them, and on standard input.

    A folder's files end in .yaml, .yml or .json; what begins with a dot is left out. A file that is named twice, or
    by itself and through its folder, is read once.

    Raises:
        CommandError: A path cannot be read.
    """
    documents: list[Document] = []
    unreadable: list[Unreadable] = []
    names: list[str] = []
    for name, data in _texts(paths):
        names.append(name)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            place = loading.Place(file=name, line=1, column=1)
            unreadable.append(Unreadable(place=place, message="it is not UTF-8 text"))
            continue
        found = parse(name, text)
        documents += found.documents
        unreadable += found.unreadable
    return Read(documents=tuple(documents), unreadable=tuple(unreadable), files=tuple(names))


def parse(name: str, text: str) -> Read:
    """Return the objects in one text; what cannot be read ends it, and what came before stays.

    Args:
        name: Of the file, for places.
        text: YAML or JSON.
    """
    documents: list[Document] = []
    unreadable: tuple[Unreadable, ...] = ()
    try:
        for value, origin in loading.documents(name, text):
            documents += _objects(value, origin)
    except loading.UnreadableError as error:
        place = loading.Place(file=name, line=error.line, column=error.column)
        unreadable = (Unreadable(place=place, message=str(error)),)
    return Read(documents=tuple(documents), unreadable=unreadable, files=(name,))


def _texts(paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for path in paths:
        for name in _files(path):
            real = name if name == STDIN else os.path.realpath(name)
            if real in seen:
                continue
            seen.add(real)
            try:
                if name == STDIN:
                    yield _STDIN_NAME, sys.stdin.buffer.read()
                else:
                    yield name, pathlib.Path(name).read_bytes()
            except OSError as error:
                raise _cannot_read(name, error) from error


def _files(path: str) -> Iterator[str]:
    """Yield a path itself, or the files of the folder that it is, in the order of their names."""
    if path == STDIN or not pathlib.Path(path).is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if pathlib.Path(name).suffix.lower() in _SUFFIXES and not name.startswith("."):
                yield os.path.normpath(pathlib.Path(folder) / name)


def _raise(error: OSError) -> None:
    raise _cannot_read(str(error.filename), error) from error


def _cannot_read(name: str, error: OSError) -> failures.CommandError:
    return failures.CommandError(
        f"cannot read {name}: {error.strerror}; -f takes a file, a folder, or - for standard input",
        status=failures.Status.USAGE,
    )


def _objects(value: Any, origin: loading.Origin) -> Iterator[Document]:
    """Yield the objects of a YAML document; what is no Kubernetes object, such as a chart's values, is none of them."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return
    kind, items = value["kind"], value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                # The items of a list of one kind, as the API answers with, leave out what the list says.
                inherited = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind[:-4]}
                body = {**inherited, **item}
                if isinstance(body.get("kind"), str):
                    yield Document(body=body, origin=origin, below=f"items[{index}]")
        return
    yield Document(body=value, origin=origin)

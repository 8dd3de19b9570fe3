"""The Kubernetes objects in files, folders and standard input, each with the file and line it stands at."""

import dataclasses
import enum
import os
import pathlib
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from mailtier.api import names
from mailtier.cli import failures
from mailtier.cli.offline.files import json_streams, loading, syntax

STDIN: Final = "-"
_STDIN_NAME: Final = "<stdin>"
_KUSTOMIZATIONS: Final = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_MAXIMUM_BYTES: Final = 256 * 1024 * 1024
"""The most that is read of one file or pipe: ten thousand organizations take a tenth of it."""
_OURS: Final = re.compile(rf"{re.escape(names.GROUP)}|{names.HOST_KIND}|{names.ORG_KIND}")


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Document:
    """One Kubernetes object.

    Attributes:
        body: The object; it has a kind.
        origin: The YAML document that holds it.
        below: Where in that document, as in `items[3]`; "" for the whole of it.
    """

    body: dict[str, Any]
    origin: loading.DocumentText
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


class Unread(enum.Enum):
    """Why a text was not read, as far as Mailtier cares."""

    FAULT = enum.auto()
    """It holds settings, or is what was piped in, and has a fault."""
    TEMPLATE = enum.auto()
    """It holds settings that somebody has to render first."""
    FOREIGN = enum.auto()
    """It says nothing of Mailtier: a template of another Helm chart, or JSON with comments, which is not kubectl's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file, or the rest of one, that is no YAML, or that kubectl before 1.33 refuses because it is no JSON."""

    place: loading.Place
    message: str
    why: Unread = Unread.FAULT


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was found.

    Attributes:
        files: The files that were read, as the user named them.
        replaced: Where bytes are not of the file's encoding, so that kubectl puts U+FFFD in their place.
    """

    documents: tuple[Document, ...]
    unreadable: tuple[Unreadable, ...]
    files: tuple[str, ...]
    replaced: tuple[loading.Place, ...] = ()

    @property
    def unbuilt(self) -> tuple[str, ...]:
        """The folders whose kustomization was read as a file, and not built."""
        found = (pathlib.PurePath(name) for name in self.files)
        return tuple(str(path.parent) for path in found if path.name in _KUSTOMIZATIONS)


def read(paths: Sequence[str]) -> Read:
    """Return the objects in files, in folders with all that is below them, and on standard input.

    A folder's files end in .yaml, .yml or .json; what begins with a dot is left out. A file that is named twice, or
    by itself and through its folder, is read once.

    Raises:
        CommandError: A path cannot be read.
    """
    found = [decode(name, data) for name, data in _texts(paths)]
    return Read(
        documents=tuple(document for each in found for document in each.documents),
        unreadable=tuple(unreadable for each in found for unreadable in each.unreadable),
        files=tuple(name for each in found for name in each.files),
        replaced=tuple(place for each in found for place in each.replaced),
    )


def decode(name: str, data: bytes) -> Read:
    """Return the objects in the bytes of one file."""
    try:
        decoded = loading.decode(data)
    except loading.UnreadableError as error:
        # Whom it is about, nobody can say.
        place = loading.Place(file=name, line=error.line, column=error.column)
        return Read(documents=(), unreadable=(Unreadable(place=place, message=str(error)),), files=(name,))
    found = parse(name, decoded.text)
    if decoded.replaced_at is None:
        return found
    return dataclasses.replace(found, replaced=(loading.Place(file=name, line=decoded.replaced_at, column=1),))


def parse(name: str, text: str) -> Read:
    """Return the objects in one text; what cannot be read ends it, and what came before stays.

    Args:
        name: Of the file, for places.
        text: YAML or JSON.
    """
    documents: list[Document] = []
    unreadable: tuple[Unreadable, ...]
    try:
        for value, origin in loading.documents(name, text):
            documents += _objects(value, origin)
    except loading.UnreadableError as error:
        place = loading.Place(file=name, line=error.line, column=error.column)
        found = _no_json(name, text, is_yaml=False)
        unreadable = (found or Unreadable(place=place, message=str(error), why=_why(name, text)),)
    else:
        # What has no object, such as a chart's values, nobody gives to kubectl.
        found = _no_json(name, text, is_yaml=True) if documents else None
        unreadable = () if found is None else (found,)
    return Read(documents=tuple(documents), unreadable=unreadable, files=(name,))


def _no_json(name: str, text: str, *, is_yaml: bool) -> Unreadable | None:
    """Return what keeps a text that kubectl takes for JSON from being it; None for what else it may be."""
    is_excused = _why(name, text) is Unread.FOREIGN or (not is_yaml and syntax.HAS_TEMPLATE.search(text) is not None)
    if is_excused or not json_streams.is_taken_for_json(text):
        return None
    fault = json_streams.fault(text)
    if fault is None:
        return None
    line_start = text.rfind("\n", 0, fault.at) + 1
    place = loading.Place(file=name, line=text.count("\n", 0, fault.at) + 1, column=fault.at - line_start + 1)
    return Unreadable(place=place, message=fault.sentence(is_yaml=is_yaml))


def content(path: str) -> tuple[str, bytes]:
    """Return how a file or standard input is called, and what it holds.

    Raises:
        CommandError: It cannot be read, is neither a file nor a pipe, or is larger than anybody's settings.
    """
    try:
        if path == STDIN:
            return _STDIN_NAME, _bounded(_STDIN_NAME, sys.stdin.buffer)
        with pathlib.Path(path).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
                raise failures.CommandError(
                    f"cannot read {path}: it is neither a file nor a pipe", status=failures.Status.USAGE
                )
            return path, _bounded(path, stream)
    except OSError as error:
        raise _cannot_read(path, error) from error


def _bounded(name: str, stream: BinaryIO) -> bytes:
    data = stream.read(_MAXIMUM_BYTES + 1)
    if len(data) > _MAXIMUM_BYTES:
        raise failures.CommandError(
            f"cannot read {name}: it is larger than {_MAXIMUM_BYTES // 1024**2} MiB", status=failures.Status.USAGE
        )
    return data


def _why(name: str, text: str) -> Unread:
    """Return why a text was not read; what is piped in was meant to be read, whatever it says."""
    if name == _STDIN_NAME:
        return Unread.FAULT
    is_template = syntax.HAS_TEMPLATE.search(text) is not None
    if _OURS.search(text) is None and (is_template or pathlib.PurePath(name).suffix.lower() == ".json"):
        return Unread.FOREIGN
    return Unread.TEMPLATE if is_template else Unread.FAULT


def _texts(paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for path in paths:
        for name in _files(path):
            real = name if name == STDIN else os.path.realpath(name)
            if real in seen:
                continue
            seen.add(real)
            yield content(name)


def _files(path: str) -> Iterator[str]:
    """Yield a path itself, or the files of the folder that it is, in the order of their names."""
    if path == STDIN or not pathlib.Path(path).is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            is_read = pathlib.Path(name).suffix.lower() in _SUFFIXES or name in _KUSTOMIZATIONS
            if is_read and not name.startswith("."):
                yield os.path.normpath(pathlib.Path(folder) / name)


def _raise(error: OSError) -> None:
    raise _cannot_read(str(error.filename), error) from error


def _cannot_read(name: str, error: OSError) -> failures.CommandError:
    return failures.CommandError(
        f"cannot read {name}: {error.strerror}; -f takes a file, a folder, or - for standard input",
        status=failures.Status.USAGE,
    )


def _objects(value: Any, origin: loading.DocumentText, below: str = "") -> Iterator[Document]:
    """Yield the objects of a YAML document, those of lists in lists too.

    What is no Kubernetes object, such as a chart's values, is none of them.
    """
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return
    kind, items = value["kind"], value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                # The items of a list of one kind, as the API answers with, leave out what the list says.
                inherited = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind[:-4]}
                body = {**inherited, **item}
                yield from _objects(body, origin, f"{below}.items[{index}]".removeprefix("."))
        return
    yield Document(body=value, origin=origin, below=below)

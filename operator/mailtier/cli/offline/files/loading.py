"""YAML and JSON texts as values, read as kubectl reads them, each with the place it stands at.

kubectl goes by a byte order mark, of UTF-8 or UTF-16, and takes the rest for UTF-8, whose broken bytes become U+FFFD
(`resource.FileVisitor`, golang.org/x/text `unicode.BOMOverride`); a text that begins with `{` is a stream of JSON
(`json_streams`).
PyYAML's own loader differs from kubectl's in ways that matter here: it turns `2026-01-02` into a date and `1:30` into
a number, takes `n` for text, and a key that stands twice; what scalars say, `scalars` knows.
"""

import codecs
import dataclasses
import functools
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from mailtier.cli.documents import scalars
from mailtier.cli.offline.files import json_streams, syntax

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
    "tag:yaml.org,2002:null": (type(None),),
}
"""What the scalars of a tag may say."""
_TAGS: Final = {types[0]: tag for tag, types in _TYPES.items()}
_MERGE: Final = "<<"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_PATH_PART: Final = re.compile(r"\[([0-9]+)\]|([^.\[]+)")
_LATER_MARK: Final = re.compile(r"^(---[^\S\n]*\n)\ufeff", re.MULTILINE)
"""A byte order mark at the beginning of a later document, as files that were joined have it."""
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_JSON_ALONE: Final = re.compile(
    r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
"""What a text has in JSON and not in YAML: characters beyond U+FFFF escaped in two halves, and unprintable ones."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,62}")
"""A key that may be told: what else stands where one does may be anything (R1)."""


class UnreadableError(Exception):
    """A text is not YAML; the sentence says what is in the way and quotes nothing of it (R1).

    Attributes:
        line: Where, counted from 1.
        column: Where, counted from 1.
    """

    def __init__(self, message: str, *, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DocumentText:
    """The text of one YAML document, kept to find the places of its fields when somebody asks.

    Attributes:
        file: As the user named it.
        text: The document's lines.
        line: Number of the first one, counted from 1.
        indent: Characters of the first one that are left out, such as `--- `.
    """

    file: str
    text: str
    line: int
    indent: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A place in a file, line and column counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What the bytes of a file say.

    Attributes:
        replaced_at: Line of the first byte that is not of the file's encoding, counted from 1; None where all are.
    """

    text: str
    replaced_at: int | None


def decode(data: bytes) -> Text:
    """Return what bytes say to kubectl.

    Raises:
        UnreadableError: It is another encoding, which kubectl does not read either.
    """
    encoding = "utf-16" if data.startswith(_UTF_16) else "utf-8-sig"
    text = data.decode(encoding, errors="replace")
    if "\0" in text:
        raise UnreadableError(
            "it holds NUL, as UTF-16 does without a byte order mark; save it as UTF-8",
            line=text.count("\n", 0, text.index("\0")) + 1,
            column=1,
        )
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return Text(text=text, replaced_at=data[: error.start].decode(encoding, errors="replace").count("\n") + 1)
    return Text(text=text, replaced_at=None)


class _Loader(yaml.CSafeLoader):
    """Takes the scalars that kubectl takes, and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    which = f"`{key.value}`" if _NAME.fullmatch(key.value) else "a key"
                    told = f"{which} stands twice in the same object; keep one of the two"
                    raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
                seen.add(key.value)
        mapping = super().construct_mapping(node, deep=deep)
        return {scalars.key(key): value for key, value in mapping.items()}

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is not yaml.ScalarNode or not implicit[0] or value == _MERGE:
            return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return _TAGS.get(type(scalars.read(value)), self.DEFAULT_SCALAR_TAG)


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> scalars.Scalar:
    """Return the value of a scalar that is no text, plain or with its tag."""
    value = scalars.read(str(loader.construct_scalar(node)))
    if type(value) not in _TYPES[node.tag]:
        raise yaml.constructor.ConstructorError(None, None, "a value is not what its tag says", node.start_mark)
    if isinstance(value, float) and not math.isfinite(value):
        raise yaml.constructor.ConstructorError(None, None, "JSON has no such number", node.start_mark)
    return value


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Return a scalar as it is written."""
    return str(loader.construct_scalar(node))


for _tag in _TYPES:
    _Loader.add_constructor(_tag, _scalar)
_Loader.add_constructor(_TIMESTAMP, _text)


def documents(file: str, text: str) -> Iterator[tuple[Any, DocumentText]]:
    """Yield the documents of a text.

    Args:
        file: Its name, for places.
        text: YAML with one or several documents, or JSON.

    Raises:
        UnreadableError: The rest of the text cannot be read; what came before it has been yielded.
    """
    if text.lstrip()[:1] in {"{", "["}:
        values = json_streams.read(text)
        if values is not None:
            for value, start, end in values:
                yield value, DocumentText(file=file, text=text[start:end], line=text.count("\n", 0, start) + 1)
            return
    text = _LATER_MARK.sub(r"\1", text)
    try:
        # The loader looks for characters that no YAML may hold as soon as it is made.
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            start = _start_of(text, node.start_mark)
            origin = DocumentText(
                file=file,
                text=text[start : node.end_mark.index],
                line=node.start_mark.line + 1,
                indent=start - text.rfind("\n", 0, start) - 1,
            )
            yield loader.construct_document(node), origin
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(error, text) from None


def locate(origin: DocumentText, field: str, *, below: str = "") -> Place:
    """Return where a field stands; where it does not exist, the place of what would hold it.

    Args:
        origin: The document.
        field: Path as in `spec.from.allow[0]`; "" for the object itself.
        below: Path of the object in the document, as in `items[3]`.
    """
    root = _compose(origin)
    if root is None:
        return Place(file=origin.file, line=origin.line, column=1)
    at, node = root, root
    for index, name in _PATH_PART.findall(f"{below}.{field}"):
        found = _step(node, index, name)
        if found is None:
            break
        at, node = found
    mark = at.start_mark
    column = mark.column + 1 + (0 if mark.line else origin.indent)
    return Place(file=origin.file, line=origin.line + mark.line, column=column)


def _step(node: yaml.Node, index: str, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return what to point at and where to go on: of a mapping's entry, its key and its value."""
    if isinstance(node, yaml.SequenceNode) and index:
        entries = node.value
        return (entries[int(index)], entries[int(index)]) if int(index) < len(entries) else None
    if isinstance(node, yaml.MappingNode) and name:
        return next(((key, value) for key, value in node.value if key.value == name), None)
    return None


# A list of ten thousand objects is one document, and each of its findings asks for it.
@functools.lru_cache(maxsize=4)
def _compose(origin: DocumentText) -> yaml.Node | None:
    # What replaces them is as long as they are, so that no place moves.
    loader = _Loader(_JSON_ALONE.sub(lambda found: r"\ufffd" if len(found[0]) > 1 else "\ufffd", origin.text))
    try:
        return loader.get_node() if loader.check_node() else None
    except (yaml.YAMLError, RecursionError):
        return None  # JSON that is no YAML, such as with a line break before a colon.


def _start_of(text: str, mark: yaml.Mark) -> int:
    """Return where the first line of a document begins, or its root where that follows `---` on the same line."""
    index = int(mark.index)
    start = text.rfind("\n", 0, index) + 1
    return start if not text[start:index].strip() else index


def _unreadable(error: Exception, text: str) -> UnreadableError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read as YAML"
    if isinstance(error, RecursionError):
        problem = "it is nested too deeply"
    told = syntax.sentence(problem, text, at=None if mark is None else mark.index)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return UnreadableError(told, line=line, column=column)

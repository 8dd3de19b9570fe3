"""Effective settings as they are printed: a table for people, YAML to read, JSON as the operator publishes it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import canonical, vocabulary
from mailtier.cli import tables, terminal
from mailtier.cli.documents import writing
from mailtier.cli.offline import diffing, values
from mailtier.cli.offline.files import loading
from mailtier.settings import codec, effective, view

HOST: Final = "host"
"""Stands for the host's own settings among the names of organizations, which all have a slash."""

_WHOLE: Final = "effective.json"
_HEADINGS: Final = ("ORGANIZATION", "STATE", "SOURCE", "HOST", "TLS", "AUTH", "FROM")
_NAMES_SHOWN: Final = 5
_COLOURS: Final = {
    effective.State.ACTIVE: terminal.Colour.GOOD,
    effective.State.BLOCKED: terminal.Colour.BAD,
    effective.State.UNRESOLVED: terminal.Colour.WAITING,
    effective.State.SUSPENDED: terminal.Colour.WAITING,
}

Rendered = Mapping[str, effective.Effective]
"""Effective settings by the organization's name, the host's own under `host`."""


class NoRenderingError(ValueError):
    """The text is a rendering that somebody edited, or another release printed."""


def as_json(rendered: Rendered) -> Iterator[str]:
    """Yield the lines of one JSON object, an organization a line.

    Each value is the text of `effective.json`, as the operator publishes it for the same objects.
    """
    lines = (f"{json.dumps(name)}:{codec.encode(settings)}" for name, settings in rendered.items())
    yield from _enclose("{", lines, "}")


def parse(text: str) -> Rendered | None:
    """Return what `as_json` or `as_yaml` printed; None where the text is something else.

    Raises:
        NoRenderingError: It is a rendering, but not one of this release, or it was edited.
    """
    try:
        document = json.loads(text)
    except ValueError:
        return _from_yaml(text)
    if not isinstance(document, dict) or not all(map(_is_rendered, document.values())):
        return None
    return {name: _decode(canonical.encode(entry)) for name, entry in document.items()}


def _is_rendered(entry: Any) -> bool:
    return isinstance(entry, dict) and {"hash", "settings", "version"} <= entry.keys()


def _from_yaml(text: str) -> Rendered | None:
    try:
        printed = [document for document, _ in loading.documents("", text)]
    except loading.UnreadableError:
        return None
    if not printed or not all(
        isinstance(entry, dict) and {"organization", "state"} <= entry.keys() for entry in printed
    ):
        return None
    found = {}
    for entry in printed:
        if not isinstance(entry.get(_WHOLE), str):
            raise NoRenderingError(
                f"it has no {_WHOLE}, as another release or somebody else prints it; render it again"
            )
        name, settings = str(entry["organization"]), _decode(entry[_WHOLE])
        if entry != _document(name, settings):
            raise NoRenderingError(
                f"what it says of {name} does not match its {_WHOLE}, so that somebody edited it; render it again"
            )
        found[name] = settings
    return found


def _decode(text: str) -> effective.Effective:
    try:
        return codec.decode(text)
    except codec.CodecError as error:
        raise NoRenderingError(str(error)) from error


def as_yaml(rendered: Rendered) -> Iterator[str]:
    """Yield one YAML document an organization: its values in the shape of a spec, and where each came from.

    The last entry of each is the text of `effective.json`, as the operator publishes it.
    """
    for name, settings in rendered.items():
        yield f"---\n{writing.dump(_document(name, settings))}"


def as_text(rendered: Rendered, painter: terminal.Painter, *, width: int, line_width: int | None) -> Iterator[str]:
    """Yield a table, and below it what is wrong with whom.

    Args:
        rendered: The settings.
        painter: Colours, or does not.
        width: Characters of a line of the table.
        line_width: Those of a line below it; None to wrap none.
    """
    body = [_row(name, settings) for name, settings in rendered.items()]
    if body:
        yield from (f"{line}\n" for line in tables.table(_HEADINGS, body, painter, width=width))
    for name, settings in rendered.items():
        for prefix, colour, findings in (
            ("", terminal.Colour.BAD, settings.findings),
            ("audited: ", terminal.Colour.WAITING, settings.audited),
        ):
            for finding in findings:
                told = terminal.plain(f"{prefix}{values.finding(finding)}")
                parts = ((terminal.plain(name), colour), (f": {told}", None))
                yield from _lines(parts, painter, line_width, indent="")


def difference_as_text(
    comparison: diffing.Comparison, painter: terminal.Painter, *, width: int | None
) -> Iterator[str]:
    """Yield what a change alters; organizations that it alters alike stand together.

    Args:
        comparison: What differs.
        painter: Colours, or does not.
        width: Characters of a line; None to wrap none.
    """
    alike: dict[diffing.Difference, list[str]] = {}
    for name, difference in comparison.differences.items():
        alike.setdefault(difference, []).append(name)
    for difference, names in alike.items():
        yield from _lines(((_title(difference, names), terminal.Colour.BOLD),), painter, width, indent="")
        yield from changes_as_text(difference, painter, width=width)
    counts = [f"{comparison.count(fate)} {fate}" for fate in diffing.Fate if comparison.count(fate)]
    yield f"{', '.join((*counts, f'{comparison.unchanged} unchanged'))}\n"


def changes_as_text(difference: diffing.Difference, painter: terminal.Painter, *, width: int | None) -> Iterator[str]:
    """Yield the values and findings of a difference, each indented and wrapped at the width, if there is one."""
    told = [_change(change) for change in difference.changes]
    told += [(f"! {terminal.plain(finding)}", terminal.Colour.BAD) for finding in difference.new]
    told += [(f"no longer {terminal.plain(finding)}", terminal.Colour.GOOD) for finding in difference.gone]
    for part in told:
        yield from _lines((part,), painter, width, indent="  ")


def _lines(parts: Sequence[tables.Cell], painter: terminal.Painter, width: int | None, *, indent: str) -> Iterator[str]:
    for line in tables.line(parts, painter, width=width, indent=indent, following=f"{indent}  "):
        yield f"{line}\n"


def _title(difference: diffing.Difference, names: Sequence[str]) -> str:
    shown = terminal.plain(", ".join(names[:_NAMES_SHOWN]))
    hidden = len(names) - _NAMES_SHOWN
    if hidden > 0:
        shown = f"{len(names)} organizations ({shown} and {hidden} more)"
    before, after = difference.states
    match difference.fate:
        case diffing.Fate.ADDED:
            return f"{shown}: added, {after}"
        case diffing.Fate.REMOVED:
            return f"{shown}: removed, was {before}"
        case diffing.Fate.CHANGED:
            return f"{shown}: {before}" if before == after else f"{shown}: {before} -> {after}"


def _change(change: diffing.Change) -> tables.Cell:
    path = change.path
    if change.before is None:
        return f"+ {path}: {terminal.plain(str(change.after))}", terminal.Colour.GOOD
    if change.after is None:
        return f"- {path}: {terminal.plain(str(change.before))}", terminal.Colour.BAD
    text = f"~ {path}: {terminal.plain(str(change.before))} -> {terminal.plain(str(change.after))}"
    return text, terminal.Colour.WAITING


def _document(name: str, settings: effective.Effective) -> dict[str, Any]:
    nested = view.nest(settings, viewer=vocabulary.Origin.HOST)
    document: dict[str, Any] = {
        "organization": name,
        "state": settings.state.value,
        "source": settings.source.value,
        "effective": nested,
        "provenance": view.provenance(settings, nested),
    }
    for key, findings in (("findings", settings.findings), ("audited", settings.audited)):
        if findings:
            document[key] = [
                {"reason": finding.reason.name, "field": finding.field, "message": finding.message}
                for finding in findings
            ]
    # What stands above leaves out what few people ask for; `--diff` compares all of it.
    document[_WHOLE] = codec.encode(settings)
    return document


def _row(name: str, settings: effective.Effective) -> tuple[tables.Cell, ...]:
    endpoint, auth, from_ = settings.endpoint, settings.auth, settings.from_
    return (
        (name, None),
        (settings.state.value, _COLOURS[settings.state]),
        (settings.source.value, None),
        (str(endpoint) if endpoint else "", None),
        (endpoint.tls.mode.value if endpoint else "", None),
        (auth.mechanism.value if auth else "", None),
        (from_.address if from_ else "", None),
    )


def _enclose(opening: str, lines: Iterator[str], closing: str) -> Iterator[str]:
    yield opening
    for number, line in enumerate(lines):
        yield f"{',' if number else ''}\n{line}"
    yield f"\n{closing}\n"

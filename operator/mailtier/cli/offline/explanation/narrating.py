"""Explanations as they are printed: a table of all values, or all about some of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.cli import tables, terminal
from mailtier.cli.offline import rendering, values
from mailtier.cli.offline.explanation import explaining

_HEADINGS: Final = ("FIELD", "VALUE", "FROM", "CHANGED BY", "WITHOUT THE OVERRIDE")


def as_text(
    explanation: explaining.Explanation,
    rows: Sequence[explaining.ExplainedValue],
    *,
    detailed: bool,
    places: Mapping[str, str],
    painter: terminal.Painter,
    width: int,
) -> Iterator[str]:
    """Yield the lines of an explanation.

    Args:
        explanation: Of an organization, or the host.
        rows: Those to be told.
        detailed: Whether rules and consequences are told, or a table is enough.
        places: Where each override is written.
        painter: Colours, or does not.
        width: Characters of a line of a table.
    """
    yield f"{painter.paint(explanation.name, terminal.Colour.BOLD)}: {explanation.state}\n"
    if not detailed:
        for finding in explanation.findings:
            yield f"  {painter.paint(terminal.plain(finding), terminal.Colour.BAD)}\n"
        yield "\n"
        body = [_cells(explanation, row) for row in rows]
        yield from (f"{line}\n" for line in tables.table(_HEADINGS, body, painter, width=width))
        return
    for row in rows:
        yield "\n"
        yield from _details(row, places, painter)
    for override in dict.fromkeys(row.override for row in rows if row.override in explanation.without):
        yield "\n"
        yield from _consequences(explanation.without[override], painter)


def to_json(
    explanation: explaining.Explanation, rows: Sequence[explaining.ExplainedValue], places: Mapping[str, str]
) -> dict[str, Any]:
    """Return an explanation as JSON."""
    overrides = dict.fromkeys(row.override for row in rows if row.override in explanation.without)
    return {
        "organization": explanation.name,
        "state": explanation.state,
        "findings": list(explanation.findings),
        "fields": {row.path: _row_to_json(row, places) for row in rows},
        "withoutOverride": {
            f"spec.{override}": _without_to_json(explanation.without[override]) for override in overrides
        },
    }


def _cells(explanation: explaining.Explanation, row: explaining.ExplainedValue) -> tuple[tables.Cell, ...]:
    colour = terminal.Colour.BAD if row.findings else None
    without = explanation.without.get(row.override)
    then = str(without.value.get(row.path, "(none)")) if without else ""
    return (
        (row.path, colour),
        (row.value.shown, colour),
        (row.value.tier, None),
        (row.changed_by, None),
        (then, None),
    )


def _details(row: explaining.ExplainedValue, places: Mapping[str, str], painter: terminal.Painter) -> Iterator[str]:
    yield f"{painter.paint(row.path, terminal.Colour.BOLD)}: {terminal.plain(str(row.value))}\n"
    if row.override:
        where = f", {places[row.override]}" if row.override in places else ""
        yield f"  set by the organization: spec.{row.override}{terminal.plain(where)}\n"
    if row.changed_by:
        yield f"  changed by: {row.changed_by}\n"
    for note in row.notes:
        yield f"  rule: {note}\n"
    for finding in row.findings:
        yield f"  {painter.paint(f'blocked: {terminal.plain(finding)}', terminal.Colour.BAD)}\n"


def _consequences(without: explaining.Without, painter: terminal.Painter) -> Iterator[str]:
    removed = " and ".join(without.removed)
    if without.difference is None:
        yield f"Without {removed}: nothing changes.\n"
        return
    before, after = without.difference.states
    states = after if before == after else f"{before} -> {after}"
    yield f"{painter.paint(f'Without {removed}', terminal.Colour.BOLD)}: {states}\n"
    yield from rendering.changes_as_text(without.difference, painter)


def _row_to_json(row: explaining.ExplainedValue, places: Mapping[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "value": row.value.text,
        "origin": row.value.tier,
        "changedBy": row.changed_by,
        "rules": list(row.notes),
        "findings": list(row.findings),
    }
    if row.override:
        document["override"] = f"spec.{row.override}"
    if row.override in places:
        document["place"] = places[row.override]
    return document


def _without_to_json(without: explaining.Without) -> dict[str, Any]:
    changes = without.difference.changes if without.difference else ()
    return {
        "removed": list(without.removed),
        "state": without.difference.states[1] if without.difference else "",
        "values": {
            change.path: {"before": values.to_json(change.before), "after": values.to_json(change.after)}
            for change in changes
        },
        "findings": {
            "new": list(without.difference.new) if without.difference else [],
            "gone": list(without.difference.gone) if without.difference else [],
        },
    }

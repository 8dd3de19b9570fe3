"""Explanations as they are printed: a table of all values, or all about some of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.cli import tables, terminal
from mailtier.cli.offline import rendering, values
from mailtier.cli.offline.explanation import explaining
from mailtier.settings import effective

_HEADINGS: Final = ("FIELD", "VALUE", "FROM", "CHANGED BY")
_WITHOUT: Final = "WITHOUT THE OVERRIDE"
_ALONE: Final = "THE HOST'S ALONE"


def as_text(
    explanation: explaining.Explanation,
    rows: Sequence[explaining.ExplainedValue],
    *,
    detailed: bool,
    places: Mapping[str, str],
    painter: terminal.Painter,
    width: int,
    line_width: int | None,
) -> Iterator[str]:
    """Yield the lines of an explanation.

    Args:
        explanation: Of an organization, or the host.
        rows: Those to be told.
        detailed: Whether rules and consequences are told, or a table is enough.
        places: Where each override is written.
        painter: Colours, or does not.
        width: Characters of a line of a table.
        line_width: Those of any other line; None to wrap none.
    """
    yield f"{painter.paint(explanation.name, terminal.Colour.BOLD)}: {explanation.state}\n"
    if not detailed:
        for finding in explanation.findings:
            yield from _lines(((terminal.plain(finding), terminal.Colour.BAD),), painter, line_width)
        if rows:
            body = [_cells(explanation, row) for row in rows]
            yield "\n"
            last = _ALONE if any(row.alone for row in rows) else _WITHOUT
            table = tables.table((*_HEADINGS, last), body, painter, width=width, folded=(last, "CHANGED BY"))
            yield from (f"{line}\n" for line in table)
        return
    for row in rows:
        yield "\n"
        yield from _details(row, places, painter, line_width)
    for override in dict.fromkeys(row.override for row in rows if row.override in explanation.without):
        yield "\n"
        yield from _consequences(explanation.without[override], explanation.state, painter, line_width)


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
    then = row.alone or (str(without.value.get(row.path, "(none)")) if without else "")
    return (
        (row.path, colour),
        (row.value.shown, colour),
        (row.value.tier, None),
        (row.changed_by, None),
        (then, None),
    )


def _details(
    row: explaining.ExplainedValue, places: Mapping[str, str], painter: terminal.Painter, width: int | None
) -> Iterator[str]:
    value = ((row.path, terminal.Colour.BOLD), (f": {terminal.plain(str(row.value))}", None))
    yield from (f"{line}\n" for line in tables.line(value, painter, width=width, following="    "))
    told: list[tables.Cell] = []
    if row.override:
        where = f", {places[row.override]}" if row.override in places else ""
        told.append((f"set by the organization: spec.{row.override}{terminal.plain(where)}", None))
    if row.changed_by:
        told.append((f"changed by: {row.changed_by}", None))
    told += [(f"rule: {note}", None) for note in row.notes]
    told += [(f"blocked: {terminal.plain(finding)}", terminal.Colour.BAD) for finding in row.findings]
    for part in told:
        yield from _lines((part,), painter, width)


def _lines(parts: Sequence[tables.Cell], painter: terminal.Painter, width: int | None) -> Iterator[str]:
    for line in tables.line(parts, painter, width=width, indent="  ", following="    "):
        yield f"{line}\n"


def _consequences(
    without: explaining.Without, state: str, painter: terminal.Painter, width: int | None
) -> Iterator[str]:
    removed = " and ".join(without.removed)
    if without.difference is None:
        yield f"Without {removed}: nothing changes.\n"
        return
    before, after = without.difference.states
    # Secrets and CA bundles are taken to be right here; an operator that read them knows better.
    is_sure = state == before or after == effective.State.BLOCKED.value
    states = after if state == after else f"{state} -> {after}"
    rider = "" if is_sure else ", if what it refers to then can be used"
    yield f"{painter.paint(f'Without {removed}', terminal.Colour.BOLD)}: {states}{rider}\n"
    yield from rendering.changes_as_text(without.difference, painter, width=width)


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

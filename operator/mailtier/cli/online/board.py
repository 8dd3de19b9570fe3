"""A picture of a cluster as text, or as a document; pure."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mailtier.cli import documents
from mailtier.cli.online import rows, terminal

_COLOURS: Final = {
    rows.RowState.STALLED: terminal.Colour.BAD,
    rows.RowState.RECONCILING: terminal.Colour.WAITING,
    rows.RowState.NOT_VERIFIED: terminal.Colour.BAD,
    rows.RowState.WOULD_BLOCK: terminal.Colour.WAITING,
    rows.RowState.ADVICE: terminal.Colour.WAITING,
    rows.RowState.READY: terminal.Colour.GOOD,
}
_GAP: Final = "   "
_HIDDEN: Final = "not visible to you"

Cell = tuple[str, terminal.Colour | None]


def text(picture: rows.Picture, *, wide: bool, now: dt.datetime, painter: terminal.Painter) -> list[str]:
    """Return the lines of a status for people: totals, then what is broken, worst first.

    Args:
        picture: What there is.
        wide: Whether every organization follows, with its server and sender.
        now: Aware UTC time, for ages.
        painter: Colours, or does not.
    """
    lines = [*_head(picture, painter), ""]
    found = picture.remarkable
    if found:
        shown = table(
            ("STATE", "OBJECT", "REASON", "AGE"),
            [
                ((str(row.state), _COLOURS[row.state]), (str(row), None), (row.reason, None), (_age(row, now), None))
                for row in found
            ],
            painter,
        )
        lines.append(shown[0])
        for row, line in zip(found, shown[1:], strict=True):
            lines += [line, painter.paint(f"    {terminal.plain(row.message)}", terminal.Colour.DIM)]
    else:
        lines.append("Everything is ready." if picture.organizations else "There is no organization.")
    if wide:
        lines += ["", *_everything(picture, now, painter)]
    return lines


def document(picture: rows.Picture) -> dict[str, Any]:
    """Return a status for programs."""
    totals = picture.totals
    numbers = {
        "organizations": totals.organizations,
        "ready": totals.ready,
        "stalled": totals.stalled,
        "reconciling": totals.reconciling,
        "notVerified": totals.not_verified,
        "withAdvice": totals.with_advice,
        "wouldBeBlocked": totals.would_be_blocked,
        "overriding": totals.overriding,
    }
    found: dict[str, Any] = {"totals": numbers, "broken": picture.is_broken}
    if picture.host is not None:
        found["host"] = _entry(picture.host)
    if picture.pods is not None:
        found["pods"] = [{"name": pod.name, "ready": dict(pod.containers)} for pod in picture.pods]
    found["remarkable"] = [_entry(row) for row in picture.remarkable]
    found["organizations"] = [_entry(row) for row in picture.organizations]
    return found


def as_json(picture: rows.Picture) -> str:
    """Return a status as JSON."""
    return json.dumps(document(picture), indent=2, ensure_ascii=False)


def as_yaml(picture: rows.Picture) -> str:
    """Return a status as YAML."""
    return documents.dump(document(picture)).rstrip("\n")


def table(head: Sequence[str], body: Sequence[Sequence[Cell]], painter: terminal.Painter) -> list[str]:
    """Return a table's lines, its columns as wide as what is in them.

    Args:
        head: The names of the columns.
        body: Text and colour of each cell.
        painter: Colours, or does not.
    """
    plain = [[terminal.plain(cell) for cell, _ in row] for row in body]
    widths = [max(map(len, column)) for column in zip(head, *plain, strict=True)]
    lines = [painter.paint(_join(head, widths), terminal.Colour.BOLD)]
    for row, texts in zip(body, plain, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(texts, widths, strict=True)]
        painted = [painter.paint(cell, colour) for cell, (_, colour) in zip(padded, row, strict=True)]
        lines.append(_GAP.join(painted).rstrip())
    return lines


def change(row: rows.Row) -> str:
    """Return one line about an object that changed, for a log."""
    return terminal.plain(f"{row}: {row.state} {row.reason}: {row.message}")


def _head(picture: rows.Picture, painter: terminal.Painter) -> Iterable[str]:
    totals = picture.totals
    told = (
        f"{totals.ready} ready, {totals.stalled} stalled, {totals.reconciling} reconciling;"
        f" of the ready {totals.not_verified} not verified, {totals.with_advice} with advice;"
        f" {totals.would_be_blocked} would be blocked, {totals.overriding} overriding"
    )
    yield f"{painter.paint('Organizations', terminal.Colour.BOLD)}   {totals.organizations}: {told}"
    yield f"{painter.paint('Host', terminal.Colour.BOLD)}            {_host(picture, painter)}"
    # Who looks at one namespace has no business with the pods, unless the rights say otherwise.
    if picture.pods is not None or not picture.namespace:
        yield f"{painter.paint('Mailtier', terminal.Colour.BOLD)}        {_pods(picture, painter)}"


def _host(picture: rows.Picture, painter: terminal.Painter) -> str:
    if picture.host is None:
        missing = "there is no HostEmailSettings; create one named default"
        return painter.paint(missing, terminal.Colour.BAD) if picture.host_missing else _HIDDEN
    row = picture.host
    told = [painter.paint(str(row.state), _COLOURS[row.state]), row.verified, row.host, row.tls]
    return _GAP.join(filter(None, told))


def _pods(picture: rows.Picture, painter: terminal.Painter) -> str:
    if picture.pods is None:
        return _HIDDEN
    if not picture.pods:
        return painter.paint("no pod in its namespace; see --operator-namespace", terminal.Colour.BAD)
    return _GAP.join(
        f"{pod.name}: "
        + ", ".join(
            painter.paint(
                f"{container} {'ready' if ready else 'not ready'}",
                terminal.Colour.GOOD if ready else terminal.Colour.BAD,
            )
            for container, ready in pod.containers.items()
        )
        for pod in picture.pods
    )


def _everything(picture: rows.Picture, now: dt.datetime, painter: terminal.Painter) -> list[str]:
    head = ("ORGANIZATION", "STATE", "REASON", "HOST", "TLS", "FROM", "SOURCE", "VERIFIED", "AGE")
    return table(
        head,
        [
            (
                (f"{row} (no object)" if row.is_implicit else str(row), None),
                (str(row.state), _COLOURS[row.state]),
                *((cell, None) for cell in (row.reason, row.host, row.tls, row.from_address, row.source)),
                (row.verified, None),
                (_age(row, now), None),
            )
            for row in picture.organizations
        ],
        painter,
    )


def _entry(row: rows.Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": row.name,
        "state": str(row.state),
        "reason": row.reason,
        "message": row.message,
        "remedy": rows.remedy(row),
        "since": row.since.isoformat().replace("+00:00", "Z") if row.since else "",
        "host": row.host,
        "tls": row.tls,
        "from": row.from_address,
        "source": row.source,
        "verified": row.verified,
    }
    if row.namespace:
        found = {"namespace": row.namespace, **found}
    return {key: value for key, value in found.items() if value != ""}


def _age(row: rows.Row, now: dt.datetime) -> str:
    """Return how long a state lasts, in its largest unit, as kubectl does."""
    if row.since is None:
        return ""
    seconds = max(int((now - row.since).total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _join(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

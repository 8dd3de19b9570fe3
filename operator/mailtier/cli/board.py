"""A picture of a cluster as text, or as a document; pure."""

import datetime as dt
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mailtier.cli import tables, terminal
from mailtier.cli.documents import writing
from mailtier.cli.online import rows

_COLOURS: Final = {
    rows.RowState.STALLED: terminal.Colour.BAD,
    rows.RowState.RECONCILING: terminal.Colour.WAITING,
    rows.RowState.HELD: terminal.Colour.BAD,
    rows.RowState.NOT_VERIFIED: terminal.Colour.BAD,
    rows.RowState.SUSPENDED: terminal.Colour.WAITING,
    rows.RowState.WOULD_BLOCK: terminal.Colour.WAITING,
    rows.RowState.ADVICE: terminal.Colour.WAITING,
    rows.RowState.READY: terminal.Colour.GOOD,
}
_NAMED: Final = 3
"""How many objects are named of those that have the same fault."""
HIDDEN: Final = "not visible to you"
"""What is said of what the rights of whoever asks do not show."""


def text(picture: rows.Picture, *, wide: bool, now: dt.datetime, painter: terminal.Painter, width: int) -> list[str]:
    """Return the lines of a status for people: totals, then what is broken, worst first.

    Args:
        picture: What there is.
        wide: Whether every organization follows, with its server and sender.
        now: Aware UTC time, for ages.
        painter: Colours, or does not.
        width: Characters of a line.
    """
    lines = [*_head(picture, painter, width), ""]
    found = alike(picture.remarkable)
    if found:
        head, *entries = tables.entries(
            ("STATE", "OBJECT", "REASON", "AGE"),
            [
                (
                    (str(each[0].state), _COLOURS[each[0].state]),
                    (_named(each), None),
                    (each[0].reason, None),
                    (_age(_first(each), now), None),
                )
                for each in found
            ],
            painter,
            width=width,
        )
        lines += head
        for each, entry in zip(found, entries, strict=True):
            told = each[0].message if len(each) == 1 else _of_any(each[0])
            lines += [*entry, *tables.sentence(told, painter, width=width)]
            if len(each) > 1:
                lines += tables.sentence(_list(each), painter, width=width)
    else:
        lines.append("Everything is ready." if picture.organizations else "There is no organization.")
    if wide:
        lines += ["", *_everything(picture, now, painter, width)]
    return lines


def alike(found: Sequence[rows.Row]) -> list[list[rows.Row]]:
    """Return rows in their order, those of which the same is said together: one fault of the host is one entry."""
    groups: dict[tuple[object, ...], list[rows.Row]] = {}
    for row in found:
        groups.setdefault((row.state, row.reason, _of_any(row), not row.namespace), []).append(row)
    return list(groups.values())


def _of_any(row: rows.Row) -> str:
    """Return what is said of an organization as it would be said of one in any namespace."""
    if not row.namespace:
        return row.message
    own = re.escape(row.namespace)
    return re.sub(rf"(?:(?<=-n )|(?<=namespace )){own}(?![\w.-])|(?<![\w.-]){own}/", _any, row.message)


def _any(found: re.Match[str]) -> str:
    return "NAMESPACE/" if found[0].endswith("/") else "NAMESPACE"


def _named(group: Sequence[rows.Row]) -> str:
    return str(group[0]) if len(group) == 1 else f"{len(group)} organizations"


def _list(group: Sequence[rows.Row]) -> str:
    shown = ", ".join(map(str, group[:_NAMED]))
    return f"{shown} and {len(group) - _NAMED} more" if len(group) > _NAMED else shown


def _first(group: Sequence[rows.Row]) -> rows.Row:
    """Return the one that stands so the longest."""
    return min(group, key=lambda row: row.since.timestamp() if row.since else float("inf"))


def document(picture: rows.Picture) -> dict[str, Any]:
    """Return a status for programs."""
    totals = picture.totals
    numbers = {
        "organizations": totals.organizations,
        "ready": totals.ready,
        "stalled": totals.stalled,
        "reconciling": totals.reconciling,
        "notVerified": totals.not_verified,
        "notVerifiedYet": totals.pending,
        "suspended": totals.suspended,
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
    return writing.dump(document(picture)).rstrip("\n")


def change(row: rows.Row) -> str:
    """Return one line about an object that changed, for a log."""
    return terminal.plain(f"{row}: {row.state} {row.reason}: {row.message}")


def _head(picture: rows.Picture, painter: terminal.Painter, width: int) -> Iterable[str]:
    totals = picture.totals
    told = (
        f"{totals.organizations}: {totals.ready} ready, {totals.stalled} stalled, {totals.reconciling} reconciling;"
        f" of those ready: {totals.not_verified} failed verification, {totals.pending} not verified yet,"
        f" {totals.suspended} suspended, {totals.with_advice} with advice;"
        f" {totals.would_be_blocked} would be blocked, {totals.overriding} with overrides"
    )
    yield from tables.titled("Organizations", [(told, None)], painter, width)
    yield from tables.titled("Host", _host(picture), painter, width)
    # Who looks at one namespace has no business with the pods, unless the rights say otherwise.
    if picture.pods is not None or not picture.namespace:
        yield from tables.titled("Mailtier", _pods(picture), painter, width)


def _host(picture: rows.Picture) -> list[tables.Cell]:
    if picture.host is None:
        missing = "there is no HostEmailSettings; create one named default"
        return [(missing, terminal.Colour.BAD) if picture.host_missing else (HIDDEN, None)]
    row = picture.host
    told = [(str(row.state), _COLOURS[row.state]), (row.verified, None), (row.host, None), (row.tls, None)]
    return [part for part in told if part[0]]


def _pods(picture: rows.Picture) -> list[tables.Cell]:
    if picture.pods is None:
        return [(HIDDEN, None)]
    if picture.pods:
        return [
            (
                f"{pod.name}: {', '.join(f'{name} {_readiness(ready)}' for name, ready in pod.containers.items())}",
                terminal.Colour.GOOD if pod.is_ready else terminal.Colour.BAD,
            )
            for pod in picture.pods
        ]
    if picture.leader:
        return [(f"no pod found; operator '{picture.leader}' holds the Lease", None)]
    return [("no pod found; name its namespace with --operator-namespace", terminal.Colour.BAD)]


def _readiness(ready: bool) -> str:
    return "ready" if ready else "not ready"


def _everything(picture: rows.Picture, now: dt.datetime, painter: terminal.Painter, width: int) -> list[str]:
    head = ("ORGANIZATION", "STATE", "REASON", "HOST", "TLS", "FROM", "SOURCE", "VERIFIED", "AGE")
    return tables.table(
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
        width=width,
        folded=("FROM", "SOURCE", "HOST", "TLS"),
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
    """Return how long a state lasts; "" where that is not known."""
    return "" if row.since is None else terminal.age((now - row.since).total_seconds())

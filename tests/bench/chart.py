"""The chart of a run of the benches: bars beside their peers, as SVG, from the figures alone.

Run as `python -m bench.chart FIGURES SVG`.
"""

import collections.abc
import dataclasses
import html
import json
import pathlib
import sys

_WIDTH, _LEFT, _BAR, _GAP, _HEAD = 800, 340, 18, 6, 34
_FONT = 'font-family="sans-serif" font-size="12"'
_OURS, _THEIRS = "#1f6feb", "#8b949e"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One of a group."""

    label: str
    value: float
    is_ours: bool = True


Row = collections.abc.Mapping[str, object]
Groups = collections.abc.Mapping[str, collections.abc.Sequence[Bar]]
"""Bars by the title of what they show; longest in each is as wide as there is room."""


def groups(figures: collections.abc.Mapping[str, object]) -> Groups:
    """Return what is drawn of the figures of a run."""
    tables = figures["tables"]
    assert isinstance(tables, dict)
    drawn = {
        "Whole way, HTTPS to a recorded end: messages a second": _whole(tables.get("whole way", ())),
        "Latency, request to the server's reply, open loop: p99 in ms": _latency(tables.get("latency", ())),
        "Transport, 10 connections: messages a second": _transport(tables.get("transport", ()), "off", None),
        "Transport, 10 connections, TLS: messages a second": _transport(tables.get("transport", ()), "on", None),
        "Transport, 10 connections, 20 ms of network: messages a second": _transport(
            tables.get("transport", ()), "off", 20
        ),
        "Intake, one request: CPU in µs": _intake(tables.get("intake", ())),
    }
    return {title: bars for title, bars in drawn.items() if bars}


def draw(drawn: Groups, *, caption: str) -> str:
    """Return the chart as SVG."""
    parts: list[str] = []
    y = 10
    for title, bars in drawn.items():
        y += _HEAD
        parts.append(f'<text x="10" y="{y - 10}" {_FONT} font-weight="bold">{html.escape(title)}</text>')
        longest = max(bar.value for bar in bars) or 1.0
        for bar in bars:
            width = max(1.0, bar.value / longest * (_WIDTH - _LEFT - 80))
            middle = y + _BAR - 5
            colour = _OURS if bar.is_ours else _THEIRS
            parts += [
                f'<text x="{_LEFT - 8}" y="{middle}" {_FONT} text-anchor="end">{html.escape(bar.label)}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
                f'<text x="{_LEFT + width + 6:.1f}" y="{middle}" {_FONT}>{_text(bar.value)}</text>',
            ]
            y += _BAR + _GAP
    y += 24
    parts.append(f'<text x="10" y="{y}" {_FONT} fill="{_THEIRS}">{html.escape(caption)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 12}" role="img">'
    background = f'<rect width="{_WIDTH}" height="{y + 12}" fill="#ffffff"/>'
    return "\n".join([head, background, *parts, "</svg>", ""])


def _whole(rows: collections.abc.Iterable[Row]) -> list[Bar]:
    return [
        Bar(label=f"{row['organizations']:,} organizations, {_held(row['requests'])}", value=value)
        for row, value in _with(rows, "per_second")
    ]


def _held(requests: object) -> str:
    return "one a request" if requests == 1 else f"batches of {requests}"


def _latency(rows: collections.abc.Iterable[Row]) -> list[Bar]:
    return [Bar(label=f"{row['rate']:,.0f} requests a second", value=value) for row, value in _with(rows, "p99_ms")]


def _transport(rows: collections.abc.Iterable[Row], tls: str, round_trip: int | None) -> list[Bar]:
    wanted = {"connections": 10, "tls": tls, "round_trip_ms": round_trip}
    return [
        Bar(label=str(row["program"]), value=value, is_ours=row["program"] == "ours")
        for row, value in _with(rows, "per_second")
        if all(row.get(key) == each for key, each in wanted.items())
    ]


def _intake(rows: collections.abc.Iterable[Row]) -> list[Bar]:
    return [
        Bar(label=f"{row['server']}, {row['loop']}", value=value, is_ours=str(row["server"]).startswith("the intake"))
        for row, value in _with(rows, "server_us")
    ]


def _with(rows: collections.abc.Iterable[Row], column: str) -> collections.abc.Iterator[tuple[Row, float]]:
    """Yield the rows that have a figure in a column, and it."""
    for row in rows:
        value = row.get(column)
        if isinstance(value, int | float):
            yield row, float(value)


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def write(figures: collections.abc.Mapping[str, object], file: pathlib.Path) -> None:
    """Write the chart of a run."""
    caption = f"{figures.get('date')}, {figures.get('cores')} cores, Python {figures.get('python')}"
    file.write_text(draw(groups(figures), caption=caption), encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), pathlib.Path(sys.argv[2]))

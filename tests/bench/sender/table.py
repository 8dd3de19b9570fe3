"""The tables of the sender's bench, printed row by row, and the same figures for programs."""

import collections.abc
import dataclasses
import datetime as dt
import json
import os
import pathlib
import platform

Cell = str | float | None
"""None where it was not measured."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Table:
    """One of them; its head is printed with its first row.

    Attributes:
        name: What it is called in the JSON.
        columns: Their heads by their names in the JSON.
    """

    name: str
    title: str
    columns: collections.abc.Mapping[str, str]
    rows: list[dict[str, Cell]] = dataclasses.field(default_factory=list)

    def add(self, **cells: Cell) -> None:
        """Add a row, and show it at once."""
        if not self.rows:
            head, rule = (_line(cells) for cells in (self.columns.values(), ["---"] * len(self.columns)))
            print(f"\n{self.title}\n\n{head}\n{rule}", flush=True)
        self.rows.append({name: cells.get(name) for name in self.columns})
        print(_line(map(_text, self.rows[-1].values())), flush=True)


def machine() -> dict[str, str | int]:
    """Return what a run says of where and when it was made."""
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count() or 0,
        "load": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
    }


def write(
    file: pathlib.Path, about: collections.abc.Mapping[str, object], tables: collections.abc.Iterable[Table]
) -> None:
    """Write the figures, unrounded, as JSON."""
    document = {**about, "tables": {table.name: table.rows for table in tables}}
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return cell
        case _:
            return f"{cell:,.0f}" if abs(cell) >= 20 else f"{cell:.3g}"


def _line(cells: collections.abc.Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""The steps of a run, with the seconds of each, printed as they go and as a table at the end."""

import contextlib
import json
import pathlib
import time
import typing


class Timetable:
    """What was done, and how long it took.

    Args:
        path: Where it is kept, so that the run's two halves, outside and inside their namespaces, have one.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._rows: list[tuple[str, float, str]] = json.loads(path.read_text("utf-8")) if path.exists() else []

    @contextlib.contextmanager
    def step(self, text: str) -> typing.Iterator[list[str]]:
        """Do a step; what its list gets is told beside its time."""
        print(f"  ... {text}", flush=True)
        notes, begun, ended = list[str](), time.monotonic(), "failed"
        try:
            yield notes
            ended = "; ".join(notes)
        finally:
            seconds = time.monotonic() - begun
            self._rows.append((text, seconds, ended))
            self._path.write_text(json.dumps(self._rows), encoding="utf-8")
            print(f"      {seconds:.1f} s{f': {ended}' if ended else ''}", flush=True)

    def table(self) -> str:
        """Return all steps as a table, with their sum."""
        width = max(len(text) for text, _, _ in self._rows)
        lines = [f"{'step':<{width}}  seconds", *(_line(row, width) for row in self._rows)]
        return "\n".join([*lines, f"{'all':<{width}}  {sum(seconds for _, seconds, _ in self._rows):7.1f}"])


def _line(row: tuple[str, float, str], width: int) -> str:
    text, seconds, note = row
    return f"{text:<{width}}  {seconds:7.1f}  {note}".rstrip()

"""Every bench of the sender, one after the other, the goals, and the chart: `python -m bench`.

Each is a process of its own: one that fails or does not end is said to, and the others are measured.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import typing

from bench import chart, goals
from bench.sender import table

_CHART: typing.Final = pathlib.Path(__file__).parents[2] / "docs/explanation/performance.svg"
_BENCHES: typing.Final[dict[str, tuple[int, bool]]] = {
    "message": (2, True),
    "queue": (2, False),
    "render": (3, False),
    "intake": (4, True),
    "sender": (12, True),
    "fairness": (25, True),
}
"""How many minutes each has at most, and whether it writes figures."""


def _play(name: str, minutes: int, figures: pathlib.Path | None) -> str:
    """Run one, and return why it failed; "" where it did not."""
    print(f"\n== bench.{name}\n", flush=True)
    told = [] if figures is None else ["--json", str(figures)]
    started = time.monotonic()
    try:
        done = subprocess.run([sys.executable, "-m", f"bench.{name}", *told], timeout=60 * minutes, check=False)
    except subprocess.TimeoutExpired:
        return f"it was not through in {minutes} minutes"
    print(f"bench.{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return f"it ended with status {done.returncode}" if done.returncode else ""


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(_BENCHES), help="may be repeated")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument(
        "--chart",
        type=pathlib.Path,
        metavar="FILE",
        help="where the chart goes; by default the docs, and nowhere with --only",
    )
    options = parser.parse_args()
    gathered: dict[str, typing.Any] = {**table.machine(), "tables": {}}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mailtier-bench-") as folder:
        for name in options.only or _BENCHES:
            minutes, tells = _BENCHES[name]
            figures = pathlib.Path(folder) / f"{name}.json" if tells else None
            if why := _play(name, minutes, figures):
                failed[name] = why
            if figures is not None and figures.exists():
                found = json.loads(figures.read_text(encoding="utf-8"))
                gathered = {**found, **gathered, "tables": gathered["tables"] | found["tables"]}
    judged = goals.new_table()
    goals.judge(gathered["tables"], judged)
    gathered["tables"]["goals"] = judged.rows
    if options.json is not None:
        options.json.write_text(json.dumps(gathered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    drawn = options.chart or (None if options.only else _CHART)
    if drawn is not None and chart.groups(gathered):
        chart.write(gathered, drawn)
        print(f"\nthe chart is {drawn}")
    for name, why in failed.items():
        print(f"bench.{name}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

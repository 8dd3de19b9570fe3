"""Play the attacks and print the table; see the package."""

import argparse
import collections.abc
import contextlib
import pathlib
import sys
import time
import typing

from bench.shares import connections, ground, servers, stores, trees
from kit import repository

_ROUNDS = 12


class _Playable(typing.Protocol):
    @property
    def name(self) -> str: ...

    @property
    def attacker(self) -> str: ...

    def play(self, tree: pathlib.Path, *, rounds: int) -> tuple[ground.Measures, ground.Measures]: ...


SCENARIOS: typing.Final[tuple[_Playable, ...]] = (*stores.ALL, *connections.ALL, *servers.ALL)


def _play(scenario: _Playable, tree: pathlib.Path, rounds: int) -> tuple[ground.Measures, ground.Measures]:
    """Return what was measured; a scenario that cannot be played costs the others nothing."""
    try:
        return scenario.play(tree, rounds=rounds)
    except Exception as error:  # noqa: BLE001  # Whatever it is, it is said, and the others are played.
        print(f"{scenario.name} could not be played: {error!r}", file=sys.stderr, flush=True)
        return {}, {}


def _rows(columns: collections.abc.Sequence[ground.Measures]) -> collections.abc.Iterator[tuple[str, ...]]:
    for measure in dict.fromkeys(name for column in columns for name in column):
        yield (measure, *(column.get(measure, "") for column in columns))


def _line(cells: collections.abc.Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Play what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.shares", description=__doc__)
    parser.add_argument("--base", help="a commit whose programs are measured too")
    parser.add_argument("--only", action="append", choices=[each.name for each in SCENARIOS], help="may be repeated")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="the neighbour's messages while it is attacked")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        tried = {"": repository.ROOT}
        if options.base:
            tried = {"before: ": stack.enter_context(trees.worktree(options.base)), "after: ": repository.ROOT}
        heads = ["attacker", "what the neighbour feels"]
        heads += [f"{tree}{phase}" for tree in tried for phase in ("alone", "attacked")]
        print(_line(heads), _line(["---"] * len(heads)), sep="\n", flush=True)
        for scenario in SCENARIOS:
            if options.only and scenario.name not in options.only:
                continue
            started = time.monotonic()
            columns = [column for tree in tried.values() for column in _play(scenario, tree, options.rounds)]
            for number, row in enumerate(_rows(columns)):
                print(_line(["" if number else scenario.attacker, *row]), flush=True)
            print(f"{scenario.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

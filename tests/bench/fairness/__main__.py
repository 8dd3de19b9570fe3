"""Measure what the command line asks for, and print the table; see the package."""

import argparse
import asyncio
import collections.abc
import pathlib
import statistics
import sys
import tempfile
import time
import traceback

from bench.sender import table
from kit import fairness
from mailtier.sender import app
from mailtier.settings import effective
from mailtier.telemetry import garbage

_WAIT_BOUND, _RATE_BOUND = 1.2, 0.95
_RELAY_SECONDS, _SLOW_RELAY_SECONDS = 0.02, 0.1
_CONNECTIONS, _PER_MINUTE, _MINUTES = 3, 30, 3
_SENDERS = 3
_SETTLING_SECONDS = 10.0
_LONG_SECONDS = 90.0


class Bench:
    """The scenarios, each with a sender of its own.

    Args:
        options: Of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._organizations: int = options.organizations
        self._lost = self._organizations * 3 // 10
        self._rate: float = options.rate
        self._seconds: float = options.seconds
        self._burst: int = options.burst
        self._queued: int = options.queued
        self._directory = options.directory
        self.into = table.Table(
            name="fairness",
            title=f"Fairness: {self._organizations:,} organizations, {self._rate:.0f} messages a second of the others",
            columns={
                "scenario": "scenario",
                "p50_ms": "p50, ms",
                "p99_ms": "p99, ms",
                "per_second": "messages/s at once",
                "cpu_us": "CPU µs a message",
                "found": "found",
                "bound": "bound",
                "verdict": "verdict",
            },
        )

    async def dead(self, folder: pathlib.Path) -> None:
        """Three of ten organizations have servers that have just died, in five ways."""
        await self._beside_dead(folder, since_seconds=_SETTLING_SECONDS)

    async def long_dead(self, folder: pathlib.Path) -> None:
        """They have been dead for so long that they are left alone for a minute each time."""
        await self._beside_dead(folder, since_seconds=_LONG_SECONDS)

    async def _beside_dead(self, folder: pathlib.Path, *, since_seconds: float) -> None:
        def grow(field: fairness.Field) -> list[effective.Effective]:
            return [field.healthy(number) for number in range(self._organizations - self._lost)]

        async def come(field: fairness.Field) -> None:
            lost = [field.lost(number) for number in range(self._lost)]
            await field.queue(lost, 10 * self._lost)

        alone, beside = await self._in_turns(folder, grow, come, rate=self._rate, settling_seconds=since_seconds)
        other = f"beside {self._lost} that died {since_seconds:.0f} s before"
        self._compare("healthy, beside none", other, alone, beside)

    async def loud(self, folder: pathlib.Path) -> None:
        """One organization has very many messages queued at the relay that all inherit."""
        await self._beside_a_long_queue(folder, delay_seconds=_RELAY_SECONDS, rate=self._rate)

    async def slow(self, folder: pathlib.Path) -> None:
        """The same at a relay that takes its time, so that it bounds what goes, and not the processor."""
        await self._beside_a_long_queue(folder, delay_seconds=_SLOW_RELAY_SECONDS, rate=self._rate / 4)

    async def _beside_a_long_queue(self, folder: pathlib.Path, *, delay_seconds: float, rate: float) -> None:
        def grow(field: fairness.Field) -> list[effective.Effective]:
            _, *teams = [field.sharing(name, max_connections=10) for name in ("", *_names(self._organizations))]
            return teams

        async def come(field: fairness.Field) -> None:
            numbers = await field.queue([field.sharing("loud", max_connections=10)], self._queued)
            last.append((field, numbers[-1]))

        last: list[tuple[fairness.Field, int]] = []
        alone, beside = await self._in_turns(folder, grow, come, rate=rate, delay_seconds=delay_seconds)
        if any(number in field.alive.answered() for field, number in last):
            self.into.add(scenario="the long queue was too short to be beside anything", verdict="not measured")
        # The loud one has what the others leave; so their burst is no throughput of theirs.
        at = f"at a relay of {delay_seconds * 1000:.0f} ms"
        self._compare(f"others, beside none, {at}", f"beside {self._queued:,} of one", alone, beside, rate=False)

    async def limits(self, folder: pathlib.Path) -> None:
        """All share a relay with three connections and thirty messages a minute; its minutes are made to pass."""
        async with fairness.Field(folder, delay_seconds=_RELAY_SECONDS) as field:
            limits = {"max_connections": _CONNECTIONS, "endpoint_rate_per_minute": _PER_MINUTE}
            _, *teams = [field.sharing(name, **limits) for name in ("", *_names(self._organizations))]
            await field.queue(teams, len(teams))
            minutes = fairness.Minutes(field)
            await minutes.pass_by(_MINUTES)
            found = {"connections": (minutes.most_connections(), _CONNECTIONS)}
            found["a minute"] = (minutes.most_in_any(), _PER_MINUTE)
            for name, (most, bound) in found.items():
                verdict = "kept" if most <= bound else "BROKEN"
                self.into.add(
                    scenario=f"a shared relay's limit: {name}", found=f"{most}", bound=f"{bound}", verdict=verdict
                )

    async def _in_turns(
        self,
        folder: pathlib.Path,
        grow: collections.abc.Callable[[fairness.Field], list[effective.Effective]],
        come: collections.abc.Callable[[fairness.Field], collections.abc.Awaitable[None]],
        *,
        rate: float,
        delay_seconds: float = 0.0,
        settling_seconds: float = _SETTLING_SECONDS,
    ) -> tuple[fairness.Felt, fairness.Felt]:
        """Return what organizations feel without others, and then beside them: the median of some senders.

        What else a machine does comes and goes; so it is in both.
        """
        paced = int(rate * self._seconds)
        alone, beside = list[fairness.Felt](), list[fairness.Felt]()
        for number in range(_SENDERS):
            own = folder / f"sender-{number}"
            own.mkdir()
            async with fairness.Field(own, delay_seconds=delay_seconds) as field:
                teams = grow(field)
                for felt in (alone, beside):
                    if felt is beside:
                        await come(field)
                        await asyncio.sleep(settling_seconds)
                    # Before each, as sessions end that are idle for ten seconds, and to open them costs more than mail.
                    await field.feel(teams, rate=rate, paced=10, burst=len(teams))
                    felt.append(await field.feel(teams, rate=rate, paced=paced, burst=self._burst))
        return _median(alone), _median(beside)

    def _compare(
        self, name: str, other: str, alone: fairness.Felt, beside: fairness.Felt, *, rate: bool = True
    ) -> None:
        self.into.add(scenario=name, **_figures(alone))
        waits, per_second = beside.quantile(0.99) / alone.quantile(0.99), beside.per_second / alone.per_second
        kept = waits <= _WAIT_BOUND and (not rate or per_second >= _RATE_BOUND)
        self.into.add(
            scenario=other,
            **_figures(beside),
            found=f"p99 {waits:.2f} x" + (f", {per_second:.2f} x the rate" if rate else ""),
            bound=f"{_WAIT_BOUND} x" + (f", {_RATE_BOUND} x" if rate else ""),
            verdict="kept" if kept else "BROKEN",
        )


SCENARIOS = {
    "dead": Bench.dead,
    "long-dead": Bench.long_dead,
    "loud": Bench.loud,
    "slow": Bench.slow,
    "limits": Bench.limits,
}


def _names(count: int) -> list[str]:
    return [f"team-{number}" for number in range(count)]


def _median(rounds: collections.abc.Sequence[fairness.Felt]) -> fairness.Felt:
    """Return what was felt in the median: each wait of its rank in the rounds, and the other figures."""
    return fairness.Felt(
        waits=[statistics.median(ranked) for ranked in zip(*(each.waits for each in rounds), strict=True)],
        per_second=statistics.median(each.per_second for each in rounds),
        cpu_seconds=statistics.median(each.cpu_seconds for each in rounds),
    )


def _figures(felt: fairness.Felt) -> dict[str, float]:
    return {
        "p50_ms": felt.quantile(0.5) * 1000,
        "p99_ms": felt.quantile(0.99) * 1000,
        "per_second": felt.per_second,
        "cpu_us": felt.cpu_seconds * 1e6,
    }


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="may be repeated")
    parser.add_argument("--organizations", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second, of all who are measured")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round at that rate")
    parser.add_argument("--burst", type=int, default=2_000, help="messages of each round at once")
    parser.add_argument("--queued", type=int, default=100_000, help="messages of the loud one")
    parser.add_argument("--directory", help="on the volume in question; the system's temporary directory by default")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    about: dict[str, object] = {**table.machine()}
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    bench = Bench(options)
    # As a sender's process does.
    garbage.spare_collections(made=app.GARBAGE_AFTER)
    for name in options.only or SCENARIOS:
        started = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="mailtier-bench-", dir=options.directory) as folder:
                asyncio.run(SCENARIOS[name](bench, pathlib.Path(folder)))
        except Exception as error:  # noqa: BLE001  # One that fails is said to, and costs the others nothing.
            traceback.print_exc()
            bench.into.add(scenario=f"{name}: failed, {error!r:.200}")
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"\nload at the end: {table.machine()['load']}")
    if options.json is not None:
        table.write(options.json, about, [bench.into])
    return 0


if __name__ == "__main__":
    sys.exit(main())

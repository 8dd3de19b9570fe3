"""Measure what the command line asks for, and print the tables; see the package."""

import argparse
import collections.abc
import contextlib
import functools
import pathlib
import sys
import tempfile
import time
import traceback
import typing

from bench import queue
from bench.sender import delivering, ground, latency, sinks, table, transport, whole_way

_PARTS = ("whole-way", "latency", "delivery", "transport")
_FEW, _SOME, _MANY = 20, 100, 1_000
_RATES = (100.0, 300.0, 1_000.0)
_MESSAGES, _SHORT_MESSAGES = 5_000, 500
_GROWN: typing.Final = 10
"""Times as many messages with ten times as many organizations."""
_GROWING_MESSAGES: typing.Final = 1_500
_ALONE_MESSAGES: typing.Final = 3_000
_LATENCY_SECONDS, _SHORT_LATENCY_SECONDS = 10.0, 2.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sender", description=__doc__)
    parser.add_argument("--only", action="append", choices=_PARTS, help="may be repeated")
    parser.add_argument("--messages", type=int, help="of each row but those with delay")
    parser.add_argument("--rate", type=float, action="append", help="requests a second of latency; may be repeated")
    parser.add_argument("--short", action="store_true", help="fewer messages and organizations, and no peers")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--directory", help="on the volume in question; the system's temporary directory by default")
    return parser.parse_args()


class Bench:
    """The parts, each of which fails by itself.

    Args:
        folder: Where everything is written.
        options: Of the command line.
    """

    def __init__(self, folder: pathlib.Path, postfix: sinks.Postfix, options: argparse.Namespace) -> None:
        self._folder = folder
        self._postfix = postfix
        self._options = options
        self._wanted: collections.abc.Sequence[str] = options.only or _PARTS
        self._whole, self._timed, self._alone = whole_way.new_table(), latency.new_table(), transport.new_table()
        self._delivered = delivering.new_table()
        self.failed: list[str] = []

    @property
    def tables(self) -> list[table.Table]:
        """Those that have rows."""
        return [each for each in (self._whole, self._timed, self._delivered, self._alone) if each.rows]

    def play(self) -> None:
        """Measure all that is wanted."""
        if {"whole-way", "latency"} & set(self._wanted):
            self._part("the whole way", self._with_senders)
        if "delivery" in self._wanted:
            self._part("delivery", self._delivery)
        if "transport" in self._wanted:
            self._part("transport", self._transport)

    def _part(self, name: str, measure: collections.abc.Callable[[], None]) -> None:
        started = time.monotonic()
        try:
            measure()
        except Exception as error:  # noqa: BLE001  # Whatever it is, it is said, and the others are measured.
            traceback.print_exc()
            print(f"{name}: not measured, {error!r:.300}", flush=True)
            self.failed.append(name)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    def _with_senders(self) -> None:
        short = self._options.short
        counts = [_FEW] if short or "whole-way" not in self._wanted else [_FEW, _SOME, _MANY]
        with ground.Ground(self._folder) as on:
            for count in counts:
                on.grow(count)
                self._part(
                    f"{count:,} organizations", functools.partial(self._with_sender, on, last=count == counts[-1])
                )

    def _with_sender(self, on: ground.Ground, *, last: bool) -> None:
        """Measure the whole way with the organizations there are, and latency with as few as it can be."""
        count, short = len(on.organizations), self._options.short
        with on.sender() as measured:
            if "latency" in self._wanted and count == _FEW:
                for rate in self._options.rate or _RATES:
                    seconds = _SHORT_LATENCY_SECONDS if short else _LATENCY_SECONDS
                    timing = functools.partial(latency.measure, on, measured, self._timed, rate=rate, seconds=seconds)
                    self._part(f"latency at {rate:.0f}/s", timing)
            if "whole-way" in self._wanted:
                messages = self._options.messages or (_SHORT_MESSAGES if short else _MESSAGES)
                with sinks.sink(self._postfix, self._folder, on.port) as sink:
                    whole_way.warm_up(on, measured)
                    if count != _SOME:
                        whole_way.measure(on, measured, sink, self._whole, messages=messages)
                    if not short and count in {_SOME, _MANY}:
                        grown = (self._options.messages or _GROWING_MESSAGES) * (_GROWN if last else 1)
                        whole_way.measure_single(on, measured, sink, self._whole, messages=grown)

    def _delivery(self) -> None:
        short = self._options.short
        cases = delivering.cases(self._options.messages or (_SHORT_MESSAGES if short else _ALONE_MESSAGES), short=short)
        delivering.measure(self._folder, self._postfix, self._delivered, cases)

    def _transport(self) -> None:
        short = self._options.short
        cases = transport.cases(self._options.messages or (_SHORT_MESSAGES if short else _ALONE_MESSAGES))
        near = [case for case in cases if not case.tls and not case.round_trip_milliseconds]
        transport.measure(self._folder, self._postfix, self._alone, near if short else cases, beside=not short)


def main() -> int:
    """Measure, and return the exit status."""
    options = _arguments()
    try:
        postfix = sinks.postfix()
    except sinks.MissingError as error:
        print(error, file=sys.stderr)
        return 1
    about: dict[str, object] = {**table.machine(), "sink": f"smtp-sink of Postfix {postfix.version}"}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="mailtier-bench-", dir=options.directory))
        )
        about["syncs_per_second"] = round(queue.syncs_per_second(folder))
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        bench = Bench(folder, postfix, options)
        bench.play()
    print(f"\nload at the end: {table.machine()['load']}")
    if options.json is not None:
        table.write(options.json, about, bench.tables)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())

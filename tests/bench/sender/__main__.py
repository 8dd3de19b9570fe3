"""Measure what the command line asks for, and print the tables; see the package."""

import argparse
import contextlib
import pathlib
import sys
import tempfile
import typing

from bench import queue
from bench.sender import ground, latency, sinks, table, transport, whole_way

_PARTS = ("whole-way", "latency", "transport")
_FEW, _MANY = 20, 1_000
_RATE = 300.0
_MESSAGES, _SHORT_MESSAGES = 5_000, 500
_ALONE_MESSAGES: typing.Final = 3_000
_LATENCY_SECONDS, _SHORT_LATENCY_SECONDS = 20.0, 2.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sender", description=__doc__)
    parser.add_argument("--only", action="append", choices=_PARTS, help="may be repeated")
    parser.add_argument("--messages", type=int, help="of each row but those with delay")
    parser.add_argument("--rate", type=float, action="append", help="requests a second of latency; may be repeated")
    parser.add_argument("--short", action="store_true", help="fewer messages and organizations, and no peers")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--directory", help="on the volume in question; the system's temporary directory by default")
    return parser.parse_args()


def _whole(
    folder: pathlib.Path, postfix: sinks.Postfix, tables: list[table.Table], options: argparse.Namespace
) -> None:
    """Measure what takes a sender: the whole way with few organizations and with many, then latency with the latter."""
    wanted = options.only or _PARTS
    few, seconds = (_SHORT_MESSAGES, _SHORT_LATENCY_SECONDS) if options.short else (_MESSAGES, _LATENCY_SECONDS)
    counts = [_FEW] if options.short or "whole-way" not in wanted else [_FEW, _MANY]
    whole, timed = whole_way.new_table(), latency.new_table()
    tables += [whole, timed]
    with ground.Ground(folder) as on:
        for count in counts:
            on.grow(count)
            with on.sender() as measured:
                if "whole-way" in wanted:
                    with sinks.sink(postfix, folder, on.port) as sink:
                        whole_way.warm_up(on, measured)
                        whole_way.measure(on, measured, sink, whole, messages=options.messages or few)
                if "latency" in wanted and count == counts[-1]:
                    for rate in options.rate or [_RATE]:
                        latency.measure(on, measured, timed, rate=rate, seconds=seconds)


def main() -> int:
    """Measure, and return the exit status."""
    options = _arguments()
    wanted: typing.Final = options.only or _PARTS
    try:
        postfix = sinks.postfix()
    except sinks.MissingError as error:
        print(error, file=sys.stderr)
        return 1
    about: dict[str, object] = {**table.machine(), "sink": f"smtp-sink of Postfix {postfix.version}"}
    tables: list[table.Table] = []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="mailtier-bench-", dir=options.directory))
        )
        about["syncs_per_second"] = round(queue.syncs_per_second(folder))
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        if set(wanted) & {"whole-way", "latency"}:
            _whole(folder, postfix, tables, options)
        if "transport" in wanted:
            alone = transport.new_table()
            tables.append(alone)
            cases = transport.cases(options.messages or (_SHORT_MESSAGES if options.short else _ALONE_MESSAGES))
            near = [case for case in cases if not case.tls and not case.round_trip_milliseconds]
            transport.measure(folder, postfix, alone, near if options.short else cases, beside=not options.short)
    print(f"\nload at the end: {table.machine()['load']}")
    if options.json is not None:
        table.write(options.json, about, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())

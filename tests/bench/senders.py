"""What a message costs with one, two and four senders of one database: `python -m bench.senders`.

Each sender is a process of its own and takes in a share of the requests; there are as many SMTP servers as there are
senders at most, each with as many organizations. Two cores show no speed-up: what is measured is what sharing costs.
"""

import argparse
import asyncio
import collections.abc
import contextlib
import pathlib
import sys
import tempfile
import time

from bench.sender import client, ground, sinks, table, whole_way
from kit import postgres, processes

_COUNTS = (1, 2, 4)
_SERVERS = 4
_ORGANIZATIONS = 20
_MESSAGES, _SHORT_MESSAGES = 3_000, 300
_SETTINGS = ("fsync=on", "synchronous_commit=on")


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="senders",
        title="Senders of one database, HTTPS to a recorded end (CPU in µs a message)",
        columns={
            "queue": "queue",
            "senders": "senders",
            "messages": "messages",
            "per_second": "messages/s",
            "sender_us": "senders",
            "database_us": "Postgres",
            "all_us": "both",
            "each_us": "delivery + intake of each sender",
            "client_us": "client",
            "sink_us": "sinks",
        },
    )


class Row:
    """One row: so many senders at work.

    Args:
        on: The organizations.
        measured: The senders.
        running_sinks: The servers behind them.
        database: The database's server; None where the queue is embedded.
    """

    def __init__(
        self,
        on: ground.Ground,
        measured: collections.abc.Sequence[ground.Measured],
        running_sinks: collections.abc.Sequence[processes.Child],
        database: postgres.Server | None,
    ) -> None:
        self._on = on
        self._measured = measured
        self._sinks = running_sinks
        self._database = database

    def warm_up(self) -> None:
        """Send some messages of each organization through each sender."""
        self._deliver(2 * len(self._on.organizations) * len(self._measured))

    def measure(self, into: table.Table, *, messages: int) -> None:
        """Add the row."""
        before, sinks_before, database_before = self._used(), self._sinks_used(), self._database_used()
        own_before, started = time.process_time(), time.monotonic()
        self._deliver(messages)
        seconds, own = time.monotonic() - started, time.process_time() - own_before
        to_us = 1e6 / messages
        each = [
            [(after - earlier) * to_us for after, earlier in zip(later, sooner, strict=True)]
            for later, sooner in zip(self._used(), before, strict=True)
        ]
        senders_us = sum(map(sum, each))
        database_us = None if self._database is None else (self._database_used() - database_before) * to_us
        into.add(
            queue="SQLite" if self._database is None else "Postgres",
            senders=str(len(self._measured)),
            messages=messages,
            per_second=messages / seconds,
            sender_us=senders_us,
            database_us=database_us,
            all_us=senders_us + (database_us or 0.0),
            # Of the supervisor there is next to nothing.
            each_us=", ".join(" + ".join(f"{one:.0f}" for one in children) for _, *children in each),
            client_us=own * to_us,
            sink_us=(self._sinks_used() - sinks_before) * to_us,
        )

    def _deliver(self, messages: int) -> None:
        """Return when so many more messages are recorded as accepted, whoever took them in and whoever delivered."""
        wanted = self._accepted() + messages
        asyncio.run(self._send(whole_way.requests(self._on.organizations, messages)))
        ground.until_accepted(self._measured, wanted)

    async def _send(self, prepared: collections.abc.Sequence[bytes]) -> None:
        sending = [client.Client(each.running.port, each.running.tls) for each in self._measured]
        await asyncio.gather(*(each.open() for each in sending))
        # Whole rounds of the organizations for each sender in turn.
        shares: list[list[bytes]] = [[] for _ in sending]
        for number, request in enumerate(prepared):
            shares[number // len(self._on.organizations) % len(sending)].append(request)
        await asyncio.gather(*(each.send_all(share) for each, share in zip(sending, shares, strict=True)))
        for each in sending:
            each.close()

    def _accepted(self) -> int:
        return sum(each.accepted() for each in self._measured)

    def _used(self) -> list[tuple[float, ...]]:
        return [each.used().cpu_seconds for each in self._measured]

    def _sinks_used(self) -> float:
        return sum(each.cpu_seconds() for each in self._sinks)

    def _database_used(self) -> float:
        return (
            0.0
            if self._database is None or self._database.child is None
            else processes.cpu_seconds_of_all(self._database.child.pid)
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.senders", description=__doc__)
    parser.add_argument("--messages", type=int, default=_MESSAGES, help="of each row")
    parser.add_argument(
        "--senders",
        action="append",
        type=int,
        help="of one database, beside the row of an embedded queue; may be repeated",
    )
    parser.add_argument("--short", action="store_true", help="few messages")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args()


def _measure(
    folder: pathlib.Path,
    postfix: sinks.Postfix,
    into: table.Table,
    *,
    counts: collections.abc.Sequence[int],
    messages: int,
) -> None:
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(ground.Ground(folder, servers=_SERVERS))
        on.grow(_ORGANIZATIONS)
        running_sinks = [stack.enter_context(sinks.sink(postfix, folder, on.port, host=host)) for host in on.hosts]
        with on.sender() as alone:
            row = Row(on, [alone], running_sinks, None)
            row.warm_up()
            row.measure(into, messages=messages)
        for count in counts:
            with postgres.running(*_SETTINGS) as database, contextlib.ExitStack() as senders:
                dsn_file = folder / f"dsn-{count}"
                dsn_file.write_text(postgres.new_database(database), encoding="utf-8")
                measured = [
                    senders.enter_context(on.sender(f"--queue-dsn-file={dsn_file}", f"--sender-name=sender-{number}"))
                    for number in range(count)
                ]
                row = Row(on, measured, running_sinks, database)
                row.warm_up()
                row.measure(into, messages=messages)


def main() -> int:
    """Measure, and return the exit status."""
    options = _arguments()
    try:
        postfix = sinks.postfix()
    except sinks.MissingError as error:
        print(error, file=sys.stderr)
        return 1
    about: dict[str, object] = {
        **table.machine(),
        "sink": f"smtp-sink of Postfix {postfix.version}",
        "postgres": postgres.version(),
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    measured = new_table()
    with tempfile.TemporaryDirectory(prefix="mailtier-bench-") as folder:
        _measure(
            pathlib.Path(folder),
            postfix,
            measured,
            counts=options.senders or _COUNTS,
            messages=_SHORT_MESSAGES if options.short else options.messages,
        )
    print(f"\nload at the end: {table.machine()['load']}")
    if options.json is not None:
        table.write(options.json, about, [measured])
    return 0


if __name__ == "__main__":
    sys.exit(main())

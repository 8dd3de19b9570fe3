"""How long a message is under way at a rate that is kept whatever the answers do (open loop)."""

import asyncio
import collections.abc
import time

from bench import report
from bench.sender import client, ground, table, whole_way
from kit import timed_server


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="latency",
        title="Latency, open loop: from when a request is due to the server's reply to the dot",
        columns={
            "organizations": "organizations",
            "rate": "requests/s asked",
            "reached": "taken/s",
            "p50_ms": "p50, ms",
            "p99_ms": "p99, ms",
            "p999_ms": "p99.9, ms",
            "longest_ms": "longest, ms",
            "sender_us": "sender, CPU µs a message",
        },
    )


def measure(on: ground.Ground, measured: ground.Measured, into: table.Table, *, rate: float, seconds: float) -> None:
    """Add a row.

    Args:
        on: The organizations, whose mail goes to a port at which nothing listens now.
        measured: The sender.
        into: The table.
        rate: Requests a second, one notification each.
        seconds: For how long.
    """
    count = int(rate * seconds)
    prepared = whole_way.requests(on.organizations, count)
    with timed_server.TimedServer(on.folder, port=on.port) as server:
        whole_way.warm_up(on, measured)
        accepted, before = measured.accepted(), sum(measured.used().cpu_seconds)
        due, answered_by = asyncio.run(_send(measured, prepared, rate=rate))
        measured.until_accepted(accepted + count)
        used = sum(measured.used().cpu_seconds) - before
        answered = server.answered()
    taken = [(answered[number].at - at) * 1000 for number, at in enumerate(due)]
    into.add(
        organizations=len(on.organizations),
        rate=rate,
        reached=count / (answered_by - due[0]),
        p50_ms=report.percentile(taken, 0.5),
        p99_ms=report.percentile(taken, 0.99),
        p999_ms=report.percentile(taken, 0.999),
        longest_ms=max(taken),
        sender_us=used * 1e6 / count,
    )


async def _send(
    measured: ground.Measured, prepared: collections.abc.Sequence[bytes], *, rate: float
) -> tuple[list[float], float]:
    """Return when each request was due, and when the last was answered."""
    sending = client.Client(measured.running.port, measured.running.tls)
    await sending.open()
    due = await sending.send_at(prepared, rate=rate)
    answered_by = time.monotonic()
    sending.close()
    return due, answered_by

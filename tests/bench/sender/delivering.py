"""Delivery alone: what is queued already, through to its recorded end, in this process over a real queue."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import itertools
import pathlib
import time

from bench.sender import ground, sinks, table, whole_way
from kit import ports as free_ports
from kit import queues, sending, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.settings import effective
from mailtier.telemetry import metrics

_QUOTA = ports.QueueQuota(messages=10**7, payload_bytes=10**10, stored_bytes=10**10)
_AT_ONCE = 500
_SECONDS = 300
_MAX_AGE = dt.timedelta(days=1)
_FAR_MILLISECONDS = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is delivered.

    Attributes:
        round_trip_milliseconds: What a relay adds; 0 for none.
    """

    organizations: int
    connections: int
    messages: int
    round_trip_milliseconds: int = 0


def cases(messages: int, *, short: bool) -> list[Case]:
    """Return the cases; with delay each connection sends a hundred messages, which takes seconds of waiting alone."""
    near = [Case(organizations=count, connections=ground.CONNECTIONS, messages=messages) for count in (20, 1_000)]
    far = [
        Case(
            organizations=20,
            connections=count,
            messages=100 * count,
            round_trip_milliseconds=_FAR_MILLISECONDS,
        )
        for count in (1, 10)
    ]
    return near[:1] if short else [*near, *far]


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="delivery",
        title="Delivery alone, from the queue to a recorded end (CPU in µs a message)",
        columns={
            "organizations": "organizations",
            "connections": "connections",
            "round_trip_ms": "round trip, ms",
            "messages": "messages",
            "per_second": "messages/s",
            "cpu_us": "delivery",
            "loop_us": "of it the loop's thread",
            "server_us": "server and relay",
        },
    )


def measure(folder: pathlib.Path, postfix: sinks.Postfix, into: table.Table, each: list[Case]) -> None:
    """Add a row for each case."""
    for number, case in enumerate(each):
        with contextlib.ExitStack() as stack:
            port = free_ports.free()
            servers = [stack.enter_context(sinks.sink(postfix, folder, port))]
            if case.round_trip_milliseconds:
                one_way = case.round_trip_milliseconds // 2
                started, port = stack.enter_context(sinks.relay(folder, port, delay_milliseconds=one_way))
                servers.append(started)
            used = asyncio.run(_deliver(folder / f"delivery-{number}", port, case))
            spent = sum(server.cpu_seconds() for server in servers)
        to_us = 1e6 / case.messages
        into.add(
            organizations=case.organizations,
            connections=case.connections,
            round_trip_ms=case.round_trip_milliseconds or None,
            messages=case.messages,
            per_second=case.messages / used.seconds,
            cpu_us=used.cpu_seconds * to_us,
            loop_us=used.loop_seconds * to_us,
            server_us=spent * to_us,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What delivering took, by the clock, in all threads, and in the event loop's."""

    seconds: float
    cpu_seconds: float
    loop_seconds: float


async def _deliver(folder: pathlib.Path, port: int, case: Case) -> Used:
    async with sending.Sender(folder) as sender:
        teams = [_put(sender, f"team-{number}", port, case) for number in range(case.organizations)]
        # The first ones open connections, and prove the server.
        await _queue_and_await(sender, teams[:1], case.connections)
        pending = await _queue(sender, teams, case.messages)
        expected = _accepted() + case.messages
        seconds, cpu, loop = time.monotonic(), time.process_time(), time.thread_time()
        sender.delivery.ring(pending)
        await _until(sender, expected)
        return Used(
            seconds=time.monotonic() - seconds,
            cpu_seconds=time.process_time() - cpu,
            loop_seconds=time.thread_time() - loop,
        )


def _put(sender: sending.Sender, namespace: str, port: int, case: Case) -> effective.Effective:
    at = effective.Endpoint(
        host="127.0.0.1",
        port=port,
        tls=sending.PLAIN,
        addresses=sending.LOOPBACK,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )
    return sender.settings.put(
        sending.settings(namespace, at, max_connections=case.connections, messages_per_connection=100_000)
    )


async def _queue_and_await(
    sender: sending.Sender, teams: collections.abc.Sequence[effective.Effective], count: int
) -> None:
    expected = _accepted() + count
    sender.delivery.ring(await _queue(sender, teams, count))
    await _until(sender, expected)


async def _queue(
    sender: sending.Sender, teams: collections.abc.Sequence[effective.Effective], count: int
) -> list[ports.Pending]:
    """Return what was queued, of organizations in turn; delivery has not been told."""
    pending: list[ports.Pending] = []
    everybody = itertools.cycle(teams)
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        verdicts = await sender.queue.enqueue_all([(_new(sender, next(everybody), one), _QUOTA) for one in numbers])
        for verdict in verdicts:
            assert isinstance(verdict, ports.Enqueued), verdict
            pending += verdict.pending
    return pending


def _new(sender: sending.Sender, of: effective.Effective, number: int) -> ports.NewNotification:
    now = sender.clock.wall()
    return queues.notification(
        lane=ports.LaneKey.of(of),
        recipients=(f"m{number}@example.org",),
        text=whole_way.LINES,
        accepted_at=now,
        expires_at=now + _MAX_AGE,
    )


def _accepted() -> float:
    found = metrics.SENDER_REGISTRY.get_sample_value(
        "mailtier_recipients_finished_total", {"state": vocabulary.RecipientState.ACCEPTED.value, "reason": ""}
    )
    return found or 0.0


async def _until(sender: sending.Sender, count: float) -> None:
    """Return when so many are recorded as accepted; to count them takes as long as some messages do."""
    await wait.until_async(
        lambda: not len(sender.delivery) and _accepted() >= count,
        within_seconds=_SECONDS,
        why=f"{count:.0f} are recorded",
        poll_seconds=0.02,
    )

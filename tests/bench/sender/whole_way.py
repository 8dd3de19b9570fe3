"""The whole way: HTTPS requests to a sender, through to the recorded end of the last message, as fast as it goes."""

import asyncio
import collections.abc
import dataclasses
import time

from bench.sender import client, ground, table
from kit import intake, processes, tenants
from mailtier.sender.intake.http import openapi

BATCH = 50

_BATCHES = f"{openapi.COLLECTION}:batch"
LINES = "A line of the report, as long as such lines are.\n" * 12


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="whole way",
        title="Whole way, HTTPS to a recorded end (CPU in µs a message)",
        columns={
            "organizations": "organizations",
            "requests": "a request holds",
            "messages": "messages",
            "per_second": "messages/s",
            "sender_us": "sender",
            "client_us": "client",
            "sink_us": "sink",
            "sender_processes_us": "sender's processes",
            "peak_mib": "memory, MiB",
        },
    )


def notification(number: int) -> dict[str, object]:
    """Return a notification whose recipient's address holds its number."""
    return {
        "category": "JobAlert",
        "severity": "Error",
        "recipients": [f"m{number}@example.org"],
        "subject": f"Job {number} failed in the production tenant",
        "text": LINES,
    }


def requests(organizations: collections.abc.Sequence[tenants.Tenant], messages: int, *, batch: int = 0) -> list[bytes]:
    """Return requests for so many messages, of the organizations in turn.

    Args:
        batch: How many messages a request holds; 0 where each is one notification.
    """
    each = batch or 1
    made = []
    for number in range(messages // each):
        tenant = organizations[number % len(organizations)]
        numbers = range(number * each, (number + 1) * each)
        path = tenant.collection()
        made.append(client.request(path, tenant.token, list(map(notification, numbers)), batched=bool(batch)))
    return made


async def _offers_batches(measured: ground.Measured) -> bool:
    async with intake.Client(measured.running.url, measured.running.tls) as asking:
        answer = await asking.request("GET", openapi.PATH)
    return _BATCHES in answer.document["paths"]


def warm_up(on: ground.Ground, measured: ground.Measured) -> None:
    """Send one message of each organization: tokens and rights are looked up once, connections are opened."""
    count, accepted = len(on.organizations), measured.accepted()
    asyncio.run(_send(measured, requests(on.organizations, count)))
    measured.until_accepted(accepted + count)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Where clocks stood when a row began."""

    seconds: float
    own: float
    sink: float
    used: ground.Used
    accepted: int


def measure(
    on: ground.Ground, measured: ground.Measured, sink: processes.Child, into: table.Table, *, messages: int
) -> None:
    """Add a row for single notifications, and one for batches where the intake takes them.

    Args:
        on: The organizations.
        measured: The sender, warmed up.
        sink: The server behind it.
        into: The table.
        messages: How many each row sends.
    """
    measure_single(on, measured, sink, into, messages=messages)
    if asyncio.run(_offers_batches(measured)):
        _row(on, measured, sink, into, messages=messages, batch=BATCH)
    else:
        into.add(organizations=len(on.organizations), requests=f"{BATCH}: this intake takes no batches")


def measure_single(
    on: ground.Ground, measured: ground.Measured, sink: processes.Child, into: table.Table, *, messages: int
) -> None:
    """Add a row for single notifications; see `measure`."""
    _row(on, measured, sink, into, messages=messages, batch=0)


def _row(
    on: ground.Ground, measured: ground.Measured, sink: processes.Child, into: table.Table, *, messages: int, batch: int
) -> None:
    prepared = requests(on.organizations, messages, batch=batch)
    start = _Start(
        accepted=measured.accepted(),
        used=measured.used(),
        sink=sink.cpu_seconds(),
        own=time.process_time(),
        seconds=time.monotonic(),
    )
    asyncio.run(_send(measured, prepared, batch=batch))
    measured.until_accepted(start.accepted + messages)
    seconds = time.monotonic() - start.seconds
    own, used = time.process_time() - start.own, measured.used()
    each = [after - before for before, after in zip(start.used.cpu_seconds, used.cpu_seconds, strict=True)]
    to_us = 1e6 / messages
    into.add(
        organizations=len(on.organizations),
        requests=batch or 1,
        messages=messages,
        per_second=messages / seconds,
        sender_us=sum(each) * to_us,
        client_us=own * to_us,
        sink_us=(sink.cpu_seconds() - start.sink) * to_us,
        sender_processes_us=" + ".join(f"{one * to_us:.0f}" for one in each),
        peak_mib=used.peak_mib,
    )


async def _send(measured: ground.Measured, prepared: collections.abc.Sequence[bytes], *, batch: int = 0) -> None:
    sending = client.Client(measured.running.port, measured.running.tls, taken=batch)
    await sending.open()
    await sending.send_all(prepared)
    sending.close()

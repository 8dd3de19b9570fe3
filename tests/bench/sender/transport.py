"""The transport alone: sessions and transactions over kept connections, beside other programs in the same run."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import functools
import pathlib
import time

from bench import message
from bench.sender import peers, sinks, table
from kit import certs, openings, ports, processes, tenants
from mailtier.api import vocabulary
from mailtier.mail import transaction
from mailtier.sender.queueing import noted
from mailtier.sender.smtp.sessions import exchange, session
from mailtier.settings import effective

OURS = "ours"
NETWORK_MILLISECONDS = 20

_SERVER_NAME = "smtp.test"
_MAIL_FROM, _RCPT_TO = "no-reply@example.com", "somebody@example.org"
_WITHIN = dt.timedelta(seconds=60)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What all programs are asked for.

    Attributes:
        round_trip_milliseconds: What a relay adds; 0 for none.
        rounds: How often; the best counts.
    """

    connections: int
    messages: int
    tls: bool = False
    round_trip_milliseconds: int = 0
    rounds: int = 3


def cases(messages: int) -> list[Case]:
    """Return the cases; with delay each connection sends fifty messages once, which takes seconds of waiting alone."""
    near = [Case(connections=count, messages=messages, tls=tls) for tls in (False, True) for count in (1, 10)]
    far = [
        Case(connections=count, messages=50 * count, round_trip_milliseconds=NETWORK_MILLISECONDS, rounds=1)
        for count in (1, 10)
    ]
    return [*near, *far]


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="transport",
        title=f"Transport alone, a message of {len(message.ours()):,} bytes (CPU in µs a message)",
        columns={
            "connections": "connections",
            "tls": "TLS",
            "round_trip_ms": "round trip, ms",
            "program": "program",
            "per_second": "messages/s",
            "ratio": "ours is",
            "client_us": "client",
            "server_us": "server and relay",
        },
    )


def measure(folder: pathlib.Path, postfix: sinks.Postfix, into: table.Table, each: list[Case], *, beside: bool) -> None:
    """Add rows: for each case ours, and the peers'.

    Args:
        folder: Where files go.
        postfix: Has the server.
        into: The table.
        each: The cases.
        beside: Whether peers are run.
    """
    found, missing = _prepared() if beside else ([], [])
    authority = certs.Authority(folder / "certificates")
    authority.issue(_SERVER_NAME)
    (folder / "message.eml").write_bytes(message.ours())
    for case in each:
        columns: dict[str, table.Cell] = {
            "connections": case.connections,
            "tls": "on" if case.tls else "off",
            "round_trip_ms": case.round_trip_milliseconds or None,
        }
        try:
            with _served(case, folder, postfix, authority) as (work, servers):
                _compare(work, _programs(work, authority, found), servers, _Rows(into, columns), rounds=case.rounds)
        except sinks.MissingError as error:
            into.add(**columns, program=f"not measured, no relay: {error}")
        for text in missing:
            into.add(**columns, program=text)


def _prepared() -> tuple[list[tuple[peers.Peer, str]], list[str]]:
    """Return the peers that can be run with their versions, and why others cannot."""
    found, missing = [], []
    for peer in peers.all_of_them():
        try:
            found.append((peer, peer.prepare()))
        except sinks.MissingError as error:
            missing.append(f"{peer.name}: not measured, {error}")
    return found, missing


@contextlib.contextmanager
def _served(
    case: Case, folder: pathlib.Path, postfix: sinks.Postfix, authority: certs.Authority
) -> collections.abc.Iterator[tuple[peers.Work, list[processes.Child]]]:
    """Give what is to be done at a server that runs, and what serves there."""
    with contextlib.ExitStack() as stack:
        port = ports.free()
        servers = [stack.enter_context(sinks.sink(postfix, folder, port))]
        if case.tls or case.round_trip_milliseconds:
            leaf = authority.issue(_SERVER_NAME) if case.tls else None
            one_way = case.round_trip_milliseconds // 2
            started, port = stack.enter_context(sinks.relay(folder, port, leaf=leaf, delay_milliseconds=one_way))
            servers.append(started)
        ca = authority.ca_path if case.tls else None
        yield (
            peers.Work(
                port=port,
                connections=case.connections,
                messages=case.messages,
                message=folder / "message.eml",
                ca=ca,
            ),
            servers,
        )


def _programs(
    work: peers.Work, authority: certs.Authority, found: list[tuple[peers.Peer, str]]
) -> dict[str, collections.abc.Callable[[], peers.Took]]:
    """Return what does the work, by what it is called; ours first."""
    beside = {f"{peer.name} ({version})": functools.partial(peer.send, work) for peer, version in found}
    return {OURS: lambda: asyncio.run(ours(work, authority)), **beside}


@dataclasses.dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one case."""

    into: table.Table
    columns: dict[str, table.Cell]

    def add(self, program: str, **figures: table.Cell) -> None:
        self.into.add(**self.columns, program=program, **figures)


def _compare(
    work: peers.Work,
    programs: dict[str, collections.abc.Callable[[], peers.Took]],
    servers: list[processes.Child],
    rows: _Rows,
    *,
    rounds: int,
) -> None:
    """Have the programs take turns, and add the best round of each."""
    best: dict[str, tuple[peers.Took, float]] = {}
    refused: dict[str, str] = {}
    for _ in range(rounds):
        for name, send in programs.items():
            if name in refused:
                continue
            before = _seconds(servers)
            try:
                took = send()
            except sinks.MissingError as error:
                refused[name] = str(error)
                continue
            if name not in best or took.seconds < best[name][0].seconds:
                best[name] = took, _seconds(servers) - before
    to_us = 1e6 / work.messages
    for name in programs:
        if name in refused:
            rows.add(f"{name}: not measured, {refused[name]}")
            continue
        took, server_seconds = best[name]
        ratio = took.seconds / best[OURS][0].seconds
        rows.add(
            name,
            per_second=work.messages / took.seconds,
            ratio=None if name == OURS else f"{ratio:.2f} of it",
            client_us=took.cpu_seconds * to_us,
            server_us=server_seconds * to_us,
        )


async def ours(work: peers.Work, authority: certs.Authority) -> peers.Took:
    """Return what our own sessions took; they are opened before."""
    rig = openings.Rig(authority)
    mode = vocabulary.TlsMode.IMPLICIT if work.ca else vocabulary.TlsMode.DISABLED
    at = effective.Endpoint(
        host="127.0.0.1",
        port=work.port,
        tls=openings.tls_settings(mode, ca=rig.ca, server_name=_SERVER_NAME),
        addresses=tenants.LOOPBACK,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )
    content, left = work.message.read_bytes(), work.messages
    opened = [await rig.open(at) for _ in range(work.connections)]

    def following() -> exchange.Letter | None:
        nonlocal left
        if left <= 0:
            return None
        left -= 1
        return exchange.Letter(mail_from=_MAIL_FROM, rcpt_to=_RCPT_TO, message=content)

    async def use(one: session.Session) -> None:
        announced: list[exchange.Letter | None] = []

        def announce() -> exchange.Letter | None:
            announced.append(following())
            return announced[-1]

        letter = following()
        while letter is not None:
            terms = exchange.Terms(before_dot=_nothing, envelope_timeout=_WITHIN, message_timeout=_WITHIN)
            result = await one.send(letter, terms, following=announce)
            assert result is not None
            assert result.verdict is transaction.RecipientVerdict.ACCEPTED, result
            letter = announced.pop() if announced else following()

    started, before = time.monotonic(), time.process_time()
    await asyncio.gather(*map(use, opened))
    took = peers.Took(seconds=time.monotonic() - started, cpu_seconds=time.process_time() - before)
    for one in opened:
        await one.quit()
    return took


def _nothing() -> collections.abc.Awaitable[None]:
    """Note nothing before a dot; the sender has its journal there, and seldom waits for it."""
    return noted.NOTED


def _seconds(children: list[processes.Child]) -> float:
    return sum(child.cpu_seconds() for child in children)

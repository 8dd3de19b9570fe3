"""Two senders of one database at full load, one of which is killed, or stands still beyond its lease (R4)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import pathlib
import secrets
import signal
import time

import pytest

from kit import cluster as cluster_kit
from kit import full_load, intake, invariants, postgres, processes, sender, shifted_database, smtpd, wait
from mailtier.sender.storage.postgres.senders import tenure

_NAMES = ("sender-0", "sender-1")
_TAKEN = 200
_WORKERS = 6
"""Fewer than a sender can do with: a lease is long, and what is sent meanwhile has to be delivered and counted."""

_DOUBT_SECONDS = 1.0
"""Acceptances are noted within 50 ms and the time of one statement."""

_MOST_AGAIN = 6 * full_load.CONNECTIONS * full_load.SERVERS
"""A kill leaves in doubt what each connection waits for, and what was accepted in the 50 ms before, of 10 ms each."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SenderPair:
    """Both senders, and the servers that they deliver to.

    Attributes:
        relay: The server of most organizations.
        own: That of another one.
        senders: By their names.
        clients: Of their intakes.
        load: Sent through both.
    """

    relay: smtpd.Process
    own: smtpd.Process
    senders: collections.abc.Mapping[str, sender.Sender]
    clients: collections.abc.Mapping[str, intake.Client]
    load: full_load.FullLoad

    async def busy(self) -> tuple[str, str]:
        """Return who delivers to the relay, once somebody does, and the other one."""
        name = await wait.until_async(
            lambda: next((name for name in _NAMES if dots(self.relay, name)), None),
            within_seconds=30,
            why="somebody delivers",
        )
        (other,) = set(_NAMES) - {name}
        return name, other

    def dots(self, name: str) -> list[float]:
        """Return when final dots of a sender came to any server; seconds of the monotonic clock."""
        return [*dots(self.relay, name), *dots(self.own, name)]

    def arrived(self) -> full_load.ArrivedMail:
        """Return what servers took."""
        return full_load.ArrivedMail.at(self.relay, self.own)


def _helo_name(name: str) -> str:
    return f"{name}.example.com"


def dots(server: smtpd.Process, name: str) -> list[float]:
    """Return when final dots of a sender came to a server; seconds of the monotonic clock."""
    theirs, found = set[int](), list[float]()
    for line in server.transcript():
        if line["direction"] != "C":
            continue
        if line["line"].strip() == f"EHLO {_helo_name(name)}":
            theirs.add(line["connection"])
        elif line["connection"] in theirs and line["line"].endswith("\r\n.\r\n"):
            found.append(line["at"])
    return found


@contextlib.asynccontextmanager
async def _running(
    cluster: cluster_kit.LocalCluster, folder: pathlib.Path, dsn: str
) -> collections.abc.AsyncIterator[SenderPair]:
    system = f"mailtier-{secrets.token_hex(4)}"
    account = sender.install(cluster, system)
    (folder / "dsn").write_text(dsn, encoding="utf-8")

    def begun(name: str) -> sender.Sender:
        arguments = [
            *(*full_load.ROOMY, *full_load.patient(10), f"--queue-dsn-file={folder / 'dsn'}"),
            *(f"--sender-name={name}", f"--helo-name={_helo_name(name)}"),
        ]
        return sender.Sender(folder / name, kubeconfig=account, namespace=system, arguments=arguments)

    async with contextlib.AsyncExitStack() as stack:
        relay, own = (
            stack.enter_context(smtpd.Process(folder / name, script=full_load.SLOW_DOT)) for name in ("relay", "own")
        )
        senders = {name: stack.enter_context(begun(name)) for name in _NAMES}
        organizations = full_load.publish(cluster, system, relay=relay, own=own)
        clients = {
            name: await stack.enter_async_context(intake.Client(running.url, running.tls))
            for name, running in senders.items()
        }
        load = full_load.FullLoad(
            organizations=organizations, clients=list(clients.values()), servers=[relay, own], workers=_WORKERS
        )
        yield SenderPair(relay=relay, own=own, senders=senders, clients=clients, load=load)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_sender_takes_over_at_full_load(
    cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path, end: signal.Signals
) -> None:
    """What one had under way comes once more at most, by the other, after its lease; all else comes once (R4).

    One that stood still sends nothing after its lease. It starts anew by itself, and delivers when the other is gone.
    """
    dsn = postgres.new_database()
    async with _running(cluster, tmp_path, dsn) as pair:
        load = pair.load
        async with load.running():
            await load.until_acknowledged(_TAKEN)
            victim, other = await pair.busy()
            paused = pair.senders[victim].pid_of("delivery")
            before = len(dots(pair.relay, other))
            pair.senders[victim].signal_all(end)
            ended_at = time.monotonic()
            load.clients.remove(pair.clients[victim])
            await wait.until_async(
                lambda: len(dots(pair.relay, other)) > before + _TAKEN, within_seconds=60, why="the other delivers"
            )
        taken_over_at = dots(pair.relay, other)[before]
        if end == signal.SIGSTOP:
            pair.senders[victim].signal_all(signal.SIGCONT)
            await wait.until_async(lambda: not processes.runs(paused or 0), within_seconds=60, why="it starts anew")
            over_at = time.monotonic()
            lease_at = ended_at + tenure.LEASE.total_seconds()
            assert [at for at in pair.dots(victim) if lease_at < at < over_at] == []
        await load.until_accepted()
        if end == signal.SIGSTOP:
            await asyncio.to_thread(pair.senders[victim].wait_ready)
            await asyncio.to_thread(pair.senders[other].stop)
            load.clients[:] = [pair.clients[victim]]
            async with load.running():
                await load.until_acknowledged(_TAKEN)
            await load.until_accepted()
        arrived = pair.arrived()
    assert await asyncio.to_thread(invariants.shared_violations, dsn) == []
    postgres.drop_database(dsn)
    print(f"\n{end.name}: taken over {taken_over_at - ended_at:.1f} s later, {arrived.told(load)}")
    arrived.require_all_of(load)
    arrived.require_doubts_at_ends(within_seconds=_DOUBT_SECONDS)
    assert arrived.duplicates <= _MOST_AGAIN


async def test_a_jump_of_the_database_s_clock_loses_nothing(
    cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path
) -> None:
    """An hour forth all leases are over, an hour back none ends for long; mail goes on, and nothing is lost (R4)."""
    with shifted_database.running(*postgres.FAST) as database:
        dsn = await asyncio.to_thread(postgres.new_database, database.server)
        async with _running(cluster, tmp_path, dsn) as pair:
            load = pair.load
            async with load.running():
                for shift in (dt.timedelta(hours=1), dt.timedelta(hours=-1), dt.timedelta(0)):
                    await load.until_acknowledged(_TAKEN)
                    database.shift(shift)
                    seen = postgres.read(dsn, "SELECT clock_timestamp()")[0][0] - dt.datetime.now(dt.UTC)
                    assert abs(seen - shift) < dt.timedelta(minutes=1)
                await load.until_acknowledged(_TAKEN)
            await load.until_accepted()
            arrived = pair.arrived()
        assert await asyncio.to_thread(invariants.shared_violations, dsn) == []
    print(f"\nclock: {arrived.told(load)}")
    arrived.require_all_of(load)
    assert arrived.duplicates <= 3 * _MOST_AGAIN

"""Senders that share a queue on Postgres: each takes in, a server is one's, and another goes on where that one ends."""

import asyncio
import collections.abc
import contextlib
import os
import pathlib
import signal
import tempfile

import aiohttp
import asyncpg
import pytest

from kit import background, intake, lossy, postgres, processes, sender, smtpd, tenants, wait
from mailtier.sender.between import owning
from mailtier.sender.queueing import owners
from mailtier.sender.smtp.servers import destination_key
from mailtier.sender.supervising import supervisor
from mailtier.settings import effective


@pytest.fixture(name="dsn_file")
def queue_dsn_file(tmp_path: pathlib.Path) -> collections.abc.Iterator[pathlib.Path]:
    """Return a file with the address of an empty database."""
    dsn = postgres.new_database()
    path = tmp_path / "dsn"
    path.write_text(f"{dsn}\n", encoding="utf-8")
    yield path
    postgres.drop_database(dsn)


def _sender(stage: tenants.Stage, dsn_file: pathlib.Path, name: str) -> sender.Sender:
    return sender.Sender(
        dsn_file.parent / name,
        kubeconfig=stage.account,
        namespace=stage.system,
        arguments=[f"--queue-dsn-file={dsn_file}", f"--sender-name={name}"],
    )


async def test_what_is_taken_in_is_delivered(
    stage: tenants.Stage, tenant: tenants.Tenant, dsn_file: pathlib.Path
) -> None:
    """From HTTPS through the database to a server, over a restart too; the database's address is in no log (R1)."""
    stage.publish(tenant, recipients=["o@example.com"])
    with _sender(stage, dsn_file, "sender-0") as running:
        for _ in range(2):
            async with intake.Client(running.url, running.tls) as client:
                await intake.until_known(client, tenant)
                found = await intake.until_complete(client, tenant, await client.post(tenant, intake.ALERT))
                assert found["recipients"][0]["state"] == "accepted"
            assert await asyncio.to_thread(running.stop) == 0
            await asyncio.to_thread(running.start)
        assert "postgresql://" not in running.log.read_text(encoding="utf-8")
        assert not (running.data / "queue").exists()


async def test_what_was_committed_before_the_intake_died_is_found_by_its_key(
    stage: tenants.Stage, tenant: tenants.Tenant, dsn_file: pathlib.Path
) -> None:
    """Killed between the commit and the answer, it answers the repeat with the id of what was stored, once (R4).

    Nobody rang for it: the next intake has delivery look, which would look a minute later by itself.
    """
    stage.publish(tenant, recipients=["o@example.com"])
    dsn = (await asyncio.to_thread(dsn_file.read_text, encoding="utf-8")).strip()
    # In a loop of its own: it has to answer while this one waits for a process.
    with background.Loop() as loop, loop.entered(lossy.LossyDatabase(dsn)) as between:
        await asyncio.to_thread(dsn_file.write_text, between.dsn, encoding="utf-8")
        with _sender(stage, dsn_file, "sender-0") as running:
            async with intake.Client(running.url, running.tls) as client:
                await intake.until_known(client, tenant)
                # Delivery's commits are answered: what it is doing meanwhile, as taking over the server, goes on.
                between.withholding = "mailtier intake"
                unanswered = asyncio.ensure_future(client.post(tenant, intake.ALERT, key="job-7"))
                ((stored,),) = await wait.until_async(
                    lambda: postgres.read(dsn, "SELECT id FROM mailtier.notifications"),
                    within_seconds=20,
                    why="it is committed",
                )
                await asyncio.to_thread(running.signal_role, "intake")
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await unanswered
                between.withholding = ""
                await asyncio.to_thread(running.wait_ready)
            async with intake.Client(running.url, running.tls) as client:
                await intake.until_known(client, tenant)
                again = await client.post(tenant, intake.ALERT, key="job-7")
                assert (again.status, again.document["id"]) == (202, stored)
                assert "Idempotency-Replayed" in again.headers
                await intake.until_complete(client, tenant, again)
    assert postgres.read(dsn, "SELECT count(*) FROM mailtier.notifications") == [(1,)]


async def test_a_database_that_cannot_be_used_is_told(stage: tenants.Stage, dsn_file: pathlib.Path) -> None:
    """The sender ends with a sentence that says what to look at, and no password (R1)."""
    wrong_dsn = "postgresql://mailtier:very-secret@127.0.0.1:1/queue"
    await asyncio.to_thread(dsn_file.write_text, wrong_dsn, encoding="utf-8")
    wrong = _sender(stage, dsn_file, "sender-0")
    wrong.start(wait_ready=False)
    assert await asyncio.to_thread(wrong.child.wait, within_seconds=60) == 1
    said = wrong.log.read_text(encoding="utf-8")
    assert "the queue's database at 127.0.0.1:1 cannot be used" in said
    assert "very-secret" not in said


async def test_a_database_that_is_away_ends_no_intake(
    stage: tenants.Stage, tenant: tenants.Tenant, tmp_path: pathlib.Path
) -> None:
    """Delivery loses its lease, and starts again until the database is there; the intake stays, and says so (R13)."""
    # Beside pytest's own folders, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="mailtier-away-") as place:
        await asyncio.to_thread(os.chmod, place, 0o755)
        database = await asyncio.to_thread(postgres.start, pathlib.Path(place) / "server", *postgres.FAST)
        dsn_file = tmp_path / "dsn"
        await asyncio.to_thread(dsn_file.write_text, postgres.new_database(database), encoding="utf-8")
        stage.publish(tenant, recipients=["o@example.com"])
        with _sender(stage, dsn_file, "sender-0") as running:
            async with intake.Client(running.url, running.tls) as client:
                await intake.until_known(client, tenant)
                before = await client.post(tenant, intake.ALERT)
                await intake.until_complete(client, tenant, before)
                there = running.pid_of("intake")
                await asyncio.to_thread(database.end)

                def away() -> bool:
                    return running.log.read_text(encoding="utf-8").count("its queue is away") >= supervisor.MOST_DEATHS

                await asyncio.to_thread(wait.until, away, within_seconds=180, why="delivery ended again and again")
                assert (await client.post(tenant, intake.ALERT)).status >= 500
                await asyncio.to_thread(database.begin)
                after = await _until_taken(client, tenant)
                found = await intake.until_complete(client, tenant, after)
                assert found["recipients"][0]["state"] == "accepted"
                assert running.pid_of("intake") == there
        await asyncio.to_thread(database.end)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_sender_goes_on(
    stage: tenants.Stage, tenant: tenants.Tenant, dsn_file: pathlib.Path, end: signal.Signals
) -> None:
    """What one took and did not deliver is delivered by the next, which took in all the time; nothing comes twice (R4).

    One that stands still for longer than its lease, and goes on then, sends nothing more: its delivery starts anew.
    """
    slow_dot: list[dict[str, object]] = [{"on": smtpd.DOT, "delay_seconds": 0.3}]
    with smtpd.Process(dsn_file.parent / "smtp", script=slow_dot) as smtp, contextlib.ExitStack() as stack:
        settings = tenants.settings(tenant, port=smtp.port, recipients=["o@example.com"])
        names = _by_preference(settings)
        first, second = (stack.enter_context(_sender(stage, dsn_file, name)) for name in names)
        tenants.publish(stage.cluster, stage.system, settings)
        async with (
            intake.Client(first.url, first.tls) as one,
            intake.Client(second.url, second.tls) as other,
        ):
            await intake.until_known(one, tenant)
            await intake.until_known(other, tenant)
            # Taken in by the second, delivered by the first, whose the server is, and which hears of it at once.
            heard = await intake.until_complete(other, tenant, await other.post(tenant, intake.ALERT))
            assert heard["recipients"][0]["state"] == "accepted"
            taken = [await _post(client, tenant) for _ in range(20) for client in (one, other)]
            paused = first.pid_of("delivery")
            _signal_all(first, end)
            taken.append(await _post(other, tenant))
            settled = [await _until_settled(other, tenant, answer) for answer in taken]
        if end == signal.SIGSTOP:
            await wait.until_async(lambda: _is_gone(dsn_file, names[0]), within_seconds=60, why="its lease is over")
            before = len(smtp.messages())
            _signal_all(first, signal.SIGCONT)
            await wait.until_async(
                lambda: first.pid_of("delivery") not in {paused, None}, within_seconds=60, why="it starts anew"
            )
            await asyncio.to_thread(first.wait_ready)
            assert len(smtp.messages()) == before
        arrived = [message["message_id"].strip("<").partition(".")[0] for message in smtp.messages()]
        assert {answer.document["id"] for answer, state in zip(taken, settled, strict=True) if state != "in doubt"} <= {
            *arrived
        }
        # What was on the wire is in doubt, and comes again later; at most as many as there are connections.
        assert settled.count("in doubt") <= 5
        assert len(arrived) == len(set(arrived))


async def _until_taken(client: intake.Client, tenant: tenants.Tenant) -> intake.Answer:
    """Return the answer to the first notification that is taken."""

    async def post() -> intake.Answer | None:
        answer = await client.post(tenant, intake.ALERT)
        return answer if answer.status == 202 else None

    found = await wait.until_async(post, within_seconds=60, why="it takes in again")
    assert found is not None
    return found


def _by_preference(settings: effective.Effective) -> list[str]:
    """Return the names of two senders, first of the one that should own the server of settings."""
    peers = [owning.Peer(number=number, name=f"sender-{number}", shares=True) for number in range(2)]
    chosen = owners.preferred(destination_key.key_of(settings).room, peers)
    return sorted((peer.name for peer in peers), key=lambda name: chosen is None or name != chosen.name)


async def _is_gone(dsn_file: pathlib.Path, name: str) -> bool:
    """Return whether a sender's lease is over, and another one has taken over."""
    dsn = await asyncio.to_thread(dsn_file.read_text, encoding="utf-8")
    connection = await asyncpg.connect(dsn.strip())
    try:
        return not await connection.fetchval("SELECT count(*) FROM mailtier.senders WHERE name = $1", name)
    finally:
        await connection.close()


def _signal_all(running: sender.Sender, number: signal.Signals) -> None:
    """Signal its supervisor and both roles, as what freezes or kills a pod does."""
    for pid in processes.family(running.child.pid):
        # It may have ended with another one.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _post(client: intake.Client, tenant: tenants.Tenant) -> intake.Answer:
    """Return the answer that acknowledged a notification: on a busy machine it may be refused for a moment."""

    async def taken() -> intake.Answer | None:
        answer = await client.post(tenant, intake.ALERT)
        assert answer.status in {202, 503}, answer
        return answer if answer.status == 202 else None

    found = await wait.until_async(taken, within_seconds=30, why="it is taken")
    assert found is not None
    return found


async def _until_settled(client: intake.Client, tenant: tenants.Tenant, answer: intake.Answer) -> str:
    """Return the state of a recipient that waits for no sender any more."""

    async def settled() -> str:
        state = str((await client.look_up(tenant, answer))["recipients"][0]["state"])
        return state if state in {"accepted", "in doubt"} else ""

    return await wait.until_async(settled, within_seconds=90, why="another sender takes over")

"""Intake and delivery in processes of their own: either dies, and the other's work goes on (R4)."""

import asyncio
import collections
import collections.abc
import contextlib
import fcntl
import json
import pathlib
import signal

import aiohttp
import pytest

from kit import intake, processes, sender, smtpd, tenants, wait
from mailtier.sender.intake.http import problems
from mailtier.sender.supervising import supervisor

_FINISHED = "mailtier_recipients_finished_total{"
_PATIENT = ["--full-at=1.0", "--most-deaths=100", *["--in-doubt-delay=0.5"] * 4]


@pytest.fixture
def smtp(tmp_path: pathlib.Path) -> collections.abc.Iterator[smtpd.Process]:
    """Return a server of the test's own, which takes its time."""
    script: list[dict[str, object]] = [{"on": smtpd.DOT, "delay_seconds": 0.02}]
    with smtpd.Process(tmp_path / "smtp", script=script, transcript=False) as running:
        yield running


@contextlib.asynccontextmanager
async def _running(
    stage: tenants.Stage,
    tenant: tenants.Tenant,
    smtp: smtpd.Process,
    folder: pathlib.Path,
    arguments: collections.abc.Sequence[str] = _PATIENT,
) -> collections.abc.AsyncIterator[tuple[sender.Sender, intake.Client]]:
    tenants.publish(stage.cluster, stage.system, tenants.settings(tenant, port=smtp.port, recipients=["o@example.com"]))
    with sender.Sender(
        folder / "sender", kubeconfig=stage.account, namespace=stage.system, arguments=arguments
    ) as running:
        async with intake.Client(running.url, running.tls) as client:
            await intake.until_known(client, tenant)
            yield running, client


async def _insist(client: intake.Client, tenant: tenants.Tenant, key: str, refused: list[str]) -> intake.Answer:
    """Send a notification until it is taken."""
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            answer = await client.post(tenant, intake.ALERT, key=key)
            if answer.status == 202:
                return answer
            assert answer.status == 503, answer
        refused.append(key)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("role", supervisor.ROLES)
async def test_either_process_dies_and_the_other_goes_on(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path, role: str
) -> None:
    """Killed under load, it is started again, nothing is lost, and the other lives on and works (R4)."""
    (other,) = set(supervisor.ROLES) - {role}
    async with _running(stage, tenant, smtp, tmp_path) as (running, client):
        survivor, refused, taken = running.pid_of(other), list[str](), list[intake.Answer]()

        async def work(worker: int) -> None:
            for number in range(40):
                taken.append(await _insist(client, tenant, f"{worker}-{number}", refused))

        workers = [asyncio.create_task(work(worker)) for worker in range(4)]
        for count in (20, 80):
            await wait.until_async(lambda count=count: len(taken) >= count, within_seconds=60, why="it is under load")
            await asyncio.to_thread(running.signal_role, role)
        await asyncio.gather(*workers)
        assert running.pid_of(other) == survivor
        # The intake takes whether or not there is a delivery.
        assert role == "intake" or not refused
        for answer in taken:
            found = await intake.until_complete(client, tenant, answer)
            assert found["recipients"][0]["state"] == "accepted"
        _, page = await asyncio.to_thread(running.get, "/metrics")
        assert f'mailtier_sender_deaths_total{{part="{role}"}} 2.0' in page
    arrived = collections.Counter(message["message_id"].strip("<").partition(".")[0] for message in smtp.messages())
    assert set(arrived) == {answer.document["id"] for answer in taken}
    # At most one in doubt for each connection and kill.
    assert sum(arrived.values()) - len(arrived) <= (2 * 10 if role == "delivery" else 0)


async def test_what_an_intake_that_died_did_not_ring_for_is_delivered(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """The next intake has delivery look, which would look a minute later by itself (R4)."""
    async with _running(stage, tenant, smtp, tmp_path) as (running, client):
        # Once it has looked by itself.
        await intake.until_complete(client, tenant, await client.post(tenant, intake.ALERT))
        bell = running.socket.with_name("delivery.bell")
        away = bell.rename(bell.with_name("away.bell"))
        unheard = await client.post(tenant, intake.ALERT)
        away.rename(bell)
        died = running.pid_of("intake")
        await asyncio.to_thread(running.signal_role, "intake")
        await wait.until_async(
            lambda: running.pid_of("intake") not in {died, None}, within_seconds=20, why="another one is there"
        )
        await asyncio.to_thread(running.wait_ready)
        await intake.until_complete(client, tenant, unheard)


async def test_three_deaths_within_a_minute_end_it(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """What dies again and again is no longer started: the container ends, and says why."""
    async with _running(stage, tenant, smtp, tmp_path, ["--full-at=1.0"]) as (running, _):
        for role in ("delivery", "intake", "delivery"):
            await asyncio.to_thread(running.signal_role, role)
        assert await asyncio.to_thread(running.child.wait, within_seconds=60) == 1
        assert "died 3 times within a minute" in running.child.last_lines(5)


async def test_health_and_metrics_are_in_one_place(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """One page has what both count, each series once, and what each process has for itself by its part."""
    async with _running(stage, tenant, smtp, tmp_path) as (running, client):
        answer = await client.post(tenant, intake.ALERT)
        await intake.until_complete(client, tenant, answer)
        assert await asyncio.to_thread(running.get, "/healthz") == (200, "ok\n")

        def counted() -> bool:
            lines = running.get("/metrics")[1].splitlines()
            return any(
                each.startswith("mailtier_recipients_finished_total{") and each.endswith(" 1.0") for each in lines
            )

        await asyncio.to_thread(wait.until, counted, within_seconds=10, why="delivery's end is counted")
        _, page = await asyncio.to_thread(running.get, "/metrics")
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        series = [line.rpartition(" ")[0] for line in lines]
        assert len(series) == len(set(series))
        heads = [line for line in page.splitlines() if line.startswith("# HELP")]
        assert len(heads) == len(set(heads))
        parts = {each for each in series if each.startswith("process_resident_memory_bytes")}
        assert parts == {
            f'process_resident_memory_bytes{{part="{part}"}}' for part in ("supervisor", *supervisor.ROLES)
        }
        assert any(line.startswith("mailtier_notifications_accepted_total") and line.endswith(" 1.0") for line in lines)
        assert {f'mailtier_sender_up{{part="{role}"}} 1.0' for role in supervisor.ROLES} <= set(lines)


async def test_the_intake_ends_before_delivery(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """SIGTERM to the whole group ends it in order: nothing is taken that nobody is there for."""
    async with _running(stage, tenant, smtp, tmp_path) as (running, _):
        assert await asyncio.to_thread(running.stop) == 0
        lines = [json.loads(line) for line in running.log.read_text(encoding="utf-8").splitlines()]
        assert [line["role"] for line in lines if line["event"] == "ended"] == ["intake", "delivery"]


async def test_nothing_outlives_its_supervisor(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """Processes whose supervisor was killed end at once, and let the next ones have the queue."""
    async with _running(stage, tenant, smtp, tmp_path) as (running, _):
        orphans = [pid for pid in processes.family(running.child.pid) if pid != running.child.pid]
        assert len(orphans) == len(supervisor.ROLES)
        running.kill()
        await wait.until_async(
            lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in orphans),
            within_seconds=10,
            why="the orphans are gone",
        )
        await asyncio.to_thread(running.start)


async def test_the_intake_takes_while_delivery_does_nothing(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """What is handed over meanwhile is stored; who asks something of delivery hears that it is not running (R13)."""
    async with _running(stage, tenant, smtp, tmp_path) as (running, client):
        await asyncio.to_thread(running.signal_role, "delivery", signal.SIGSTOP)
        taken = await client.post(tenant, intake.ALERT)
        assert taken.status == 202
        headers = {"Authorization": f"Bearer {tenant.token}"}
        probe = await client.request("POST", f"{tenant.collection().rpartition('/')[0]}/probes", headers=headers)
        document = intake.require(probe, problems.UNAVAILABLE)
        assert "delivery is not running" in document["detail"]
        await asyncio.to_thread(running.signal_role, "delivery", signal.SIGCONT)
        await intake.until_complete(client, tenant, taken)


async def test_a_delivery_that_is_stopped_is_ended(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """Meanwhile nobody has the turn to write: who hands something over is told, and then all goes on (R4, R13)."""
    async with _running(stage, tenant, smtp, tmp_path) as (running, client):
        stopped = running.pid_of("delivery")
        with (running.data / "queue" / "writing.lock").open("rb") as turns:
            # As the one that is stopped would have it in the middle of a commit.
            await asyncio.to_thread(fcntl.flock, turns, fcntl.LOCK_EX)
            await asyncio.to_thread(running.signal_role, "delivery", signal.SIGSTOP)
            told = intake.require(await client.post(tenant, intake.ALERT, key="first"), problems.QUEUE_AWAY)
            assert "nobody knows whether the notification was stored" in told["detail"]
            told = intake.require(await client.post(tenant, intake.ALERT, key="second"), problems.QUEUE_AWAY)
            assert "was not stored" in told["detail"]
            status, page = await asyncio.to_thread(running.get, "/readyz")
            assert (status, "intake: queue: the queue has not answered" in page) == (503, True)
            await wait.until_async(
                lambda: running.pid_of("delivery") not in {stopped, None}, within_seconds=90, why="there is another one"
            )
        for key in ("first", "second"):
            found = await intake.until_complete(client, tenant, await _insist(client, tenant, key, []))
            assert found["recipients"][0]["state"] == "accepted"
        assert "does not answer, and is ended" in running.log.read_text(encoding="utf-8")


async def test_each_role_runs_by_itself(
    stage: tenants.Stage, tenant: tenants.Tenant, smtp: smtpd.Process, tmp_path: pathlib.Path
) -> None:
    """An intake without any delivery takes and stores; a delivery that comes later delivers it."""
    async with _running(stage, tenant, smtp, tmp_path, ["--full-at=1.0", "--role=intake"]) as (_, client):
        taken = await client.post(tenant, intake.ALERT)
        assert taken.status == 202
        assert smtp.messages() == []
    with sender.Sender(
        tmp_path / "sender",
        kubeconfig=stage.account,
        namespace=stage.system,
        arguments=["--full-at=1.0", "--role=delivery"],
    ):
        await asyncio.to_thread(wait.until, smtp.messages, within_seconds=30, why="it is delivered")
    assert len(smtp.messages()) == 1

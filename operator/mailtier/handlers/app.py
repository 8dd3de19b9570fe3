"""The operator's process: contend for the Lease, lead, give it up.

It is crash-only. A lost Lease or a watch that ended makes the process end, and the kubelet starts it again as a
standby: there is no state in it that the cluster does not have.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import pathlib
import random

from mailtier.api import feed, names
from mailtier.handlers import leader
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, lease
from mailtier.serving import health
from mailtier.settings import observed
from mailtier.telemetry import garbage, lag, logs, tasks

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOptions:
    """What the command line says.

    Attributes:
        connection: The API server.
        namespace: The operator's own.
        identity: Unique among the operators that contend.
        socket_dir: The folder that the sender's socket is in.
        intake_url: Where applications reach the intake; "" for nowhere.
        grant: What gives the right to read references in a namespace; None where nobody said.
        health_host: Address of the health endpoint; "" for all.
        health_port: Its port.
    """

    connection: configuration.Connection
    namespace: str
    identity: str
    socket_dir: pathlib.Path
    intake_url: str
    grant: observed.Grant | None
    health_host: str
    health_port: int


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251  # Here the program is wired up.


async def run(options: OperatorOptions) -> None:
    """Run until SIGTERM or SIGINT, and give the Lease up.

    Raises:
        LeaseLostError: Another may lead; the process has to end.
        EndedError: A part ended unasked; the process has to start again.
    """
    garbage.spare_collections()
    stop = asyncio.Event()
    tasks.stop_on_signals(stop)
    generator = random.SystemRandom()
    async with kube_client.Client(options.connection) as client:
        contest = lease.Lease(
            client,
            namespace=options.namespace,
            name=names.LEASE_NAME,
            identity=options.identity,
            now=_now,
            jitter=generator.random,
        )
        context = leader.Context(
            connection=options.connection,
            namespace=options.namespace,
            identity=options.identity,
            socket=options.socket_dir / feed.SOCKET_NAME,
            intake_url=options.intake_url,
            grant=options.grant,
            now=_now,
            jitter=generator.random,
        )
        term = leader.Leader(context, client, stop=stop)

        def ready() -> str | None:
            """A standby is ready when it contends; a leader when it has listed everything."""
            if not contest.in_touch:
                return "the API server does not answer"
            if contest.leading and not term.synced.is_set():
                return "leading, and not everything is listed yet"
            return None

        application = health.application("operator", ready={"operator": ready})
        async with health.serve(application, host=options.health_host, port=options.health_port), lag.watched():
            _log.info("contending for the Lease", lease=names.LEASE_NAME, identity=options.identity)
            contending = asyncio.create_task(contest.run(term.run), name="lease")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait({contending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not contest.leading:
                contending.cancel()
            # A leader has seen the signal too: it stops its parts, and the Lease is released after them.
            with contextlib.suppress(asyncio.CancelledError):
                await contending
    _log.info("ended")

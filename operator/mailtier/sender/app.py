"""The sender's process: intake and delivery in one, wired together.

It is crash-only: what counts is on disk before anybody hears of it, so that a part that fails ends the process, and
the next one goes on. SIGTERM only makes the end cheaper: nothing new is taken, and what is on the wire is finished.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import random
import time
from collections.abc import Iterable
from typing import Final

from mailtier.kube import client
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.net import resolver
from mailtier.sender.queueing import crashes
from mailtier.sender.roles import delivery, intake
from mailtier.sender.roles import options as role_options
from mailtier.sender.storage.sqlite import embedded
from mailtier.serving import health
from mailtier.telemetry import lag, logs, tasks

# Longer than delivery takes to end what is on the wire: three times five seconds.
_GRACE_SECONDS: Final = 20.0

_log = logs.get_logger(__name__)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251  # Here the program is wired up.


async def run(options: role_options.SenderOptions) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        InUseError: Another sender has the queue.
        NewerSchemaError: A newer version of this program wrote the queue.
        DamagedError: Parts of the queue cannot be read.
        CertificateError: The intake has no usable certificate.
        OSError: A folder, the socket or a port cannot be had.
        EndedError: A part ended unasked; the process has to start again.
    """
    stop = asyncio.Event()
    tasks.stop_on_signals(stop)
    options.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    chance = random.SystemRandom()
    ticking = clock.Clock(wall=_now, monotonic=time.monotonic, random=chance.random)
    async with contextlib.AsyncExitStack() as stack:
        queue = await embedded.open_queue(
            options.data_dir / role_options.QUEUE_FOLDER,
            now=_now,
            in_doubt=functools.partial(crashes.decide_in_doubt, delays=options.in_doubt_delays),
            limits=embedded.VolumeLimits(full_at=options.full_at),
            keep_failed=options.keep_failed,
        )
        stack.push_async_callback(queue.close)
        api = await stack.enter_async_context(client.Client(options.connection))
        names = await stack.enter_async_context(resolver.Resolver())
        await stack.enter_async_context(lag.watched())
        settings = settings_source.SettingsSource(api, namespace=options.namespace, jitter=ticking.random)

        def ring(pending: Iterable[ports.Pending]) -> None:
            sending.deliverer.ring(pending)

        def note_asked() -> None:
            sending.answering.note_asked()

        taking = intake.IntakeParts(
            options,
            queue=queue,
            api=api,
            settings=settings,
            ticking=ticking,
            on_pending=ring,
            on_asked=note_asked,
        )
        sending = delivery.DeliveryParts(
            options,
            queue=queue,
            api=api,
            names=names,
            settings=settings,
            ticking=ticking,
            on_reply=taking.delivery.note_replies,
            on_shown=taking.delivery.note_shown,
        )
        application = health.application("sender", ready={**taking.checks(), **sending.checks()})
        await stack.enter_async_context(health.serve(application, host=options.health_host, port=options.health_port))
        sending.open(stack)
        await taking.open(stack)
        _log.info("the sender is up", namespace=options.namespace)
        # Stopped from the last to the first, so that intake ends before delivery does.
        parts = {"settings": settings.run(), **sending.running(), **taking.running()}
        await tasks.run(parts, stop=stop, grace_seconds=_GRACE_SECONDS)
    _log.info("ended")

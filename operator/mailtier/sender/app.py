"""The sender's processes, wired together: the intake's, and delivery's.

They are crash-only: what counts is on disk before anybody hears of it, so that a part that fails ends its process, and
the next one goes on. SIGTERM only makes the end cheaper: nothing new is taken, and what is on the wire is finished.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from mailtier.kube import client
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.between import bell
from mailtier.sender.net import resolver
from mailtier.sender.roles import delivery, intake, opening
from mailtier.sender.roles import options as role_options
from mailtier.sender.supervising import leash
from mailtier.serving import health
from mailtier.telemetry import garbage, lag, logs, tasks

# Longer than delivery takes to end what is on the wire: three times five seconds.
_GRACE_SECONDS: Final = 20.0

GARBAGE_AFTER: Final = 5_000
"""Objects: looking at so many takes some milliseconds, for which everybody's mail waits."""

_log = logs.get_logger(__name__)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251  # Here the program is wired up.


async def run_intake(options: role_options.SenderOptions) -> None:
    """Run the intake until SIGTERM or SIGINT.

    Raises:
        InUseError: Another intake has the queue.
        NewerSchemaError: A newer version of this program wrote the queue.
        NewerTablesError: The same, in its database.
        DamagedError: Parts of the queue cannot be read.
        NoDatabaseError: The queue's database cannot be used.
        CertificateError: The intake has no usable certificate.
        OSError: A folder, the socket or a port cannot be had.
        EndedError: A part ended unasked; the process has to start again.
    """
    async with contextlib.AsyncExitStack() as stack:
        surroundings = await stack.enter_async_context(_surroundings(options))
        opened = await stack.enter_async_context(opening.opened_intake(options, now=_now))

        def note_replies() -> None:
            parts.delivery.note_replies()

        def note_shown() -> None:
            parts.delivery.note_shown()

        rung = stack.enter_context(
            bell.IntakeBell(
                options.socket_dir, on_cursor=opened.note_cursor, on_replies=note_replies, on_shown=note_shown
            )
        )

        def ring(pending: Iterable[ports.Pending]) -> None:
            told = list(pending)
            rung.ring(told)
            opened.ring(told)

        rung.ring_anew()
        parts = intake.IntakeParts(
            options,
            queue=opened.queue,
            api=surroundings.api,
            settings=surroundings.settings,
            ticking=surroundings.ticking,
            on_pending=ring,
            on_asked=rung.ring_asked,
        )
        await _serve_health(options, parts.checks(), stack)
        await parts.open(stack)
        await _run(options, surroundings, {**opened.running(), **parts.running()})
    _log.info("ended", role=options.role)


async def run_delivery(options: role_options.SenderOptions) -> None:
    """Run delivery until SIGTERM or SIGINT.

    Raises:
        InUseError, NewerSchemaError, NewerTablesError, DamagedError, NoDatabaseError, OSError: As `run_intake`.
        EndedError: The same; and this sender was not heard of for so long that another may deliver.
    """
    async with contextlib.AsyncExitStack() as stack:
        surroundings = await stack.enter_async_context(_surroundings(options))
        opened = await stack.enter_async_context(opening.opened_delivery(options, now=_now))
        names = await stack.enter_async_context(resolver.Resolver())

        def note_pending(pending: Iterable[bell.RungBacklog]) -> None:
            parts.deliverer.ring(pending)

        def note_anew() -> None:
            parts.deliverer.look_anew()

        def note_asked() -> None:
            parts.answering.note_asked()

        # Heard from here on: what is queued before is found by the first look.
        rung = stack.enter_context(
            bell.DeliveryBell(
                options.socket_dir,
                on_pending=note_pending,
                on_anew=note_anew,
                on_asked=note_asked,
            )
        )
        parts = delivery.DeliveryParts(
            options,
            queue=opened.queue,
            api=surroundings.api,
            names=names,
            settings=surroundings.settings,
            ticking=surroundings.ticking,
            on_reply=rung.ring_replies,
            on_shown=rung.ring_shown,
            owning=opened.owning,
        )
        opened.listen(rung.ring_cursor)
        await _serve_health(options, parts.checks(), stack)
        parts.open(stack)
        running = opened.beside_others(
            parts.running(),
            for_one=parts.FOR_ONE,
            ring=parts.deliverer.ring,
            look_anew=parts.deliverer.look_anew,
        )
        await _run(options, surroundings, running)
    _log.info("ended", role=options.role)


RUNS: Final[Mapping[str, Callable[[role_options.SenderOptions], Coroutine[Any, Any, None]]]] = {
    "intake": run_intake,
    "delivery": run_delivery,
}
"""What runs a role."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """What both processes have."""

    api: client.Client
    settings: settings_source.SettingsSource
    ticking: clock.Clock
    stop: asyncio.Event
    tied: leash.Leash | None


@contextlib.asynccontextmanager
async def _surroundings(options: role_options.SenderOptions) -> AsyncIterator[_Surroundings]:
    stop = asyncio.Event()
    tasks.stop_on_signals(stop)
    tied = None if options.leash is None else leash.Leash(options.leash)
    if tied is not None:
        tied.watch()
    options.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    chance = random.SystemRandom()
    ticking = clock.Clock(wall=_now, monotonic=time.monotonic, random=chance.random)
    try:
        async with client.Client(options.connection) as api, lag.watched():
            yield _Surroundings(
                api=api,
                settings=settings_source.SettingsSource(api, namespace=options.namespace, jitter=ticking.random),
                ticking=ticking,
                stop=stop,
                tied=tied,
            )
    finally:
        if tied is not None:
            tied.close()


async def _serve_health(
    options: role_options.SenderOptions, checks: Mapping[str, health.Check], stack: contextlib.AsyncExitStack
) -> None:
    application = health.application("sender", ready=checks)
    if options.leash is None:
        await stack.enter_async_context(health.serve(application, host=options.health_host, port=options.health_port))
    else:
        await stack.enter_async_context(health.serve_beside(application, options.socket_dir / f"{options.role}.http"))


async def _run(
    options: role_options.SenderOptions,
    surroundings: _Surroundings,
    running: Mapping[str, Coroutine[Any, Any, object]],
) -> None:
    _log.info("the sender is up", namespace=options.namespace, role=options.role)
    if surroundings.tied is not None:
        surroundings.tied.say_up()
    # Stopped from the last to the first.
    parts = {"settings": surroundings.settings.run(), **running}
    garbage.spare_collections(made=GARBAGE_AFTER)
    await tasks.run(parts, stop=surroundings.stop, grace_seconds=_GRACE_SECONDS)

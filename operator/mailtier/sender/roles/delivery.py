"""Delivery, wired together: the dispatcher, probes, the queue's upkeep, and what the intake asks and is shown."""

import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NoReturn

from mailtier.kube import client
from mailtier.sender import clock, settings_source
from mailtier.sender.between import owning as owning_rows
from mailtier.sender.delivering import answering, builder, delivery, marked_builder, templates
from mailtier.sender.delivering.keeping import showing
from mailtier.sender.net import resolver, tls
from mailtier.sender.probing import prober
from mailtier.sender.roles import options, sides
from mailtier.sender.secrets import credentials, secret_reader, tokens
from mailtier.sender.smtp import destinations, estate
from mailtier.sender.smtp.sessions import opening
from mailtier.sender.storage import build_mark, upkeep
from mailtier.serving import health
from mailtier.settings import effective
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)


class DeliveryParts:
    """The parts of delivery, and how they know each other.

    Args:
        chosen: What the command line says.
        queue: Delivery's half.
        api: The apiserver.
        names: Looks names up.
        settings: Effective settings.
        ticking: Clocks and chance.
        on_reply: Tells the intake that something was answered.
        on_shown: Tells the intake that something was shown.
        owning: What says whose mail is whose, where there may be other senders; None where there are none.
    """

    FOR_ONE: Final = ("upkeep",)
    """What one sender does for all."""

    def __init__(
        self,
        chosen: options.SenderOptions,
        *,
        queue: sides.DeliverySide,
        api: client.Client,
        names: resolver.Resolver,
        settings: settings_source.SettingsSource,
        ticking: clock.Clock,
        on_reply: Callable[[], None],
        on_shown: Callable[[], None],
        owning: owning_rows.OwningQueue | None,
    ) -> None:
        self._settings = settings
        passwords = credentials.CredentialStore(
            secret_reader.KubernetesSecrets(api, monotonic=ticking.monotonic), ticking
        )
        contexts = tls.Contexts(settings)
        self._tokens = tokens.Tokens(names=names, contexts=contexts, time=ticking, entropy=os.urandom)
        in_use = destinations.Destinations(
            helo_name=chosen.helo_name,
            names=names,
            opener=opening.Opener(contexts),
            time=ticking,
            host=lambda: settings.get(effective.HOST),
            memory=queue,
            sender="" if owning is None else str(owning.own_number()),
        )
        self._estate: estate.Estate | None = None
        whose: estate.Whose = estate.EverythingMine()
        if owning is not None:
            whose = self._estate = estate.Estate(
                owning, settings=settings, in_use=in_use, learn=self._learn, time=ticking
            )
        self._prober = prober.Prober(
            queue=queue,
            settings=settings,
            destinations=in_use,
            passwords=passwords,
            access=self._tokens,
            time=ticking,
            owns=whose.owns,
        )
        self.deliverer = delivery.Deliverer(
            queue=queue,
            settings=settings,
            destinations=in_use,
            passwords=passwords,
            access=self._tokens,
            messages=_builder(chosen),
            probes=self._prober,
            time=ticking,
            whose=whose,
        )
        if self._estate is not None:
            settings.subscribe(self._estate.note_settings)
            self._estate.leave_by(self.deliverer.left)
            self._estate.listen(self.deliverer.note_owned)
            self._estate.listen(self._prober.note_owned)
        settings.subscribe(self._prober.note_settings)
        settings.subscribe(self.deliverer.note_settings)
        self.answering = answering.Answering(
            queue, deliverer=self.deliverer, probes=self._prober, time=ticking, on_reply=on_reply, whose=whose
        )
        self._showing = showing.Showing(queue, look=self.deliverer.displays, on_shown=on_shown)
        # Of a database others know how full its disk is.
        directory = chosen.data_dir / options.QUEUE_FOLDER if chosen.queue_dsn_file is None else None
        self._upkeep = upkeep.Upkeep(queue, directory=directory, time=ticking)

    def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Have what it opens closed with the stack."""
        stack.push_async_callback(self._tokens.close)

    def running(self) -> Mapping[str, Coroutine[Any, Any, object]]:
        """Return what runs."""
        owning = {} if self._estate is None else {"owning": self._once_synced(self._estate)}
        return owning | {
            "prober": self._once_synced(self._prober),
            "delivery": self._once_synced(self.deliverer),
            "upkeep": self._upkeep.run(),
            "answering": self.answering.run(),
            "showing": self._showing.run(),
        }

    def checks(self) -> Mapping[str, health.Check]:
        """Return what it takes to be ready."""
        return {"settings": self._unsynced, "queue": self._unread}

    async def _once_synced(self, part: delivery.Deliverer | prober.Prober | estate.Estate) -> NoReturn:
        """Run a part once the settings are known: before that every organization would look deleted."""
        await self._settings.wait_until_synced()
        await part.run()

    async def _learn(self) -> None:
        await self._prober.learn()

    def _unsynced(self) -> str | None:
        return None if self._settings.synced else "the effective settings have not been listed yet"

    def _unread(self) -> str | None:
        return None if self.deliverer.loaded else "it has not been looked yet what was queued before the start"


def _builder(chosen: options.SenderOptions) -> builder.Builder:
    sources = templates.Templates()
    folder = chosen.data_dir / options.QUEUE_FOLDER if chosen.queue_dsn_file is None else chosen.data_dir
    try:
        mark = build_mark.BuildMark.open(folder / options.BUILD_MARK)
    except OSError as error:
        # Mail goes on without it, as on a volume that is full.
        _log.warning("messages that end the process while they are built are not counted", error=error.strerror)
        return builder.Builder(sources)
    return marked_builder.MarkedBuilder(sources, mark)

"""The sender's process: intake, queue, delivery and the socket to the operator, wired together.

It is crash-only: what counts is on disk before anybody hears of it, so that a part that fails ends the process, and
the next one goes on. SIGTERM only makes the end cheaper: nothing new is taken, and what is on the wire is finished.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import os
import pathlib
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, NoReturn

from mailtier.api import feed
from mailtier.kube import client, configuration, reviews
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.delivering import builder, delivery, templates
from mailtier.sender.intake import desk, feed_server, ids, taking
from mailtier.sender.intake.http import access, certificates, server, service
from mailtier.sender.net import resolver, tls
from mailtier.sender.probing import prober
from mailtier.sender.queueing import crashes, retention
from mailtier.sender.secrets import credentials, secret_reader, tokens
from mailtier.sender.smtp import destinations
from mailtier.sender.smtp.sessions import opening
from mailtier.sender.storage import upkeep, volume
from mailtier.sender.storage.sqlite import embedded
from mailtier.serving import health, listener
from mailtier.settings import effective
from mailtier.telemetry import lag, logs, tasks

QUEUE_FOLDER: Final = "queue"
CERTIFICATE_FOLDER: Final = "tls"

# Longer than delivery takes to end what is on the wire: three times five seconds.
_GRACE_SECONDS: Final = 20.0

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SenderOptions:
    """What the command line says.

    Attributes:
        connection: The apiserver.
        namespace: The operator's own, where the effective settings are published.
        data_dir: The queue's volume.
        socket_dir: The folder that is shared with the operator.
        host: Address of the intake; "" for all.
        port: Its port; 0 for a free one.
        health_host: Address of health and metrics; "" for all.
        health_port: Its port.
        tls_dir: A mounted Secret with the intake's certificate; None to make one on the volume.
        tls_names: What a certificate that is made here is for.
        authority_file: Where the intake's CA is published; None for the folder that is shared with the operator.
        helo_name: The name for EHLO where the settings have none; empty for the connection's own address.
        quota: What one namespace may have queued where the host's policy says nothing.
        full_at: Fraction of the volume in use at which new work is refused.
        trusted_proxies: From where the intake expects a header of PROXY protocol version 2, and takes its word.
        keep_failed: How long the text of notifications that failed is kept; no time at all to wipe it at their end.
        in_doubt_delays: When messages that a crash left in doubt are resent; None for their category's schedule.
    """

    connection: configuration.Connection
    namespace: str
    data_dir: pathlib.Path
    socket_dir: pathlib.Path
    host: str
    port: int
    health_host: str
    health_port: int
    tls_dir: pathlib.Path | None
    tls_names: Sequence[str]
    authority_file: pathlib.Path | None
    helo_name: str
    quota: ports.QueueQuota = dataclasses.field(default_factory=ports.QueueQuota)
    full_at: float = volume.FULL_AT
    trusted_proxies: Sequence[listener.Network] = ()
    keep_failed: dt.timedelta = retention.FAILED_KEPT
    in_doubt_delays: Sequence[dt.timedelta] | None = None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251  # Here the program is wired up.


async def run(options: SenderOptions) -> None:
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
            options.data_dir / QUEUE_FOLDER,
            now=_now,
            in_doubt=functools.partial(crashes.decide_in_doubt, delays=options.in_doubt_delays),
            limits=embedded.VolumeLimits(full_at=options.full_at),
            keep_failed=options.keep_failed,
        )
        stack.push_async_callback(queue.close)
        api = await stack.enter_async_context(client.Client(options.connection))
        names = await stack.enter_async_context(resolver.Resolver())
        await stack.enter_async_context(lag.watched())
        parts = _Parts(options, queue=queue, api=api, names=names, ticking=ticking)
        await parts.open(stack)
        _log.info("the sender is up", namespace=options.namespace)
        await tasks.run(parts.running(), stop=stop, grace_seconds=_GRACE_SECONDS)
    _log.info("ended")


class _Parts:
    """The parts of a sender, and how they know each other."""

    def __init__(
        self,
        options: SenderOptions,
        *,
        queue: embedded.EmbeddedQueue,
        api: client.Client,
        names: resolver.Resolver,
        ticking: clock.Clock,
    ) -> None:
        self._options = options
        self._settings = settings_source.SettingsSource(api, namespace=options.namespace, jitter=ticking.random)
        passwords = credentials.CredentialStore(
            secret_reader.KubernetesSecrets(api, monotonic=ticking.monotonic), ticking
        )
        contexts = tls.Contexts(self._settings)
        self._tokens = tokens.Tokens(names=names, contexts=contexts, time=ticking, entropy=os.urandom)
        in_use = destinations.Destinations(
            helo_name=options.helo_name,
            names=names,
            opener=opening.Opener(contexts),
            time=ticking,
            host=lambda: self._settings.get(effective.HOST),
            memory=queue,
        )
        self._prober = prober.Prober(
            queue=queue,
            settings=self._settings,
            destinations=in_use,
            passwords=passwords,
            access=self._tokens,
            time=ticking,
        )
        self._delivery = delivery.Deliverer(
            queue=queue,
            settings=self._settings,
            destinations=in_use,
            passwords=passwords,
            access=self._tokens,
            messages=builder.Builder(templates.Templates()),
            probes=self._prober,
            time=ticking,
        )
        self._settings.subscribe(self._prober.note_settings)
        self._settings.subscribe(self._delivery.note_settings)
        self._upkeep = upkeep.Upkeep(queue, directory=options.data_dir / QUEUE_FOLDER, time=ticking)
        taker = taking.Taking(
            queue,
            identifiers=ids.TimeSortedIds(now=ticking.wall, entropy=os.urandom),
            on_pending=self._delivery.ring,
            quota=options.quota,
            now=ticking.wall,
            monotonic=ticking.monotonic,
        )
        self._objects = feed_server.FeedServer(
            queue,
            self._settings,
            taker=taker,
            namespaces=self._delivery.namespaces,
            on_namespace_deleted=self._delivery.note_namespace_deleted,
        )
        self._intake = server.Server(
            service.Parts(
                gate=access.Gate(
                    reviews.Authenticator(api, now=ticking.wall, monotonic=ticking.monotonic),
                    reviews.Authorizer(api, monotonic=ticking.monotonic),
                ),
                settings=self._settings,
                probes=self._prober,
                queue=queue,
                taking=taker,
                desk=desk.Desk(queue, self._settings, self._delivery, quota=options.quota, now=ticking.wall),
                awaited_rate=self._delivery.awaited_rate,
                held=self._delivery.hold_of,
            ),
            source=_certificates(options),
            authority_file=options.authority_file or options.socket_dir / feed.AUTHORITY_NAME,
            trusted_proxies=options.trusted_proxies,
        )

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open everything that others connect to, so that a port that is taken is found before anything runs."""
        application = health.application("sender", ready={"settings": self._unsynced, "queue": self._unread})
        await stack.enter_async_context(
            health.serve(application, host=self._options.health_host, port=self._options.health_port)
        )
        stack.push_async_callback(self._tokens.close)
        await self._objects.open(self._options.socket_dir)
        stack.push_async_callback(self._objects.close)
        port = await self._intake.open(self._options.host, self._options.port)
        stack.push_async_callback(self._intake.close)
        _log.info("serving the intake", port=port)

    def running(self) -> Mapping[str, Coroutine[Any, Any, object]]:
        """Return what runs; it is stopped from the last to the first, so that intake ends before delivery does."""
        return {
            "settings": self._settings.run(),
            "prober": self._once_synced(self._prober),
            "delivery": self._once_synced(self._delivery),
            "upkeep": self._upkeep.run(),
            "objects": self._until_cancelled(self._objects),
            "intake": self._until_cancelled(self._intake),
            "certificate": self._intake.run(),
        }

    async def _once_synced(self, part: delivery.Deliverer | prober.Prober) -> NoReturn:
        """Run a part once the settings are known: before that every organization would look deleted."""
        await self._settings.wait_until_synced()
        await part.run()

    @staticmethod
    async def _until_cancelled(part: feed_server.FeedServer | server.Server) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await part.close()

    def _unsynced(self) -> str | None:
        return None if self._settings.synced else "the effective settings have not been listed yet"

    def _unread(self) -> str | None:
        return None if self._delivery.loaded else "it has not been looked yet what was queued before the start"


def _certificates(options: SenderOptions) -> certificates.Certificates:
    if options.tls_dir is not None:
        return certificates.MountedCertificates(options.tls_dir)
    return certificates.OwnCertificates(options.data_dir / CERTIFICATE_FOLDER, names=options.tls_names, now=_now)

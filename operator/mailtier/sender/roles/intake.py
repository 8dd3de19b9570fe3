"""The intake, wired together: HTTPS, the operator's socket, and delivery as it is seen from here."""

import asyncio
import contextlib
import datetime as dt
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from mailtier.api import feed
from mailtier.kube import client, reviews
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.intake import desk, far_delivery, feed_server, ids, taking
from mailtier.sender.intake.http import access, certificates, server, service
from mailtier.sender.roles import options, sides
from mailtier.serving import health
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)


class IntakeParts:
    """The parts of the intake, and how they know each other.

    Args:
        chosen: What the command line says.
        queue: The intake's half.
        api: The apiserver.
        settings: Effective settings.
        ticking: Clocks and chance.
        on_pending: Tells delivery what was queued.
        on_asked: Tells delivery that something is asked.
    """

    def __init__(
        self,
        chosen: options.SenderOptions,
        *,
        queue: sides.IntakeSide,
        api: client.Client,
        settings: settings_source.SettingsSource,
        ticking: clock.Clock,
        on_pending: Callable[[Iterable[ports.Pending]], None],
        on_asked: Callable[[], None],
    ) -> None:
        self._options = chosen
        self._settings = settings
        self.delivery = far_delivery.FarDelivery(queue, on_pending=on_pending, on_asked=on_asked, now=ticking.wall)
        taker = taking.Taking(
            queue,
            identifiers=ids.TimeSortedIds(now=ticking.wall, entropy=os.urandom),
            on_pending=on_pending,
            quota=chosen.quota,
            now=ticking.wall,
        )
        self._taker = taker
        self._objects = feed_server.FeedServer(
            queue,
            settings,
            taker=taker,
            end_namespace=self.delivery.end_namespace,
            hold_of=self.delivery.hold_of,
        )
        self._server = server.Server(
            service.Parts(
                gate=access.Gate(
                    reviews.Authenticator(api, now=ticking.wall, monotonic=ticking.monotonic),
                    reviews.Authorizer(api, monotonic=ticking.monotonic),
                ),
                settings=settings,
                queue=queue,
                taking=taker,
                desk=desk.Desk(queue, settings, self.delivery, quota=chosen.quota, now=ticking.wall),
                delivery=self.delivery,
            ),
            source=_certificates(chosen, ticking.wall),
            authority_file=chosen.authority_file or chosen.socket_dir / feed.AUTHORITY_NAME,
            trusted_proxies=chosen.trusted_proxies,
        )

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open everything that others connect to, so that a port that is taken is found before anything runs."""
        stack.push_async_callback(self.delivery.close)
        await self._objects.open(self._options.socket_dir)
        stack.push_async_callback(self._objects.close)
        port = await self._server.open(self._options.host, self._options.port)
        stack.push_async_callback(self._server.close)
        _log.info("serving the intake", port=port)

    def running(self) -> Mapping[str, Coroutine[Any, Any, object]]:
        """Return what runs."""
        return {
            "seen delivery": self.delivery.run(),
            "objects": _until_cancelled(self._objects),
            "intake": _until_cancelled(self._server),
            "certificate": self._server.run(),
        }

    def checks(self) -> Mapping[str, health.Check]:
        """Return what it takes to be ready."""
        return {"settings": self._unsynced, "queue": self._taker.stalled}

    def _unsynced(self) -> str | None:
        return None if self._settings.synced else "the effective settings have not been listed yet"


async def _until_cancelled(part: feed_server.FeedServer | server.Server) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await part.close()


def _certificates(chosen: options.SenderOptions, now: Callable[[], dt.datetime]) -> certificates.Certificates:
    if chosen.tls_dir is not None:
        return certificates.MountedCertificates(chosen.tls_dir)
    return certificates.OwnCertificates(chosen.data_dir / options.CERTIFICATE_FOLDER, names=chosen.tls_names, now=now)

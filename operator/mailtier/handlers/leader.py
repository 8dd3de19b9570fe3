"""What the leading operator does, from winning the Lease to giving it up.

The order of starting matters. The watches fill the store first; workers begin when every kind has been listed, or
they would take what they have not seen yet for deleted. What nobody watched being deleted is found then, because
every effective ConfigMap that is there is looked at.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import pathlib
import time
from collections.abc import Callable, Collection
from typing import Final

from mailtier.api import names, reasons
from mailtier.api import settings as api_settings
from mailtier.handlers import (
    announcing,
    backlogs,
    feed_client,
    hosts,
    intake_authority,
    keys,
    notifications,
    organizations,
    probes,
    projections,
    publishing,
    reads,
    resolving,
    store,
    watch_events,
    watching,
    workqueue,
)
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, errors, paths, reflector
from mailtier.settings import observed
from mailtier.telemetry import logs, metrics, tasks

_log = logs.get_logger(__name__)

WORKERS = 16
"""Keys worked on at the same time: more make an apiserver with few cores slower for everybody, and no work quicker."""

REST = dt.timedelta(seconds=1)
"""How soon after it was looked at a key is looked at again: one that is edited all the time costs no more than that."""

RESYNC = dt.timedelta(hours=1)
"""How often a key is looked at without a reason, against what no watch and no schedule has shown."""


_FIRST_PASS_SECONDS: Final = 60.0
"""How long the first summary and upkeep wait for a queue that never empties."""

_UPKEEP_SECONDS: Final = 5.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the operator is given by the process it runs in.

    Attributes:
        namespace: Its own.
        identity: Unique among the operators.
        socket: The sender's Unix socket.
        intake_url: Where applications reach the intake, as in `https://mailtier.mailtier.svc:8443`; "" for nowhere.
        grant: What gives the right to read references in a namespace; None where nobody said.
        now: The wall clock, aware UTC.
        jitter: Random numbers from 0 up to 1.
    """

    connection: configuration.Connection
    namespace: str
    identity: str
    socket: pathlib.Path
    intake_url: str
    grant: observed.Grant | None
    now: Callable[[], dt.datetime]
    jitter: Callable[[], float]


@dataclasses.dataclass(frozen=True, slots=True)
class _Router:
    """Gives each key to its queue: Notifications wait for the sender, and nothing else waits for them."""

    settings: workqueue.WorkQueue[keys.Key]
    offers: workqueue.WorkQueue[keys.Key]

    def add(self, key: keys.Key, *, background: bool = False) -> None:
        """Have a key worked on; in the background, if it can wait for those that cannot."""
        self.of(key).add(key, background=background)

    def of(self, key: keys.Key) -> workqueue.WorkQueue[keys.Key]:
        """Return the queue that a key belongs in."""
        return self.offers if key.subject == keys.WorkKind.NOTIFICATION else self.settings


class Leader:
    """One term of leading."""

    def __init__(self, context: Context, client: kube_client.Client, *, stop: asyncio.Event) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            context: The process.
            client: For every request but the watches.
            stop: Set when the process is asked to end.
        """
        self._context = context
        self._stop = stop
        self._client = client
        self.store = store.Store()
        self.queue = workqueue.WorkQueue[keys.Key](
            self._work,
            workers=WORKERS,
            monotonic=time.monotonic,
            jitter=context.jitter,
            observe=functools.partial(metrics.set_work_queue_depth, "settings"),
            on_retry=functools.partial(metrics.count_retry, "settings"),
            flow=keys.flow,
            rest=REST,
        )
        self._offers = workqueue.WorkQueue[keys.Key](
            self._work,
            workers=notifications.WORKERS,
            monotonic=time.monotonic,
            jitter=context.jitter,
            observe=functools.partial(metrics.set_work_queue_depth, "notifications"),
            on_retry=functools.partial(metrics.count_retry, "notifications"),
            flow=keys.flow,
        )
        self._router = _Router(self.queue, self._offers)
        self._sender = feed_client.FeedClient(context.socket)
        self._publisher = publishing.Publisher(client, namespace=context.namespace)
        self._references = reads.Reader(
            client,
            changed=self._look_again_later,
            publish=self._publisher.publish_bundle,
            is_published=self._publisher.has_bundle,
            grant=context.grant,
            wall=context.now,
            monotonic=time.monotonic,
            jitter=context.jitter,
        )
        self._probes = probes.Probes(self._look_again_later)
        resolver = resolving.PlanResolver(
            self._references, self._probes, look_again=self.queue.add_after, monotonic=time.monotonic
        )
        self._announcer = announcing.Announcer(
            client, identity=context.identity, now=context.now, monotonic=time.monotonic
        )
        self._backlogs = backlogs.BacklogTeller(
            self.store, self._sender.backlogs, changed=self._look_again_later, now=context.now
        )
        self._hosts = hosts.HostReconciler(
            self.store,
            client,
            resolver,
            self._publisher,
            namespace=context.namespace,
            now=context.now,
            look_again=lambda: self.queue.add(keys.HOST),
            backlog_of=self._backlogs.of,
            announce=self._announcer.announce,
        )
        self._projections = projections.Projections(
            client,
            url=context.intake_url,
            look_again=self.queue.add_after,
            monotonic=time.monotonic,
            jitter=context.jitter,
        )
        self._organizations = organizations.OrganizationReconciler(
            self.store,
            client,
            resolver,
            self._publisher,
            self._projections,
            namespace=context.namespace,
            now=context.now,
            settled=self._hosts.count,
            backlog_of=self._backlogs.of,
            announce=self._announcer.announce,
        )
        self._notifications = notifications.NotificationReconciler(
            self.store,
            client,
            self._sender,
            look_again=self._offers.add_after,
            now=context.now,
            announce=self._announcer.announce,
        )
        self._authority = intake_authority.IntakeAuthority(
            client, namespace=context.namespace, folder=context.socket.parent
        )
        self._config_maps = reflector.Reflector(
            client,
            paths.config_maps(context.namespace),
            labels=names.PUBLISHED_SELECTOR,
            on_change=self._on_config_map,
            strip=lambda found: {"digest": publishing.observe(found)},
            jitter=context.jitter,
        )
        self._watching = watching.Watching(
            connection=context.connection,
            client=client,
            take=watch_events.WatchEvents(self.store, self._router),
            seen=self._seen,
            identity=context.identity,
            on_started=lambda: tasks.stop_on_signals(stop),
        )
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Lead until the process is asked to stop.

        Raises:
            EndedError: A part ended unasked; the process has to start again.
        """
        try:
            await tasks.run(
                {
                    # Stopped in reverse: the watches outlive whatever writes on their account.
                    "watches": self._watching.run(),
                    "references": self._references.run(),
                    "projections": self._projections.run(),
                    "effective ConfigMaps": self._config_maps.run(),
                    "feed": self._sender.follow(self._take, self._on_connected, self._hosts.note_restored),
                    "backlogs": self._follow_backlogs(),
                    "upkeep": self._keep_up(),
                    "workers": self._run_workers(),
                    "summary": self._sum_up(),
                    "events": self._announcer.run(),
                },
                stop=self._stop,
            )
        finally:
            await self._sender.close()

    async def _run_workers(self) -> None:
        await self._config_maps.synced.wait()
        await self._watching.synced.wait()
        await self._learn_authority()
        for key in self._publisher.owners():
            self._look_again_later(key)
        self.queue.add(keys.HOST)
        _log.info("everything is listed", organizations=len(self.store.organizations), waiting=len(self.queue))
        self.synced.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run())
            group.create_task(self._offers.run())

    async def _learn_authority(self) -> None:
        """Know the intake's certificates before anybody is worked on, or every projection would lose them for a while.

        Where they cannot be had, the upkeep goes on asking, and has the projections follow.
        """
        with contextlib.suppress(errors.ApiError):
            await self._authority.reconcile(now=time.monotonic())
        self._projections.note_authority(self._authority.pem)

    async def _sum_up(self) -> None:
        """Write summaries, the first when everything was looked at once: half of it would be no summary."""
        await self._first_pass()
        await self._hosts.run()

    async def _follow_backlogs(self) -> None:
        """Have status say what is queued: what everything comes to goes first."""
        await self._first_pass()
        await self._backlogs.run()

    async def _first_pass(self) -> None:
        """Return when everything was looked at once, or the queue has not been empty for a while."""
        await self.synced.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_PASS_SECONDS):
                await self.queue.idle()

    async def _work(self, key: keys.Key) -> None:
        started = time.monotonic()
        outcome, written = "failed", None
        with logs.bound(object=f"{key.namespace}/{key.name}" if key.namespace else key.name):
            try:
                written = await self._reconcile(key)
                outcome = "written" if written else "unchanged"
            finally:
                metrics.observe_reconcile(kind=key.subject.value, outcome=outcome, seconds=time.monotonic() - started)
        queue = self._router.of(key)
        if written is None:
            queue.forget(key)
        else:
            queue.add_after(key, RESYNC * (0.9 + self._context.jitter() / 5))

    async def _reconcile(self, key: keys.Key) -> bool | None:
        """Return whether anything was written; None if what the key names is gone."""
        match key.subject:
            case keys.WorkKind.HOST:
                return await self._hosts.reconcile()
            case keys.WorkKind.ORGANIZATION:
                return await self._organizations.reconcile(key)
            case keys.WorkKind.NOTIFICATION:
                return await self._notifications.reconcile(key)

    async def _keep_up(self) -> None:
        """Do until cancelled what no event asks for.

        CA bundles that nobody refers to are removed, the intake's own is published, and the sender is told of
        namespaces that are gone.
        """
        await self._first_pass()
        while True:
            try:
                await self._publisher.remove_unused(self._references.used_digests(), now=time.monotonic())
                await self._authority.reconcile(now=time.monotonic())
                if self._projections.note_authority(self._authority.pem):
                    self._project_again()
                await self._sender.forget_namespaces(self.store.namespace_uids)
            except (errors.ApiError, feed_client.SenderUnavailableError) as error:
                _log.debug("upkeep failed; it is done again", error=str(error))
            await asyncio.sleep(_UPKEEP_SECONDS)

    def _project_again(self) -> None:
        """Have everybody reconciled who publishes the intake's certificates."""
        for (namespace, name), seen in self.store.organizations.items():
            if isinstance(seen.spec, api_settings.OrgSpec) and seen.spec.publish:
                self._look_again_later(keys.organization(namespace, name))

    def _on_connected(self, connected: bool) -> None:
        metrics.set_feed_connected(connected)
        if connected:
            self._notifications.offer_again()
        else:
            self._hosts.note_unanswered()

    def _on_config_map(self, name: str, found: kube_client.Object | None) -> None:
        self._publisher.seen(name, None if found is None else found["digest"], self._look_again)

    def _look_again_later(self, key: keys.Key) -> None:
        """Have a key worked on when nobody waits: a Secret or a probe of the host's is thousands of organizations'."""
        self.queue.add(key, background=True)

    def _look_again(self, config_map: str) -> None:
        if names.is_ca_config_map(config_map):
            self._references.read_bundle_again(config_map)
        else:
            self._look_again_later(publishing.owner(config_map))

    def _take(self, item: feed_client.Item) -> None:
        if item.kind == "probe":
            for user in self._probes.take(item):
                # Where the sender has read another version, or was refused, what is known here may be out of date.
                is_refused = item.reason == reasons.AUTH_FAILED.name
                self._references.read_again(user, version=None if is_refused else item.secret_version)
        else:
            self._notifications.take(item)

    def _seen(self, plural: str) -> Collection[tuple[str, str]]:
        match plural:
            case names.HOST_PLURAL:
                return self.store.host_keys()
            case names.ORG_PLURAL:
                return self.store.organizations.keys()
            case names.NOTIFICATION_PLURAL:
                return self.store.notifications.keys()
            case _:
                return [("", name) for name in self.store.namespaces]

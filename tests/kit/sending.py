"""What tests of the sender put around it: settings, Secrets and CA bundles in memory, and clocks that can be set."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import itertools
import os
import pathlib
import time
import typing

from kit import queues, secret_store, smtpd, wait, written
from mailtier.api import feed, names, vocabulary
from mailtier.sender import clock, ports
from mailtier.sender.delivering import builder, delivery, templates
from mailtier.sender.net import resolver, tls
from mailtier.sender.probing import prober, targets
from mailtier.sender.scheduling import backlogs
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destinations, estate
from mailtier.sender.smtp.sessions import opening
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.sqlite import embedded
from mailtier.settings import effective

LOOPBACK = effective.AddressRules(public=True, private=False, allow=("127.0.0.0/8", "::1/128"), deny=())
PUBLIC = effective.AddressRules(public=True, private=False, allow=(), deny=())
Secrets = secret_store.Secrets
PLAIN = effective.Tls(
    mode=vocabulary.TlsMode.DISABLED, server_name=None, min_version=vocabulary.TlsVersion.V1_2, ca=None
)
_numbers = itertools.count(1)
"""Of notifications: several senders may share a database."""

ANONYMOUS = effective.Auth(
    mechanism=vocabulary.Mechanism.ANONYMOUS, identity="", secret=None, origin=vocabulary.Origin.HOST
)


@dataclasses.dataclass(slots=True)
class Clock:
    """Real time, moved by whatever a test has no patience for.

    Attributes:
        skipped_seconds: How far both clocks are ahead.
        jumped: How far the wall clock alone is ahead.
        chance: What a random number is, in [0, 1).
        draw: Draws each of them instead; None for the same each time.
    """

    skipped_seconds: float = 0.0
    jumped: dt.timedelta = dt.timedelta(0)
    chance: float = 0.0
    draw: collections.abc.Callable[[], float] | None = None

    def wall(self) -> dt.datetime:
        """Return the time of day."""
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.skipped_seconds) + self.jumped

    def monotonic(self) -> float:
        """Return the monotonic time."""
        return time.monotonic() + self.skipped_seconds

    def as_clock(self) -> clock.Clock:
        """Return what the sender is given."""
        return clock.Clock(
            wall=self.wall, monotonic=self.monotonic, random=lambda: self.chance if self.draw is None else self.draw()
        )


def endpoint(
    server: smtpd.Server,
    *,
    host: str = "127.0.0.1",
    tls: effective.Tls = PLAIN,
    addresses: effective.AddressRules = LOOPBACK,
    origin: vocabulary.Origin = vocabulary.Origin.HOST,
    is_host_s: bool | None = None,
) -> effective.Endpoint:
    """Return the endpoint that a test server is."""
    return effective.Endpoint(
        host=host,
        port=server.port,
        tls=tls,
        addresses=addresses,
        origin=origin,
        is_host_s=origin == vocabulary.Origin.HOST if is_host_s is None else is_host_s,
    )


def settings(
    namespace: str,
    at: effective.Endpoint,
    *,
    name: str = names.DEFAULT_ORGANIZATION,
    auth: effective.Auth = ANONYMOUS,
    state: effective.State = effective.State.ACTIVE,
    uid: str | None = None,
    max_connections: int = 3,
    messages_per_connection: int = 100,
    session: dt.timedelta = dt.timedelta(seconds=10),
    envelope: dt.timedelta = dt.timedelta(seconds=10),
    message: dt.timedelta = dt.timedelta(seconds=10),
    namespace_rate: int | None = None,
    from_address: str = "noreply@example.com",
    from_name: str = "Example",
    by_address: effective.ByAddress = effective.NOWHERE,
    **delivery: typing.Any,
) -> effective.Effective:
    """Return effective settings, with further fields of delivery."""
    return effective.Effective(
        organization=effective.OrganizationKey(namespace=namespace, name=name),
        namespace_uid=uid or f"uid-{namespace}",
        state=state,
        findings=(),
        source=vocabulary.Source.HOST,
        endpoint=at,
        auth=auth,
        from_=effective.From(address=from_address, display_name=from_name, reply_to=None, envelope=from_address),
        delivery=effective.Delivery(
            helo_name=None,
            max_connections=max_connections,
            messages_per_connection=messages_per_connection,
            session_timeout=session,
            envelope_timeout=envelope,
            message_timeout=message,
            **{"rate_per_minute": None, "max_age": None, **delivery},
        ),
        notifications={
            category: effective.CategorySettings(enabled=True, recipients=()) for category in vocabulary.Category
        },
        provenance={},
        quota=effective.Quota(rate_per_minute=namespace_rate),
        by_address=by_address,
    )


def login(
    reference: effective.SecretReference,
    *,
    identity: str = "robot",
    mechanism: vocabulary.Mechanism = vocabulary.Mechanism.PLAIN,
    origin: vocabulary.Origin = vocabulary.Origin.HOST,
    oauth2: effective.OAuth2 | None = None,
) -> effective.Auth:
    """Return how a session authenticates with a Secret; with OAuth2 by XOAUTH2."""
    if oauth2 is not None:
        mechanism = vocabulary.Mechanism.XOAUTH2
    return effective.Auth(mechanism=mechanism, identity=identity, secret=reference, origin=origin, oauth2=oauth2)


async def open_queue(
    folder: pathlib.Path,
    shared: shared_queue.SharedOptions | None,
    *,
    now: collections.abc.Callable[[], dt.datetime],
) -> queues.WholeQueue:
    """Return a queue of the folder's own; where a database is given, that one's."""
    if shared is None:
        return await embedded.open_queue(folder, now=now)
    return await shared_queue.open_queue(shared, now=now)


class Sender:
    """Delivery and probes on a real queue, at work while the context is entered.

    Args:
        folder: For the queue.
        nameserver: `address:port` of a DNS server; the system's by default.
        resolv_conf: What stands in for the machine's.
        before: A sender that was stopped, whose settings and Secrets are taken over.
        active: How many recipients are in memory at most.
        shared: The database that it shares with others, in place of a queue in the folder; that of the one before by
            default.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        nameserver: str | None = None,
        resolv_conf: pathlib.Path = resolver.CONFIGURATION,
        before: "Sender | None" = None,
        active: int = backlogs.RECIPIENTS,
        shared: shared_queue.SharedOptions | None = None,
    ) -> None:
        self._active = active
        self.shared: shared_queue.SharedOptions | None = (
            shared if shared is not None or before is None else before.shared
        )
        self.estate: estate.Estate | None = None
        self.folder = folder
        self.clock: Clock = before.clock if before else Clock()
        self.settings = written.WrittenSettings()
        self.secrets: Secrets = before.secrets if before else Secrets()
        if before:
            self.settings.take_over(before.settings)
        self._nameserver = nameserver
        self._resolv_conf = resolv_conf
        self._stack = contextlib.AsyncExitStack()
        self.running: list[asyncio.Task[object]] = []

    async def __aenter__(self) -> typing.Self:
        time_ = self.clock.as_clock()
        opened = self.opened = await open_queue(self.folder, self.shared, now=self.clock.wall)
        self.queue, self.refused = queues.watched(opened)
        self._stack.push_async_callback(self.queue.close)
        owning = opened if isinstance(opened, shared_queue.SharedQueue) else None
        nameservers = (self._nameserver,) if self._nameserver else None
        names_ = resolver.Resolver(nameservers=nameservers, configuration=self._resolv_conf)
        await self._stack.enter_async_context(names_)
        self.passwords = credentials.CredentialStore(self.secrets, time_)
        contexts = tls.Contexts(self.settings)
        self.tokens = tokens.Tokens(names=names_, contexts=contexts, time=time_, entropy=os.urandom)
        self._stack.push_async_callback(self.tokens.close)
        self.destinations = destinations.Destinations(
            helo_name="sender.test" if self.shared is None else f"{self.shared.name}.test",
            names=names_,
            opener=opening.Opener(contexts),
            time=time_,
            host=lambda: self.settings.get(effective.HOST),
            memory=self.queue,
            sender="" if owning is None else str(owning.own_number()),
        )
        whose: estate.Whose = estate.EverythingMine()
        if owning is not None:
            whose = self.estate = estate.Estate(
                owning, settings=self.settings, in_use=self.destinations, learn=self._learn, time=time_
            )
        self._whose = whose
        self.prober = prober.Prober(
            queue=self.queue,
            settings=self.settings,
            destinations=self.destinations,
            passwords=self.passwords,
            access=self.tokens,
            time=time_,
            owns=whose.owns,
        )
        self.delivery = delivery.Deliverer(
            queue=self.queue,
            settings=self.settings,
            destinations=self.destinations,
            passwords=self.passwords,
            access=self.tokens,
            messages=builder.Builder(templates.Templates()),
            probes=self.prober,
            time=time_,
            active=backlogs.Backlogs(recipients=self._active),
            whose=whose,
        )
        parts: list[collections.abc.Coroutine[object, object, object]] = [self.delivery.run()]
        if self.estate is not None and owning is not None:
            self.settings.subscribe(self.estate.note_settings)
            self.estate.leave_by(self.delivery.left)
            self.estate.listen(self.delivery.note_owned)
            self.estate.listen(self.prober.note_owned)
            parts += [self.estate.run(), owning.hear(self.delivery.ring, self.delivery.look_anew)]
        self.settings.subscribe(self.delivery.note_settings)
        self.settings.subscribe(self.prober.note_settings)
        self.running = [asyncio.create_task(part) for part in parts]
        return self

    async def _learn(self) -> None:
        await self.prober.learn()

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()
        await self._stack.aclose()
        assert self.refused == []

    async def stop(self) -> None:
        """End delivery in good order."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running = []

    @contextlib.asynccontextmanager
    async def probing(self) -> collections.abc.AsyncIterator[None]:
        """Have probes run by themselves while the context lasts."""
        task = asyncio.create_task(self.prober.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.skipped_seconds += seconds
        self.delivery.wake()
        self.prober.wake()

    async def notify(
        self,
        of: effective.Effective,
        *recipients: str,
        category: vocabulary.Category = vocabulary.Category.JOB_ALERT,
        subject: str | None = "Something happened",
        text: str | None = "The job failed.",
        data: collections.abc.Mapping[str, str] | None = None,
        max_age: dt.timedelta = dt.timedelta(hours=1),
        locale: vocabulary.Locale = vocabulary.Locale.ENGLISH,
    ) -> str:
        """Queue a notification, hand it to delivery, and return its id."""
        number = next(_numbers)
        now = self.clock.wall()
        enqueued = await queues.enqueue(
            self.queue,
            ports.NewNotification(
                id=f"n-{number:08d}",
                lane=lane(of),
                category=category,
                severity=vocabulary.Severity.ERROR,
                locale=locale,
                recipients=recipients or ("somebody@example.org",),
                subject=subject,
                text=text,
                data=data or {},
                accepted_at=now,
                expires_at=now + max_age,
                idempotency_key=None,
                digest=f"{number:064x}",
                source=None,
            ),
            quota=ports.QueueQuota(messages=100_000),
        )
        self.delivery.ring(enqueued.pending)
        return enqueued.id

    async def until(
        self,
        of: effective.Effective,
        notification: str,
        *states: vocabulary.RecipientState,
        within_seconds: float = 30,
    ) -> tuple[feed.Recipient, ...]:
        """Return a notification's recipients as they are found in these states.

        Asked for again they may be elsewhere: what is held is looked at anew every few seconds.
        """
        found: list[tuple[feed.Recipient, ...]] = []

        async def reached() -> bool:
            record = await self.queue.find(lane(of), notification)
            assert record is not None
            found[:] = [tuple(record.recipients)]
            return tuple(recipient.state for recipient in record.recipients) == states

        await wait.until_async(reached, within_seconds=within_seconds, why=f"{notification} is {states}")
        return found[0]

    async def check(self, of: effective.Effective) -> feed.Probe:
        """Put settings unless they are there, and return what a probe finds that somebody asks for.

        Raises:
            NotProbeableError: Nothing is connected to with them, or no result came about.
            TooSoonError: The namespace had its probes.
        """
        if self.settings.get(of.organization) != of:
            self.settings.put(of)
        await self.prober.load()
        told = self.prober.demand(of.organization)
        async for _ in told.follow():
            pass
        if told.result is None:
            raise targets.NotProbeableError(told.explanation)
        return told.result

    async def until_owned(self, of: effective.Effective) -> None:
        """Return when the server of settings is this sender's; of a queue of its own each is."""
        await wait.until_async(lambda: self._whose.owns(of), within_seconds=10, why="the server has its owner")

    async def until_held(self) -> None:
        """Return when an organization is held."""
        await wait.until_async(self.delivery.held, within_seconds=15, why="the organization is held")

    async def states(self, of: effective.Effective, notification: str) -> list[vocabulary.RecipientState]:
        """Return where the recipients of a notification stand."""
        record = await self.queue.find(lane(of), notification)
        assert record is not None
        return [recipient.state for recipient in record.recipients]

    async def reasons(self, of: effective.Effective, notification: str) -> list[str]:
        """Return why the recipients of a notification stand where they stand."""
        record = await self.queue.find(lane(of), notification)
        assert record is not None
        return [recipient.reason for recipient in record.recipients]


lane = ports.LaneKey.of

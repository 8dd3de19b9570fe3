"""Applications that send as much as an intake takes, each notification until it is acknowledged; and what arrived."""

import asyncio
import collections
import collections.abc
import contextlib
import dataclasses
import itertools
import time
import typing

import aiohttp

from kit import cluster as cluster_kit
from kit import intake, smtpd, tenants, wait
from mailtier.api import vocabulary

CONNECTIONS = 4
"""To a server, the most."""

SERVERS = 2
"""That the organizations of `publish` have."""

SLOW_DOT: list[dict[str, object]] = [{"on": smtpd.DOT, "delay_seconds": 0.01}]
"""A server answers the final dot so late, to keep sessions busy when the kill comes."""

ROOMY = ("--full-at=1.0", "--quota-messages=1000000", f"--quota-bytes={10**10}", f"--quota-stored-bytes={10**10}")
"""No quota is in the way of what is sent."""

_PAUSE_SECONDS = 0.1
_DRAINED_SECONDS = 120
"""Until something more is delivered."""
_LONGEST_SECONDS = 3_600
_REFUSED = frozenset({429, 503, 507})

_CATEGORIES = tuple(
    category for category in vocabulary.Category if category is not vocabulary.Category.PASSWORD_RECOVERY
)


def patient(resends: int) -> list[str]:
    """Return a sender's arguments that let a message be in doubt so often, for a moment each time."""
    return [f"--most-deaths={resends + 1}", *["--in-doubt-delay=0.5"] * resends]


def publish(
    cluster: cluster_kit.LocalCluster, system: str, *, relay: smtpd.Process, own: smtpd.Process
) -> list[tuple[tenants.Tenant, str]]:
    """Publish settings for two organizations in each of three namespaces, some with a server of their own.

    Each says EHLO with the sender's own name, by which a server's transcript tells senders apart.
    """
    organizations = []
    for number in range(3):
        tenant = tenants.create(cluster)
        for organization, server in (("default", relay), ("second", own if number == 0 else relay)):
            published = tenants.settings(
                tenant, port=server.port, organization=organization, max_connections=CONNECTIONS
            )
            published = dataclasses.replace(published, delivery=dataclasses.replace(published.delivery, helo_name=None))
            if server is own:
                published = tenants.owned(published)
            tenants.publish(cluster, system, published)
            organizations.append((tenant, organization))
    return organizations


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgedNotification:
    """A notification that an intake answered with 202.

    Attributes:
        recipients: How many it has.
        begun_at: When the request that was answered began; seconds of the monotonic clock.
        answered_at: When it was.
    """

    tenant: tenants.Tenant
    organization: str
    recipients: int
    begun_at: float
    answered_at: float


@dataclasses.dataclass(slots=True, kw_only=True)
class FullLoad:
    """Notifications of several organizations, sent until they are acknowledged.

    Attributes:
        organizations: Whose they are, in turn.
        workers: How many send at the same time.
        clients: Of the intakes that take them, in turn; one that is away is to be taken out, as a Service does.
        servers: That the mail goes to.
        acknowledged: By their ids.
        sent: How many there are, acknowledged or not.
        retries: Requests that were sent again because nobody answered, or not yet.
        refusals: How often which status was the answer.
        replayed: Of the acknowledged, how many had been stored by a request that was not answered.
        moved_at: When the servers were last seen to have taken something more; seconds of the monotonic clock.
        moved_bytes: What they had written by then.
    """

    organizations: collections.abc.Sequence[tuple[tenants.Tenant, str]]
    clients: list[intake.Client]
    servers: collections.abc.Sequence[smtpd.Process]
    workers: int = 24
    acknowledged: dict[str, AcknowledgedNotification] = dataclasses.field(default_factory=dict)
    sent: int = 0
    retries: int = 0
    refusals: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    replayed: int = 0
    moved_at: float = 0.0
    moved_bytes: int = 0

    @contextlib.asynccontextmanager
    async def running(self) -> collections.abc.AsyncIterator[None]:
        """Send while the context is entered; at its end all that was sent is acknowledged."""
        for client, (tenant, organization) in itertools.product(self.clients, self.organizations):
            await intake.until_known(client, tenant, organization)
        over = asyncio.Event()

        async def work() -> None:
            while not over.is_set():
                self.sent += 1
                await self._send(self.sent)

        workers = [asyncio.create_task(work()) for _ in range(self.workers)]
        try:
            yield
        except BaseException:
            for worker in workers:
                worker.cancel()
            raise
        finally:
            over.set()
            await asyncio.gather(*workers)

    async def until_acknowledged(self, count: int) -> None:
        """Return once so many more are."""
        wanted = len(self.acknowledged) + count
        await wait.until_async(
            lambda: len(self.acknowledged) >= wanted, within_seconds=60, why=f"{count} more are acknowledged"
        )

    async def until_accepted(self) -> None:
        """Return once the sender itself says that every recipient of every notification was accepted."""
        left = iter(self.acknowledged.items())
        self.moved_at = time.monotonic()

        async def work() -> None:
            for id_, each in left:
                path = f"{each.tenant.collection(each.organization)}/{id_}"
                assert await self._final_states(path, each.tenant.token) == ["accepted"] * each.recipients, path

        await asyncio.gather(*(work() for _ in range(self.workers)))

    async def _send(self, number: int) -> None:
        """Send one notification until it is acknowledged."""
        tenant, organization = self.organizations[number % len(self.organizations)]
        recipients = [f"user-{number}-{index}@example.com" for index in range(1 + number % 2)]
        body = {
            "category": _CATEGORIES[number % len(_CATEGORIES)],
            "recipients": recipients,
            "text": f"Notification {number}.",
        }
        while True:
            client = self.clients[(number + self.retries) % len(self.clients)]
            begun_at = time.monotonic()
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                answer = await client.post(tenant, body, organization=organization, key=f"key-{number}")
                if answer.status == 202:
                    self.replayed += "Idempotency-Replayed" in answer.headers
                    self.acknowledged[answer.document["id"]] = AcknowledgedNotification(
                        tenant=tenant,
                        organization=organization,
                        recipients=len(recipients),
                        begun_at=begun_at,
                        answered_at=time.monotonic(),
                    )
                    return
                assert answer.status in _REFUSED, answer
                self.refusals[answer.status] += 1
            self.retries += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _final_states(self, path: str, token: str) -> list[str]:
        """Return the states of a notification's recipients, once all of them are final."""
        states: list[str] = []

        async def is_complete() -> bool:
            # However long the queue is, and wherever in it this one is, mail goes on.
            if (taken_bytes := sum(server.taken_bytes for server in self.servers)) != self.moved_bytes:
                self.moved_at, self.moved_bytes = time.monotonic(), taken_bytes
            assert time.monotonic() < self.moved_at + _DRAINED_SECONDS, f"{path}: nothing is delivered any more"
            answer = await self.clients[0].request("GET", path, headers={"Authorization": f"Bearer {token}"})
            if answer.status == 503:  # The settings are not read yet.
                return False
            assert answer.status == 200, answer
            states[:] = [recipient["state"] for recipient in answer.document["recipients"]]
            return bool(answer.document["complete"])

        await wait.until_async(is_complete, within_seconds=_LONGEST_SECONDS, why=f"{path} is complete")
        return states


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedMail:
    """What servers took, counted by Message-ID.

    Attributes:
        counts: How often each arrived.
        contents: How many contents there are; one of each Message-ID, where a resend is the same bytes.
        doubts: For each connection over which something came that came again: how many did, and how many seconds passed
            from the first of those to the last message of the connection.
    """

    counts: collections.Counter[str]
    contents: int
    doubts: collections.abc.Sequence[tuple[int, float]]

    @classmethod
    def at(cls, *servers: smtpd.Process) -> "ArrivedMail":
        """Return what servers took so far."""
        messages = [message for server in servers for message in server.messages()]
        return cls(
            counts=collections.Counter(message["message_id"] for message in messages),
            contents=len({(message["message_id"], message["size"]) for message in messages}),
            doubts=[doubt for server in servers for doubt in _doubts(server.messages(), of=messages)],
        )

    @property
    def duplicates(self) -> int:
        """How many arrived that had arrived before."""
        return self.counts.total() - len(self.counts)

    def require_all_of(self, load: FullLoad) -> None:
        """Check that what was acknowledged arrived, and nothing else, and that a resend is the same message."""
        assert len(load.acknowledged) == load.sent
        arrived = collections.Counter(message_id.strip("<>").partition(".")[0] for message_id in self.counts)
        assert arrived == {id_: each.recipients for id_, each in load.acknowledged.items()}
        assert self.contents == len(self.counts), "a resend differs"

    def told(self, load: FullLoad) -> str:
        """Return what is printed of it."""
        return (
            f"{len(load.acknowledged)} notifications acknowledged, {load.retries} requests sent again"
            f" ({load.replayed} of them were stored already), {len(self.counts)} messages arrived,"
            f" {self.duplicates} of them again, at most {max(self.counts.values(), default=0)} times; of one connection"
            f" {max((count for count, _ in self.doubts), default=0)} at most, the first of them"
            f" {max((seconds for _, seconds in self.doubts), default=0.0):.2f} s before its last message"
        )

    def require_doubts_at_ends(self, *, within_seconds: float) -> None:
        """Check that what came again had been among the last of a connection: each kill ends as many as are open.

        Args:
            within_seconds: How long before the last message; 0 where nothing but that may be in doubt.
        """
        assert [doubt for doubt in self.doubts if doubt[1] > within_seconds] == []
        if not within_seconds:
            assert all(count == 1 for count, _ in self.doubts), self.doubts


def _doubts(
    messages: collections.abc.Sequence[collections.abc.Mapping[str, typing.Any]],
    *,
    of: collections.abc.Iterable[collections.abc.Mapping[str, typing.Any]],
) -> collections.abc.Iterator[tuple[int, float]]:
    """Yield what `doubts` has of each connection of a server, given the messages of all servers."""
    last_copies: dict[str, float] = {}
    for message in of:
        last_copies[message["message_id"]] = max(message["at"], last_copies.get(message["message_id"], 0.0))
    over = collections.defaultdict[int, list[collections.abc.Mapping[str, typing.Any]]](list)
    for message in messages:
        over[message["connection"]].append(message)
    for each in over.values():
        again = [message["at"] for message in each if message["at"] < last_copies[message["message_id"]]]
        if again:
            yield len(again), each[-1]["at"] - again[0]

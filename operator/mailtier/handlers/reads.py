"""Secrets and CA bundles that settings refer to, read when they are needed and again by a schedule (R9).

The operator may not list or watch Secrets. It reads one when the settings that name it change or ask for it, and when
a probe contradicts what is known of it; the host's every 15 s, an organization's every 60 s, after 5 s and never later
than 15 s while somebody is not satisfied with what was found, and up to 5 min later where it may not read. All of it
together is at most 50 reads a second, in which namespaces take turns: beyond 3,000 references the period stretches,
and status says how long it is. A read that finds something else has the users looked at again. A password is checked,
and not kept; so is a client certificate, which may have ended since.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import Final

from mailtier.api import doubling, names
from mailtier.handlers import bundle_reads, keys, workqueue
from mailtier.kube import client as kube_client
from mailtier.kube import errors, pace
from mailtier.kube import secrets as kube_secrets
from mailtier.settings import binding, fitness, observed, resolve
from mailtier.telemetry import metrics

Need = observed.SecretNeed | observed.CaNeed
Read = observed.SecretRead | observed.CaRead

UNSATISFIED: Final = doubling.Backoff(first=dt.timedelta(seconds=5), most=dt.timedelta(seconds=15))
FORBIDDEN: Final = doubling.Backoff(first=dt.timedelta(seconds=5), most=dt.timedelta(minutes=5))
HOST: Final = dt.timedelta(seconds=15)
SATISFIED: Final = observed.EVERY
PER_SECOND: Final = 50
"""Reads for all together."""
_BURST: Final = 100
_READERS: Final = 8


@dataclasses.dataclass(slots=True)
class _Entry:
    """What is known of one reference.

    Attributes:
        users: Who refers to it, and whether what was found is what they need.
        failures: Reads in a row that left somebody unsatisfied.
        begun: Reads that have begun; a read is begun and ends under the lock.
        answered: The number of the latest of them that the API server answered.
    """

    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    result: Read | None = None
    users: dict[keys.Key, bool] = dataclasses.field(default_factory=dict)
    failures: int = 0
    begun: int = 0
    answered: int = 0

    def begin(self) -> None:
        """Take note that a read begins, which is about what is there from now on."""
        self.begun += 1

    def keep(self, result: Read) -> bool:
        """Take in a read; return whether it says something new.

        An outage of the API server says nothing: what was read before stands, or every refresh during one would
        hold everybody's mail.
        """
        is_unavailable = result.outcome == observed.ReadOutcome.UNAVAILABLE
        if not is_unavailable:
            self.answered = self.begun
        elif self.result is not None:
            return False
        changed = result != self.result
        self.result = result
        return changed


class Reader:
    """Reads references for reconcilers, and keeps reading them."""

    def __init__(
        self,
        client: kube_client.Client,
        *,
        changed: Callable[[keys.Key], None],
        publish: bundle_reads.Publish,
        is_published: Callable[[str], bool],
        grant: observed.Grant | None = None,
        wall: Callable[[], dt.datetime],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        """Make a reader.

        Args:
            client: For the reads.
            changed: Gets the key of everybody who refers to something that changed.
            publish: Awaited with every usable CA bundle, before its digest is given out.
            is_published: Whether the bundle with a digest is published already.
            grant: What gives the right to read in a namespace.
            wall: Aware UTC time, for certificates that end.
            monotonic: Seconds on a clock that never steps.
            jitter: Random numbers from 0 up to 1.
        """
        self._client = client
        self._grant = grant
        self._changed = changed
        self._jitter = jitter
        self._monotonic = monotonic
        self._wall = wall
        self._pace = pace.Pace(per_second=PER_SECOND, burst=_BURST, monotonic=monotonic)
        self._bundles = bundle_reads.BundleReads(
            client, publish=publish, is_published=is_published, monotonic=monotonic
        )
        self._entries: dict[Need, _Entry] = {}
        self._needs: dict[keys.Key, frozenset[Need]] = {}
        self._schedule = workqueue.WorkQueue[Need](
            self._read_again,
            workers=_READERS,
            monotonic=monotonic,
            jitter=jitter,
            observe=functools.partial(metrics.set_work_queue_depth, "references"),
            on_retry=functools.partial(metrics.count_retry, "references"),
            flow=lambda need: need.namespace,
        )

    async def run(self) -> None:
        """Read by the schedule until cancelled."""
        await self._schedule.run()

    async def read_for(self, user: keys.Key, plan: resolve.Plan, *, fresh: bool) -> observed.Reads:
        """Return what a plan needs to have read.

        Args:
            user: Whose plan it is; from now on it refers to this and nothing else.
            plan: Names, for each of at most two servers, at most one Secret with credentials, one with a client
                certificate, and one CA bundle.
            fresh: Whether what was read before is not good enough, because the user's settings changed.
        """
        found, is_answered = await self._read(user, plan.needs, fresh=fresh)
        reads = self._reads(plan, found, is_answered=is_answered)
        if plan.fallback is None:
            return reads
        return dataclasses.replace(reads, fallback=self._reads(plan.fallback, found, is_answered=is_answered))

    def _reads(self, plan: resolve.Plan, found: Mapping[Need, Read], *, is_answered: bool) -> observed.Reads:
        """Return what was found for one server."""
        secret = found[plan.secret] if plan.secret else None
        certificate = found[plan.certificate] if plan.certificate else None
        ca = found[plan.ca] if plan.ca else None
        assert secret is None or isinstance(secret, observed.SecretRead)
        assert certificate is None or isinstance(certificate, observed.SecretRead)
        assert ca is None or isinstance(ca, observed.CaRead)
        return observed.Reads(secret=secret, certificate=certificate, ca=ca, every=self.period, is_answered=is_answered)

    async def _read(self, user: keys.Key, needs: frozenset[Need], *, fresh: bool) -> tuple[dict[Need, Read], bool]:
        """Return what was found, and whether what was to be read anew was answered."""
        for need in self._needs.get(user, frozenset()) - needs:
            self._leave(user, need)
        if needs:
            self._needs[user] = needs
        else:
            self._needs.pop(user, None)
        # All are registered before the first is read: a read that fails must not leave a user without its entry.
        entries = {need: self._entries.setdefault(need, _Entry()) for need in needs}
        for entry in entries.values():
            entry.users.setdefault(user, False)
        # A read that is under way may have found what was there before the user asked; one that begins later has not.
        asked = {need: entry.begun for need, entry in entries.items()}
        found, is_answered = {}, True
        for need, entry in entries.items():
            async with entry.lock:
                before = entry.result
                if before is None or (fresh and entry.answered <= asked[need]):
                    entry.begin()
                    changed = entry.keep(await self._fetch(need)) and before is not None
                    # The schedule will find nothing new in it, and they would wait for the next look at everything.
                    for other in entry.users.keys() - {user} if changed else ():
                        self._changed(other)
                    is_answered = is_answered and entry.answered == entry.begun
                assert entry.result is not None
                found[need] = entry.result
        return found, is_answered

    @property
    def period(self) -> dt.timedelta:
        """How often a reference of an organization is read: a minute, doubled until the reads of all fit."""
        found = SATISFIED
        while len(self._entries) > PER_SECOND * found.total_seconds():
            found *= 2
        return found

    def read_again(self, user: keys.Key, *, version: str | None = None) -> None:
        """Read what a user refers to in its turn, because somebody knows better.

        Args:
            user: Whose references.
            version: Of the Secrets (`effective.joined`), as somebody else has read them; what is known here in that
                version is not to be read. None reads in any case.
        """
        seen = () if version is None else version.split()
        for need in self._needs.get(user, frozenset()):
            known = self._entries[need].result
            if isinstance(known, observed.SecretRead) and known.version not in seen:
                self._schedule.add(need)

    def judge(self, user: keys.Key, *, satisfied: bool) -> None:
        """Take note whether what was found is what a user needs, and schedule the next read."""
        for need in self._needs.get(user, frozenset()):
            entry = self._entries[need]
            entry.users[user] = satisfied
            self._plan(need, entry)

    def used_digests(self) -> set[str]:
        """Return the digest of every CA bundle that somebody refers to."""
        return {entry.result.digest for entry in self._entries.values() if isinstance(entry.result, observed.CaRead)}

    def read_bundle_again(self, config_map: str) -> None:
        """Read what a published CA bundle came from, because what is published is not what it was."""
        for need, entry in self._entries.items():
            if isinstance(entry.result, observed.CaRead) and names.ca_config_map(entry.result.digest) == config_map:
                self._bundles.forget(entry.result.digest)
                self._schedule.add(need)

    def release(self, user: keys.Key) -> None:
        """Forget a user that is gone."""
        for need in self._needs.pop(user, frozenset()):
            self._leave(user, need)

    def _leave(self, user: keys.Key, need: Need) -> None:
        entry = self._entries.get(need)
        if entry is None:
            return
        entry.users.pop(user, None)
        if not entry.users:
            del self._entries[need]
            self._schedule.forget(need)

    def _plan(self, need: Need, entry: _Entry) -> None:
        if all(entry.users.values()):
            entry.failures = 0
            period = HOST if keys.HOST in entry.users else SATISFIED
            self._schedule.add_after(need, period * (0.9 + self._jitter() / 10))
            return
        is_forbidden = entry.result is not None and entry.result.outcome == observed.ReadOutcome.FORBIDDEN
        backoff = FORBIDDEN if is_forbidden else UNSATISFIED
        self._schedule.add_after(need, backoff.ceiling(entry.failures + 1))

    async def _read_again(self, need: Need) -> None:
        entry = self._entries.get(need)
        if entry is None:
            return
        async with entry.lock:
            entry.begin()
            changed = entry.keep(await self._fetch(need))
        if changed:
            entry.failures = 0
            for user in entry.users:
                self._changed(user)
        else:
            entry.failures += 1
        self._plan(need, entry)

    async def _fetch(self, need: Need) -> Read:
        await self._pace.turn()
        found = await (self._fetch_secret(need) if isinstance(need, observed.SecretNeed) else self._bundles.fetch(need))
        if found.outcome == observed.ReadOutcome.FORBIDDEN:
            return dataclasses.replace(found, grant=self._grant)
        return found

    async def _fetch_secret(self, need: observed.SecretNeed) -> observed.SecretRead:
        try:
            found = await kube_secrets.read(self._client, need.namespace, need.name)
        except errors.ApiError as error:
            return observed.SecretRead(outcome=_outcome(error))

        def value(key: str) -> bytes | None:
            hidden = found.data.get(key)
            return None if hidden is None else hidden.raw

        # In a thread: to check a private key takes a third of a second, in which others' keys shall not wait.
        judged = await asyncio.to_thread(fitness.judge, need, value, kind=found.kind, now=self._wall())
        return observed.SecretRead(
            outcome=observed.ReadOutcome.FOUND,
            version=f"{found.uid}/{found.resource_version}",
            annotation=_kept(found.annotations.get(names.ENDPOINT_ANNOTATION)),
            unfit=judged.unfit,
            problem=judged.problem,
            expires_at=judged.expires_at,
        )


def _kept(annotation: str | None) -> str | None:
    """Return what is kept of an annotation: of one that is too long, so much that it is seen to be."""
    return annotation[: binding.MAXIMUM_LENGTH + 1] if annotation else annotation


def _outcome(error: errors.ApiError) -> observed.ReadOutcome:
    match error:
        case errors.NotFoundError():
            return observed.ReadOutcome.NOT_FOUND
        case errors.ForbiddenError():
            return observed.ReadOutcome.FORBIDDEN
        case _:
            return observed.ReadOutcome.UNAVAILABLE

"""The HostEmailSettings: its own status, and a summary of what the organizations came to."""

import asyncio
import collections
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailtier.api import names, vocabulary
from mailtier.handlers import backlogs, keys, publishing, resolving, statuses, store
from mailtier.kube import client as kube_client
from mailtier.settings import conditions, effective, magnitudes, resolve
from mailtier.telemetry import metrics

SUMMARY_SECONDS: Final = 10.0
"""How often the summary may be written: ten thousand organizations that change are a few writes."""

_READY: Final = vocabulary.Condition.READY.value
_GATHER_SECONDS: Final = 1.0
"""How long a first change waits for others: what is applied together is summed up together."""
_UNANSWERED: Final = dt.timedelta(minutes=1)
"""How long nothing is heard of the sender until that is told; it takes less to start again."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an organization came to, as far as it is counted.

    Attributes:
        conditions: Type, status and reason of each.
        would_block: Whether the host's policy would block it, if it were enforced.
    """

    state: effective.State
    source: vocabulary.Source
    conditions: tuple[tuple[str, str, str], ...]
    would_block: bool

    @property
    def ready(self) -> tuple[str, str]:
        """Status and reason of Ready."""
        (found,) = ((status, reason) for type_, status, reason in self.conditions if type_ == _READY)
        return found


def standing(settings: effective.Effective, status: Mapping[str, Any]) -> Standing:
    """Return what an organization came to.

    Args:
        settings: Its effective settings.
        status: Its status, with conditions.
    """
    return Standing(
        state=settings.state,
        source=settings.source,
        would_block=bool(settings.audited),
        conditions=_summed(status),
    )


def _summed(status: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple((entry["type"], entry["status"], entry["reason"]) for entry in status["conditions"])


def _read_summary(summary: Mapping[str, int] | None) -> conditions.Summary | None:
    """Return a summary as it stands in status; one that another version wrote is no summary of ours."""
    if summary is None:
        return None
    try:
        return conditions.Summary(
            organizations=summary["organizations"],
            ready=summary["ready"],
            blocked=summary["blocked"],
            overriding=summary["overriding"],
            would_block=summary["wouldBlock"],
        )
    except (TypeError, KeyError):
        return None


class HostReconciler:
    """The reconciler of the host's tier."""

    def __init__(
        self,
        objects: store.Store,
        client: kube_client.Client,
        resolver: resolving.PlanResolver,
        publisher: publishing.Publisher,
        *,
        namespace: str,
        now: Callable[[], dt.datetime],
        look_again: Callable[[], None],
        backlog_of: backlogs.BacklogOf,
        announce: statuses.Announce,
    ) -> None:
        """Make a reconciler.

        Args:
            objects: What is there.
            client: For status.
            resolver: Resolves plans.
            publisher: Writes effective ConfigMaps.
            namespace: The operator's own.
            now: The wall clock, aware UTC.
            look_again: Has the host reconciled.
            backlog_of: Returns what status says of what is queued.
            announce: Gets each status that was written.
        """
        self._store = objects
        self._client = client
        self._resolver = resolver
        self._publisher = publisher
        self._namespace = namespace
        self._now = now
        self._look_again = look_again
        self._backlog_of = backlog_of
        self._announce = announce
        self._settled: dict[keys.Key, Standing] = {}
        self._known: dict[Standing, Standing] = {}
        self._summary_changed = asyncio.Event()
        self._summary: conditions.Summary | None = None
        # Until the sender has answered, what stands there is the best there is; the same holds of the summary.
        self._queue: Mapping[str, str] | None = None
        self._unanswered_since: dt.datetime | None = None

    def count(self, key: keys.Key, found: Standing | None) -> None:
        """Take note of what an organization came to; None when it is gone."""
        if found == self._settled.get(key):
            return
        if found is None:
            del self._settled[key]
        else:
            # Ten thousand organizations come to the same few: each is kept once.
            self._settled[key] = self._known.setdefault(found, found)
        self._summary_changed.set()

    def note_restored(self, made_at: dt.datetime | None) -> None:
        """Take note of when the backup was made that the queue was restored from; None where it is not held."""
        told = conditions.queue(restored_from=made_at)
        if told != self._queue:
            self._queue = told
            self._look_again()
        self._unanswered_since = None

    def note_unanswered(self) -> None:
        """Take note, each time anew, that the sender or its queue does not answer; it is told once that has lasted."""
        now = self._now()
        self._unanswered_since = self._unanswered_since or now
        known = self._queue or {}
        if "unansweredSince" not in known and now - self._unanswered_since >= _UNANSWERED:
            self._queue = {**known, **conditions.queue(unanswered_since=self._unanswered_since)}
            self._look_again()

    async def run(self) -> None:
        """Have the summary written, at most every so often, until cancelled."""
        # No organization at all is a summary too, and may be news since the last life of this process.
        self._summary_changed.set()
        while True:
            await self._summary_changed.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._summary_changed.clear()
            self._export()
            self._summary = self._sum_up()
            self._look_again()
            await asyncio.sleep(SUMMARY_SECONDS - _GATHER_SECONDS)

    async def reconcile(self) -> bool | None:
        """Bring the host's status and effective settings up to date; return whether anything was written.

        Returns:
            None if there is no HostEmailSettings.
        """
        seen = self._store.host
        if seen is None:
            self._resolver.release(keys.HOST)
            await self._publisher.withdraw("", names.HOST_NAME)
            metrics.set_host_conditions(())
            return None
        plan = resolve.plan_host(seen.spec, operator_namespace=self._namespace)
        resolved = await self._resolver.resolve(keys.HOST, plan, seen)
        written, refused = await publishing.attempt(self._publisher.publish(resolved.resolution.effective, extra={}))
        document = conditions.host_status(
            resolved.resolution,
            published=refused is None,
            probe=resolved.probe,
            fallback_probe=resolved.fallback_probe,
            summary=self._summary or _read_summary(seen.summary),
            queue={**self._sender_said(seen.queue), **self._backlog_of(keys.HOST, "", seen.queue)},
            generation=seen.generation,
            requested_at=resolved.requested_at,
            previous=seen.conditions,
            now=self._now(),
        )
        metrics.set_host_conditions(_summed(document))
        if await statuses.write(self._client, self._store, names.HOST_PLURAL, seen, document):
            written = True
            self._announce(names.HOST_KIND, seen, document["conditions"])
        if refused is not None:
            raise refused
        return written

    def _sender_said(self, stands: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return what `status.queue` says beside the backlog."""
        if self._queue is not None or stands is None:
            return self._queue or {}
        return {name: value for name, value in stands.items() if name not in magnitudes.FIELDS}

    def _sum_up(self) -> conditions.Summary:
        standings = self._settled.values()
        return conditions.Summary(
            organizations=len(standings),
            ready=sum(1 for one in standings if one.ready[0] == "True"),
            blocked=sum(1 for one in standings if one.state == effective.State.BLOCKED),
            overriding=sum(1 for one in standings if one.source != vocabulary.Source.HOST),
            would_block=sum(1 for one in standings if one.would_block),
        )

    def _export(self) -> None:
        # What is counted is the few things that organizations come to, not each organization.
        standings = collections.Counter(self._settled.values())
        organizations: collections.Counter[tuple[str, str]] = collections.Counter()
        found: collections.Counter[tuple[str, str, str]] = collections.Counter()
        for one, count in standings.items():
            organizations[one.state.value, one.ready[1]] += count
            for condition in one.conditions:
                found[condition] += count
        metrics.set_organizations(organizations)
        metrics.set_organization_conditions(found)
        metrics.set_would_block(sum(count for one, count in standings.items() if one.would_block))

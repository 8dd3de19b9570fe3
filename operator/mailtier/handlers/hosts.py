"""The HostEmailSettings: its own status, and a summary of what the organizations came to."""

import asyncio
import collections
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailtier.api import names, vocabulary
from mailtier.handlers import keys, publishing, resolving, statuses, store
from mailtier.kube import client as kube_client
from mailtier.settings import conditions, effective, resolve, transitions
from mailtier.telemetry import metrics

SUMMARY_SECONDS: Final = 10.0
"""How often the summary may be written: ten thousand organizations that change are a few writes."""

_GATHER_SECONDS: Final = 1.0
"""How long a first change waits for others: what is applied together is summed up together."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an organization came to, as far as it is counted.

    Attributes:
        ready: Status of Ready.
        reason: Its reason.
        verified: Status of Verified.
        verified_reason: Its reason.
    """

    state: effective.State
    source: vocabulary.Source
    ready: str
    reason: str
    verified: str
    verified_reason: str


def standing(settings: effective.Effective, status: Mapping[str, Any]) -> Standing:
    """Return what an organization came to.

    Args:
        settings: Its effective settings.
        status: Its status, with conditions.
    """
    found = transitions.by_type(status["conditions"])
    ready, verified = found[vocabulary.Condition.READY], found[vocabulary.Condition.VERIFIED]
    return Standing(
        state=settings.state,
        source=settings.source,
        ready=ready["status"],
        reason=ready["reason"],
        verified=verified["status"],
        verified_reason=verified["reason"],
    )


def _read_summary(summary: Mapping[str, int] | None) -> conditions.Summary | None:
    """Return a summary as it stands in status; one that another version wrote is no summary of ours."""
    try:
        return conditions.Summary(**summary) if summary else None
    except TypeError:
        return None


class Hosts:
    """The reconciler of the host's tier."""

    def __init__(
        self,
        objects: store.Store,
        client: kube_client.Client,
        resolver: resolving.Resolver,
        publisher: publishing.Publisher,
        *,
        namespace: str,
        now: Callable[[], dt.datetime],
        look_again: Callable[[], None],
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
        """
        self._store = objects
        self._client = client
        self._resolver = resolver
        self._publisher = publisher
        self._namespace = namespace
        self._now = now
        self._look_again = look_again
        self._settled: dict[keys.Key, Standing] = {}
        self._summary_changed = asyncio.Event()
        self._summary: conditions.Summary | None = None

    def count(self, key: keys.Key, found: Standing | None) -> None:
        """Take note of what an organization came to; None when it is gone."""
        if found == self._settled.get(key):
            return
        if found is None:
            del self._settled[key]
        else:
            self._settled[key] = found
        self._summary_changed.set()

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
            return None
        plan = resolve.plan_host(seen.spec, operator_namespace=self._namespace)
        resolved = await self._resolver.resolve(keys.HOST, plan, version=(seen.uid, seen.generation))
        written, refused = await publishing.attempt(self._publisher.publish(resolved.resolution.effective, extra={}))
        document = conditions.host_status(
            resolved.resolution,
            published=refused is None,
            probe=resolved.probe,
            # Until the organizations were counted, the count that stands there is the best there is.
            summary=self._summary or _read_summary(seen.summary),
            generation=seen.generation,
            previous=seen.conditions,
            now=self._now(),
        )
        applied = await statuses.write(self._client, names.HOST_KIND, names.HOST_PLURAL, seen, document)
        if applied is not None and (noted := statuses.noted(self._store.host, seen, applied)) is not None:
            self._store.host = noted
        if refused is not None:
            raise refused
        return written or applied is not None

    def _sum_up(self) -> conditions.Summary:
        standings = self._settled.values()
        return conditions.Summary(
            organizations=len(standings),
            ready=sum(1 for one in standings if one.ready == "True"),
            blocked=sum(1 for one in standings if one.state == effective.State.BLOCKED),
            overriding=sum(1 for one in standings if one.source != vocabulary.Source.HOST),
        )

    def _export(self) -> None:
        ready = collections.Counter((one.ready, one.reason) for one in self._settled.values())
        verified = collections.Counter((one.verified, one.verified_reason) for one in self._settled.values())
        metrics.set_organizations(ready)
        metrics.set_organizations_verified(verified)

"""One organization: gather what is so, resolve it, publish the effective settings, write status."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from mailtier.api import names
from mailtier.api import settings as api_settings
from mailtier.handlers import backlogs, hosts, keys, projections, publishing, resolving, statuses, store
from mailtier.kube import client as kube_client
from mailtier.settings import conditions, effective, observed, policy, resolve


class OrganizationReconciler:
    """The reconciler of organizations, with an object or without."""

    def __init__(
        self,
        objects: store.Store,
        client: kube_client.Client,
        resolver: resolving.PlanResolver,
        publisher: publishing.Publisher,
        projector: projections.Projections,
        *,
        namespace: str,
        now: Callable[[], dt.datetime],
        settled: Callable[[keys.Key, hosts.Standing | None], None],
        backlog_of: backlogs.BacklogOf,
        announce: statuses.Announce,
    ) -> None:
        """Make a reconciler.

        Args:
            objects: What is there.
            client: For status.
            resolver: Resolves plans.
            publisher: Writes effective ConfigMaps.
            projector: Writes what applications read.
            namespace: The operator's own.
            now: The wall clock, aware UTC.
            settled: Gets what each organization came to; None when it is gone.
            backlog_of: Returns what status says of what is queued.
            announce: Gets each status that was written.
        """
        self._store = objects
        self._client = client
        self._resolver = resolver
        self._publisher = publisher
        self._projector = projector
        self._namespace = namespace
        self._now = now
        self._settled = settled
        self._backlog_of = backlog_of
        self._announce = announce

    async def reconcile(self, key: keys.Key) -> bool | None:
        """Bring the cluster to what an organization's settings say; return whether anything was written.

        Returns:
            None if there is no such organization (any more).
        """
        gathered = self._gather(key)
        if gathered is None:
            await self._withdraw(key)
            return None
        seen, known = gathered
        plan = resolve.plan(known)
        resolved = await self._resolver.resolve(key, plan, seen)
        settings = resolved.resolution.effective
        extra, told = {}, None
        if seen is None:
            # Without an object, its conditions stand in what is published.
            told = self._status(resolved, None, published=True)
            extra = {"conditions": conditions.as_text(told["conditions"])}
        written, refused = await publishing.attempt(self._publisher.publish(settings, extra=extra))
        projected = projections.Projected(found=conditions.Projection.NONE)
        if seen is not None:
            projected = await self._projector.reconcile(key, seen, settings)
            written |= projected.written
        document = told
        if document is None or refused is not None:
            document = self._status(resolved, seen, published=refused is None, projection=projected.found)
        if projected.is_left:
            document["projection"] = names.projection(key.name)
        if seen is not None and (queue := self._backlog_of(key, settings.namespace_uid, seen.queue)):
            document["queue"] = dict(queue)
        if seen is not None and await statuses.write(self._client, self._store, names.ORG_PLURAL, seen, document):
            written = True
            self._announce(names.ORG_KIND, seen, document["conditions"])
        self._settled(key, hosts.standing(settings, document))
        if refused := refused or projected.refused:
            raise refused
        return written

    def _status(
        self,
        resolved: resolving.Resolved,
        seen: store.Organization | None,
        *,
        published: bool,
        projection: conditions.Projection = conditions.Projection.NONE,
    ) -> dict[str, Any]:
        return conditions.org_status(
            resolved.resolution,
            published=published,
            projection=projection,
            probe=resolved.probe,
            fallback_probe=resolved.fallback_probe,
            generation=seen.generation if seen else 0,
            requested_at=resolved.requested_at,
            previous=seen.conditions if seen else (),
            now=self._now(),
        )

    def _gather(self, key: keys.Key) -> tuple[store.Organization | None, observed.Observed] | None:
        space = self._store.namespaces.get(key.namespace)
        seen = self._store.organizations.get((key.namespace, key.name))
        if space is None:
            return None
        host = self._store.host.spec if self._store.host else None
        if seen is None:
            rules = host.policy if isinstance(host, api_settings.HostSpec) else None
            has_object = self._store.has_organizations(key.namespace)
            is_implicit = policy.implicit_organization(rules, space.labels, has_object=has_object)
            if not is_implicit or key.name != names.DEFAULT_ORGANIZATION:
                return None
        return seen, observed.Observed(
            organization=effective.OrganizationKey(namespace=key.namespace, name=key.name),
            namespace_uid=space.uid,
            namespace_labels=space.labels,
            operator_namespace=self._namespace,
            host=host,
            org=seen.spec if seen else api_settings.OrgSpec(),
        )

    async def _withdraw(self, key: keys.Key) -> None:
        self._resolver.release(key)
        self._projector.release(key)
        self._settled(key, None)
        await self._publisher.withdraw(key.namespace, key.name)

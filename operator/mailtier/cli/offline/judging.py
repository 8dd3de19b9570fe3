"""What the operator would make of a world: the same plan and conclusion, in memory."""

import datetime as dt
from collections.abc import Iterator, Sequence

from mailtier.api import names, policies, settings, vocabulary
from mailtier.cli.offline.files import file_reads, issues, world
from mailtier.settings import effective, observed, policy, resolve


class Judge:
    """Resolves the host's settings and every organization's, with an object or without."""

    def __init__(
        self, objects: world.World, *, operator_namespace: str, now: dt.datetime, strict: bool = False
    ) -> None:
        """Make a judge.

        Args:
            objects: What there is.
            operator_namespace: Where the host's references live.
            now: Aware UTC time, for certificates that end.
            strict: Whether Secrets, CA bundles and labels that are not there do not exist.
        """
        self.world = objects
        self._namespace = operator_namespace
        self._strict = strict
        self._reader = file_reads.FileReads(objects, strict=strict, now=now)

    @property
    def assumed(self) -> file_reads.Assumed:
        """What was taken for granted so far."""
        return self._reader.assumed

    @property
    def noted(self) -> list[issues.Issue]:
        """What is wrong with files and objects, with what stands twice of all that was referred to so far."""
        again = (self.world.repeated[key] for key in self._reader.repeated)
        return [*self.world.noted, *(issue for documents in again for issue in world.duplicates(documents))]

    def host(self) -> resolve.Resolution | None:
        """Return what the host's own settings come to; None where there are none."""
        if self.world.host is None:
            return None
        plan = resolve.plan_host(self.world.host.spec, operator_namespace=self._namespace)
        return self._conclude([plan])

    def organizations(self) -> list[effective.OrganizationKey]:
        """Return every organization that the operator would publish settings for, in the order of their names."""
        rules = self._policy()
        implicit = (
            effective.OrganizationKey(namespace=name, name=names.DEFAULT_ORGANIZATION)
            for name in self.world.namespaces
            if any(
                policy.implicit_organization(rules, space.labels, has_object=name in self.world.populated)
                for space in self.world.spaces(name)
            )
        )
        listed = (key for key in self.world.organizations if key.namespace not in self.world.deleting)
        return sorted((*listed, *implicit))

    def resolutions(self) -> Iterator[tuple[effective.OrganizationKey, resolve.Resolution]]:
        """Yield what every organization comes to."""
        for key in self.organizations():
            yield key, self.organization(key)

    def organization(
        self, key: effective.OrganizationKey, *, spec: settings.OrgSpec | observed.Invalid | None = None
    ) -> resolve.Resolution:
        """Return what an organization comes to.

        Args:
            key: Of one in `organizations`.
            spec: Its settings; by default those that there are, and what inherits everything where there are none.
        """
        if spec is None:
            found = self.world.organizations.get(key)
            spec = found.spec if found else settings.OrgSpec()
        spaces = self.world.spaces(key.namespace)
        if len(spaces) > 1:
            self._reader.repeated["Namespace", "", key.namespace] = None
        return self._conclude([self._plan(key, spec, space) for space in spaces])

    def _conclude(self, plans: Sequence[resolve.Plan]) -> resolve.Resolution:
        """Return what plans come to; of objects that stand twice, by the one that most is wrong with."""
        found = [resolve.conclude(plan, reads) for plan in plans for reads in self._reader.read(plan)]
        return max(found, key=lambda resolution: len(resolution.effective.findings))

    def _plan(
        self, key: effective.OrganizationKey, spec: settings.OrgSpec | observed.Invalid, space: world.Namespace
    ) -> resolve.Plan:
        return resolve.plan(
            observed.Observed(
                organization=key,
                namespace_uid=space.uid,
                namespace_labels=self._labels(key.namespace, space),
                operator_namespace=self._namespace,
                host=self.world.host.spec if self.world.host else None,
                org=spec,
            )
        )

    def _policy(self) -> policies.Policy | None:
        host = self.world.host
        return host.spec.policy if host is not None and isinstance(host.spec, settings.HostSpec) else None

    def _labels(self, name: str, space: world.Namespace) -> dict[str, str]:
        """Return a namespace's labels; of one that is not in the input, with those that make it an organization's."""
        labels = dict(space.labels)
        rules = self._policy()
        organizations = rules.organizations if rules else None
        if space.document is not None or self._strict or organizations is None or organizations.selector is None:
            return labels
        if organizations.mode == vocabulary.Organizations.SELECTOR:
            self.assumed.namespaces.add(name)
            labels |= organizations.selector.match_labels
        return labels

"""Everything that is wrong with a world: what the API refuses, what would block, and what an administrator advises."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.api import prose, reasons, vocabulary
from mailtier.cli.offline import judging
from mailtier.cli.offline.files import issues, sources, world
from mailtier.settings import effective, linting, resolve
from mailtier.settings.lints import catalogue, terms

_WITHOUT_HOST: Final = frozenset({reasons.INVALID, reasons.CREDENTIALS_REQUIRED, reasons.PLAINTEXT_REFUSED})
"""What is certain of an organization whose host is not in the input, beside what its own references are."""


def rules() -> tuple[issues.IssueRule, ...]:
    """Return every rule that an issue can be an instance of, each identifier once."""
    blocking = (
        reason
        for reason in reasons.ALL
        if reason.progress != vocabulary.Progress.NONE
        and {vocabulary.Condition.ACCEPTED, vocabulary.Condition.RESOLVED_REFS} & set(reason.conditions)
    )
    found = (*issues.FILE_RULES, *map(issues.of_reason, blocking), *map(issues.of_lint, catalogue.ALL))
    return tuple({rule.identifier: rule for rule in found}.values())


def find(judge: judging.Judge, *, now: dt.datetime) -> list[issues.Issue]:
    """Return the issues of a world in the order of their places.

    What the host is to blame for is found once, in the host's object, and not again for each organization.

    Args:
        judge: Resolves the world.
        now: Aware UTC time, for what comes to its end.
    """
    judged = [*_of_host(judge, now), *_of_organizations(judge, now), *_of_implicit(judge, now)]
    found = [*judge.noted, *judged]
    distinct = {(issue.rule, issue.place, issue.subject, issue.field, issue.message): issue for issue in found}
    return issues.in_order(distinct.values())


def _of_host(judge: judging.Judge, now: dt.datetime) -> Iterator[issues.Issue]:
    resolution, host = judge.host(), judge.world.host
    if resolution is not None and host is not None:
        yield from _issues(resolution, host.document, world.subject_of(host.document), now)


def _of_organizations(judge: judging.Judge, now: dt.datetime) -> Iterator[issues.Issue]:
    objects = judge.world
    for key in judge.organizations():
        found = objects.organizations.get(key)
        if found is not None:
            yield from _issues(judge.organization(key), found.document, world.subject_of(found.document), now)
    for key, superseded in objects.superseded:
        if key.namespace not in objects.deleting:
            resolution = judge.organization(key, spec=superseded.spec)
            yield from _issues(resolution, superseded.document, world.subject_of(superseded.document), now)


def _of_implicit(judge: judging.Judge, now: dt.datetime) -> Iterator[issues.Issue]:
    """Yield the issues of organizations without an object; what is said of several at one object is said once."""
    objects = judge.world
    told: set[tuple[object, ...]] = set()
    for key in judge.organizations():
        if key in objects.organizations:
            continue
        document = objects.namespaces[key.namespace].document or (objects.host.document if objects.host else None)
        # Without a host there are no organizations but those with an object.
        assert document is not None
        for issue in _issues(judge.organization(key), document, f"organization {key}", now):
            said = (id(document), issue.rule, issue.field, issue.message)
            if said not in told:
                told.add(said)
                yield issue


def _issues(
    resolution: resolve.Resolution, document: sources.Document, subject: str, now: dt.datetime
) -> Iterator[issues.Issue]:
    settings = resolution.effective
    for severity, findings in (
        (terms.LintSeverity.ERROR, settings.findings),
        (terms.LintSeverity.WARNING, settings.audited),
    ):
        for finding in findings:
            if _is_told_elsewhere(finding, resolution) or not _is_certain(finding, resolution):
                continue
            audited = severity == terms.LintSeverity.WARNING
            message = finding.message if finding.field else prose.capitalized(finding.message)
            yield issues.Issue(
                rule=issues.of_reason(finding.reason),
                severity=severity,
                place=document.place(finding.field),
                subject=subject,
                field=finding.field,
                message=f"{message} (audited; not blocked)" if audited else message,
            )
    if resolution.references == resolve.References.NOT_READ:
        return
    for advice in catalogue.run(linting.subject(resolution, None, now)):
        yield issues.Issue(
            rule=issues.of_lint(advice.lint),
            severity=advice.severity,
            place=document.place(advice.field),
            subject=subject,
            field=advice.field,
            message=advice.message,
        )


def _is_told_elsewhere(finding: effective.Finding, resolution: resolve.Resolution) -> bool:
    """Return whether a finding stands with the object that it is about: the host's, or one that the API refuses."""
    if resolution.viewer == vocabulary.Origin.HOST:
        return finding.reason == reasons.INVALID and resolution.host is None
    is_of_host = not finding.field and vocabulary.Condition.RESOLVED_REFS in finding.reason.conditions
    is_refused = finding.reason == reasons.INVALID and resolution.org is None
    return is_of_host or is_refused or finding.reason == reasons.HOST_INVALID


def _is_certain(finding: effective.Finding, resolution: resolve.Resolution) -> bool:
    if resolution.host is not None or resolution.viewer == vocabulary.Origin.HOST:
        return True
    return finding.reason in _WITHOUT_HOST or vocabulary.Condition.RESOLVED_REFS in finding.reason.conditions

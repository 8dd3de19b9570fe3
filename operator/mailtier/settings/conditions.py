"""The status of settings: from a resolution, what was published and what the probe found, to one document.

It is final when it is written: only Verified may be Unknown, because only the sender can know it. The same input
gives the same document, so that a steady state writes nothing.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailtier.api import feed, names, prose, reasons, vocabulary
from mailtier.settings import effective, linting, observed, resolve, transitions, verified, view

MAXIMUM_MESSAGE_LENGTH: Final = 32768
"""metav1.Condition: characters of a message."""

_ORG: Final = vocabulary.Origin.ORG


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The organizations in numbers.

    Attributes:
        overriding: How many set something of their own.
        would_block: How many the host's policy would block, if its mode were Enforce.
    """

    organizations: int
    ready: int
    blocked: int
    overriding: int
    would_block: int

    @property
    def document(self) -> dict[str, int]:
        """The summary as it stands in status."""
        return {
            "organizations": self.organizations,
            "ready": self.ready,
            "blocked": self.blocked,
            "overriding": self.overriding,
            "wouldBlock": self.would_block,
        }


class Projection(enum.Enum):
    """What became of the ConfigMap that `spec.publish` asks for."""

    NONE = enum.auto()
    """None is asked for."""
    WRITTEN = enum.auto()
    PENDING = enum.auto()
    """It could not be written yet."""
    CONFLICT = enum.auto()
    """Its name is taken by a ConfigMap that is not ours."""
    NOT_GRANTED = enum.auto()
    """The operator may not write there."""


def org_status(
    resolution: resolve.Resolution,
    *,
    published: bool,
    projection: Projection,
    probe: feed.Probe | None,
    fallback_probe: feed.Probe | None = None,
    generation: int,
    requested_at: str = "",
    previous: Sequence[Mapping[str, Any]],
    now: dt.datetime,
) -> dict[str, Any]:
    """Return the status of an OrgEmailSettings, as it is applied.

    Args:
        resolution: What its settings come to.
        published: Whether the effective ConfigMap holds exactly them.
        projection: What became of the ConfigMap for applications.
        probe: The last probe with the key `codec.probe_key` gives for them; None without one.
        fallback_probe: The same of their fallback.
        generation: metadata.generation of the object; 0 for an implicit organization.
        requested_at: The last request to look anew that this is an answer to; "" without one.
        previous: The conditions that the status has now, for their times of transition.
        now: Aware UTC time.
    """
    settings = resolution.effective
    ready = _ready(resolution, published, projection)
    status = {
        "observedGeneration": generation,
        "conditions": transitions.stamp(
            _decide(resolution, ready, probe, fallback_probe, now), previous=previous, generation=generation, now=now
        ),
        "source": settings.source.value,
        "state": settings.state.value,
        "effective": _effective(resolution),
    }
    if settings.fallback is not None:
        status["server"] = verified.server_in_use(probe)
    if requested_at:
        status["lastHandledRequestedAt"] = requested_at
    if projection == Projection.WRITTEN:
        status["projection"] = names.projection(settings.organization.name)
    return status


def host_status(
    resolution: resolve.Resolution,
    *,
    published: bool,
    probe: feed.Probe | None,
    fallback_probe: feed.Probe | None = None,
    generation: int,
    requested_at: str = "",
    previous: Sequence[Mapping[str, Any]],
    now: dt.datetime,
    summary: Summary | None,
    queue: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the status of the HostEmailSettings, as it is applied.

    Args:
        resolution: What `resolve.plan_host` and `resolve.conclude` come to.
        published: Whether organizations get these settings.
        probe: The last probe with the key `codec.probe_key` gives for them; None without one.
        fallback_probe: The same of their fallback.
        generation: metadata.generation of the object.
        requested_at: The last request to look anew that this is an answer to; "" without one.
        previous: The conditions that the status has now, for their times of transition.
        now: Aware UTC time.
        summary: Of the organizations; None before they were counted.
        queue: What the sender says of its queue, and what is queued; None before it was heard.
    """
    ready = _ready(resolution, published, Projection.NONE)
    status = {
        "observedGeneration": generation,
        "conditions": transitions.stamp(
            _decide(resolution, ready, probe, fallback_probe, now), previous=previous, generation=generation, now=now
        ),
        "effective": _effective(resolution),
    }
    if resolution.effective.fallback is not None:
        status["server"] = verified.server_in_use(probe)
    if requested_at:
        status["lastHandledRequestedAt"] = requested_at
    if summary is not None:
        status["summary"] = summary.document
    if queue:
        status["queue"] = dict(queue)
    return status


def queue(*, restored_from: dt.datetime | None = None, unanswered_since: dt.datetime | None = None) -> dict[str, str]:
    """Return what `status.queue` of the host says beside the backlog.

    Args:
        restored_from: When the backup was made that the queue was restored from, while it is held; None where not.
        unanswered_since: Since when nothing is heard of it; None where something is.
    """
    told = {"restoredFrom": restored_from, "unansweredSince": unanswered_since}
    return {name: transitions.timestamp(at) for name, at in told.items() if at is not None}


def as_text(conditions: Sequence[Mapping[str, Any]]) -> str:
    """Return conditions as lines for people, for an organization that has no object to show them."""
    return "".join(f"{entry['type']}={entry['status']} {entry['reason']}: {entry['message']}\n" for entry in conditions)


def tell(findings: Sequence[effective.Finding]) -> str:
    """Return all findings as one text; the first gave the condition its reason, the others name theirs."""
    first, *others = (
        prose.closed(f"{finding.field}: {finding.message}") if finding.field else _sentence(finding.message)
        for finding in findings
    )
    named = (f"{finding.reason}: {text}" for finding, text in zip(findings[1:], others, strict=True))
    return " Also ".join((first, *named))


def _effective(resolution: resolve.Resolution) -> dict[str, Any]:
    nested = view.nest(resolution.effective, viewer=resolution.viewer)
    return {**nested, "provenance": view.provenance(resolution.effective, nested)}


def _decide(
    resolution: resolve.Resolution,
    ready: transitions.Wanted,
    probe: feed.Probe | None,
    fallback_probe: feed.Probe | None,
    now: dt.datetime,
) -> list[transitions.Wanted]:
    relevant = verified.relevant_probe(resolution, probe)
    wanted = [
        _accepted(resolution),
        _resolved_refs(resolution),
        ready,
        verified.condition(resolution, probe, fallback_probe),
        linting.condition(resolution, relevant, now),
        *_progress(resolution, ready),
    ]
    return [
        dataclasses.replace(condition, message=prose.shortened(condition.message, MAXIMUM_MESSAGE_LENGTH))
        for condition in wanted
    ]


def _accepted(resolution: resolve.Resolution) -> transitions.Wanted:
    findings = _about(resolution, vocabulary.Condition.ACCEPTED)
    if findings:
        return transitions.Wanted(
            type=vocabulary.Condition.ACCEPTED, status="False", reason=findings[0].reason, message=tell(findings)
        )
    audited = resolution.effective.audited
    if audited:
        told = f"The host's policy is in mode Audit; in mode Enforce it would block this. {tell(audited)}"
        return transitions.Wanted(
            type=vocabulary.Condition.ACCEPTED, status="True", reason=reasons.WOULD_BLOCK, message=told
        )
    return _well(vocabulary.Condition.ACCEPTED, reasons.ACCEPTED)


def _resolved_refs(resolution: resolve.Resolution) -> transitions.Wanted:
    type_ = vocabulary.Condition.RESOLVED_REFS
    findings = _about(resolution, type_)
    if findings:
        return transitions.Wanted(type=type_, status="False", reason=findings[0].reason, message=tell(findings))
    match resolution.references:
        case resolve.References.NONE:
            return _well(type_, reasons.NO_REFERENCES)
        case resolve.References.READ:
            found = _well(type_, reasons.RESOLVED)
            until, endpoint = resolution.certificate_expires_at, resolution.effective.endpoint
            if until is not None and endpoint is not None and endpoint.origin == resolution.viewer:
                told = f"{found.message} The client certificate is valid until {until:%Y-%m-%d}."
                found = dataclasses.replace(found, message=told)
            if resolution.read_every <= observed.EVERY or resolution.viewer != _ORG:
                return found
            minutes = resolution.read_every // dt.timedelta(minutes=1)
            told = f"{found.message} There are so many references that each is read every {minutes} minutes."
            return dataclasses.replace(found, message=told)
        case resolve.References.NOT_READ:
            return _unknown(type_, reasons.REFERENCES_NOT_READ)


def _ready(resolution: resolve.Resolution, published: bool, projection: Projection) -> transitions.Wanted:
    type_, settings = vocabulary.Condition.READY, resolution.effective
    if settings.findings:
        return transitions.Wanted(
            type=type_, status="False", reason=settings.findings[0].reason, message=tell(settings.findings)
        )
    missing = None if published else reasons.NOT_PUBLISHED
    missing = missing or _PROJECTIONS.get(projection)
    if missing is not None:
        told = _explain(missing) if missing == reasons.NOT_PUBLISHED else _tell_projection(missing, settings)
        return transitions.Wanted(type=type_, status="False", reason=missing, message=told)
    if settings.state == effective.State.SUSPENDED:
        return transitions.Wanted(
            type=type_, status="True", reason=reasons.SUSPENDED, message=_explain(reasons.SUSPENDED)
        )
    return _well(type_, reasons.PUBLISHED)


def _tell_projection(reason: reasons.Reason, settings: effective.Effective) -> str:
    namespace, name = settings.organization.namespace, names.projection(settings.organization.name)
    remedy = reason.remedy
    if reason == reasons.PROJECTION_CONFLICT:
        command = f"kubectl delete configmap -n {namespace} {name}"
        remedy = f"If nobody needs it, run `{command}`; if not, remove spec.publish."
    return f"ConfigMap {namespace}/{name}: {reason.meaning} {remedy}"


_PROJECTIONS: Final = {
    Projection.PENDING: reasons.PROJECTION_PENDING,
    Projection.CONFLICT: reasons.PROJECTION_CONFLICT,
    Projection.NOT_GRANTED: reasons.PROJECTION_NOT_GRANTED,
}


def _progress(resolution: resolve.Resolution, ready: transitions.Wanted) -> list[transitions.Wanted]:
    """Return Reconciling or Stalled, which exist only while True, or neither.

    One that needs somebody outweighs any number that may mend themselves: whoever waits would wait in vain. What only
    the platform team can mend is no reason for every tenant's pipeline to fail: it goes by without them.
    """
    findings = resolution.effective.findings
    stalled = [
        finding
        for finding in findings
        if finding.reason.progress == vocabulary.Progress.STALLED and not _is_host_s(resolution, finding)
    ]
    if stalled:
        return [
            transitions.Wanted(
                type=vocabulary.Condition.STALLED, status="True", reason=stalled[0].reason, message=tell(stalled)
            )
        ]
    found = transitions.progress(ready)
    if found is not None and findings:
        found = dataclasses.replace(found, type=vocabulary.Condition.RECONCILING)
    return [] if found is None else [found]


def _is_host_s(resolution: resolve.Resolution, finding: effective.Finding) -> bool:
    """Return whether nothing is wrong with an organization's own object: only the platform team can mend it."""
    if resolution.viewer != _ORG or finding.field or resolution.org is None:
        return False
    return finding.reason in _HOST_S or vocabulary.Condition.RESOLVED_REFS in finding.reason.conditions


_HOST_S: Final = frozenset({reasons.ENDPOINT_NOT_ALLOWED, reasons.INVALID})
"""Reasons that are about the host's values where they name no field of an organization's object."""


def _about(resolution: resolve.Resolution, type_: vocabulary.Condition) -> list[effective.Finding]:
    return [finding for finding in resolution.effective.findings if type_ in finding.reason.conditions]


def _well(type_: vocabulary.Condition, reason: reasons.Reason) -> transitions.Wanted:
    return transitions.Wanted(type=type_, status="True", reason=reason, message=reason.meaning)


def _unknown(type_: vocabulary.Condition, reason: reasons.Reason) -> transitions.Wanted:
    return transitions.Wanted(type=type_, status="Unknown", reason=reason, message=_explain(reason))


def _explain(reason: reasons.Reason) -> str:
    return prose.sentences(reason.meaning, reason.remedy)


def _sentence(text: str) -> str:
    return prose.closed(prose.capitalized(text))

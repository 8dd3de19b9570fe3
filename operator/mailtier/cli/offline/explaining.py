"""Why each effective value is what it is, who may change it, and what it would be without an override."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import names, settings, vocabulary
from mailtier.cli.offline import diffing, judging, sources, values
from mailtier.settings import effective, observed, resolve

PLATFORM: Final = "platform team"
ORGANIZATION: Final = "organization"
_ATOMIC: Final = frozenset({"smtp", "auth"})
_OWNERS: Final = frozenset({"heloName", "maxConnections", "messagesPerConnection", "timeouts"})
_CAPPED: Final = frozenset({"delivery.ratePerMinute", "delivery.maxAge"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value, explained.

    Attributes:
        override: Path in the organization's spec whose removal lets the host's value come back, as in `spec.smtp`;
            "" where the organization overrides nothing.
        changed_by: Who may change it.
        notes: The rules that made it so.
        findings: What blocks because of it, each as one line.
    """

    path: str
    value: values.Value
    override: str
    changed_by: str
    notes: tuple[str, ...]
    findings: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """What would be so if an override were removed.

    Attributes:
        removed: What is removed, as in `spec.smtp`; what cannot stay without it follows.
        value: The effective values then, by their paths.
    """

    removed: tuple[str, ...]
    difference: diffing.Difference | None
    value: Mapping[str, values.Value]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything about one organization's settings, or the host's.

    Attributes:
        findings: All that is wrong, each as one line.
        without: What would be so without each override, by its path.
    """

    name: str
    state: str
    findings: tuple[str, ...]
    rows: tuple[Row, ...]
    without: Mapping[str, Without]


def host(resolution: resolve.Resolution) -> Explanation:
    """Return the explanation of the host's own settings, which override nothing, and of its policy."""
    explanation = _explanation(_HOST, resolution, {}, {})
    policy = resolution.host.policy if resolution.host is not None else None
    return dataclasses.replace(explanation, rows=(*explanation.rows, *policies.rows(policy)))


def organization(judge: judging.Judge, key: effective.OrganizationKey) -> Explanation:
    """Return the explanation of an organization's settings."""
    resolution = judge.organization(key)
    document = {} if resolution.org is None else _document(resolution.org)
    without = {}
    for override in sorted(_overrides(resolution.effective, document)):
        removed, rest = _remove(document, override)
        then = judge.organization(key, spec=observed.parse_org(rest)).effective
        without[override] = Without(
            removed=removed, difference=diffing.differ(resolution.effective, then), value=values.of(then)
        )
    return _explanation(str(key), resolution, document, without)


def from_status(name: str, status: Mapping[str, Any]) -> Explanation:
    """Return what an object's status tells by itself, to somebody who may not read the host's settings."""
    rows = tuple(
        Row(path=path, value=value, override="", changed_by=ORGANIZATION if value.is_own else "", notes=(), findings=())
        for path, value in values.of_status(status.get("effective", {})).items()
    )
    return Explanation(name=name, state=str(status.get("state", "")), findings=(), rows=rows, without={})


def select(explanation: Explanation, field: str) -> tuple[Row, ...]:
    """Return the rows of a field or a group of fields, in any case and with or without `spec.`; none if unknown."""
    wanted = field.strip(".").lower().removeprefix("spec.").removeprefix("status.effective.")
    return tuple(row for row in explanation.rows if f"{row.path.lower()}.".startswith(f"{wanted}."))


def fields(explanation: Explanation) -> Sequence[str]:
    """Return every field and group that `select` knows."""
    known = {
        ".".join(parts[:length])
        for parts in (row.path.split(".") for row in explanation.rows)
        for length in range(1, len(parts) + 1)
    }
    return sorted(known)


def place(document: sources.Document, override: str) -> str:
    """Return where an override is written."""
    return str(document.place(f"spec.{override}"))


def _explanation(
    name: str, resolution: resolve.Resolution, document: Mapping[str, Any], without: Mapping[str, Without]
) -> Explanation:
    found = resolution.effective
    rows = []
    for path, value in values.of(found).items():
        about = [finding for finding in (*found.findings, *found.audited) if _is_about(finding.field, path)]
        rows.append(
            Row(
                path=path,
                value=value,
                override=_override(path) if value.is_own and document else "",
                changed_by=_changed_by(path, value, resolution),
                notes=tuple(_notes(path, value, resolution, document)),
                findings=tuple(map(values.finding, about)),
            )
        )
    audited = tuple(f"audited: {values.finding(finding)}" for finding in found.audited)
    return Explanation(
        name=name,
        state=found.state.value,
        findings=(*map(values.finding, found.findings), *audited),
        rows=tuple(rows),
        without=without,
    )


def _document(spec: settings.OrgSpec) -> dict[str, Any]:
    document: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return document


def _overrides(found: effective.Effective, document: Mapping[str, Any]) -> set[str]:
    own = {_override(path) for path, value in values.of(found).items() if value.is_own}
    return {override for override in own if _get(document, override) is not None}


def _override(path: str) -> str:
    """Return what of the spec has to be removed for the host's value to come back: `smtp` and `auth` are atomic."""
    head = path.partition(".")[0]
    return head if head in _ATOMIC else path


def _remove(document: Mapping[str, Any], override: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return what was removed, and the rest of a spec.

    With its own endpoint an organization loses what belongs to the owner of the endpoint; a group that is left empty
    goes too, because the API refuses it.
    """
    rest = _without(document, override.split("."))
    removed = [override]
    if override == "smtp":
        for name in sorted(_OWNERS & set(document.get("delivery", {}))):
            removed.append(f"delivery.{name}")
            rest = _without(rest, ["delivery", name])
    return tuple(f"spec.{path}" for path in removed), rest


def _without(document: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    name, *below = path
    rest = dict(document)
    if below:
        rest[name] = _without(rest[name], below)
    if not below or not rest[name]:
        del rest[name]
    return rest


def _get(document: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return None
        document = document[name]
    return document


def _is_about(field: str, path: str) -> bool:
    """Return whether a finding about a field of the spec is about an effective value."""
    if not field:
        return False
    about, wanted = f"{field.removeprefix('spec.')}.", f"{path}."
    return about.startswith(wanted) or wanted.startswith(about)


def _is_owners(path: str) -> bool:
    head, _, rest = path.partition(".")
    return head == "delivery" and rest.partition(".")[0] in _OWNERS


def _is_locked(path: str, resolution: resolve.Resolution) -> bool:
    policy = resolution.host.policy if resolution.host else None
    return any(f"{path}.".startswith(f"{locked.value}.") for locked in (policy.locked if policy else None) or ())


def _changed_by(path: str, value: values.Value, resolution: resolve.Resolution) -> str:
    if resolution.viewer == vocabulary.Origin.HOST or value.origin is None or path.startswith("quota."):
        return PLATFORM
    if _is_locked(path, resolution):
        return f"{PLATFORM} (locked)"
    is_hosts = _is_inherited(resolution)
    if is_hosts and _is_owners(path):
        return PLATFORM
    if path == "suspend" and value.origin == vocabulary.Origin.HOST:
        return PLATFORM
    return ORGANIZATION


def _is_inherited(resolution: resolve.Resolution) -> bool:
    endpoint = resolution.effective.endpoint
    return endpoint is not None and endpoint.origin == vocabulary.Origin.HOST


def _notes(
    path: str, value: values.Value, resolution: resolve.Resolution, document: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the rules of the resolution that made a value what it is."""
    if resolution.viewer == vocabulary.Origin.HOST:
        return
    if value.origin is None or path.startswith("quota."):
        yield f"it follows from spec.policy of HostEmailSettings {names.HOST_NAME}"
        return
    yield from _group_notes(path, value, is_inherited=_is_inherited(resolution))
    own = _get(document, path)
    if path in _CAPPED and own is not None and not value.is_own:
        yield f"the organization's {own} is above the host's limit on the host's endpoint, which holds"
    if path == "suspend" and own is not None and not value.is_own:
        yield "the host's suspend: true holds everybody"
    if path == "from.envelope" and value.origin == vocabulary.Origin.DEFAULT:
        yield "no tier names one, so that it is from.address"


def _group_notes(path: str, value: values.Value, *, is_inherited: bool) -> Iterator[str]:
    match path.partition(".")[0]:
        case "smtp" if is_inherited:
            yield "smtp is one group: an organization that sets any of it names its own host and inherits none of it"
        case "smtp":
            yield "smtp is one group: the organization names its own host, so nothing of the host's smtp is inherited"
        case "auth" if is_inherited and not value.is_own:
            yield "auth is one group; the host's is inherited together with the host's whole smtp group alone"
        case "auth":
            yield "auth is one group: the organization's own replaces the host's"
        case "delivery" if _is_owners(path):
            yield f"it belongs to the owner of the endpoint, here the {PLATFORM if is_inherited else ORGANIZATION}"

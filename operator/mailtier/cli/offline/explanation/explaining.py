"""Why each effective value is what it is, who may change it, and what it would be without an override."""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import groups, names, patience, settings, types, vocabulary
from mailtier.cli.offline import diffing, judging, values
from mailtier.cli.offline.explanation import policies
from mailtier.cli.offline.files import sources
from mailtier.settings import effective, observed, resolve

PLATFORM: Final = "platform team"
ORGANIZATION: Final = "organization"
_ATOMIC: Final = frozenset({"smtp", "auth"})
_OWNERS: Final = frozenset(str(groups.Delivery.model_fields[name].alias) for name in settings.OWNER_ONLY)
_HOST: Final = "host"
_NEAR: Final = 0.8
"""How like a field a name is that may mean it, from 0 to 1."""
_CA: Final = "smtp.tls.caRef"
_CERTIFICATE: Final = "smtp.tls.clientCertificateRef"
_CA_KEY: Final = "ca.crt"
_WITHOUT_QUOTA: Final = {
    "quota.queuedMessages": "the sender's own limit holds, which its --quota-messages may set otherwise",
    "quota.queuedBytes": "the sender's own limit holds, which its --quota-bytes may set otherwise",
    "quota.ratePerMinute": "the rate is not limited",
}
_CAPPED: Final = frozenset({"delivery.ratePerMinute", "delivery.maxAge"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedValue:
    """One value, explained.

    Attributes:
        override: Path in the organization's spec whose removal lets the host's value come back, as in `spec.smtp`;
            "" where the organization overrides nothing.
        changed_by: Who may change it.
        notes: The rules that made it so.
        findings: What blocks because of it, each as one line.
        alone: What the host's settings alone would come to, where that is asked for; else "".
    """

    path: str
    value: values.Value
    override: str
    changed_by: str
    notes: tuple[str, ...]
    findings: tuple[str, ...]
    alone: str = ""


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
        alone: What the host's settings alone would come to; None where that is not known.
    """

    name: str
    state: str
    findings: tuple[str, ...]
    rows: tuple[ExplainedValue, ...]
    without: Mapping[str, Without]
    alone: Mapping[str, values.Value] | None = None


def host(resolution: resolve.Resolution) -> Explanation:
    """Return the explanation of the host's own settings, which override nothing, and of its policy."""
    explanation = _explanation(_HOST, resolution, {}, {})
    policy = resolution.host.policy if resolution.host is not None else None
    rows = tuple(
        ExplainedValue(path=path, value=value, override="", changed_by=PLATFORM, notes=(policies.NOTE,), findings=())
        for path, value in policies.of(policy).items()
    )
    return dataclasses.replace(explanation, rows=(*explanation.rows, *rows))


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
    alone = judge.organization(key, spec=settings.OrgSpec())
    return dataclasses.replace(
        _explanation(str(key), resolution, document, without),
        alone={path: _named(path, value, alone) for path, value in values.of(alone.effective).items()},
    )


def from_status(name: str, status: Mapping[str, Any]) -> Explanation:
    """Return what an object's status tells by itself, to somebody who may not read the host's settings."""
    rows = tuple(
        ExplainedValue(
            path=path, value=value, override="", changed_by=ORGANIZATION if value.is_own else "", notes=(), findings=()
        )
        for path, value in values.of_status(status.get("effective", {})).items()
    )
    return Explanation(name=name, state=str(status.get("state", "")), findings=(), rows=rows, without={})


def select(explanation: Explanation, field: str) -> tuple[ExplainedValue, ...]:
    """Return the rows of a field or a group of fields, in any case and with or without `spec.`; none if unknown."""
    return _selected(explanation.rows, field)


def overriding(explanation: Explanation, field: str) -> tuple[ExplainedValue, ...]:
    """Return the rows of a field, or of all with "", whose value is another than the host's settings alone come to.

    Where that is not known, those that the organization set.
    """
    alone = explanation.alone
    if alone is None:
        return _selected((row for row in explanation.rows if row.value.is_own), field)
    gone = (_gone(path) for path in alone.keys() - {row.path for row in explanation.rows})
    rows = sorted((*explanation.rows, *gone), key=lambda row: values.rank(row.path))
    return _selected(
        (
            dataclasses.replace(row, alone=str(alone.get(row.path, "(none)")))
            for row in rows
            if diffing.is_other(alone.get(row.path), row.value)
        ),
        field,
    )


def _gone(path: str) -> ExplainedValue:
    """Return the row of what the host says and an organization has not, as with another way to authenticate."""
    value = values.Value(text="", origin=vocabulary.Origin.ORG)
    return ExplainedValue(
        path=path, value=value, override=_override(path), changed_by=ORGANIZATION, notes=(), findings=()
    )


def _selected(rows: Iterable[ExplainedValue], field: str) -> tuple[ExplainedValue, ...]:
    wanted = _plain(field)
    return tuple(row for row in rows if not wanted or f"{row.path.lower()}.".startswith(f"{wanted}."))


def fields(explanation: Explanation) -> Sequence[str]:
    """Return every field and group that `select` knows."""
    known = {
        ".".join(parts[:length])
        for parts in (row.path.split(".") for row in explanation.rows)
        for length in range(1, len(parts) + 1)
    }
    return sorted(known)


def unknown(explanation: Explanation, field: str) -> str:
    """Return what to tell whoever asks for a field that there is not: the nearest ones, and the groups."""
    wanted = _plain(field)
    if wanted.partition(".")[0] == policies.GROUP and explanation.name != _HOST:
        return f"policy is the host's alone; `mailtier explain {_HOST} {wanted}` shows it"
    known = {name.lower(): name for name in fields(explanation)}
    near = [known[name] for name in difflib.get_close_matches(wanted, known, n=3, cutoff=_NEAR)]
    heads = dict.fromkeys(row.path.partition(".")[0] for row in explanation.rows)
    suggestion = f"; nearest are {', '.join(near)}" if near else ""
    return f"{explanation.name} has no field {field!r}{suggestion}; the groups are {', '.join(heads)}"


def place(document: sources.Document, override: str) -> str:
    """Return where an override is written."""
    return str(document.place(f"spec.{override}"))


def _plain(field: str) -> str:
    return field.strip(".").lower().removeprefix("spec.").removeprefix("status.effective.")


def _explanation(
    name: str, resolution: resolve.Resolution, document: Mapping[str, Any], without: Mapping[str, Without]
) -> Explanation:
    found = resolution.effective
    rows = []
    for path, bare in values.of(found).items():
        value = _named(path, bare, resolution)
        about = [finding for finding in (*found.findings, *found.audited) if _is_about(finding.field, path)]
        rows.append(
            ExplainedValue(
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


def _named(path: str, value: values.Value, resolution: resolve.Resolution) -> values.Value:
    """Return a value as people name it: a CA bundle by its reference, not its digest; a quota by the sender's own."""
    if path in policies.QUOTA and not value.text:
        return dataclasses.replace(value, text=policies.QUOTA[path], origin=vocabulary.Origin.DEFAULT)
    reference = _authority(resolution) if path == _CA else None
    if reference is None:
        return value
    named = f"{reference.kind} {reference.name}, key {reference.key or _CA_KEY}"
    return dataclasses.replace(value, text=named)


def _authority(resolution: resolve.Resolution) -> groups.CaReference | None:
    """Return the reference to the bundle that the endpoint in use is verified against."""
    endpoint = resolution.effective.endpoint
    is_own = endpoint is not None and endpoint.origin == vocabulary.Origin.ORG
    spec = resolution.org if is_own else resolution.host
    if endpoint is None or spec is None or spec.smtp is None or spec.smtp.tls is None:
        return None
    return spec.smtp.tls.ca_ref


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
    about, wanted = f"{field.removeprefix('spec.').partition('[')[0]}.", f"{path}."
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
    if path.startswith("quota.") and value.origin == vocabulary.Origin.DEFAULT:
        yield f"spec.policy.quota of HostEmailSettings {names.HOST_NAME} says none; {_WITHOUT_QUOTA[path]}"
        return
    if path == "delivery.maxAge" and not value.text:
        yield f"no tier names one, so that each category has its own: {_ages()}"
    if resolution.viewer == vocabulary.Origin.HOST:
        return
    if value.origin is None or path.startswith("quota."):
        yield f"it follows from spec.policy of HostEmailSettings {names.HOST_NAME}"
        return
    yield from _group_notes(path, value, is_inherited=_is_inherited(resolution))
    own = _get(document, path)
    if path in _CAPPED and own is not None and not value.is_own:
        yield f"the organization's {own} is above the host's limit on the host's endpoint, which holds"
    if path == _CERTIFICATE and _is_inherited(resolution) and resolution.org is not None and resolution.org.auth:
        yield "the host's client certificate is shown with the host's auth alone, and the organization has its own"
    if path == "suspend" and own is not None and not value.is_own:
        yield "the host's suspend: true holds everybody"
    if path == "from.envelope" and value.origin == vocabulary.Origin.DEFAULT:
        yield "no tier names one, so that it is from.address"


def _ages() -> str:
    """Return how long each category is tried where nobody says it."""
    ages = ((category.value, policy.max_age) for category, policy in patience.POLICIES.items())
    return ", ".join(f"{name} {types.format_duration(age)}" for name, age in ages)


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

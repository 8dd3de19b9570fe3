"""What a change of the objects alters, for whom."""

import dataclasses
import enum
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from mailtier.api import names
from mailtier.cli.offline import values
from mailtier.settings import binding, effective


class Fate(enum.StrEnum):
    """What becomes of an organization."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value before and after; None where there was or will be none."""

    path: str
    before: values.Value | None
    after: values.Value | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a change alters for one organization.

    Attributes:
        states: Before and after; "" where there is no organization.
        changes: Values that differ, or whose origin does; of an added organization those of its own.
        new: Findings that there were not before, each as one line.
        gone: Findings that there are no more.
    """

    fate: Fate
    states: tuple[str, str]
    changes: tuple[Change, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def is_any(self) -> bool:
        """Whether there is any."""
        is_same = self.fate == Fate.CHANGED and self.states[0] == self.states[1]
        return not is_same or bool(self.changes or self.new or self.gone)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a change alters for all.

    Attributes:
        differences: By the organization's name; the host's own under `host`.
        unchanged: How many organizations stay as they are.
    """

    differences: Mapping[str, Difference]
    unchanged: int

    def count(self, fate: Fate) -> int:
        """Return how many have a fate."""
        return sum(1 for difference in self.differences.values() if difference.fate == fate)


def compare(old: Mapping[str, effective.Effective], new: Mapping[str, effective.Effective]) -> Comparison:
    """Return what differs between two renderings.

    What only a cluster knows, uid of a namespace and version of a Secret, is not compared.
    """
    differences = {}
    for name in sorted(old.keys() | new.keys()):
        difference = differ(old.get(name), new.get(name))
        if difference is not None:
            differences[name] = difference
    return Comparison(differences=differences, unchanged=len(old.keys() | new.keys()) - len(differences))


def overridden(alone: Mapping[str, effective.Effective], own: Mapping[str, effective.Effective]) -> Comparison:
    """Return what organizations alter by their own settings; to say what the host says anyway alters nothing.

    Args:
        alone: What each would have if it overrode nothing.
        own: What each has.
    """
    compared = compare(alone, own)
    told = {name: _of_values(difference) for name, difference in compared.differences.items()}
    differences = {name: difference for name, difference in told.items() if difference.is_any}
    return Comparison(differences=differences, unchanged=compared.unchanged + len(told) - len(differences))


def _of_values(difference: Difference) -> Difference:
    """Return a difference without the changes of an origin alone."""
    changes = tuple(change for change in difference.changes if is_other(change.before, change.after))
    return dataclasses.replace(difference, changes=changes)


def is_other(before: values.Value | None, after: values.Value | None) -> bool:
    """Return whether two values differ as people read them, whoever they are from."""
    return before is None or after is None or before.shown != after.shown


def unbound(
    old: Mapping[str, effective.Effective], new: Mapping[str, effective.Effective], *, assumed: Container[str]
) -> Iterator[str]:
    """Yield a warning for each Secret that nobody has seen and that has to list a server which a change names.

    Args:
        old: The settings before.
        new: The settings after.
        assumed: The Secrets that are not in the input, as `namespace/name`.
    """
    wanted: dict[str, tuple[dict[binding.BoundServer, None], list[str]]] = {}
    for name, settings in sorted(new.items()):
        former = old.get(name)
        before = {} if former is None else _servers(former)
        for secret, servers in _servers(settings).items():
            if former is None or secret not in assumed or servers in before.values():
                continue
            entries, who = wanted.setdefault(secret, ({}, []))
            entries |= dict.fromkeys(servers)
            who.append(name)
    for secret, (entries, who) in wanted.items():
        more = f" and {len(who) - 1} more" if len(who) > 1 else ""
        yield (
            f"{who[0]}{more}: the server becomes {' and '.join(map(str, entries))}, and Secret {secret} is not in the"
            f" input: look whether its annotation {names.ENDPOINT_ANNOTATION} lists that, for mail is held otherwise"
        )


def _servers(settings: effective.Effective) -> dict[str, Sequence[binding.BoundServer]]:
    """Return the servers that each Secret has to list, by `namespace/name`."""
    found: dict[str, Sequence[binding.BoundServer]] = {}
    for each in (settings, settings.at_fallback()):
        if each is None or each.endpoint is None or each.auth is None:
            continue
        endpoint, auth = each.endpoint, each.auth
        if auth.certificate is not None:
            name = f"{auth.certificate.namespace}/{auth.certificate.name}"
            found[name] = (*found.get(name, ()), *binding.certificate_servers(endpoint))
        if auth.secret is not None:
            name = f"{auth.secret.namespace}/{auth.secret.name}"
            found[name] = (*found.get(name, ()), *binding.servers(endpoint, auth))
    return {name: tuple(dict.fromkeys(servers)) for name, servers in found.items()}


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON."""
    return {
        "organizations": {name: _difference_to_json(entry) for name, entry in comparison.differences.items()},
        "summary": {
            **{fate.value: comparison.count(fate) for fate in Fate},
            "unchanged": comparison.unchanged,
        },
    }


def differ(old: effective.Effective | None, new: effective.Effective | None) -> Difference | None:
    """Return what differs between two settings of one organization; None where nothing does that is compared."""
    if old == new:
        return None
    before, after = values.of(old) if old else {}, values.of(new) if new else {}
    if old is None or new is None:
        fate = Fate.ADDED if old is None else Fate.REMOVED
        changes = tuple(
            Change(path=path, before=None, after=value) for path, value in after.items() if value.is_own and value.text
        )
    else:
        fate = Fate.CHANGED
        changes = tuple(
            Change(path=path, before=before.get(path), after=after.get(path))
            for path in dict.fromkeys((*after, *before))
            if before.get(path) != after.get(path)
        )
    told_before, told_after = _findings(old), _findings(new)
    states = (old.state.value if old else "", new.state.value if new else "")
    difference = Difference(
        fate=fate,
        states=states,
        changes=changes,
        new=tuple(line for line in told_after if line not in told_before),
        gone=tuple(line for line in told_before if line not in told_after),
    )
    return difference if difference.is_any else None


def _findings(settings: effective.Effective | None) -> list[str]:
    if settings is None:
        return []
    return (
        [values.finding(entry) for entry in settings.findings]
        + [values.finding(entry, aside="audited") for entry in settings.audited]
        + [
            values.finding(entry, aside="if the server is the host's by address")
            for entry in settings.by_address.findings
        ]
    )


def _difference_to_json(difference: Difference) -> dict[str, Any]:
    return {
        "fate": difference.fate.value,
        "state": {"before": difference.states[0], "after": difference.states[1]},
        "values": {
            change.path: {"before": values.to_json(change.before), "after": values.to_json(change.after)}
            for change in difference.changes
        },
        "findings": {"new": list(difference.new), "gone": list(difference.gone)},
    }

"""A comparison of two renderings tells every organization what changes for it."""

import collections.abc
import dataclasses
import typing

import hypothesis

from kit import offline, specs
from mailtier.cli import terminal
from mailtier.cli.offline import diffing, rendering
from mailtier.settings import effective, observed, resolve

_DERIVED = {"source", "origin", "provenance", "min_version", "enforced"}
"""What follows from other values, so that it never differs alone, or acts only together with another one."""


def _render(*documents: offline.Json) -> dict[str, effective.Effective]:
    return {str(key): resolution.effective for key, resolution in offline.judge(*documents).resolutions()}


def _text(old: dict[str, effective.Effective], new: dict[str, effective.Effective]) -> str:
    return "".join(rendering.difference_as_text(diffing.compare(old, new), terminal.Painter(on=False), width=None))


def test_change_of_the_host_is_told_once_for_all_who_inherit_it() -> None:
    """Organizations that a change alters alike stand together; an override stays out of it."""
    orgs = [offline.org(f"team-{number}") for number in range(7)]
    own = offline.org("own", **{"from": {"displayName": "Own", "address": "no-reply@example.com"}})
    old = _render(offline.host(), *orgs, own)
    new = _render(offline.host(**{"from": {"address": "post@example.com"}}), *orgs, own)
    text = _text(old, new)
    assert "7 organizations (team-0/default, team-1/default, team-2/default" in text
    assert "and 2 more): Active\n" in text
    assert text.count("~ from.address: no-reply@example.com (Host) -> post@example.com (Host)") == 1
    assert "own/default: Active -> Blocked" in text
    assert "! FromNotAllowed: spec.from.address: no-reply@example.com may not be used" in text
    assert text.endswith("8 changed, 0 unchanged\n")


def test_added_and_removed_organizations_are_told() -> None:
    """Of a new organization its own values are shown, of a removed one what it was."""
    old = _render(offline.host(), offline.org("a"), offline.org("c"))
    new = _render(offline.host(), offline.org("b", **{"from": {"displayName": "B"}}), offline.org("c"))
    text = _text(old, new)
    assert "a/default: removed, was Active\n" in text
    assert "b/default: added, Active\n  + from.displayName: B (Org)\n" in text
    assert text.endswith("1 added, 1 removed, 1 unchanged\n")


def test_changed_origin_of_the_same_value_is_a_change() -> None:
    """An override that repeats the host's value is one all the same: it stays when the host's changes."""
    old = _render(offline.host(), offline.org("a"))
    new = _render(offline.host(), offline.org("a", **{"from": {"address": "no-reply@example.com"}}))
    (change,) = diffing.compare(old, new).differences["a/default"].changes
    assert (str(change.before), str(change.after)) == ("no-reply@example.com (Host)", "no-reply@example.com (Org)")


def test_what_only_a_cluster_knows_is_no_difference() -> None:
    """The uid of a namespace and version of a Secret differ between files and a cluster, and mean nothing here."""
    space, secret = offline.namespace("a"), offline.secret("mailtier", "relay", endpoint="relay.example.com")
    secret["stringData"] = {"password": "x"}
    old = _render(offline.host(), offline.org("a"), space, secret)
    space["metadata"]["uid"] = "uid"
    secret["metadata"] |= {"uid": "uid", "resourceVersion": "7"}
    new = _render(offline.host(), offline.org("a"), space, secret)
    assert old != new
    assert diffing.compare(old, new).differences == {}


@hypothesis.settings(max_examples=30)
@hypothesis.given(first=specs.cases(), second=specs.cases())
def test_no_difference_goes_untold(
    first: tuple[observed.Observed, observed.Reads], second: tuple[observed.Observed, observed.Reads]
) -> None:
    """Whatever single value differs in effective settings, but for what only a cluster knows, is a difference."""
    one, other = (
        _known_offline(resolve.conclude(resolve.plan(seen), reads).effective) for seen, reads in (first, second)
    )
    assert diffing.differ(one, one) is None
    # Without an endpoint there are no credentials, which the mixtures would not respect.
    hypothesis.assume(one.endpoint is not None and other.endpoint is not None)
    for mixed in _mixtures(one, other):
        assert (diffing.differ(one, mixed) is None) == (one == mixed)


def _mixtures(one: typing.Any, other: typing.Any) -> collections.abc.Iterator[typing.Any]:
    """Yield a value with each of its leaves in turn taken from another one of its type."""
    for field in dataclasses.fields(one):
        if field.name in _DERIVED or (isinstance(one, effective.TokenServer) and field.name in {"host", "port"}):
            continue  # Host and port of a token server are its URL's.
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(mine) and type(mine) is type(theirs):
            for mixed in _mixtures(mine, theirs):
                yield dataclasses.replace(one, **{field.name: mixed})
        else:
            yield dataclasses.replace(one, **{field.name: theirs})


def _known_offline(settings: effective.Effective) -> effective.Effective:
    key = effective.OrganizationKey(namespace="team-a", name="default")
    return dataclasses.replace(offline.without_versions(settings), organization=key)

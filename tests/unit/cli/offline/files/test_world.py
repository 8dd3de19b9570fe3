"""Objects become a world, and what the API would refuse is noted with its place."""

import pytest

from kit import corpus, offline
from mailtier.cli.offline.files import sources, world
from mailtier.settings.lints import terms


def _noted(*documents: offline.Json) -> list[tuple[str, str]]:
    return [(issue.rule.identifier, issue.field) for issue in offline.read(*documents).noted]


def test_objects_stand_under_their_keys() -> None:
    """Host, organizations, namespaces, Secrets and ConfigMaps are found; what is named in passing exists too."""
    found = offline.read(
        offline.host(),
        offline.org("a"),
        offline.org("", "loose"),
        offline.namespace("b", mail="on"),
        offline.secret("c", "s"),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "d"}},
    )
    assert found.host is not None
    assert sorted(map(str, found.organizations)) == ["a/default", "default/loose"]
    assert sorted(found.namespaces) == ["a", "b", "c", "d", "default"]
    assert found.namespaces["b"].labels == {"mail": "on", "kubernetes.io/metadata.name": "b"}
    assert list(found.secrets) == [("c", "s")]
    assert found.noted == []


@pytest.mark.parametrize("case", corpus.refused(), ids=str)
def test_what_the_api_refuses_is_noted(case: corpus.Case) -> None:
    """Every object of the corpus that the API server refuses is told in the words of the models."""
    told = " ".join(issue.text for issue in offline.read(case.document).noted)
    assert case.offline in told


@pytest.mark.parametrize("case", corpus.accepted(), ids=str)
def test_what_the_api_takes_is_not_noted(case: corpus.Case) -> None:
    """Every object of the corpus that the API server takes is taken."""
    assert offline.read(case.document).noted == []


@pytest.mark.parametrize(
    ("document", "noted"),
    [
        ({**offline.host(), "apiVersion": "mailtier.dev/v1"}, ("UnknownVersion", "apiVersion")),
        ({**offline.org("a"), "apiVersion": "mailtier.io/v1alpha1"}, ("UnknownVersion", "apiVersion")),
        ({**offline.org("a"), "kind": "OrgMailSettings"}, ("UnknownKind", "kind")),
        ({**offline.org("a"), "metadata": {"namespace": "a"}}, ("Invalid", "metadata.name")),
    ],
)
def test_what_is_nearly_ours_is_told(document: offline.Json, noted: tuple[str, str]) -> None:
    """A wrong version, group or kind is not passed over, or a mistyped object would seem well."""
    assert _noted(document) == [noted]


def test_notification_of_another_group_is_left_alone() -> None:
    """The kind Notification is not ours alone."""
    assert _noted({"apiVersion": "other.example/v1", "kind": "Notification", "metadata": {"name": "x"}}) == []


def test_duplicate_is_told_at_the_second_place_and_the_last_counts() -> None:
    """Where two objects have one name, the one that is applied last is what the cluster has."""
    first, second = offline.org("a"), offline.org("a", suspend=True)
    found = offline.read(first, second, offline.org("b"))
    (issue,) = found.noted
    assert issue.rule.identifier == "DuplicateObject"
    assert "input.yaml:1:1" in issue.message
    assert issue.place.line > 1
    (key, *_) = sorted(found.organizations)
    spec = found.organizations[key].spec
    assert getattr(spec, "suspend", None) is True


def test_namespace_that_is_deleted_holds_nothing() -> None:
    """What a cluster printed may have a namespace on its way out, whose organizations the operator has let go."""
    gone = offline.namespace("a")
    gone["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert offline.judge(offline.host(), offline.org("a"), gone).organizations() == []


def test_unreadable_text_is_noted() -> None:
    """A file of ours that is no YAML is an issue like any other."""
    found = world.build(sources.parse("f.yaml", "kind: OrgEmailSettings\na: [\n"))
    assert [(issue.rule.identifier, str(issue.place)) for issue in found.noted] == [("NotReadable", "f.yaml:3:1")]


@pytest.mark.parametrize(
    ("name", "text", "noted"),
    [
        ("a.yaml", "image: {{ .Values.image }}\n", []),
        ("a.yaml", "apiVersion: mailtier.dev/v1alpha1\nspec: {{ .Values.x }}\n", [terms.LintSeverity.INFO]),
        ("a.yaml", "apiVersion: mailtier.dev/v1alpha1\nspec: [\n", [terms.LintSeverity.ERROR]),
        ("<stdin>", "Error: chart not found: [\n", [terms.LintSeverity.ERROR]),
    ],
)
def test_unreadable_text_matters_as_far_as_it_is_ours(name: str, text: str, noted: list[terms.LintSeverity]) -> None:
    """Another chart's template is nobody's fault, our own is to be rendered, and what was piped in has to be read."""
    found = world.build(sources.parse(name, text))
    assert [issue.severity for issue in found.noted] == noted
    assert (found.skipped, found.templates) == (int(not noted), int(noted == [terms.LintSeverity.INFO]))
    assert found.files == int(bool(noted))

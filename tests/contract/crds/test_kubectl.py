"""What a person sees through kubectl: columns, explanations, sentences."""

import collections.abc
import json
import typing

import pytest
import yaml

from kit import cluster as cluster_kit
from kit import corpus, wait
from kit import rest as rest_kit
from kit.corpus import statuses
from mailtier.api import crds, names

_SPECS: dict[str, dict[str, typing.Any]] = {
    "HostEmailSettings": {},
    "OrgEmailSettings": {},
    "Notification": {"category": "JobAlert", "organization": "sales"},
}


@pytest.fixture
def observed(rest: rest_kit.Rest, namespace: str) -> collections.abc.Iterator[str]:
    """Return the namespace in which an object of each kind has a full status."""
    documents = []
    for kind, spec in _SPECS.items():
        inside = {} if kind == names.HOST_KIND else {"namespace": namespace}
        document = corpus.document(kind, spec, inside)
        status, answer = rest.request("POST", rest_kit.collection(document), document)
        assert status == 201, answer["message"]
        applied = {**document, "status": statuses.full()[kind]}
        status, answer = rest.request(
            "PATCH",
            rest_kit.item(document) + "/status",
            applied,
            content_type=rest_kit.APPLY,
            fieldManager=names.FIELD_MANAGER,
            fieldValidation="Strict",
        )
        assert (status, answer.get("status")) == (200, statuses.full()[kind])
        documents.append(document)
    yield namespace
    rest.request("DELETE", rest_kit.item(documents[0]))


def _table(text: str) -> list[dict[str, str]]:
    """Return the rows of kubectl's table by column, whose headings begin where their cells do."""
    heading, *rows = text.splitlines()
    titles = heading.split()
    starts = [heading.index(title) for title in titles]
    ends = [*starts[1:], None]
    return [
        {title: row[start:end].strip() for title, start, end in zip(titles, starts, ends, strict=True)} for row in rows
    ]


@pytest.mark.parametrize(
    ("short_name", "cells"),
    [
        (
            "hes",
            {
                "READY": "True",
                "REASON": "Published",
                "HOST": "smtp.example.com",
                "TLS": "StartTLS",
                "FROM": "no-reply@example.com",
                "ORGS": "12",
                "VERIFIED": "Unknown",
            },
        ),
        (
            "oes",
            {
                "READY": "True",
                "REASON": "Published",
                "HOST": "smtp.example.com",
                "TLS": "StartTLS",
                "FROM": "no-reply@example.com",
                "SOURCE": "Host",
                "VERIFIED": "Unknown",
            },
        ),
        (
            "ntf",
            {
                "READY": "False",
                "REASON": "Delivering",
                "CATEGORY": "JobAlert",
                "COMPLETE": "False",
            },
        ),
    ],
)
def test_columns_tell_the_state(
    cluster: cluster_kit.LocalCluster, observed: str, short_name: str, cells: dict[str, str]
) -> None:
    """`kubectl get` shows under short headings what matters, and `-o wide` what to do."""
    (row,) = _table(cluster.kubectl("get", short_name, f"--namespace={observed}").stdout)
    assert list(row) == ["NAME", *cells, "AGE"]
    assert {title: row[title] for title in cells} == cells
    (wide,) = _table(cluster.kubectl("get", short_name, f"--namespace={observed}", "--output=wide").stdout)
    assert "MESSAGE" in wide


def test_an_organization_that_may_be_defaulted_is_a_wide_column(
    cluster: cluster_kit.LocalCluster, observed: str
) -> None:
    """What is blank for most notifications takes no room in the usual listing, and is there when it is asked for."""
    (wide,) = _table(cluster.kubectl("get", "ntf", f"--namespace={observed}", "--output=wide").stdout)
    assert wide["ORGANIZATION"] == "sales"


def test_category_lists_every_kind(cluster: cluster_kit.LocalCluster, observed: str) -> None:
    """`kubectl get mailtier` lists the objects of all three kinds."""
    found = cluster.kubectl("get", names.CATEGORY, f"--namespace={observed}", "--output=name").stdout.split()
    assert [name.partition(".")[0] for name in sorted(found)] == sorted(resource.singular for resource in crds.ALL)


@pytest.fixture(scope="session")
def explained(cluster: cluster_kit.LocalCluster) -> dict[str, typing.Any]:
    """Return the schemas that kubectl explains from, which appear a moment after the kinds themselves."""

    def schemas() -> dict[str, typing.Any]:
        answer = cluster.kubectl("get", "--raw", f"/openapi/v3/apis/{names.API_VERSION}", check=False).stdout
        found: dict[str, typing.Any] = json.loads(answer)["components"]["schemas"] if answer else {}
        return found if all(_schema_name(resource) in found for resource in crds.ALL) else {}

    return wait.until(schemas, within_seconds=30, why="the kinds are in the OpenAPI document")


def _schema_name(resource: crds.Resource) -> str:
    return f"dev.mailtier.{names.VERSION}.{resource.kind}"


@pytest.mark.parametrize("resource", crds.ALL, ids=lambda resource: resource.kind)
def test_every_field_is_explained(
    cluster: cluster_kit.LocalCluster, explained: dict[str, typing.Any], resource: crds.Resource
) -> None:
    """`kubectl explain` knows every field, and the document that it reads has a text for each."""
    outline = cluster.kubectl("explain", resource.plural, "--recursive").stdout
    without = []

    def walk(node: dict[str, typing.Any], path: str) -> None:
        if path and not node.get("description"):
            without.append(path)
        for name, child in node.get("properties", {}).items():
            assert f"{name}\t<" in outline
            walk(child, f"{path}.{name}")
        if "items" in node and "properties" in node["items"]:
            walk(node["items"], f"{path}[]")

    properties = explained[_schema_name(resource)]["properties"]
    for part in ("spec", "status"):
        walk(properties[part], part)
    assert without == []


@pytest.mark.usefixtures("explained")
def test_explain_tells_defaults_and_choices(cluster: cluster_kit.LocalCluster) -> None:
    """The explanation of a field says what absence means, and which values there are."""
    port = cluster.kubectl("explain", "orgemailsettings.spec.smtp.port").stdout
    assert "when absent 587 for StartTLS, 465 for Implicit, 25 for" in port
    mode = cluster.kubectl("explain", "orgemailsettings.spec.smtp.tls.mode").stdout
    assert mode.split("ENUM:")[1].split()[:3] == ["StartTLS", "Implicit", "Disabled"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"smtp": {"hostname": "smtp.example.com"}}, ".spec.smtp.hostname: field not declared in schema"),
        ({"delivery": {"maxAge": "7d"}}, 'spec.delivery.maxAge: Invalid value: "7d": must be a duration such as 90s'),
        ({"from": {}}, "spec.from: Invalid value: is empty; set at least one of address, displayName"),
        ({"from": {"replyTo": None}}, "spec.from.replyTo"),
    ],
    ids=["unknown field", "duration", "empty group", "null"],
)
def test_kubectl_apply_says_what_is_wrong(
    cluster: cluster_kit.LocalCluster, namespace: str, spec: dict[str, object], says: str
) -> None:
    """The sentence and the path reach whoever uses kubectl."""
    document = corpus.document("OrgEmailSettings", spec, {"namespace": namespace})
    result = cluster.kubectl("apply", "--server-side", "--filename=-", input=yaml.safe_dump(document), check=False)
    assert result.returncode == 1
    assert says in result.stderr


def test_files_are_small_enough_for_client_side_apply(cluster: cluster_kit.LocalCluster) -> None:
    """`kubectl apply` without --server-side keeps a copy in an annotation, whose limit is 262,144 bytes."""
    for resource in crds.ALL:
        size = len(json.dumps(crds.definition(resource)).encode())
        assert size < 262_144 / 2
        answer = cluster.kubectl(
            "apply", "--dry-run=server", "--filename=-", input=json.dumps(crds.definition(resource))
        )
        assert resource.name in answer.stdout

"""`mailtier check` against a real apiserver, operator and sender, whose pod is a node's of the test's own."""

import collections.abc
import itertools
import json
import typing

import pytest

from kit import certs, commands, installations, kubelet
from mailtier.cli.online.checking import rights

_INTAKE, _OPERATOR, _SENDER = 8443, 8080, 8081


@pytest.fixture(scope="module")
def node(installation: installations.Installation, ca: certs.Authority) -> collections.abc.Iterator[kubelet.Kubelet]:
    """Return the node that the pod runs on, with every port of it."""
    with kubelet.Kubelet(installation.world.cluster, ca.issue("node", file_name="node")) as running:
        running.run_pod(installation.world.system, "mailtier-0", owner="mailtier", intake_port=_INTAKE)
        running.backends |= {
            _INTAKE: installation.sender.port,
            _OPERATOR: installation.operator.port,
            _SENDER: installation.sender.health_port,
        }
        yield running


def _check(program: commands.Program) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Return the exit status, and the findings by what was looked at."""
    done = program.run("check", "-o", "json")
    assert done.err == ""
    found: dict[str, list[dict[str, str]]] = {}
    for each in done.document["findings"]:
        found.setdefault(each["check"], []).append(each)
    assert done.document["broken"] == (done.status == 1)
    return done.status, found


def _verdicts(found: dict[str, list[dict[str, str]]]) -> dict[str, set[str]]:
    return {check: {each["verdict"] for each in those} for check, those in found.items()}


def _grant(installation: installations.Installation, wanted: collections.abc.Sequence[rights.Right]) -> None:
    """Give the pod's ServiceAccount rights as the chart gives them."""
    system, group = installation.world.system, "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": system}
    documents: list[dict[str, typing.Any]] = []
    for kind, is_own in (("ClusterRole", False), ("Role", True)):
        metadata = {"name": f"{system}-checked"} | ({"namespace": system} if is_own else {})
        rules = [
            {
                "apiGroups": [right.group],
                "resources": [right.resource],
                "verbs": [right.verb],
                **({"resourceNames": [right.name]} if right.name else {}),
            }
            for right in wanted
            if right.is_own == is_own
        ]
        reference = {"apiGroup": group, "kind": kind, "name": metadata["name"]}
        documents += [
            {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": f"{kind}Binding",
                "metadata": metadata,
                "roleRef": reference,
                "subjects": [subject],
            },
        ]
    installation.world.apply(*documents)


def test_a_cluster_is_looked_at_from_end_to_end(
    installation: installations.Installation, node: kubelet.Kubelet
) -> None:
    """What is well is said to be, by what the cluster, the pod's own pages and its probes say."""
    _grant(installation, rights.OPERATOR)
    assert node.backends
    status, found = _check(installation.program)
    wells = ["CRDs", "Operator's rights", "Your rights", "Pods", "Leader", "Clock", "Operator", "Sender", "Queue"]
    wells += ["Host settings", "DNS", "Egress", "TLS", "SMTP", "Login", "Sender address", "Certificate"]
    assert {check: found[check] for check in wells if _verdicts(found).get(check) != {"Ok"}} == {}
    assert _verdicts(found)["Volume"] == {"Warning"}, "the pod has no volume"
    assert status == 0
    text = installation.program.run("check")
    assert (text.status, text.err) == (0, "")
    lines = text.out.splitlines()
    assert lines[0].split() == ["VERDICT", "CHECK"]
    assert lines[-1].startswith(f"{sum(map(len, found.values()))} findings: ")


def test_what_is_broken_says_what_to_do(installation: installations.Installation, node: kubelet.Kubelet) -> None:
    """A right that is missing is named, and a container that does not answer, with what was met; the status is 1."""
    _grant(installation, [right for right in rights.OPERATOR if right.resource != "secrets"])
    answering = node.backends.pop(_SENDER)
    try:
        status, found = _check(installation.program)
        assert status == 1
        (lacking,) = found["Operator's rights"]
        assert lacking["verdict"] == "Failed"
        assert f"may not get secrets in the namespace {installation.world.system}." in lacking["message"]
        assert "rbac.create" in lacking["remedy"]
        (silent,) = found["Sender"]
        assert (silent["verdict"], "connection refused" in silent["message"]) == ("Failed", True)
        assert _verdicts(found)["Operator"] == {"Ok"}
    finally:
        node.backends[_SENDER] = answering
    text = installation.program.run("check")
    assert text.status == 1
    assert "Install the chart with rbac.create: true" in text.out


def test_what_may_not_be_seen_is_unknown_and_no_fault(
    installation: installations.Installation, node: kubelet.Kubelet
) -> None:
    """A tenant learns that somebody else has to look, and which rights it lacks."""
    tenant = installation.tenant()
    assert node.backends
    program = commands.Program(
        kubeconfig=installation.world.cluster.kubeconfig_for(tenant.namespace, "application"),
        environment={"MAILTIER_OPERATOR_NAMESPACE": installation.world.system},
    )
    status, found = _check(program)
    told = _verdicts(found)
    assert (status, told.pop("Your rights")) == (0, {"Warning"})
    assert set(itertools.chain(*told.values())) == {"Unknown"}
    assert json.dumps(found).count("Have that right granted") >= len(told)

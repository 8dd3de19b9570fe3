"""What the chart makes for others: Prometheus, cert-manager, Gateways, and whoever enforces policies of the network."""

import json
import pathlib
import re
import typing

import pytest
import yaml

from kit import helm, repository

_INSTALLING = "docs/how-to/install.md"


def _section(heading: str) -> list[typing.Any]:
    """Return the documents of each block of YAML in a section of the page on installing."""
    _, _, after = repository.read(pathlib.PurePosixPath(_INSTALLING)).partition(f"\n## {heading}\n")
    blocks = re.findall(r"^```yaml\n(.*?)^```", after.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


def test_the_page_shows_the_policy_that_the_chart_makes() -> None:
    """The page's values make the page's policy, which is the one that a run on a node has in force."""
    values, shown = _section("Network policies")
    # The schema refuses what is no address.
    assert values["networkPolicy"]["egress"].pop("apiServer") == ["APISERVER/32"]
    values["networkPolicy"]["egress"]["apiServer"] = ["10.0.0.1/32"]
    (made,) = helm.objects(values, show_only=["networkpolicy.yaml"])
    for part in ("policyTypes", "ingress", "egress"):
        assert json.loads(json.dumps(made["spec"][part]).replace("10.0.0.1", "APISERVER")) == shown["spec"][part]
    assert shown["spec"]["podSelector"]["matchLabels"].items() <= made["spec"]["podSelector"]["matchLabels"].items()


def test_metrics_are_found_in_one_way() -> None:
    """Two monitors of the same pods would have each series twice: a sentence says so."""
    both = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    with pytest.raises(helm.HelmError, match="each series would be there twice; enable one of them"):
        helm.template({"metrics": both})


def test_a_service_monitor_finds_the_service_with_its_ports() -> None:
    """The ports that it names are those of one of the Services that it selects."""
    objects = helm.objects({"metrics": {"serviceMonitor": {"enabled": True}}})
    (monitor,) = (document["spec"] for document in objects if document["kind"] == "ServiceMonitor")
    wanted = monitor["selector"]["matchLabels"].items()
    services = [document for document in objects if document["kind"] == "Service"]
    ports = [{port["name"] for port in each["spec"]["ports"]} for each in services if _labels(each) >= wanted]
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} in ports


def _labels(document: dict[str, typing.Any]) -> typing.Any:
    return document["metadata"]["labels"].items()


def test_rules_are_those_of_the_docs() -> None:
    """The PrometheusRule has each alert as it is documented, its templates untouched."""
    (made,) = helm.objects({"metrics": {"prometheusRule": {"enabled": True}}}, show_only=["monitoring.yaml"])
    documented = yaml.safe_load(repository.read(pathlib.PurePosixPath("docs/monitoring/alerts.yaml")))
    assert made["spec"] == documented


def test_an_authority_of_the_release_s_own_issues_the_certificate() -> None:
    """Without an issuer the chain is whole: what signs itself, an authority of it, and the certificate (R2)."""
    objects = helm.objects({"certManager": {"enabled": True}})
    found = {
        (each["kind"], each["metadata"]["name"]): each["spec"]
        for each in objects
        if each["apiVersion"] == "cert-manager.io/v1"
    }
    leaf = found.pop(("Certificate", "mailtier-intake"))
    issuer = found.pop(("Issuer", leaf["issuerRef"]["name"]))
    (authority,) = (each for (kind, _), each in found.items() if kind == "Certificate")
    assert authority["isCA"]
    assert issuer == {"ca": {"secretName": authority["secretName"]}}
    assert found["Issuer", authority["issuerRef"]["name"]] == {"selfSigned": {}}
    # Clients know the Service by these names, the operator's URL among them.
    assert "mailtier.mailtier-system.svc.cluster.local" in leaf["dnsNames"]
    assert set(leaf["ipAddresses"]) == {"127.0.0.1", "::1"}


def test_a_certificate_of_cert_manager_is_enough_for_several_senders() -> None:
    """What takes a certificate in a Secret takes one that is made by cert-manager."""
    values = {"certManager": {"enabled": True}, "sender": {"replicas": 2, "postgres": {"dsnSecret": {"name": "queue"}}}}
    values["sender"]["persistence"] = {"enabled": False}
    assert "Deployment" in {each["kind"] for each in helm.objects(values)}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ingress": {"enabled": True}}, "set ingress.hosts"),
        ({"gateway": {"enabled": True, "hostnames": ["mail.example"]}}, "set gateway.parentRefs"),
        ({"gateway": {"enabled": True, "parentRefs": [{"name": "front"}]}}, "and gateway.hostnames"),
    ],
    ids=["ingress", "parent", "names"],
)
def test_a_way_in_without_a_name_is_refused(values: dict[str, typing.Any], said: str) -> None:
    """An Ingress or a route that would catch every name, or hang on no Gateway, is none."""
    with pytest.raises(helm.HelmError, match=said):
        helm.template(values)

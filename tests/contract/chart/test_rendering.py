"""What the chart renders, and what it refuses."""

import importlib
import re
import typing

import pytest
import typer

from kit import chart, generate, helm
from kit.chart_options import looking, sets
from mailtier.api import crds
from mailtier.cli import main


def _only(objects: list[dict[str, typing.Any]], kind: str) -> dict[str, typing.Any]:
    (found,) = (document for document in objects if document["kind"] == kind)
    return found


def test_chart_is_without_fault() -> None:
    """Helm's own linter finds nothing, warnings included."""
    helm.run("lint", "--strict", str(helm.CHART))


def test_chart_holds_nothing_but_itself() -> None:
    """Each file of the chart is one that a package needs, so that none is left over from a run."""
    found = {str(path.relative_to(helm.CHART)) for path in helm.CHART.rglob("*") if path.is_file()}
    templates = {"NOTES.txt", "_helpers.tpl", "_pod.tpl", "admission.yaml", "extra-objects.yaml", "rbac-users.yaml"}
    templates |= {"rbac.yaml", "service.yaml", "serviceaccount.yaml", "tests/intake.yaml"}
    templates |= {"certificate.yaml", "confinement.yaml", "gateway.yaml", "ingress.yaml"}
    templates |= {"monitoring.yaml", "networkpolicy.yaml"}
    templates |= {"deployment.yaml", "disruption.yaml", "statefulset.yaml"}
    templates |= {f"crds/{resource.file_name}" for resource in crds.ALL}
    assert found == {
        ".helmignore",
        "Chart.yaml",
        "README.md",
        "alerts.yaml",
        "test.py",
        "values.schema.json",
        "values.yaml",
        *(f"templates/{name}" for name in templates),
    }


def test_what_is_rendered_into_the_repository_has_not_drifted() -> None:
    """The demo's rights are those of the chart; `make generate` mends it."""
    assert generate.drifted(chart.rendered_files()) == []


def test_objects_by_default() -> None:
    """The default is a whole installation, each object once, in the release's namespace or in none."""
    objects = helm.objects()
    assert sorted((document["kind"], document["metadata"]["name"]) for document in objects) == [
        ("ClusterRole", "mailtier"),
        ("ClusterRole", "mailtier-edit"),
        ("ClusterRole", "mailtier-grant"),
        ("ClusterRole", "mailtier-host-editor"),
        ("ClusterRole", "mailtier-notifier"),
        ("ClusterRole", "mailtier-references"),
        ("ClusterRole", "mailtier-view"),
        ("ClusterRoleBinding", "mailtier"),
        *(("CustomResourceDefinition", name) for name in sorted(resource.name for resource in crds.ALL)),
        ("Pod", "mailtier-test"),
        ("Role", "mailtier"),
        ("Role", "mailtier-intake-ca"),
        ("RoleBinding", "mailtier"),
        ("RoleBinding", "mailtier-intake-ca"),
        ("RoleBinding", "mailtier-references"),
        ("Service", "mailtier"),
        ("Service", "mailtier-pods"),
        ("ServiceAccount", "mailtier"),
        ("StatefulSet", "mailtier"),
        ("ValidatingAdmissionPolicy", "mailtier"),
        ("ValidatingAdmissionPolicy", "mailtier-confinement"),
        ("ValidatingAdmissionPolicyBinding", "mailtier"),
        ("ValidatingAdmissionPolicyBinding", "mailtier-confinement"),
    ]
    assert {document["metadata"].get("namespace", "mailtier-system") for document in objects} == {"mailtier-system"}
    labelled = [(each["metadata"]["name"], each["metadata"]["labels"]["app.kubernetes.io/name"]) for each in objects]
    # No Service leads to the pod that `helm test` makes.
    assert [name for name, label in labelled if label != "mailtier"] == ["mailtier-test"]


def test_crds_are_the_models() -> None:
    """A CRD's template renders to the definition, kept at an uninstallation."""
    objects = helm.objects()
    for resource in crds.ALL:
        (found,) = (document for document in objects if document["metadata"]["name"] == resource.name)
        assert found["spec"] == crds.definition(resource)["spec"]
        assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("name", sets.SETS)
def test_programs_know_their_arguments(name: str) -> None:
    """Every argument in the pod is an option of the program, with a value that it accepts."""
    for container in looking.pod(helm.objects(sets.SETS[name]))["containers"]:
        role, *arguments = container["args"]
        assert role == container["name"]
        assert role in main.COMMANDS
        command = typing.cast(
            "typing.Any", typer.main.get_command(importlib.import_module(f"mailtier.cli.commands.{role}").app)
        )
        command.make_context(role, list(arguments))


def test_containers_share_what_they_have_to() -> None:
    """Both see the same socket, the ports of the probes are declared, and the Services lead to declared ports."""
    objects = helm.objects()
    pod = _only(objects, "StatefulSet")["spec"]["template"]["spec"]
    ports = {}
    for container in pod["containers"]:
        assert {"name": "socket", "mountPath": "/run/mailtier"} in container["volumeMounts"]
        own = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in own
        for option in ("listen", "health-listen"):
            told = [argument for argument in container["args"] if argument.startswith(f"--{option}=:")]
            assert all(int(argument.rpartition(":")[2]) in own.values() for argument in told)
        ports |= own
    services = [document for document in objects if document["kind"] == "Service"]
    targets = {port["targetPort"] for service in services for port in service["spec"]["ports"]}
    assert targets == set(ports)


def test_nothing_in_the_pod_goes_by_a_search_list() -> None:
    """A name with a dot is looked up as it stands, whatever looks it up (R6)."""
    pod = _only(helm.objects(), "StatefulSet")["spec"]["template"]["spec"]
    assert pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}


def test_certificate_covers_the_service() -> None:
    """The sender is told every name by which the Service is known, whatever the release is called."""
    objects = helm.objects({"service": {"clusterDomain": "corp.example"}}, release="post", namespace="mail")
    sender = _only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][1]
    told = {argument.partition("=")[2] for argument in sender["args"] if argument.startswith("--tls-name=")}
    assert told == {
        "post-mailtier",
        "post-mailtier.mail",
        "post-mailtier.mail.svc",
        "post-mailtier.mail.svc.corp.example",
        "localhost",
        "127.0.0.1",
        "::1",
    }


def test_operator_knows_where_applications_reach_the_intake() -> None:
    """By the Service's whole name, which nobody else owns (R6); a certificate of others may be for the short one."""
    for port, suffix in ((443, ""), (8443, ":8443")):
        whole = "post-mailtier.mail.svc.cluster.local"
        operator, sender = _containers({"service": {"port": port}})
        assert f"--intake-url=https://{whole}{suffix}" in operator["args"]
        assert f"--tls-name={whole}" in sender["args"]
    operator, _ = _containers({"sender": {"tls": {"secretName": "intake"}}})
    assert "--intake-url=https://post-mailtier.mail.svc" in operator["args"]


def _containers(values: dict[str, typing.Any]) -> list[dict[str, typing.Any]]:
    objects = helm.objects(values, release="post", namespace="mail")
    return list(_only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rbac": {"references": {"scope": "None"}}}, "at '/rbac/references/scope': value must be one of 'Namespaces'"),
        ({"rbac": {"references": {"namespaces": "all"}}}, "at '/rbac/references/namespaces': got string, want array"),
        ({"projections": True}, "at '/projections': got boolean, want object"),
        ({"operators": {}}, "additional properties 'operators' not allowed"),
        (
            {"sender": {"persistences": {"size": "1Gi"}}},
            "at '/sender': additional properties 'persistences' not allowed",
        ),
        ({"crds": {"enable": False}}, "at '/crds': additional properties 'enable' not allowed"),
        ({"image": {"digest": "1234"}}, "at '/image/digest': '1234' does not match pattern"),
        ({"operator": {"logLevel": "debug"}}, "at '/operator/logLevel': value must be one of 'DEBUG'"),
        ({"sender": {"quota": {"messages": "many"}}}, "at '/sender/quota/messages': got string, want integer"),
        ({"sender": {"fullAt": 80}}, "at '/sender/fullAt': maximum: got 80, want 1"),
        ({"service": {"port": 0}}, "at '/service/port': minimum: got 0, want 1"),
        (
            {"sender": {"persistence": {"accessModes": ["ReadWriteMany"]}}},
            "at '/sender/persistence/accessModes/0': value must be one of 'ReadWriteOnce', 'ReadWriteOncePod'",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_slip_is_refused_with_its_place(values: dict[str, typing.Any], said: str) -> None:
    """A value that nobody reads, or that cannot be right, fails the installation with a line that names it."""
    with pytest.raises(helm.HelmError, match=re.escape(said)):
        helm.template(values)


_DATABASE = {"postgres": {"dsnSecret": {"name": "queue"}}}
_CERTIFICATE = {"tls": {"secretName": "intake"}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "takes a queue that the senders share: a queue on a volume is one sender's"),
        ({"replicas": 2, **_CERTIFICATE}, "set sender.postgres.dsnSecret.name"),
        ({"replicas": 2, **_DATABASE}, "takes one certificate for all"),
        ({"persistence": {"enabled": False}, **_CERTIFICATE}, "takes a queue in a database"),
        ({"persistence": {"enabled": False}, **_DATABASE}, "and a certificate in a Secret"),
        (
            {"replicas": 2, "persistence": {"existingClaim": "queue"}, **_DATABASE, **_CERTIFICATE},
            "sender.persistence.existingClaim is one pod's",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, typing.Any], said: str) -> None:
    """Several senders on volumes of their own, or nothing that outlives the pod: a sentence says what is missing."""
    with pytest.raises(helm.HelmError, match=re.escape(said)):
        helm.template({"sender": values})


def test_senders_of_a_database_know_its_address_from_a_file_alone() -> None:
    """It holds a password: no argument and no variable has it, and the operator is not given it (R1)."""
    pod = _only(helm.objects({"sender": {"replicas": 2, **_DATABASE, **_CERTIFICATE}}), "StatefulSet")["spec"]
    operator, sender = pod["template"]["spec"]["containers"]
    mount = {"name": "queue-dsn", "mountPath": "/etc/mailtier/queue", "readOnly": True}
    secrets = {
        each["name"]: each["secret"]["secretName"] for each in pod["template"]["spec"]["volumes"] if "secret" in each
    }
    assert secrets == {"tls": "intake", "queue-dsn": "queue"}
    assert mount in sender["volumeMounts"]
    assert mount not in operator["volumeMounts"]
    assert sender["env"] == [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]


def test_an_annotation_of_the_object_s_own_decides() -> None:
    """A wave for all is none for the CRDs where they have one of their own: Argo CD needs them first."""
    wave = "argocd.argoproj.io/sync-wave"
    values = {"commonAnnotations": {wave: "-1"}, "crds": {"annotations": {wave: "-2"}}}
    objects = helm.objects({**values, "extraObjects": ["kind: ConfigMap\nmetadata: {name: mine}"]})
    waves = {kind: {_annotation(each, wave) for each in objects if each["kind"] == kind} for kind in _kinds(objects)}
    assert waves.pop("CustomResourceDefinition") == {"-2"}
    # What somebody adds has the annotations that are written there.
    assert waves.pop("ConfigMap") == {None}
    assert set().union(*waves.values()) == {"-1"}


def _kinds(objects: list[dict[str, typing.Any]]) -> set[str]:
    return {document["kind"] for document in objects}


def _annotation(document: dict[str, typing.Any], name: str) -> str | None:
    found: str | None = document["metadata"].get("annotations", {}).get(name)
    return found


def test_pods_without_a_volume_are_a_deployment_s() -> None:
    """Its pods are those of the StatefulSet but for the volume, and the next one is ready before one goes."""
    shared = {**_DATABASE, **_CERTIFICATE, "replicas": 3}
    kept = _only(helm.objects({"sender": shared}), "StatefulSet")["spec"]
    objects = helm.objects({"sender": {**shared, "persistence": {"enabled": False}}})
    bare = _only(objects, "Deployment")["spec"]
    assert [document for document in objects if document["kind"] == "StatefulSet"] == []
    assert bare["template"]["spec"]["volumes"].pop()["emptyDir"] == {"sizeLimit": "16Mi"}
    assert bare["template"] == kept["template"]
    assert (bare["replicas"], bare["selector"]) == (3, kept["selector"])
    assert bare["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_several_pods_are_spread_and_not_all_drained_at_once() -> None:
    """Where nobody says otherwise they go to different zones and nodes; of a single pod nothing is said."""
    objects = helm.objects({"sender": {**_DATABASE, **_CERTIFICATE, "replicas": 2}})
    workload = _only(objects, "StatefulSet")["spec"]
    spread = workload["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(each["whenUnsatisfiable"] == "ScheduleAnyway" for each in spread)
    budget = _only(objects, "PodDisruptionBudget")["spec"]
    assert [each["labelSelector"] for each in spread] == [workload["selector"]] * 2
    assert budget["selector"] == workload["selector"]
    assert budget["maxUnavailable"] == 1
    single = helm.objects()
    assert "topologySpreadConstraints" not in _only(single, "StatefulSet")["spec"]["template"]["spec"]
    assert "PodDisruptionBudget" not in _kinds(single)


def test_values_of_a_parent_chart_are_permitted() -> None:
    """As a dependency the chart is given `global` and its condition, which it does not use."""
    assert helm.template({"global": {"imageRegistry": "mirror.example"}, "enabled": True}) == helm.template()

"""What the offline commands say of files is what a running operator makes of the same objects in a cluster."""

import json
import pathlib
import subprocess
import sys

import pytest

from kit import certs, commands, offline, operators, worlds
from mailtier.api import canonical
from mailtier.settings import codec, effective

_SPACES = ("render-a", "render-b", "render-c")
_ORGANIZATIONS = (
    "render-a.default",
    "render-a.blocked",
    "render-a.own",
    "render-a.unbound",
    "render-b.default",
    "render-c.default",
    "host",
)


def _documents(system: str, ca_pem: str) -> list[offline.Json]:
    """Return settings of every sort: inherited, overridden, own, blocked, unresolved, suspended, implicit."""
    policy = {
        "organizations": {"mode": "Selector", "selector": {"matchLabels": {"render": "yes"}}},
        "from": {"allow": ["{namespace}@example.com"]},
    }
    smtp = {"host": "relay.example.com", "tls": {"caRef": {"kind": "ConfigMap", "name": "relay-ca"}}}
    own = {
        "smtp": {"host": "smtp.acme.example", "port": 465, "tls": {"mode": "Implicit"}},
        "auth": {"username": "a", "passwordSecretRef": {"name": "own"}},
        "from": {"address": "a@acme.example"},
    }
    unbound = {**own, "auth": {"username": "a", "passwordSecretRef": {"name": "unbound"}}}
    bundle = {"name": "relay-ca", "namespace": system}
    return [
        *(offline.namespace(name, render="yes") for name in _SPACES),
        offline.secret(system, "relay", endpoint="relay.example.com:587", password="x"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": bundle, "data": {"ca.crt": ca_pem}},
        offline.secret("render-a", "own", endpoint="smtp.acme.example", password="x"),
        offline.secret("render-a", "unbound", password="x"),
        offline.host(policy=policy, smtp=smtp, delivery={"ratePerMinute": 60}),
        offline.org(
            "render-a",
            **{"from": {"address": "render-a@example.com", "displayName": "Grüße"}},
            delivery={"ratePerMinute": 100},
            notifications={"jobAlert": {"recipients": ["ops@example.com"], "enabled": False}},
        ),
        offline.org("render-a", "blocked", **{"from": {"address": "ceo@example.com"}}),
        offline.org("render-a", "own", **own),
        offline.org("render-a", "unbound", **unbound),
        offline.org("render-b", suspend=True),
    ]


@pytest.fixture(name="applied")
def some_applied(world: worlds.World, operator: operators.Operator, ca: certs.Authority) -> list[offline.Json]:
    """Return objects that were applied, and of which the operator has published everything."""
    assert operator.running
    documents = _documents(world.system, ca.ca_pem)
    world.apply(*documents)
    expected = {
        "render-a.default": "Active",
        "render-a.blocked": "Blocked",
        "render-a.own": "Active",
        "render-a.unbound": "Unresolved",
        "render-b.default": "Suspended",
        "render-c.default": "Active",
    }
    for name, state in expected.items():
        space, _, organization = name.partition(".")
        world.until(
            lambda space=space, organization=organization, state=state: (
                world.document(space, organization).get("state") == state
            ),
            f"{name} is {state}",
        )
    return documents


def _published(world: worlds.World) -> dict[str, str]:
    """Return the text of every effective.json by the name of its ConfigMap."""
    found = {}
    for name in _ORGANIZATIONS:
        config_map = world.get("configmap", name, world.system)
        assert config_map is not None, name
        found[name] = str(config_map["data"]["effective.json"])
    return found


def _render(world: worlds.World, *files: pathlib.Path, content: str = "") -> dict[str, str]:
    """Return what `mailtier render` prints for the same organizations, by the same names."""
    command = [sys.executable, "-m", "mailtier", "render", "-o", "json", f"--operator-namespace={world.system}"]
    command += [word for file in (files or ("-",)) for word in ("-f", str(file))]
    done = subprocess.run(command, input=content, capture_output=True, text=True, check=True)
    return {name.replace("/", "."): canonical.encode(entry) for name, entry in json.loads(done.stdout).items()}


def _known_offline(text: str) -> effective.Effective:
    return offline.without_versions(codec.decode(text))


def _placeless(done: commands.Finished) -> dict[str, offline.Json]:
    """Return the fields of an explanation without what only files or only a cluster know."""
    fields = done.document["fields"]
    return {
        path: {name: value for name, value in field.items() if name != "place"}
        for path, field in fields.items()
        if path != "smtp.tls.caRef"
    }


def _tenant(world: worlds.World, namespace: str) -> pathlib.Path:
    """Return the kubeconfig of somebody who may read the settings of one namespace."""
    kubectl, options = world.cluster.kubectl, ("-n", namespace)
    kubectl("create", "serviceaccount", "reader", *options)
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=orgemailsettings.mailtier.dev", *options)
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader", *options)
    return world.cluster.kubeconfig_for(namespace, "reader")


def test_rendering_what_the_cluster_holds_is_what_is_published_byte_for_byte(
    world: worlds.World, applied: list[offline.Json]
) -> None:
    """`kubectl get -o yaml` piped into render gives the very text of every effective.json."""
    kubectl = world.cluster.kubectl
    parts = [kubectl("get", "hes,oes,namespaces", "-A", "-o", "yaml").stdout]
    parts += [
        kubectl(
            "get", "secret", document["metadata"]["name"], "-n", document["metadata"]["namespace"], "-o", "yaml"
        ).stdout
        for document in applied
        if document["kind"] == "Secret"
    ]
    parts.append(kubectl("get", "configmap", "relay-ca", "-n", world.system, "-o", "yaml").stdout)
    rendered = _render(world, content="---\n".join(parts))
    assert {name: rendered.get(name) for name in _ORGANIZATIONS} == _published(world)


def test_rendering_what_was_applied_differs_by_what_only_a_cluster_knows(
    world: worlds.World, applied: list[offline.Json], tmp_path: pathlib.Path
) -> None:
    """The files of a repository give the same settings but for uids of namespaces and versions of Secrets."""
    rendered = _render(world, offline.write(tmp_path / "all.yaml", *applied))
    assert set(rendered) == set(_ORGANIZATIONS)
    for name, text in _published(world).items():
        assert _known_offline(rendered[name]) == _known_offline(text), name


def test_explanation_of_the_cluster_is_that_of_the_files(
    world: worlds.World, applied: list[offline.Json], tmp_path: pathlib.Path
) -> None:
    """`explain` without -f says of every field what it says of the files, and adds the conditions."""
    file = offline.write(tmp_path / "all.yaml", *applied)
    program = commands.Program(
        kubeconfig=world.cluster.kubeconfig, options=(f"--operator-namespace={world.system}", "--output=json")
    )
    for name in ("render-a/default", "render-a/own", "render-c"):
        live, files = program.run("explain", name), program.run("explain", name, "-f", str(file))
        assert (live.status, files.status) == (0, 0), live.err + files.err
        assert _placeless(live) == _placeless(files)
        assert live.document["withoutOverride"].keys() == files.document["withoutOverride"].keys()
    unbound = program.run("explain", "render-a/unbound").document
    assert unbound["state"] == "Unresolved"
    assert "SecretNotBound" in {condition["reason"] for condition in unbound["conditions"]}
    missing = program.run("explain", "render-a/nobody")
    assert (missing.status, missing.err.count("\n")) == (1, 1)
    assert "there is no organization render-a/nobody in the cluster; there are render-a/" in missing.err


def test_tenant_who_may_not_read_the_host_sees_what_status_says(
    world: worlds.World, applied: list[offline.Json]
) -> None:
    """With the rights of a namespace alone, values and origins come from the object's own status."""
    assert applied
    kubeconfig = _tenant(world, "render-a")
    program = commands.Program(kubeconfig=kubeconfig, options=(f"--operator-namespace={world.system}",))
    done = program.run("explain", "render-a/default")
    assert done.status == 0, done.err
    assert "you may not read HostEmailSettings default" in done.err
    assert "relay.example.com" in done.out
    shown = program.run("explain", "render-a/default", "from.address")
    assert "from.address: render-a@example.com (Org)" in shown.out
    assert program.run("explain", "host").status == 1

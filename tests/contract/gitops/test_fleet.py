"""The example repository and its Secrets: what is made of them is sound, and means what the pages say."""

import json
import os
import pathlib
import re
import subprocess
import sys
import typing

import pytest
import yaml

from kit import binaries, fleet

_PROGRAM = pathlib.Path(sys.executable).with_name("mailtier")
_SECRETS = ("secrets/external-secret.yaml", "secrets/sealed-secret.yaml")


def _offline(command: str, *arguments: str, text: str) -> subprocess.CompletedProcess[str]:
    """Return a command that takes files once it has judged a text."""
    argv = [_PROGRAM, command, "--quiet", "-f", "-", *arguments]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=False)


def _settings(text: str, organization: str = "host") -> dict[str, typing.Any]:
    """Return the effective settings of an organization."""
    return dict(json.loads(_offline("render", "-o", "json", text=text).stdout)[organization]["settings"])


@pytest.mark.parametrize("name", fleet.CLUSTERS)
def test_every_cluster_is_without_finding(name: str) -> None:
    """It is built, lint finds nothing, and each organization of the base is there and active."""
    text = fleet.build(fleet.FOLDER / "clusters" / name)
    found = _offline("lint", "--severity", "info", text=text)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout
    assert {_settings(text, organization)["state"] for organization in ("sales/default", "support/default")} == {
        "Active"
    }


def test_staging_writes_to_nobody_outside() -> None:
    """Its mail goes to the test server without the relay's password, and recipients elsewhere are refused."""
    staging, production = (_settings(fleet.build(fleet.FOLDER / "clusters" / name)) for name in fleet.CLUSTERS)
    assert staging["endpoint"]["host"] == "mailpit.mailpit.svc.cluster.local"
    assert staging["auth"]["mechanism"] == "Anonymous"
    assert staging["recipients"] == {"domains": ["example.com"], "enforced": True}
    assert production["endpoint"]["host"] == "smtp.example.com"
    assert production["auth"]["mechanism"] == "PLAIN"
    assert production["recipients"]["domains"] is None


def test_each_component_does_what_it_says(tmp_path: pathlib.Path) -> None:
    """On the base alone, one audits the policy and another one holds delivery."""
    names = ("audited", "caught", "paused")
    assert names == tuple(sorted(path.name for path in (fleet.FOLDER / "components").iterdir()))
    for name in names:
        (tmp_path / name).mkdir()
    made = {name: fleet.with_component(name, tmp_path / name) for name in names}
    assert {name: _offline("lint", text=text).returncode for name, text in made.items()} == dict.fromkeys(names, 0)
    hosts = {
        name: next(each for each in yaml.safe_load_all(text) if each["kind"] == "HostEmailSettings")["spec"]
        for name, text in made.items()
    }
    assert hosts["audited"]["policy"]["mode"] == "Audit"
    assert _settings(made["paused"], "sales/default")["state"] == "Suspended"


@pytest.mark.parametrize("path", _SECRETS)
def test_the_secret_names_its_server(path: str) -> None:
    """The Secret that is made is enough where nothing is assumed; without its annotation it is not."""
    (document,) = fleet.documents(path)
    secret = fleet.made_secret(document, {"password": "x"})
    host = (fleet.FOLDER / "base/host.yaml").read_text(encoding="utf-8")
    judged = _offline("lint", "--strict-references", text=f"{host}---\n{json.dumps(secret)}")
    assert judged.returncode == 0, judged.stdout
    secret["metadata"]["annotations"] = {}
    judged = _offline("lint", "--strict-references", text=f"{host}---\n{json.dumps(secret)}")
    assert "[SecretNotBound]" in judged.stdout


def test_what_is_sealed_has_the_annotation(tmp_path: pathlib.Path) -> None:
    """The page's pipeline gives kubeseal a Secret with the template's annotation, and asks no cluster."""
    page = (fleet.GITOPS / "secrets.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(kubectl create secret generic relay .*?kubeseal .*?)```", page, re.DOTALL)
    assert found is not None
    # In place of kubeseal, which encrypts `data` and copies the rest into the template.
    (tmp_path / "kubeseal").write_text("#!/bin/sh\ncat\n", encoding="ascii")
    (tmp_path / "kubeseal").chmod(0o755)
    (tmp_path / "password").write_text("x", encoding="ascii")
    kubectl = binaries.ensure("kubectl")["kubectl"]
    environment = {"PATH": f"{tmp_path}:{kubectl.parent}:{os.environ['PATH']}", "KUBECONFIG": os.devnull}
    subprocess.run(["bash", "-euo", "pipefail", "-c", found[1]], cwd=tmp_path, env=environment, check=True)
    made = yaml.safe_load((tmp_path / "relay.yaml").read_text(encoding="utf-8"))
    (sealed,) = fleet.documents("secrets/sealed-secret.yaml")
    assert made["metadata"]["annotations"] == sealed["spec"]["template"]["metadata"]["annotations"]
    assert (made["metadata"]["name"], set(made["data"])) == (
        sealed["metadata"]["name"],
        set(sealed["spec"]["encryptedData"]),
    )

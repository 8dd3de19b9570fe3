"""The Terraform example: it can be read, and what it writes is sound."""

import json
import pathlib
import re
import subprocess
import sys
import typing

import hcl2
import yaml

from kit import fleet, helm, repository

_OPTIONS = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False)


def _resources(name: str) -> dict[str, fleet.Json]:
    """Return the resources of a configuration by `type.name`."""
    with (fleet.GITOPS / "terraform" / name / "main.tf").open(encoding="utf-8") as file:
        document = hcl2.load(file, serialization_options=_OPTIONS)
    return {
        f"{kind}.{label}": body
        for resource in document["resource"]
        for kind, labelled in resource.items()
        for label, body in labelled.items()
    }


def _object(value: typing.Any) -> typing.Any:
    """Return a value as the object that it is, without the quotes that its keys may have."""
    match value:
        case dict():
            return {name.strip('"'): _object(each) for name, each in value.items()}
        case list():
            return [_object(each) for each in value]
        case _:
            return value


def test_release_takes_its_values() -> None:
    """The chart is the one of the repository, and renders with what the release sets."""
    (release,) = _resources("mailtier").values()
    chart = yaml.safe_load(repository.read("charts/mailtier/Chart.yaml"))
    assert (release["chart"], release["version"]) == (chart["name"], chart["version"])
    # `yamlencode({crds = {keep = true}})`, which is YAML once colons stand for the equals signs.
    (encoded,) = release["values"]
    found = re.fullmatch(r"\$\{yamlencode\((.*)\)\}", encoded, re.DOTALL)
    assert found is not None
    values = yaml.safe_load(found[1].replace(" = ", ": "))
    assert values == {"crds": {"keep": True}}
    assert helm.objects(values, release=release["name"], namespace=release["namespace"])


def test_settings_and_secret_fit_each_other() -> None:
    """The settings are without a finding where nothing is assumed: the Secret is there, and bound to their server."""
    found = _object(_resources("settings"))
    secret, host = found["kubernetes_secret_v1.relay"], found["kubernetes_manifest.host"]
    (metadata,) = secret["metadata"]
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret["data_wo"]}
    assert host["depends_on"] == ["${kubernetes_secret_v1.relay}"]
    (waited,) = host["wait"]
    assert waited["condition"] == [{"type": "Ready", "status": "True"}]
    mailtier = pathlib.Path(sys.executable).with_name("mailtier")
    judged = subprocess.run(
        [mailtier, "lint", "--strict-references", "--severity=info", "-f", "-"],
        input=f"{json.dumps(host['manifest'])}\n{json.dumps(document)}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (judged.returncode, judged.stdout) == (0, "no findings in 2 objects of 1 file\n")

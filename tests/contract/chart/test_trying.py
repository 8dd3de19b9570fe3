"""What `helm test` runs, on a real sender: well where the way to the intake is well, and told where it is not."""

import collections.abc
import pathlib
import subprocess
import sys
import typing

import pytest

from kit import certs, helm, ports, sender, tenants
from kit import cluster as cluster_kit

Try = collections.abc.Callable[..., subprocess.CompletedProcess[str]]


def _pod() -> dict[str, typing.Any]:
    (found,) = helm.objects(show_only=["tests/intake.yaml"])
    return found


@pytest.fixture(scope="module")
def attempt(
    cluster: cluster_kit.LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[Try]:
    """Return what runs the pod's program against a sender; arguments replace what it is told."""
    (container,) = _pod()["spec"]["containers"]
    *_, program = container["command"]
    folder = tmp_path_factory.mktemp("trying")
    system, tenant = f"{tenants.create(cluster).namespace}-system", tenants.create(cluster).namespace
    token = folder / "token"
    token.write_text(cluster.token(tenant, "default", audience="mailtier"), encoding="ascii")
    account = sender.install(cluster, system)
    with sender.Sender(folder / "sender", kubeconfig=account, namespace=system) as sending:
        told = {
            "INTAKE_URL": sending.url,
            "CA_FILE": str(sending.ca_path),
            "TOKEN_FILE": str(token),
            "NAMESPACE": tenant,
            "SECONDS_TO_TRY": "60",
        }
        # What the pod is told of is all that it knows.
        assert {each["name"] for each in container["env"]} == told.keys() - {"SECONDS_TO_TRY"}

        def run(**others: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-I", "-c", program],
                env={**told, **others},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )

        yield run


def test_a_way_that_is_well_is_said_to_be(attempt: Try) -> None:
    """The intake answers with a certificate that verifies, and knows whoever has a token (R2, R13)."""
    done = attempt()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["well", "well"]


def test_what_is_wrong_is_told(attempt: Try, tmp_path: pathlib.Path) -> None:
    """A stranger's certificate, an intake that is not there, and a token that nobody made fail with what was met."""
    stranger = certs.Authority(tmp_path).ca_pem
    (tmp_path / "stranger.crt").write_text(stranger, encoding="ascii")
    (tmp_path / "token").write_text("none", encoding="ascii")
    for others, said in (
        ({"CA_FILE": str(tmp_path / "stranger.crt")}, "certificate verify failed"),
        ({"INTAKE_URL": f"https://127.0.0.1:{ports.free()}"}, "Connection refused"),
        ({"TOKEN_FILE": str(tmp_path / "token")}, "a caller with a token gets 401"),
    ):
        done = attempt(**others, SECONDS_TO_TRY="0")
        assert done.returncode == 1
        assert said in done.stdout.splitlines()[-1]


def test_no_service_leads_to_the_pod() -> None:
    """It is none of the pods, whatever the labels of all objects; and what it is told to read is mounted."""
    pod = _pod()
    for document in helm.objects():
        selector = document["spec"]["selector"] if document["kind"] == "Service" else {}
        assert not selector or not selector.items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    mounted = tuple(each["mountPath"] for each in container["volumeMounts"])
    files = [each["value"] for each in container["env"] if each["name"].endswith("_FILE")]
    assert all(file.startswith(mounted) for file in files)
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"

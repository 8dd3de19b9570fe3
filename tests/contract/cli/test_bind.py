"""`mailtier bind` against a real apiserver: what becomes of the Secret, and who may read it afterwards."""

import base64
import collections.abc
import io
import json
import pathlib
import secrets
import sys
import typing

import pytest

from kit import cluster as cluster_kit
from kit import commands
from mailtier.cli import main

_PASSWORD = "correct horse"
_ENDPOINT = "--endpoint=smtp.acme.example:587"
_BOUND = "smtp.acme.example:587"


@pytest.fixture
def system() -> str:
    """Return a namespace of Mailtier's; its ServiceAccount need not be there to be granted anything."""
    return f"mailtier-{secrets.token_hex(4)}"


@pytest.fixture
def role(cluster: cluster_kit.LocalCluster) -> collections.abc.Iterator[str]:
    """Return a ClusterRole with the right to read references."""
    name = f"references-{secrets.token_hex(4)}"
    cluster.kubectl("create", "clusterrole", name, "--verb=get", "--resource=secrets,configmaps")
    yield name
    cluster.kubectl("delete", "clusterrole", name, "--wait=false")


class _Program:
    """The commands in this process, as somebody with a kubeconfig."""

    def __init__(
        self, kubeconfig: pathlib.Path, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
    ) -> None:
        self._kubeconfig = kubeconfig
        self._capsys = capsys
        self._environment = environment

    def run(self, command: str, *arguments: str, answer: str = "") -> commands.Finished:
        """Return a command once it has ended; it reads the answer, and has no terminal."""
        self._environment.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answer.encode())))
        status = main.run([command, *arguments, f"--kubeconfig={self._kubeconfig}"])
        printed = self._capsys.readouterr()
        return commands.Finished(status=status, out=printed.out, err=printed.err)


@pytest.fixture
def program_of(
    system: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> collections.abc.Callable[[pathlib.Path], _Program]:
    """Return what gives the commands with the rights of a kubeconfig."""
    monkeypatch.setenv("MAILTIER_OPERATOR_NAMESPACE", system)
    return lambda kubeconfig: _Program(kubeconfig, capsys, monkeypatch)


@pytest.fixture
def program(
    cluster: cluster_kit.LocalCluster, program_of: collections.abc.Callable[[pathlib.Path], _Program]
) -> _Program:
    """Return the commands with the administrator's rights."""
    return program_of(cluster.kubeconfig)


def _bind(program: _Program, namespace: str, *arguments: str, answer: str = "") -> commands.Finished:
    return program.run("bind", "smtp", "-n", namespace, *arguments, answer=answer)


def _secret(cluster: cluster_kit.LocalCluster, namespace: str) -> dict[str, typing.Any]:
    found = json.loads(cluster.kubectl("get", "secret", "smtp", "-n", namespace, "-o", "json").stdout)
    return {
        "bound": (found["metadata"].get("annotations") or {}).get("mailtier.dev/endpoint"),
        "data": {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()},
    }


def _may_read(cluster: cluster_kit.LocalCluster, namespace: str, system: str) -> bool:
    asked = ("auth", "can-i", "get", "secret/smtp", "-n", namespace, "--quiet")
    return cluster.kubectl(*asked, f"--as=system:serviceaccount:{system}:mailtier", check=False).returncode == 0


def test_a_secret_is_made_bound_and_granted(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program, system: str, role: str
) -> None:
    """One command does all that settings with a password of their own need, and a second one has nothing left to do."""
    granting = (_ENDPOINT, f"--references-role={role}", "--password-stdin")
    done = _bind(program, namespace, *granting, answer=f"{_PASSWORD}\n")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"secret/smtp created, for {_BOUND}",
        "rolebinding.rbac.authorization.k8s.io/mailtier-references created",
    ]
    assert _secret(cluster, namespace) == {"bound": _BOUND, "data": {"password": _PASSWORD}}
    assert _may_read(cluster, namespace, system)
    again = _bind(program, namespace, *granting, answer=_PASSWORD)
    assert (again.status, again.out) == (0, f"secret/smtp unchanged, for {_BOUND}\n")
    named = _bind(program, namespace, *granting, "-o", "name", answer=_PASSWORD)
    assert named.out == "secret/smtp\n"


def test_a_secret_that_is_there_keeps_its_value(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program
) -> None:
    """What somebody else made is bound without its password being asked for; servers add up, or are replaced."""
    cluster.kubectl(
        "create", "secret", "generic", "smtp", "-n", namespace, "--from-literal=password=x", "--from-literal=a=b"
    )
    done = _bind(program, namespace, _ENDPOINT, "--no-grant")
    assert (done.status, done.out) == (0, f"secret/smtp configured, for {_BOUND}\n")
    assert _secret(cluster, namespace) == {"bound": _BOUND, "data": {"password": "x", "a": "b"}}
    more = _bind(program, namespace, "--endpoint=other.example", "--no-grant")
    assert more.out == f"secret/smtp configured, for {_BOUND},other.example\n"
    replaced = _bind(program, namespace, "--endpoint=other.example", "--replace", "--no-grant")
    assert replaced.out == "secret/smtp configured, for other.example\n"
    changed = _bind(program, namespace, "--endpoint=other.example", "--no-grant", "--password-stdin", answer="y")
    assert changed.out == "secret/smtp configured, for other.example\n"
    assert _secret(cluster, namespace) == {"bound": "other.example", "data": {"password": "y", "a": "b"}}


def test_a_skeleton_is_filled_and_stays_filled(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program, tmp_path: pathlib.Path
) -> None:
    """What `init` writes is applied again by a pipeline, and the password that was put in stays."""
    skeleton = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "smtp", "annotations": {"mailtier.dev/endpoint": _BOUND}},
        "type": "Opaque",
    }
    file = tmp_path / "skeleton.json"
    file.write_text(json.dumps(skeleton), encoding="utf-8")
    for options in ((), ("--server-side", "--force-conflicts")):
        cluster.kubectl("apply", "-n", namespace, "-f", str(file), *options)
        done = _bind(program, namespace, _ENDPOINT, "--no-grant", "--password-stdin", answer=_PASSWORD)
        assert done.status == 0, done.err
        cluster.kubectl("apply", "-n", namespace, "-f", str(file), *options)
        assert _secret(cluster, namespace) == {"bound": _BOUND, "data": {"password": _PASSWORD}}


def test_without_a_password_nothing_is_made(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program
) -> None:
    """A pipeline that forgot the password is told, and so is one whose namespace is misspelt."""
    done = _bind(program, namespace, _ENDPOINT)
    assert (done.status, done.out) == (2, "")
    assert "--password-stdin" in done.err
    missing = _bind(program, "nope", _ENDPOINT, "--password-stdin", answer=_PASSWORD)
    assert missing.status == 1
    assert missing.err == program.run("status", "-n", "nope").err
    assert cluster.kubectl("get", "secret,rolebinding", "-n", namespace, "-o", "name").stdout == ""


def test_a_grant_of_something_else_is_not_overwritten(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program, role: str, system: str
) -> None:
    """A RoleBinding of that name for another installation is left to whoever made it; the Secret is bound."""
    cluster.kubectl(
        *("create", "rolebinding", "mailtier-references", "-n", namespace),
        *(f"--clusterrole={role}", "--serviceaccount=elsewhere:mailtier"),
    )
    done = _bind(program, namespace, _ENDPOINT, f"--references-role={role}", "--password-stdin", answer=_PASSWORD)
    assert (done.status, done.out) == (1, f"secret/smtp created, for {_BOUND}\n")
    assert "grants something else" in done.err
    assert done.err.count("\n") == 1
    assert not _may_read(cluster, namespace, system)


def test_mailtier_s_own_namespace_needs_no_grant(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program
) -> None:
    """The host's Secret lies where the release has granted it."""
    arguments = (_ENDPOINT, f"--operator-namespace={namespace}", "--password-stdin")
    done = _bind(program, namespace, *arguments, answer=_PASSWORD)
    assert (done.status, done.out) == (0, f"secret/smtp created, for {_BOUND}\n")
    assert cluster.kubectl("get", "rolebinding", "-n", namespace, "-o", "name").stdout == ""


def test_what_one_may_not_do_is_one_line(
    cluster: cluster_kit.LocalCluster,
    namespace: str,
    role: str,
    program_of: collections.abc.Callable[[pathlib.Path], _Program],
) -> None:
    """Whoever may not write the Secret is told so; who may, and may not grant, has bound it and is told the rest."""
    cluster.kubectl("create", "serviceaccount", "someone", "-n", namespace)
    person = program_of(cluster.kubeconfig_for(namespace, "someone"))
    arguments = (_ENDPOINT, f"--references-role={role}", "--password-stdin")
    done = _bind(person, namespace, *arguments, answer=_PASSWORD)
    assert (done.status, done.out) == (1, "")
    assert "you may not get secret smtp" in done.err
    cluster.kubectl("create", "role", "writer", "-n", namespace, "--verb=get,create,patch", "--resource=secrets")
    cluster.kubectl(
        *("create", "rolebinding", "writer", "-n", namespace, "--role=writer"),
        f"--serviceaccount={namespace}:someone",
    )
    # Without -n, the namespace is the one of the kubeconfig's context.
    done = person.run("bind", "smtp", *arguments, answer=_PASSWORD)
    assert (done.status, done.out) == (1, f"secret/smtp created, for {_BOUND}\n")
    assert "you may not create rolebinding mailtier-references" in done.err
    for said in (done.out, done.err):
        assert _PASSWORD not in said


def test_an_immutable_secret_is_bound_and_not_filled(
    cluster: cluster_kit.LocalCluster, namespace: str, program: _Program
) -> None:
    """Where it may be sent can be agreed to; that its value cannot be changed is told, and no value with it (R1)."""
    cluster.kubectl("create", "secret", "generic", "smtp", "-n", namespace, "--from-literal=password=x")
    cluster.kubectl("patch", "secret", "smtp", "-n", namespace, "-p", '{"immutable":true}')
    done = _bind(program, namespace, _ENDPOINT, "--no-grant")
    assert (done.status, done.out) == (0, f"secret/smtp configured, for {_BOUND}\n")
    done = _bind(program, namespace, _ENDPOINT, "--no-grant", "--password-stdin", answer=_PASSWORD)
    assert (done.status, done.out) == (2, "")
    assert "is immutable" in done.err
    assert _PASSWORD not in done.err

"""`mailtier bind` without a cluster: objects for Git, and where the password may come from."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import typing

import pytest
import yaml

from kit import offline, screens, wait
from mailtier.cli import main

_PASSWORD = "correct horse"
_ENCODED = base64.b64encode(_PASSWORD.encode()).decode()
_ENDPOINT = "--endpoint=smtp.acme.example:587"
_SECONDS = 120.0


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> typing.Callable[..., typing.Any]:
    """Return what runs the command with a password on standard input."""

    def run_it(*arguments: str, answer: str = _PASSWORD) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", offline.Input(answer))
        status = main.run(["bind", "smtp", "--password-stdin", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run_it


def test_objects_for_git_are_printed(run: typing.Callable[..., typing.Any]) -> None:
    """The Secret and the grant are what `kubectl apply` takes; the grant names the release's own role and account."""
    status, out, err = run("-n", "acme", _ENDPOINT, "--dry-run=client", "-o", "yaml")
    assert (status, err) == (0, "")
    secret, grant = yaml.safe_load_all(out)
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "smtp",
            "namespace": "acme",
            "annotations": {"mailtier.dev/endpoint": "smtp.acme.example:587"},
        },
        "type": "Opaque",
        "data": {"password": _ENCODED},
    }
    assert (grant["kind"], grant["metadata"]) == (
        "RoleBinding",
        {"name": "mailtier-references", "namespace": "acme"},
    )
    assert grant["roleRef"]["name"] == "mailtier-references"
    assert grant["subjects"] == [{"kind": "ServiceAccount", "name": "mailtier", "namespace": "mailtier-system"}]


def test_nothing_is_granted_where_nothing_has_to_be(run: typing.Callable[..., typing.Any]) -> None:
    """The release reads its own namespace, and --no-grant leaves the Secret alone, for what seals it."""
    for arguments in (["-n", "mailtier-system"], ["-n", "acme", "--no-grant"], ["-n", "m", "--operator-namespace=m"]):
        _, out, _ = run(*arguments, _ENDPOINT, "--dry-run=client", "-o", "json")
        assert json.loads(out)["kind"] == "Secret"


def test_output_is_as_kubectl_has_it(run: typing.Callable[..., typing.Any]) -> None:
    """Several objects are a List in JSON; names are names, and without a form it is said what would be done."""
    arguments = ("-n", "acme", _ENDPOINT, "--dry-run=client")
    whole = json.loads(run(*arguments, "-o", "json")[1])
    assert (whole["kind"], [each["kind"] for each in whole["items"]]) == ("List", ["Secret", "RoleBinding"])
    names = ["secret/smtp", "rolebinding.rbac.authorization.k8s.io/mailtier-references"]
    assert run(*arguments, "-o", "name")[1].split("\n") == [*names, ""]
    assert run(*arguments)[1].split("\n") == [*(f"{name} created (dry run)" for name in names), ""]


def test_what_tokens_are_had_with_has_its_own_key(run: typing.Callable[..., typing.Any]) -> None:
    """With a token server the value is the client's secret, unless another key is named."""
    tokens = ("-n", "acme", _ENDPOINT, "--endpoint=https://login.acme.example", "--dry-run=client", "-o", "yaml")
    for arguments, key in ((tokens, "client-secret"), ((*tokens, "--key", "refresh-token"), "refresh-token")):
        secret = next(yaml.safe_load_all(run(*arguments)[1]))
        assert secret["data"] == {key: _ENCODED}
        annotation = secret["metadata"]["annotations"]["mailtier.dev/endpoint"]
        assert annotation == "smtp.acme.example:587,https://login.acme.example"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-n", "acme"], "Missing option '--endpoint'"),
        (["-n", "acme", "--endpoint=a:b", "--dry-run=client"], "'a:b' is not HOST[:PORT]"),
        ([_ENDPOINT, "--dry-run=client"], "--namespace: is needed"),
        (["-n", "acme", _ENDPOINT, "-o", "yaml"], "--output: yaml and json hold the password"),
        (["-n", "a/b", _ENDPOINT, "--dry-run=client"], "no namespace can be called 'a/b'"),
        (["-n", "acme", _ENDPOINT, "--dry-run=client", "--service-account=x"], "'x' is not NAMESPACE:NAME"),
    ],
)
def test_wrong_command_lines_are_usage_errors(
    arguments: list[str], said: str, run: typing.Callable[..., typing.Any]
) -> None:
    """One line says what is wrong, and no password is in it."""
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert _PASSWORD not in err
    assert err.count("\n") == 1


def test_an_unfit_password_is_refused(run: typing.Callable[..., typing.Any]) -> None:
    """What the operator would refuse is not written, and the line that says so shows nothing of it (R1)."""
    status, out, err = run("-n", "acme", _ENDPOINT, "--dry-run=client", answer="hunter2\x07")
    assert (status, out) == (2, "")
    assert "control character" in err
    assert "hunter2" not in err


def _started(*arguments: str, stdin: int, out: typing.IO[bytes], err: int) -> subprocess.Popen[bytes]:
    # In a session of its own it has no terminal but the one that it is given.
    return subprocess.Popen(
        [sys.executable, "-m", "mailtier", "bind", "smtp", "-n", "acme", _ENDPOINT, "--dry-run=client", *arguments],
        stdin=stdin,
        stdout=out,
        stderr=err,
        env={**os.environ, "COLUMNS": "200"},
        start_new_session=True,
    )


def test_the_password_is_asked_for_without_echo(tmp_path: pathlib.Path) -> None:
    """On a terminal it is said where the password may be sent before it is typed, and it is not seen."""
    written = tmp_path / "secret.yaml"
    with (
        screens.terminal(200, 20) as terminal,
        written.open("wb") as out,
        _started("-o", "yaml", stdin=terminal.theirs, out=out, err=terminal.theirs) as child,
    ):
        try:
            question = "Password in Secret acme/smtp, for smtp.acme.example:587:"
            wait.until(lambda: question in terminal.text, within_seconds=_SECONDS, why="it is asked for")
            terminal.type(f"{_PASSWORD}\n")
            assert child.wait(timeout=_SECONDS) == 0
        finally:
            child.kill()
    assert _PASSWORD not in terminal.text
    assert next(yaml.safe_load_all(written.read_text(encoding="utf-8")))["data"] == {"password": _ENCODED}


def test_without_a_terminal_nothing_is_waited_for(tmp_path: pathlib.Path) -> None:
    """A pipeline that gives no password ends at once, and says how one is given."""
    said = tmp_path / "said"
    with (
        (tmp_path / "out").open("wb") as out,
        said.open("wb") as err,
        pathlib.Path(os.devnull).open("rb") as nothing,
        _started(stdin=nothing.fileno(), out=out, err=err.fileno()) as child,
    ):
        assert child.wait(timeout=_SECONDS) == 2
    assert "pipe it in with --password-stdin" in said.read_text(encoding="utf-8")

"""`mailtier init` writes settings that lint finds nothing in, and says what is left to do."""

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
from mailtier.settings.providers import catalogue, facts

_PROVIDERS = pytest.mark.parametrize("provider", catalogue.ALL, ids=lambda provider: provider.name)
_SECONDS = 120.0


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main.run([*map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def _written(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, typing.Any]]:
    status, out, err = _run(capsys, "init", *arguments)
    assert status == 0, err
    return list(yaml.safe_load_all(out))


@_PROVIDERS
@pytest.mark.parametrize("organization", ["", "acme", "acme/mail"])
def test_lint_finds_nothing_in_what_is_written(
    provider: facts.Provider, organization: str, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    """For each provider, the settings of both tiers pass as they are, and so they do with one's own address."""
    for chosen in ([], ["--from", "no-reply@example.com", "--display-name", "Acme: mail # 1"]):
        status, out, _ = _run(capsys, "init", *filter(None, [organization]), "--provider", provider.name, *chosen)
        assert status == 0
        file = tmp_path / "written.yaml"
        file.write_text(out, encoding="utf-8")
        status, found, _ = _run(capsys, "lint", "-f", file, "--severity", "info")
        assert (status, found.partition(" in ")[0]) == (0, "no findings")
        settings = next(yaml.safe_load_all(out))
        if chosen:
            assert settings["spec"]["from"] == {"address": "no-reply@example.com", "displayName": "Acme: mail # 1"}


@_PROVIDERS
def test_each_step_is_told_on_stderr_and_in_comments(
    provider: facts.Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    """What to do at the provider stands in the file for later, and is told now; --quiet leaves it to the file."""
    _, out, err = _run(capsys, "init", "--provider", provider.name)
    _, quiet, nothing = _run(capsys, "init", "--provider", provider.name, "--quiet")
    assert (quiet, nothing) == (out, "")
    comments = " ".join(line.removeprefix("#") for line in out.splitlines() if line.startswith("#"))
    for text in (comments, err):
        said = " ".join(text.split())
        for step in provider.steps:
            assert step.value in said
            assert step.source.url in said
            assert f"(read on {step.source.looked_up})" in said
        assert "kubectl apply -f FILE" in said


def test_on_a_terminal_each_step_is_told_once() -> None:
    """Settings that are shown have the steps in their comments, and stderr does not repeat them."""
    with (
        screens.terminal(200, 200) as terminal,
        subprocess.Popen(
            [sys.executable, "-m", "mailtier", "init", "--provider", "sendgrid"],
            stdin=terminal.theirs,
            stdout=terminal.theirs,
            stderr=terminal.theirs,
            env={**os.environ, "COLUMNS": "200"},
        ) as child,
    ):
        assert child.wait(timeout=_SECONDS) == 0
    # Now all that was written has been read.
    assert terminal.text.count("mailtier verify --host") == 1


def test_the_secret_is_bound_and_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """No placeholder can be taken for a password: the skeleton has the annotation, and nothing else."""
    settings, secret = _written(capsys, "acme", "--provider", "gmail", "--secret", "gmail")
    assert settings["spec"]["auth"]["passwordSecretRef"] == {"name": "gmail"}
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "gmail",
            "namespace": "acme",
            "annotations": {"mailtier.dev/endpoint": "smtp.gmail.com:587"},
        },
        "type": "Opaque",
    }


def test_the_host_s_secret_lies_where_mailtier_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The host's references live in the operator's own namespace; tokens need the consent for their server too."""
    _, secret = _written(capsys, "--provider", "microsoft365", "--operator-namespace", "mail")
    assert secret["metadata"]["namespace"] == "mail"
    assert secret["metadata"]["annotations"]["mailtier.dev/endpoint"] == (
        "smtp.office365.com:587,https://login.microsoftonline.com"
    )


def test_without_credentials_there_is_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """An organization says that it is anonymous, and reads what the host's policy has to say."""
    (settings,) = _written(capsys, "acme", "--provider", "google-workspace-relay")
    assert settings["spec"]["auth"] == {"mechanism": "Anonymous"}
    _, _, err = _run(capsys, "init", "acme", "--provider", "google-workspace-relay")
    assert "policy.endpoints.anonymous" in err
    assert "policy" not in _run(capsys, "init", "--provider", "google-workspace-relay")[2]


def test_an_example_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody chose is marked, and what somebody did, or nobody can, is not."""
    _, out, _ = _run(capsys, "init", "--provider", "ses")
    marked = {line.split(":")[0].strip() for line in out.splitlines() if line.endswith("# an example")}
    assert marked == {"host", "username", "address", "displayName"}
    chosen = ["--server=email-smtp.us-east-1.amazonaws.com", "--username=AKIAIOSFODNN7SOMEONE", "--from=a@acme.example"]
    _, out, _ = _run(capsys, "init", "--provider=ses", "--display-name=Acme", *chosen)
    assert "# an example" not in out
    _, out, _ = _run(capsys, "init", "--provider=sendgrid", "--display-name=Acme", "--from=a@acme.example")
    assert "# an example" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--provider: name one: gmail, "),
        (["--provider=gamil"], "did you mean gmail"),
        (["--provider=pigeon"], "'pigeon' is not known; name one of gmail, "),
        (["--provider=ses", "--server=smtp.gmail.com"], "--server: smtp.gmail.com is not a server of Amazon SES"),
        (["--provider=microsoft-365-connector", "--username=a"], "--username: Microsoft 365 connector takes"),
        (["--provider=gmail", "a/b/c"], "ORGANIZATION: 'a/b/c' is not NAMESPACE/NAME"),
        (["--provider=gmail", "Acme"], "ORGANIZATION: 'Acme' cannot be one"),
        (["--provider=gmail", "acme/a\nb"], "ORGANIZATION: 'acme/a\\nb' cannot be one"),
        (["--provider=gmail", "--from=nobody"], "spec.from.address: must be"),
        (["--provider=gmail", "--secret=A_b"], "spec.auth.passwordSecretRef.name: "),
        (["--provider=ses", "--username=root"], "[username-form-of-provider]"),
    ],
)
def test_what_cannot_work_is_not_written(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong value is a usage error in one line that says which, and nothing goes to standard output."""
    status, out, err = _run(capsys, "init", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_what_lint_warns_of_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that may work are written, and what an administrator would say of them is said."""
    status, out, err = _run(capsys, "init", "--provider=gmail", "--from=a@acme.example", "--username=b@acme.example")
    assert status == 0
    assert "username: b@acme.example" in out
    assert "[gmail-from-not-username]" in err


def test_on_a_terminal_all_is_asked_for(tmp_path: pathlib.Path) -> None:
    """Questions go to the terminal and settings to standard output; what does not fit is asked for again."""
    answers = [
        ("Provider", "gamil"),
        ("did you mean gmail", "ses"),
        ("Organization", "Acme"),
        ("cannot be one", "acme"),
        ("Server", "smtp.gmail.com"),
        ("is not a server of", "email-smtp.us-east-1.amazonaws.com"),
        ("From address", "no-reply@acme.example"),
        ("Name beside it", ""),
        ("Username", "AKIAIOSFODNN7SOMEONE"),
    ]
    written = tmp_path / "acme.yaml"
    with (
        screens.terminal(200, 100) as terminal,
        written.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "mailtier", "init"],
            stdin=terminal.theirs,
            stdout=out,
            stderr=terminal.theirs,
            env={**os.environ, "COLUMNS": "200"},
        ) as child,
    ):
        try:
            for question, answer in answers:
                wait.until(
                    lambda question=question: question in terminal.text,
                    within_seconds=_SECONDS,
                    why=f"asked: {question}",
                )
                terminal.type(f"{answer}\n")
            assert child.wait(timeout=_SECONDS) == 0
        finally:
            child.kill()
    settings, secret = yaml.safe_load_all(written.read_text(encoding="utf-8"))
    assert settings["metadata"] == {"name": "default", "namespace": "acme"}
    assert settings["spec"]["smtp"]["host"] == "email-smtp.us-east-1.amazonaws.com"
    assert settings["spec"]["auth"]["username"] == "AKIAIOSFODNN7SOMEONE"
    assert settings["spec"]["from"] == {"address": "no-reply@acme.example", "displayName": "Example Platform"}
    assert secret["metadata"]["annotations"]["mailtier.dev/endpoint"].startswith("email-smtp.us-east-1")


def test_it_says_what_the_operator_would(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    """The skeleton with a value in it is all that settings of the host need to be ready."""
    settings, secret = _written(capsys, "--provider", "sendgrid")
    file = offline.write(tmp_path / "a.yaml", settings, {**secret, "stringData": {"password": "SG.x"}})
    status, out, _ = _run(capsys, "lint", "--strict-references", "-f", file)
    assert (status, "no findings" in out) == (0, True)
    status, out, _ = _run(capsys, "render", "--strict-references", "-o", "json", "-f", file)
    assert status == 0
    assert "Blocked" not in json.dumps(json.loads(out))

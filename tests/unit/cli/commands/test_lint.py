"""`mailtier lint` tells what is wrong with files, in the form that was asked for, and by its exit status."""

import json
import pathlib
import re

import pytest
import yaml

from kit import offline, repository
from mailtier.cli import main

_BLOCKED = offline.org("acme", **{"from": {"address": "ceo@example.com"}})


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main.run(["lint", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_status_says_whether_there_are_findings(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 without, 1 with, 2 for a wrong command line."""
    well = offline.write(tmp_path / "a.yaml", offline.host(), offline.org("acme"))
    ill = offline.write(tmp_path / "b.yaml", offline.host(), _BLOCKED)
    assert _run(capsys, "-f", well, "--severity", "error")[0] == 0
    status, out, _ = _run(capsys, "-f", ill)
    assert status == 1
    assert f"{ill}:" in out
    assert "[FromNotAllowed]" in out
    assert _run(capsys)[0] == 2
    assert _run(capsys, "-f", tmp_path / "absent")[0] == 2
    assert _run(capsys, "-f", ill, "-o", "html")[0] == 2


def test_paths_are_arguments_too(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """pre-commit names files without an option, and -f adds the tier that they are judged by."""
    host = offline.write(tmp_path / "host.yaml", offline.host())
    org = offline.write(tmp_path / "org.yaml", _BLOCKED)
    status, out, _ = _run(capsys, org, "-f", host)
    assert (status, "FromNotAllowed" in out) == (1, True)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What kustomize or Helm print is piped in."""
    monkeypatch.setattr("sys.stdin", offline.Input(offline.text(offline.host(), _BLOCKED)))
    status, out, _ = _run(capsys, "-f", "-")
    assert status == 1
    assert out.startswith("<stdin>:")


def test_least_severity_decides_what_is_told_and_what_fails(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning fails by default, and does not where errors alone were asked for."""
    host = offline.host(policy={"mode": "Audit", "locked": ["suspend"]})
    file = offline.write(tmp_path / "a.yaml", host, offline.org("acme", suspend=True))
    assert "[FieldLocked]" in _run(capsys, file)[1]
    status, out, _ = _run(capsys, file, "--severity", "error")
    assert (status, out) == (0, "no findings in 2 objects of 1 file\n")


def test_rule_can_be_left_out(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that one does not want to hear of is named; one that there is not is a usage error."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), _BLOCKED)
    assert _run(capsys, file, "--severity", "error", "--ignore", "FromNotAllowed")[0] == 0
    status, _, err = _run(capsys, file, "--ignore", "FromAllowed")
    assert (status, "there is no rule FromAllowed" in err) == (2, True)


@pytest.mark.parametrize("form", ["json", "sarif", "github", "junit", "text"])
def test_no_secret_value_is_printed(form: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A password in a Secret, or where none belongs, is in no report (R1)."""
    secret = offline.secret("acme", "s", endpoint="smtp.other.example", password="hunter2\n")
    secret["data"] = {"other": "hunter2"}
    org = offline.org(
        "acme",
        smtp={"host": "smtp.acme.example"},
        auth={"username": "a", "password": "hunter2", "passwordSecretRef": {"name": "s"}},
    )
    fine = offline.org("acme", "b", smtp=org["spec"]["smtp"], auth={**org["spec"]["auth"]})
    del fine["spec"]["auth"]["password"]
    file = offline.write(tmp_path / "a.yaml", offline.host(), org, fine, secret)
    status, out, err = _run(capsys, file, "-o", form, "--severity", "info")
    assert status == 1
    assert "spec.auth.password" in out
    assert "hunter2" not in out + err


def test_json_names_file_and_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is an issue with a place, like any other."""
    file = tmp_path / "a.yaml"
    file.write_text("kind: OrgEmailSettings\nspec: [\n", encoding="utf-8")
    status, out, _ = _run(capsys, file, "-o", "json")
    (issue,) = json.loads(out)["issues"]
    assert status == 1
    assert (issue["rule"], issue["file"], issue["line"]) == ("NotReadable", str(file), 3)


def test_charts_do_not_fail_the_hook(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Templates that are nobody's fault are left out and counted, those of ours are to be rendered first."""
    host = offline.write(tmp_path / "host.yaml", offline.host(), offline.org("acme"))
    other = tmp_path / "deployment.yaml"
    other.write_text("{{- if .Values.on }}\nkind: Deployment\n{{- end }}\n", encoding="utf-8")
    ours = tmp_path / "org.yaml"
    ours.write_text("apiVersion: mailtier.dev/v1alpha1\nspec: {{ .Values.x }}\n", encoding="utf-8")
    status, out, err = _run(capsys, host, other, ours)
    assert (status, out) == (0, "no findings in 2 objects of 2 files\n")
    told = [line for line in err.splitlines() if "left out" in line]
    assert len(told) == 1
    assert "1 file that cannot be read and does not mention mailtier.dev and 1 file to be rendered first" in told[0]
    assert f"{ours}:2:8: info: " in _run(capsys, ours, "--severity", "info")[1]
    assert "render it first" in _run(capsys, ours, "--severity", "info")[1]


def test_what_was_read_is_counted(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Objects of other kinds and files without ours were looked at too."""
    offline.write(tmp_path / "a.yaml", offline.host(), offline.org("acme"))
    offline.write(tmp_path / "b.yaml", offline.namespace("acme"), offline.secret("acme", "s"))
    offline.write(tmp_path / "c.yaml", offline.namespace("other"))
    assert _run(capsys, tmp_path, "--severity", "error")[1] == "no findings in 5 objects of 3 files\n"


def test_endless_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A device is no file to read to its end."""
    assert _run(capsys, "-f", "/dev/full") == (
        2,
        "",
        "mailtier: cannot read /dev/full: it is neither a file nor a pipe\n",
    )


def test_colours_are_for_terminals_alone(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets text."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), _BLOCKED)
    assert "\x1b" not in _run(capsys, file)[1]


def test_hook_for_pre_commit_runs_this_command() -> None:
    """The hook that the repository offers names a command that there is, with files as its arguments."""
    (hook,) = yaml.safe_load(repository.read(".pre-commit-hooks.yaml"))
    assert hook["entry"].split() == ["mailtier", "lint", "--allow-empty"]
    assert re.search(hook["files"], "settings/acme.yaml")
    assert hook["require_serial"] is True


def test_nothing_to_look_at_is_a_failure(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt path does not look like good settings; who knows that there may be none says so."""
    other = offline.write(tmp_path / "a.yaml", offline.namespace("acme"))
    status, out, err = _run(capsys, other)
    assert (status, out) == (1, "no findings in 1 object of 1 file\n")
    assert err == (
        "mailtier: there are no objects of mailtier.dev in the input; look whether the path is right, or say"
        " --allow-empty where that is as it should be\n"
    )
    assert _run(capsys, other, "--allow-empty") == (0, out, "")


@pytest.mark.parametrize("command", ["lint", "render"])
@pytest.mark.parametrize("text", ["kind: OrgEmailSettings\na: [", "kind: OrgEmailSettings\na: {{ .Values.x }}\n"])
def test_an_unreadable_file_is_told_once(
    command: str, text: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That there is nothing to look at is no second fault where something could not be read."""
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert main.run([command, "-f", str(path)]) == 1
    assert "no objects" not in capsys.readouterr().err


def test_a_file_of_windows_is_judged(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a shell's redirection on Windows writes is read as kubectl reads it, and its faults are found."""
    wrong = offline.host(smtp={"host": "not a host"})
    (tmp_path / "a.yaml").write_bytes(offline.text(wrong, offline.org("acme")).encode("utf-16"))
    status, out, _ = _run(capsys, tmp_path)
    assert status == 1
    assert "spec.smtp.host" in out


def test_quiet_says_findings_alone(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without findings nothing is printed at all, and what was assumed is not told."""
    host = offline.host(notifications={"jobAlert": {"recipients": ["ops@example.com"]}})
    well = offline.write(tmp_path / "a.yaml", host, offline.org("acme"))
    assert "assumed" in _run(capsys, well, "--severity", "error")[2]
    assert _run(capsys, well, "--severity", "error", "--quiet") == (0, "", "")
    ill = offline.write(tmp_path / "b.yaml", offline.host(), _BLOCKED)
    status, out, err = _run(capsys, ill, "--quiet")
    assert (status, "[FromNotAllowed]" in out, err) == (1, True, "")


def test_a_kustomization_that_was_not_built_is_told_once(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Patches and generators are not seen, and the line says how they would be."""
    for name in ("base", "overlay"):
        offline.write(tmp_path / name / "a.yaml", offline.org(name))
        (tmp_path / name / "kustomization.yaml").write_text("resources: [a.yaml]\n", encoding="utf-8")
    told = [line for line in _run(capsys, tmp_path)[2].splitlines() if "kustomization" in line]
    assert len(told) == 1
    assert told[0].startswith(f"mailtier: {tmp_path}/base and 1 other folder have a kustomization that was not built:")
    assert f"`kustomize build {tmp_path}/base | mailtier ... -f -`" in told[0]


def test_all_faults_are_told_at_once(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A null hides none of its siblings, and each unknown field says what may be meant, or where a password belongs."""
    spec = {"smtp": {"host": None, "port": "x"}, "host": "a.example", "from": None, "auth": {"password": "hunter2"}}
    _, out, _ = _run(capsys, offline.write(tmp_path / "a.yaml", offline.host(), offline.org("acme", **spec)))
    for told in (
        "spec.smtp.host: null is not a value",
        "spec.smtp.port: must be a whole number",
        "spec.from: null is not a value",
        "spec.host: is not a field; did you mean smtp.host?",
        "spec.auth.password: is not a field; a password never stands in settings",
    ):
        assert told in out
    assert "hunter2" not in out

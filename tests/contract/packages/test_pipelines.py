"""The checks of pull requests, run as GitHub and GitLab run them, with the wheel alone."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from kit import binaries, fleet, repository, workflows

_PROGRAMS = pathlib.Path(sys.executable).parent


def _git(folder: pathlib.Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a checkout of the example repository, as it was before a change."""
    folder = tmp_path / "checkout"
    shutil.copytree(fleet.FOLDER, folder)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message=before")
    return folder


def _change(checkout: pathlib.Path) -> str:
    """Let an organization take a sender that the policy forbids; return the commit before."""
    before = _git(checkout, "rev-parse", "HEAD")
    path = checkout / "base" / "organizations.yaml"
    path.write_text(path.read_text().replace("sales@example.com", "ceo@example.com"), encoding="utf-8")
    _git(checkout, "commit", "--quiet", "--all", "--message=after")
    return before


def _environment(tmp_path: pathlib.Path) -> dict[str, str]:
    kubectl = binaries.ensure("kubectl")["kubectl"]
    return {"PATH": f"{_PROGRAMS}:{kubectl.parent}:{os.environ['PATH']}", "RUNNER_TEMP": str(tmp_path)}


def test_github_says_what_a_change_means(wheel: pathlib.Path, checkout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A change that the policy forbids fails with an annotation, and the summary tells for whom it changes what.

    Where nothing is wrong, it passes.
    """
    _git(checkout, "worktree", "add", "--quiet", "--detach", "before", _change(checkout))
    summary = tmp_path / "summary.md"
    environment = {
        **_environment(tmp_path),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_ACTION_PATH": str(workflows.ACTION.parent),
    }
    steps = workflows.steps(workflows.load(workflows.GITHUB))
    built = workflows.play(steps, values={"matrix.cluster": "production"}, environment=environment, folder=checkout)
    assert built.returncode == 0, built.stderr
    (used,) = (step for step in steps if "/actions/check@" in step.get("uses", ""))
    action = workflows.load(workflows.ACTION)
    assert used["with"].keys() <= action["inputs"].keys()
    inputs = {name: declared.get("default", "") for name, declared in action["inputs"].items()}
    values = {f"inputs.{name}": value for name, value in {**inputs, **used["with"], "package": str(wheel)}.items()}
    done = workflows.play(workflows.steps(action), values=values, environment=environment, folder=checkout)
    assert done.returncode == 1, done.stderr
    assert "::error file=after.yaml,line=" in done.stdout
    assert "FromNotAllowed" in done.stdout
    told = summary.read_text(encoding="utf-8")
    assert "sales/default: Active -> Blocked" in told
    assert told.count("~~~") == 2
    judged = [step for step in workflows.steps(action) if step.get("name") == "What is wrong"]
    good = {**values, "inputs.path": "before.yaml"}
    assert workflows.play(judged, values=good, environment=environment, folder=checkout).returncode == 0


def test_gitlab_says_what_a_change_means(wheel: pathlib.Path, checkout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The job fails by the same finding, with what changes in one artifact and the findings in the report."""
    job = workflows.load(workflows.GITLAB)["email-settings"]
    environment = {
        **_environment(tmp_path),
        **job["variables"],
        "MAILTIER": str(wheel),
        "CLUSTER": "production",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": _change(checkout),
    }
    script = "\n".join([*job["before_script"], *job["script"]])
    done = workflows.bash(script, environment=environment, folder=checkout)
    assert (done.returncode, "FromNotAllowed" in done.stdout) == (1, True), done.stderr
    (changes,) = job["artifacts"]["paths"]
    assert "sales/default: Active -> Blocked" in (checkout / changes).read_text(encoding="utf-8")
    assert "<failure" in (checkout / job["artifacts"]["reports"]["junit"]).read_text(encoding="utf-8")


def test_the_action_installs_what_lies_beside_it() -> None:
    """Without a package of its own, it takes the checkout that the action is part of."""
    install = next(
        step["run"] for step in workflows.steps(workflows.load(workflows.ACTION)) if "pip" in step.get("run", "")
    )
    assert "${PACKAGE:-$GITHUB_ACTION_PATH/../../..}" in install
    assert (workflows.ACTION.parent / "../../..").resolve() == repository.ROOT


def test_the_wheel_s_workflow_runs(tmp_path: pathlib.Path) -> None:
    """The job for each Python does what it says on the one that is here."""
    job = workflows.load(workflows.WORKFLOWS / "check.yml")["jobs"]["wheel"]
    done = workflows.play(job["steps"], values={}, environment=_environment(tmp_path), folder=repository.ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_are_what_github_takes(tmp_path: pathlib.Path) -> None:
    """Actionlint finds nothing in any workflow, the page's included; a context that is not there it finds."""
    actionlint = binaries.ensure("actionlint")["actionlint"]
    paths = [path for path in workflows.every() if path != workflows.ACTION]
    command = [actionlint, "-no-color", "-shellcheck=", "-pyflakes="]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    broken = workflows.WORKFLOWS / "release.yml"
    (tmp_path / "release.yml").write_text(broken.read_text().replace("needs.build.", "needs.bild."), encoding="utf-8")
    done = subprocess.run([*command, tmp_path / "release.yml"], capture_output=True, text=True, check=False)
    assert 'property "bild" is not defined' in done.stdout

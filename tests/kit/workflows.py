"""The workflows of GitHub and GitLab in the repository, and their scripts run as a runner runs them."""

import collections.abc
import os
import pathlib
import re
import subprocess
import typing

import yaml

from kit import repository

WORKFLOWS = repository.ROOT / ".github" / "workflows"
DEPENDABOT = repository.ROOT / ".github" / "dependabot.yml"
ACTION = repository.ROOT / ".github" / "actions" / "check" / "action.yml"
GITHUB = repository.ROOT / "docs" / "gitops" / "pipelines" / "github.yml"
GITLAB = repository.ROOT / "docs" / "gitops" / "pipelines" / "gitlab.yml"

_EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")
_IS_GIVEN = re.compile(r"(\S+) != ''")
_SECONDS = 300

Json = dict[str, typing.Any]


def load(path: pathlib.Path) -> Json:
    """Return a workflow; its key `on`, which YAML 1.1 reads as a boolean, is there as `True`."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def every() -> list[pathlib.Path]:
    """Return each workflow and action that GitHub runs, that of the page included."""
    return [*sorted(WORKFLOWS.glob("*.yml")), ACTION, GITHUB]


def steps(document: Json) -> list[Json]:
    """Return all steps of a workflow or a composite action, in order."""
    if "runs" in document:
        return list(document["runs"]["steps"])
    return [step for job in document["jobs"].values() for step in job["steps"]]


def play(
    script: collections.abc.Iterable[Json],
    *,
    values: collections.abc.Mapping[str, str],
    environment: collections.abc.Mapping[str, str],
    folder: pathlib.Path,
) -> subprocess.CompletedProcess[str]:
    """Return the last step that ran: the steps in order, until one fails. Those that use other actions are left out.

    Args:
        script: Steps as they stand in a workflow.
        values: What expressions stand for, such as `inputs.path`.
        environment: What the runner sets, beside the test's own variables.
        folder: The working directory.

    Source:
        GitHub, "Workflow syntax", `jobs.<job_id>.steps[*].shell`: bash is `bash --noprofile --norc -eo pipefail {0}`.
    """
    done = None
    for step in script:
        condition = _IS_GIVEN.fullmatch(step.get("if", ""))
        if "run" not in step or (condition and not values[condition[1]]):
            continue
        given = {
            name: _EXPRESSION.sub(lambda found: values[found[1]], value) for name, value in step.get("env", {}).items()
        }
        assert not _EXPRESSION.search(step["run"]), "an expression in a script is somebody else's code"
        done = bash(step["run"], environment={**environment, **given}, folder=folder)
        if done.returncode != 0:
            break
    assert done is not None
    return done


def bash(
    script: str, *, environment: collections.abc.Mapping[str, str], folder: pathlib.Path
) -> subprocess.CompletedProcess[str]:
    """Return a script that has ended at its first failure."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )

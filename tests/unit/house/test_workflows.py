"""The workflows: sound by their linter, pinned, and about what the repository has."""

import pathlib
import re
import subprocess
import sys

import pytest

import mailtier
from kit import interpreters, repository, workflows

_PINNED = re.compile(r"uses: (\S+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$")
_ZIZMOR = (str(pathlib.Path(sys.executable).with_name("zizmor")), "--offline", "--no-progress", "--persona=pedantic")


def test_linter_finds_nothing() -> None:
    """Zizmor has no finding, the pedantic ones included, in workflows, action, updates and the page's example."""
    done = subprocess.run(
        [*_ZIZMOR, *map(str, [*workflows.every(), workflows.DEPENDABOT])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "No findings to report" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("run: make venv", "run: echo ${{ github.head_ref }}"),
        ("          persist-credentials: false\n", ""),
        ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@main"),
    ],
)
def test_linter_is_listened_to(tmp_path: pathlib.Path, text: str, better: str) -> None:
    """Code of somebody else in a script, a token left behind, and an action at a branch are found."""
    content = (workflows.WORKFLOWS / "e2e.yml").read_text(encoding="utf-8")
    assert text in content
    (tmp_path / "e2e.yml").write_text(content.replace(text, better), encoding="utf-8")
    done = subprocess.run([*_ZIZMOR, str(tmp_path / "e2e.yml")], capture_output=True, text=True, check=False)
    assert done.returncode > 10, done.stdout


def test_every_action_is_pinned_to_one_commit() -> None:
    """Each is named by a commit, beside the version that it is, and nowhere by two."""
    pins: dict[str, set[str]] = {}
    for path in workflows.every():
        lines = [line.strip("- ") for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
        found = [_PINNED.fullmatch(line) for line in lines]
        assert all(found), path
        for match in filter(None, found):
            pins.setdefault(match[1], set()).add(match[2])
    assert {action: len(commits) for action, commits in pins.items()} == dict.fromkeys(pins, 1)


def test_scripts_hold_no_expression() -> None:
    """What comes from outside reaches a script as a variable, and never as its text."""
    for path in workflows.every():
        for step in workflows.steps(workflows.load(path)):
            assert "${{" not in step.get("run", ""), path


def test_every_target_is_one_of_make() -> None:
    """A target that is renamed is missed here."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", repository.read("Makefile"), re.MULTILINE))
    scripts = [step.get("run", "") for path in workflows.every() for step in workflows.steps(workflows.load(path))]
    wanted = {target for script in scripts for target in re.findall(r"\bmake ([a-z0-9-]+)", script)}
    assert {"check", "test", "test-e2e", "sbom", "archive"} <= wanted
    assert wanted <= targets | {"test-e2e"}


def test_pythons_are_those_that_are_supported() -> None:
    """The wheel is tried on each supported Python and on the one after; every test runs with the supported ones."""
    jobs = workflows.load(workflows.WORKFLOWS / "check.yml")["jobs"]
    *supported, next_one = jobs["wheel"]["strategy"]["matrix"]["python"]
    assert supported == sorted(interpreters.SUPPORTED)
    assert next_one == "3.14"
    (given,) = (
        step["with"]["python-version"] for step in jobs["test"]["steps"] if "python-version" in step.get("with", {})
    )
    assert given.split() == supported


def test_only_a_release_may_write() -> None:
    """No workflow has a right by default, and outside of the release a job may do nothing but read."""
    for path in sorted(workflows.WORKFLOWS.glob("*.yml")):
        document = workflows.load(path)
        assert document["permissions"] == {}
        for name, job in document["jobs"].items():
            rights = {right for right, level in job["permissions"].items() if level == "write"}
            is_released = path.name == "release.yml" and name != "build"
            assert bool(rights) == is_released, (path.name, name)
            assert ("id-token" in rights, job.get("environment")) == (
                (True, "release") if is_released else (False, None)
            )


@pytest.mark.parametrize(("tag", "status"), [(f"v{mailtier.__version__}", 0), ("v99.0.0", 1)])
def test_a_tag_is_the_version(tmp_path: pathlib.Path, tag: str, status: int) -> None:
    """The release goes on at the tag of the program's own version, which the chart has too, and at no other one."""
    steps = workflows.load(workflows.WORKFLOWS / "release.yml")["jobs"]["build"]["steps"]
    (step,) = (step for step in steps if step.get("id") == "version")
    environment = {"GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(tmp_path / "output")}
    done = workflows.play([step], values={}, environment=environment, folder=repository.ROOT)
    assert done.returncode == status, done.stderr
    if status == 0:
        assert (tmp_path / "output").read_text(encoding="ascii") == f"version={mailtier.__version__}\n"

"""Every Python that is supported is found, or told how to get, and tested."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from kit import interpreters, repository, steps

_HERE = "{}.{}".format(*sys.version_info)


def test_the_supported_ones_are_those_of_the_package() -> None:
    """What the package says of itself, what is tested, and what the Makefile makes environments for are one list."""
    project = tomllib.loads(repository.read("pyproject.toml"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    assert sorted(named) == sorted(interpreters.SUPPORTED)
    assert _HERE in interpreters.SUPPORTED
    others = re.findall(r"\.venv-([0-9.]+)/\.synced", repository.read("Makefile"))
    assert {*others, interpreters.IMAGE} == set(interpreters.SUPPORTED)


def test_everything_runs_on_the_image_s_own() -> None:
    """The image has the version that every step runs on; the others run the unit tests."""
    assert f"ARG BASE_IMAGE=python:{interpreters.IMAGE}-" in repository.read("Dockerfile")
    alone = [part for part in steps.TEST if isinstance(part, steps.Step)]
    assert {step.python for step in alone if step.name.startswith("unit")} == {
        "",
        *(version for version in interpreters.SUPPORTED if version != interpreters.IMAGE),
    }
    assert steps.unfit("test", interpreters.IMAGE) == ""
    assert interpreters.IMAGE in steps.unfit("test", "3.11")
    assert steps.unfit("check", "3.11") == ""


def test_one_that_is_there_is_found() -> None:
    """What is found runs, and is of the version that was asked for."""
    found = interpreters.find(_HERE)
    assert found is not None
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"Python {_HERE}.")


def test_one_that_does_not_run_is_passed_over(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that only says that it is not selected, as pyenv's do, is no interpreter."""
    shim = tmp_path / f"python{_HERE}"
    shim.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n", encoding="ascii")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert interpreters.find(_HERE) not in {None, str(shim)}


def test_one_that_is_missing_is_told_how_to_get(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the version and the ways to it, and the status says that it is missing."""
    assert interpreters.main(["3.99"]) == 1
    told = capsys.readouterr().err
    assert "Python 3.99" in told
    assert "uv python install 3.99" in told

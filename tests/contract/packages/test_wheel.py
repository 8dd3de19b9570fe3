"""The wheel in a virtual environment with nothing else."""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from kit import offline, repository

_SECONDS = 120
_IMPORTED = (
    "import importlib, pkgutil, mailtier\n"
    "found = [each.name for each in pkgutil.walk_packages(mailtier.__path__, 'mailtier.')]\n"
    "print(len([importlib.import_module(name) for name in found if name != 'mailtier.__main__']))\n"
)


def _installed(python: pathlib.Path, folder: pathlib.Path, what: str) -> pathlib.Path:
    """Return the folder with the programs of a new environment, with the versions that are locked."""
    uv = pathlib.Path(sys.executable).with_name("uv")
    environment = folder / "environment"
    subprocess.run([uv, "venv", "--quiet", f"--python={python}", environment], check=True)
    constraints = repository.ROOT / "requirements-runtime.lock"
    where = (f"--python={environment / 'bin' / 'python'}", f"--constraints={constraints}")
    subprocess.run([uv, "pip", "install", "--quiet", "--only-binary=:all:", *where, what], check=True)
    return environment / "bin"


def _run(*command: str | pathlib.Path) -> tuple[int, str]:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=_SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


def test_wheel_alone_is_enough_for_files(wheel: pathlib.Path, python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """On each Python, what pip installs by default judges, renders and explains files, and prints the CRDs."""
    programs = _installed(python, tmp_path, str(wheel))
    files = tmp_path / "settings.yaml"
    files.write_text(offline.text(offline.host(), offline.org("acme", **{"from": {"displayName": "Acme"}})))
    for command in (["lint"], ["render"], ["explain", "acme/default"]):
        assert _run(programs / "mailtier", *command, "--quiet", "-f", str(files))[0] == 0
    status, written_settings = _run(programs / "mailtier", "init", "--provider", "gmail", "--quiet")
    assert (status, "kind: HostEmailSettings" in written_settings) == (0, True)
    assert _run(programs / "mailtier", "crds", "--output-dir", str(tmp_path / "crds"))[0] == 0
    for written in (repository.ROOT / "crds").glob("*.yaml"):
        assert (tmp_path / "crds" / written.name).read_bytes() == written.read_bytes()
    assert _run(programs / "kubectl-mailtier", "lnt") == (
        2,
        "mailtier: No such command 'lnt'; did you mean lint; see kubectl mailtier --help\n",
    )
    status, said = _run(programs / "mailtier", "status")
    assert (status, "get it with pip install 'mailtier[cluster]'" in said) == (1, True)


def test_extras_bring_all_that_the_modules_import(
    wheel: pathlib.Path, python: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """On each Python, every module of the wheel can be imported with the extras of operator and sender.

    So it can without what the image leaves out of them.
    """
    programs = _installed(python, tmp_path, f"{wheel}[operator,sender]")
    left_out = re.findall(r"\brm -r \S+/site-packages/(\S+)", repository.read("Dockerfile"))
    assert left_out
    (libraries,) = programs.parent.glob("lib/python3.*/site-packages")
    for name in left_out:
        shutil.rmtree(libraries / name)
    found = re.search(r"find /opt/mailtier/bin (.+) -delete", repository.read("Dockerfile"))
    assert found is not None
    subprocess.run(["find", programs, *shlex.split(found[1]), "-delete"], check=True)
    assert {path.name.rstrip(".0123456789") for path in programs.iterdir()} == {"mailtier", "python"}
    status, said = _run(programs / "python", "-W", "error", "-c", _IMPORTED)
    assert status == 0, said
    modules = [path for path in repository.python() if path.parts[:2] == ("operator", "mailtier")]
    assert int(said) == len(modules) - len({"mailtier", "mailtier.__main__"})
    for role in ("operator", "sender"):
        assert _run(programs / "mailtier", role, "--help")[0] == 0


@pytest.mark.parametrize("name", ["mailtier", "kubectl-mailtier"])
def test_program_has_both_names(wheel: pathlib.Path, name: str) -> None:
    """The wheel brings the program under its own name, and under the one that kubectl looks for."""
    code = "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode())"
    found = _run(sys.executable, "-c", code, wheel, f"{wheel.name.rsplit('-', 3)[0]}.dist-info/entry_points.txt")
    assert f"\n{name} = mailtier.__main__:main\n" in found[1]

"""The image is built from what is locked and from nothing else."""

import re
import tomllib

import pytest

from kit import generate

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def _read(name: str) -> str:
    return (generate.ROOT / name).read_text(encoding="utf-8")


def _pins(name: str) -> dict[str, str]:
    return {match[1]: match[2] for match in _PIN.finditer(_read(name))}


@pytest.mark.parametrize("name", ["requirements-runtime.lock", "requirements-build.lock"])
def test_image_gets_the_versions_that_are_tested(name: str) -> None:
    """What both locks name has one version; `make lock` mends it."""
    tested, shipped = _pins("requirements.lock"), _pins(name)
    assert {package: tested[package] for package in shipped.keys() & tested.keys()} == {
        package: version for package, version in shipped.items() if package in tested
    }


def test_image_has_every_dependency_and_no_tool() -> None:
    """The runtime lock is a part of the whole one, with each dependency of the project."""
    project = tomllib.loads(_read("pyproject.toml"))
    shipped = _pins("requirements-runtime.lock").keys()
    wanted = {re.split(r"[<>=]", requirement)[0] for requirement in project["project"]["dependencies"]}
    assert wanted <= shipped <= _pins("requirements.lock").keys()
    assert not shipped & {"pytest", "mypy", "ruff", "uv", "hypothesis"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-runtime.lock", "requirements-build.lock"])
def test_every_pin_has_hashes_and_no_lock_names_a_registry(name: str) -> None:
    """A lock holds hashes and no address, so that it can be installed from any mirror."""
    text = _read(name)
    assert "://" not in text
    assert all("--hash=sha256:" in entry for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:])


def test_openssl_is_told_which_groups_to_offer() -> None:
    """The image's environment names the file as it is copied, before any program starts."""
    dockerfile = _read("Dockerfile")
    (copied,) = re.findall(r"^COPY openssl\.cnf (\S+)$", dockerfile, re.MULTILINE)
    assert re.findall(r"\bOPENSSL_CONF=(\S+)", dockerfile) == [copied]


def test_context_has_what_the_build_copies() -> None:
    """Each file that the Dockerfile copies exists and is let through by .dockerignore."""
    let_through = set(re.findall(r"^!(\S+)$", _read(".dockerignore"), re.MULTILINE))
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", _read("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_through
    assert all((generate.ROOT / source).exists() for source in copied)

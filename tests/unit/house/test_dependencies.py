"""Each dependency has a reason, and a lock that any mirror can serve."""

import itertools
import re
import tomllib
import typing

from kit import repository

_PAGE = "docs/explanation/dependencies.md"


def _project() -> dict[str, typing.Any]:
    return tomllib.loads(repository.read("pyproject.toml"))


def _names(requirements: list[str]) -> list[str]:
    return sorted(re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in requirements)


def _listed(heading: str) -> list[str]:
    cells = [row[0] for row in repository.rows(repository.read(_PAGE), heading)]
    return sorted(name for cell in cells for name in cell.split(", "))


def test_every_dependency_has_its_reason() -> None:
    """The page lists exactly what pyproject.toml names, for the program and for development."""
    project = _project()
    extras = project["project"]["optional-dependencies"]
    with_extras = {*project["project"]["dependencies"], *itertools.chain.from_iterable(extras.values())}
    assert _listed("At run time") == [name for name in _names(sorted(with_extras)) if name != "mailtier"]
    assert _listed("For development") == _names(project["dependency-groups"]["dev"])


def test_every_reason_says_with_what_it_is_installed() -> None:
    """The page tells for each dependency whether every installation has it, or which extras bring it."""
    project = _project()["project"]
    bring = {"": set(_names(project["dependencies"]))}
    bring |= {name: set(_names(found)) for name, found in project["optional-dependencies"].items()}
    for name, comes_with, _home, _reason in repository.rows(repository.read(_PAGE), "At run time"):
        told = set(re.findall(r"`(\w+)`", comes_with)) or {""}
        assert told == {extra for extra, brought in bring.items() if name in brought}, name


def test_every_reason_names_a_home() -> None:
    """A dependency of the program belongs to layers that there are."""
    for name, _comes_with, home, reason in repository.rows(repository.read(_PAGE), "At run time"):
        homes = re.findall(r"`(\w+)`", home)
        assert homes, name
        assert all((repository.ROOT / "operator/mailtier" / layer).is_dir() for layer in homes), name
        assert reason.endswith("."), name


def test_lock_refuses_plaintext_before_tls() -> None:
    """The locked aiosmtplib is one that does not take what was injected before TLS for the server's word."""
    found = re.search(r"^aiosmtplib==(\d+)\.(\d+)\.(\d+)", repository.read("requirements.lock"), re.MULTILINE)
    assert found is not None
    assert tuple(int(part) for part in found.groups()) >= (5, 1, 2)


def test_locks_name_no_registry() -> None:
    """What is installed is named by version and hash; where it comes from is whoever installs it to say."""
    locks = [path for path in repository.files() if path.suffix == ".lock"]
    assert len(locks) == 3
    for path in locks:
        text = repository.read(path)
        assert not re.search(r"://|--(?:extra-)?index-url|--find-links", text), path

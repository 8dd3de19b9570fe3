"""What the repository does not name: where its packages come from, and the machine it was written on."""

import re

import pytest

from kit import repository

# In brackets, so that this file does not hold what it looks for.
_REGISTRIES = re.compile(
    r"pypi[.]org|pythonhosted[.]org|npmjs[.]org|proxy[.]golang[.]org|sum[.]golang[.]org|goproxy[.]|crates[.]io"
    r"|ghcr[.]io|quay[.]io|docker[.]io|gcr[.]io|registry[.]k8s[.]io"
)
_HOMES = re.compile(r"(?<![\w.$}/-])/(?:root|work|home|Users)(?![\w-])")
_MODULES = {".lock", ".mod", ".sum"}
"""Files in which names of modules are what they are."""


def _found(pattern: re.Pattern[str]) -> list[str]:
    """Return where a pattern occurs, as file and line."""
    found = []
    for path in repository.files():
        content = (repository.ROOT / path).read_bytes()
        if path.suffix in _MODULES or b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path}:{number}")
    return found


def test_no_package_registry_is_named() -> None:
    """Whoever builds decides where packages come from; no file names a registry's host."""
    assert _found(_REGISTRIES) == []


def test_no_path_of_a_machine_is_named() -> None:
    """Everything runs from any folder of any user, so that no file names somebody's home."""
    assert _found(_HOMES) == []


@pytest.mark.parametrize(("host", "text"), [(("pypi", "org"), "https://{}/simple"), (("ghcr", "io"), "image: {}/x")])
def test_a_registry_is_recognized(host: tuple[str, str], text: str) -> None:
    """The pattern finds a host in a URL and in the name of an image."""
    assert _REGISTRIES.search(text.format(".".join(host)))


@pytest.mark.parametrize("name", ["root", "home", "Users"])
def test_a_path_of_a_machine_is_recognized(name: str) -> None:
    """The pattern finds a path wherever it begins, and not a word after a slash."""
    assert _HOMES.search(f"cd /{name}/somebody")
    assert _HOMES.search(f'"/{name}"')
    assert not _HOMES.search(f"a/{name}/b or /{name}less")

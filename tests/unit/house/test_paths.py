"""The pages that say where things live name files that are there."""

import re

import pytest

from kit import repository

_PATH = re.compile(r"`([\w./-]+(?:\.py|/))(?:::\w+)?`")
_PAGES = ("CONTRIBUTING.md", "docs/explanation/architecture.md", "docs/explanation/threat-model.md")
_PROGRAM = repository.ROOT / "operator/mailtier"
_DOTTED = re.compile(r"`([a-z_]+)\.([a-z_]+)[\w.]*`")
_NO_MODULES = {"mail.example", "smtp.host"}
"""What looks like one: a server's name, and a field of the settings."""


@pytest.mark.parametrize("page", _PAGES)
def test_every_path_leads_somewhere(page: str) -> None:
    """A path of a module or a folder is one below the program, or below the repository."""
    named = set(_PATH.findall(repository.read(page)))
    assert named
    assert {path for path in named if not any((root / path).exists() for root in (_PROGRAM, repository.ROOT))} == set()


def test_every_module_that_the_program_speaks_of_is_there() -> None:
    """A docstring or comment that names a module with its package, as `sender.app`, is kept when the module moves."""
    folders = [folder for folder in _PROGRAM.rglob("*") if folder.is_dir()]
    named, missing = 0, set()
    for path in repository.python():
        if path.parts[0] != "operator":
            continue
        for package, module in _DOTTED.findall(repository.read(path)):
            holding = [folder for folder in folders if folder.name == package]
            if not holding or f"{package}.{module}" in _NO_MODULES:
                continue
            named += 1
            if not any((folder / name).exists() for folder in holding for name in (module, f"{module}.py")):
                missing.add((str(path), f"{package}.{module}"))
    assert named
    assert missing == set()


def test_a_field_is_said_to_touch_five_files() -> None:
    """Whoever adds a field to the settings is told each file that has to know it, and no other."""
    rows = dict(repository.rows(repository.read("CONTRIBUTING.md"), "The most likely changes, and where each belongs"))
    assert sorted(_PATH.findall(rows["A field of the settings"])) == [
        "api/groups.py",
        "api/status.py",
        "settings/effective.py",
        "settings/tiers.py",
        "settings/view.py",
    ]
    # A field that has nothing special is looked for: who acts on it is in other packages.
    naming = {
        str(path.relative_to("operator/mailtier"))
        for path in repository.python()
        if path.parts[:3] in {("operator", "mailtier", "api"), ("operator", "mailtier", "settings")}
        and re.search(r"\breply_to\b", repository.read(path))
    }
    assert naming >= {
        "api/groups.py",
        "api/status.py",
        "settings/effective.py",
        "settings/tiers.py",
        "settings/view.py",
    }
    assert "settings/codec.py" not in naming

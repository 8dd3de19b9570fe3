"""The reference of the command line is what `--help` prints."""

import pytest

from kit.reference import cli as reference_cli
from mailtier.cli import main
from mailtier.cli.offline.files import issues


def test_every_command_has_its_section() -> None:
    """Each command stands under its name, with its options."""
    page = reference_cli.pages()["cli.md"]
    for name in main.COMMANDS:
        assert f"\n## {name}\n\n```text\nUsage: mailtier {name} " in page


def test_every_rule_of_files_has_an_anchor() -> None:
    """The page that an issue names has a heading for it."""
    page = reference_cli.pages()["cli.md"]
    for rule in issues.FILE_RULES:
        assert rule.page.endswith(f"/cli#{rule.identifier.lower()}")
        assert f"\n### {rule.identifier}\n" in page


def test_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever generates it gets the same page, however wide the window is."""
    before = reference_cli.pages()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference_cli.pages() == before

"""One name, one thing: the glossary's words are the code's, and no class has another one's name."""

import ast
import collections
import functools

import pytest

from kit import repository

_PAGE = "docs/explanation/glossary.md"
_PROGRAM = "operator/mailtier/"
_SECTIONS = ("Settings", "Operator", "Sender")

_FORMS = {
    **dict.fromkeys(
        ("Auth", "CategorySettings", "Delivery", "From", "OAuth2", "Tls"),
        "what a person writes, and what the sender gets",
    ),
    "Effective": "what the sender gets, and what a status shows of it",
    "Summary": "what is counted, and what a status shows of it",
    "Condition": "the types of conditions, and a condition of a status",
    **dict.fromkeys(("Host", "Namespace", "Organization"), "an object of the cluster, and of files"),
    **dict.fromkeys(("Metadata", "Notification"), "what is read of an object, in a stream and as a whole"),
}
"""Names of two classes that are one thing in two forms."""


@functools.cache
def _classes() -> dict[str, list[str]]:
    """Return the modules that have a public class, by its name."""
    found = collections.defaultdict(list)
    for path in repository.python():
        if str(path).startswith(_PROGRAM):
            for node in ast.parse(repository.read(path)).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path).removeprefix(_PROGRAM))
    return found


def _terms() -> list[tuple[str, ...]]:
    page = repository.read(_PAGE)
    return [row for section in _SECTIONS for row in repository.rows(page, section)]


def test_no_two_classes_share_a_name() -> None:
    """A class's name says which it is, but where two are the same thing in two forms."""
    shared = {name: modules for name, modules in _classes().items() if len(modules) > 1}
    assert {name: modules for name, modules in shared.items() if name not in _FORMS} == {}
    assert _FORMS.keys() - shared.keys() == set()
    assert {name: modules for name, modules in shared.items() if len(modules) > 2} == {}


@pytest.mark.parametrize("row", _terms(), ids=lambda row: row[0])
def test_every_term_is_a_class(row: tuple[str, ...]) -> None:
    """A term of the glossary names the class that it is."""
    term, meaning, code = row
    module, _, name = code.strip("`").partition("::")
    assert term
    assert meaning
    assert module in _classes().get(name, []), f"{term}: there is no {name} in {module}"


def test_no_term_is_explained_twice() -> None:
    """Each word, and each class, stands in the glossary once."""
    words = [word for row in _terms() for word in row[0].split(", ")]
    assert sorted(words) == sorted(set(words))
    classes = [row[2] for row in _terms()]
    assert sorted(classes) == sorted(set(classes))

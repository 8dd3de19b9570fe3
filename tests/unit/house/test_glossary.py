"""One name, one thing: the glossary's words are the code's, and no class has another one's name."""

import ast
import collections
import functools
import pathlib

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

_TEXTS = frozenset({"str", "_Name", "types.Host", "types.HostGlob"})
"""How a server's name or address is annotated."""


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


def _modules() -> list[pathlib.PurePosixPath]:
    return [path for path in repository.python() if str(path).startswith(_PROGRAM)]


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


def _texts_and_tiers(module: ast.Module) -> tuple[list[int], list[int]]:
    """Return the lines of the parameters and fields `host`: those that are a text, and those that are not."""
    texts, tiers = list[int](), list[int]()
    for node in ast.walk(module):
        match node:
            case ast.arg(arg="host", annotation=ast.expr() as annotation):
                pass
            case ast.AnnAssign(target=ast.Name(id="host"), annotation=annotation):
                pass
            case _:
                continue
        is_text = ast.unparse(annotation).removesuffix(" | None") in _TEXTS
        (texts if is_text else tiers).append(node.lineno)
    return texts, tiers


@pytest.mark.parametrize("path", _modules(), ids=str)
def test_a_host_is_a_name_or_the_tier(path: pathlib.PurePosixPath) -> None:
    """Within a module `host` is a server's name, as in the settings' `smtp.host`, or the tier, and never both."""
    texts, tiers = _texts_and_tiers(ast.parse(repository.read(path)))
    assert not texts or not tiers, f"a name in lines {texts}, the tier in lines {tiers}"


_ONLY = {
    "hold": ("sender/delivering/", "sender/scheduling/"),
    "release": ("sender/delivering/", "sender/intake/", "sender/storage/volume.py"),
    "resume": ("sender/between/filing.py", "sender/intake/", "sender/storage/"),
    "settle": ("sender/ports.py", "sender/queueing/", "sender/storage/"),
}
"""Where functions of the sender may have the name of such a move; a lock of a volume is released as all locks are."""


@functools.cache
def _functions() -> dict[str, set[str]]:
    """Return the sender's modules that have a function, by its name."""
    found = collections.defaultdict(set)
    for path in _modules():
        if str(path).startswith(f"{_PROGRAM}sender/"):
            for node in ast.walk(ast.parse(repository.read(path))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found[node.name.removeprefix("_")].add(str(path).removeprefix(_PROGRAM))
    return found


@pytest.mark.parametrize("row", repository.rows(repository.read(_PAGE), "Moves"), ids=lambda row: row[0])
def test_a_move_has_one_verb(row: tuple[str, ...]) -> None:
    """A verb of the page is a function's name, and no function of the sender has one that it stands for."""
    verb, _, others, code = row
    module, _, name = code.strip("`").partition("::")
    assert name == verb.replace(" ", "_")
    assert module in _functions()[name], f"there is no {name} in {module}"
    assert {other: _functions()[other] for other in others.split(", ") if other in _functions()} == {}


@pytest.mark.parametrize("verb", sorted(_ONLY))
def test_a_verb_means_one_move(verb: str) -> None:
    """What is called so is that move, and nothing else of the sender has its name."""
    assert [module for module in sorted(_functions()[verb]) if not module.startswith(_ONLY[verb])] == []

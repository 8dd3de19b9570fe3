"""The wording of a command's message is asserted in one place: whoever betters it changes one test."""

import ast
import collections.abc
import itertools

from kit import repository

_FOLDERS = ("tests/unit/cli", "tests/contract/cli")
_WORDS = 4
"""So many words make a sentence; fewer are a name or a number."""


def _asserted() -> collections.abc.Iterator[tuple[str, str]]:
    """Yield each sentence that is asserted, with the test that does."""
    for path in repository.python():
        if not str(path).startswith(_FOLDERS):
            continue
        for function in ast.walk(ast.parse(repository.read(path))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            constants = {
                node.value.strip()
                for statement in ast.walk(function)
                if isinstance(statement, ast.Assert)
                for node in ast.walk(statement)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            yield from ((text, f"{path}::{function.name}") for text in constants if len(text.split()) >= _WORDS)


def test_each_wording_is_asserted_once() -> None:
    """No sentence that one test asserts stands in what another one does; the second compares with the product's own."""
    again = [
        f"{one!r} in {first} and {second}"
        for (one, first), (other, second) in itertools.permutations(_asserted(), 2)
        if first != second and one in other
    ]
    assert again == []

"""The arena that all attacks share, and the order in which they are played."""

import collections.abc
import pathlib

import pytest

from kit import arena as arena_kit

_LAST = "test_leaks.py"


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[arena_kit.Arena]:
    """Return the one cluster with operator, sender and relay."""
    with arena_kit.Arena(tmp_path_factory.mktemp("arena")) as running:
        yield running


@pytest.fixture
def attacker(arena: arena_kit.Arena) -> arena_kit.Attacker:
    """Return a tenant of the attack's own."""
    return arena.attacker()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Search for leaks last, however the tests are shuffled: what the others wrote is what is searched."""
    here = pathlib.Path(__file__).parent
    items.sort(key=lambda item: item.path.parent == here and item.path.name == _LAST)

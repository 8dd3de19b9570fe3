"""What a scenario is."""

import collections.abc
import contextlib
import dataclasses
import pathlib
import typing

from bench.shares import ground

Told = collections.abc.Callable[[], ground.Measures]
"""Returns what else was measured, once the neighbour has felt the attack."""


_ROUNDS_ALONE: typing.Final = 4


class Attack(typing.Protocol):
    """Goes on while its context is entered."""

    def __call__(self, there: ground.Ground) -> contextlib.AbstractContextManager[Told]:
        """Return the context."""


class Setting(typing.Protocol):
    """Gives a ground that is not as usual."""

    def __call__(self, tree: pathlib.Path) -> contextlib.AbstractContextManager[ground.Ground]:
        """Return the ground."""


def nothing() -> ground.Measures:
    """Return no further measure."""
    return {}


def usual(tree: pathlib.Path) -> ground.Ground:
    """Return a ground whose neighbour inherits the host's relay."""
    return ground.Ground(tree)


def opening_anew(tree: pathlib.Path) -> ground.Ground:
    """Return a ground whose neighbour inherits the host's relay, to which a session is opened for each message."""
    return ground.Ground(tree, host_delivery={"messagesPerConnection": 1})


def with_own_server(tree: pathlib.Path) -> ground.Ground:
    """Return a ground whose neighbour has a server of its own, to which it connects for each message."""
    return ground.Ground(tree, own_server=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One attack.

    Attributes:
        name: For the command line.
        attacker: What the attacker does.
        attack: The attack.
        setting: Gives the ground.
    """

    name: str
    attacker: str
    attack: Attack
    setting: Setting = usual

    def play(self, tree: pathlib.Path, *, rounds: int) -> tuple[ground.Measures, ground.Measures]:
        """Return what the neighbour felt alone, and what it felt under the attack."""
        with self.setting(tree) as there:
            alone = there.feel(_ROUNDS_ALONE).measures()
            alone["the sender's memory"] = there.memory()
            with self.attack(there) as told:
                attacked = there.feel(rounds).measures()
                attacked |= told()
            attacked["the sender's memory"] = there.memory()
        return alone, attacked

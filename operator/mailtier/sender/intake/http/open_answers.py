"""Answers to probes that are open at the intake, with a share for each namespace that shrinks under load (R15).

Each holds one of the port's places, which no newcomer gets, for as long as a server likes to be silent; joining a probe
is free otherwise. Half of them go to whoever comes. The other half goes to namespaces that have none, so that few
namespaces cannot have all, though every one of them may belong to one tenant.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

from mailtier.sender.between import requests
from mailtier.sender.intake import asking
from mailtier.sender.intake.http import problems
from mailtier.sender.net import shares

TOTAL: Final = 64
PER_NAMESPACE: Final = 8
FOR_NEWCOMERS: Final = 32
"""The last of them: one for each namespace that has none."""
_AGAIN_SECONDS: Final = 10


class OpenAnswers:
    """The answers to probes that are open at the same time."""

    def __init__(self) -> None:
        self._shares = shares.Shares("probe_answers", total=TOTAL, each=PER_NAMESPACE)

    def take(self, namespace: str) -> shares.ShareSlot:
        """Return leave to hold a connection until a probe's end.

        Args:
            namespace: Whose; "" for the host, which needs none.

        Raises:
            HttpProblem: The namespace has its share, or all are taken.
        """
        held = self._shares.taken(namespace)
        slot = None
        if not held or self._shares.free > FOR_NEWCOMERS:
            slot = self._shares.try_take(namespace or None)
        if slot is not None:
            return slot
        # Of others' nothing is told but that they have the rest.
        taken = f"{held} of this namespace" if held else f"{TOTAL} of all namespaces"
        raise problems.HttpProblem(
            problems.TOO_MANY_PROBES,
            f"as many answers to probes are open as may be, {taken}; ask again when one of them has ended",
            headers={"Retry-After": str(_AGAIN_SECONDS)},
        )


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Have whoever waits for delivery told where it does not answer.

    Raises:
        HttpProblem: Delivery does not run, or is asked for too much already.
    """
    try:
        yield
    except (asking.DeliveryAwayError, requests.TooManyRequestsError) as error:
        raise problems.HttpProblem(
            problems.UNAVAILABLE, str(error), headers={"Retry-After": str(_AGAIN_SECONDS)}
        ) from None

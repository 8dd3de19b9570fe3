"""Attacks on what listens: the intake, its tokens, the health port."""

import collections.abc
import contextlib
import re
import time

from bench.shares import ground, scenario, weapons

_ADDRESSES = 4
_CONNECTIONS = 64
_HEALTH_CONNECTIONS = 3_000
_CALLERS = 16
_REVIEWS = re.compile(r'^apiserver_request_total\{[^}]*resource="tokenreviews"[^}]*\} (\S+)$', re.MULTILINE)


@contextlib.contextmanager
def _idle(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    with weapons.at_work(
        there.folder,
        "hold",
        there.arena.sender.port,
        f"--count={_CONNECTIONS}",
        f"--addresses={_ADDRESSES}",
        "--speaks",
    ):
        yield scenario.nothing


@contextlib.contextmanager
def _health(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    with weapons.at_work(there.folder, "hold", there.arena.sender.health_port, f"--count={_HEALTH_CONNECTIONS}"):
        yield scenario.nothing


@contextlib.contextmanager
def _forged(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    path = there.neighbour.tenant.collection()
    with weapons.at_work(there.folder, "flood", there.arena.sender.port, f"--count={_CALLERS}", f"--path={path}"):
        before, started = _reviews(there), time.monotonic()

        def told() -> ground.Measures:
            rate = (_reviews(there) - before) / (time.monotonic() - started)
            return {"TokenReviews asked of the API server": f"{rate:.1f} a second"}

        yield told


def _reviews(there: ground.Ground) -> float:
    return sum(map(float, _REVIEWS.findall(there.arena.cluster.metrics())))


ALL = (
    scenario.Scenario(
        name="idle-connections",
        attacker=f"{_ADDRESSES} addresses hold {_CONNECTIONS} idle connections each at the intake, without a token",
        attack=_idle,
    ),
    scenario.Scenario(
        name="health-port",
        attacker=f"one address holds {_HEALTH_CONNECTIONS:,} idle connections at the health port",
        attack=_health,
    ),
    scenario.Scenario(
        name="forged-tokens",
        attacker=f"{_CALLERS} callers at one address send forged tokens, one after another",
        attack=_forged,
    ),
)

"""Attacks on what is kept: the operator's memory, the sender's volume."""

import asyncio
import collections.abc
import contextlib
import pathlib
import re
import secrets
import time

from bench.shares import crowds, ground, launchers, scenario
from kit import arena as arena_kit
from kit import large_objects, wait

_OBJECTS = 350
_AT_ONCE = 16
_TAKEN = 202
_FULL = 507
_PATIENCE_SECONDS = 45.0
"""How long the attacker goes on."""
_AT_WORK_SECONDS = 240.0
_PUBLISHED_SECONDS = 30.0
_SHARE = "--quota-stored-bytes"
_SHARE_BYTES = 1024 * 1024
_USED = re.compile(r"^mailtier_queue_volume_used_ratio (\S+)$", re.MULTILINE)
_DOMAIN = ".".join(("d" * 60, "e" * 60, "f" * 50, "tenant.example"))


class Labels:
    """The operator's memory: it is started again, and the neighbour edits its settings.

    What is felt has nothing to do with the sender, so that it is measured here.
    """

    name = "labels"
    attacker = f"{_OBJECTS} objects of a tenant, each with as many labels as etcd takes; the operator starts again"

    def play(self, tree: pathlib.Path, *, rounds: int) -> tuple[ground.Measures, ground.Measures]:
        """Return what the neighbour felt alone, and what it felt under the attack."""
        del rounds
        with ground.Ground(tree) as there:
            alone = self._restart(there, "alone")
            self._fill(there)
            return alone, self._restart(there, "attacked")

    @staticmethod
    def _fill(there: ground.Ground) -> None:
        arena = there.arena
        namespace = arena.attacker().namespace
        for first in range(0, _OBJECTS, _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, _OBJECTS))
            arena.loop.run(large_objects.put(arena.cluster, namespace, some, spec={"suspend": True}))

    @staticmethod
    def _restart(there: ground.Ground, name: str) -> ground.Measures:
        operator = there.arena.operator
        operator.restart()
        # Not when it is ready: a standby is too, until the former one's Lease is over.
        first = _edited(there, f"{name}, at its restart", _AT_WORK_SECONDS)
        return {
            "an edit at its restart is published": first,
            "the next one is published": _edited(there, name, _PUBLISHED_SECONDS),
            "the operator's memory": f"{operator.peak_mib():.0f} MiB",
        }


def _edited(there: ground.Ground, display_name: str, most_seconds: float) -> str:
    there.neighbour.settings({"from": {"displayName": display_name}})
    return _lasts(lambda: there.neighbour.effective().get("from.displayName") == display_name, most_seconds)


def _lasts(reached: collections.abc.Callable[[], bool], most_seconds: float) -> str:
    """Return how long it takes until something is so, as people read it."""
    started = time.monotonic()
    try:
        wait.until(reached, within_seconds=most_seconds, why="the operator is at work", poll_seconds=0.05)
    except wait.NotInTimeError:
        return f"not in {most_seconds:.0f} s"
    return f"{time.monotonic() - started:.2f} s"


@contextlib.contextmanager
def _records(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    """Send to a server that takes everything, with as many and as long recipients as a notification may have."""
    arena = there.arena
    crowd = crowds.Crowd(there)
    with arena.serve(arena.starttls()) as server:
        crowd.join("org-0", crowds.spec(server.host, server.port, auth={"mechanism": "Anonymous"}))
        crowd.notify(each=1)
        statuses: collections.Counter[int] = collections.Counter()
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends_at and not statuses[_FULL]:
            statuses.update(arena.loop.run(_hand_in(there, crowd)))

        def told() -> ground.Measures:
            used = _USED.search(there.arena.sender.get("/metrics")[1])
            return {
                "the attacker's notifications that were taken": f"{statuses[_TAKEN]} of {statuses.total()}",
                "of the volume in use": f"{float(used[1]):.0%}" if used else "",
            }

        yield told


async def _hand_in(there: ground.Ground, crowd: crowds.Crowd) -> list[int]:
    async def one() -> int:
        recipients = [f"{secrets.token_hex(20)}{number}@{_DOMAIN}" for number in range(20)]
        body = arena_kit.ALERT | {"recipients": recipients}
        return (await there.arena.client.post(crowd.attacker.tenant, body, organization="org-0")).status

    return await asyncio.gather(*(one() for _ in range(_AT_ONCE)))


def _on_small_volume(tree: pathlib.Path) -> ground.Ground:
    arguments = ["--full-at=0.8"]
    # A share as small as the volume, in trees that have shares.
    if _SHARE in (tree / "charts/mailtier/templates/statefulset.yaml").read_text(encoding="utf-8"):
        arguments.append(f"{_SHARE}={_SHARE_BYTES}")
    return ground.Ground(tree, launcher=launchers.on_small_volume, arguments=arguments)


ALL = (
    Labels(),
    scenario.Scenario(
        name="records",
        attacker=f"a tenant's finished notifications fill the volume, here of {launchers.VOLUME_MEGABYTES} MB",
        attack=_records,
        setting=_on_small_volume,
    ),
)

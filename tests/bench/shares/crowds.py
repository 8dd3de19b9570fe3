"""Many organizations of one tenant."""

import asyncio
import collections.abc
import time

from bench.shares import ground
from kit import arena as arena_kit
from kit import intake, tenants, worlds

_KNOWN_SECONDS = 120.0
_AT_ONCE = 32
_TAKEN = frozenset({202})
_REFUSED_FOR_GOOD = frozenset({403, 409, 422, 429})


def addresses(count: int) -> collections.abc.Iterator[str]:
    """Yield addresses in 127/8 that nobody else has."""
    for number in range(count):
        block, last = divmod(number, 250)
        yield f"127.9.{block}.{1 + last}"


def spec(host: str, port: int, **changes: object) -> arena_kit.Json:
    """Return settings for a server, with the time limits that are usual."""
    usual = {name: group for name, group in arena_kit.own_spec(host, port).items() if name != "delivery"}
    return usual | changes


class Crowd:
    """A tenant with as many organizations as join.

    Args:
        there: Where it attacks.
        authority: What its servers' certificates are signed by; the arena's by default.
    """

    def __init__(self, there: ground.Ground, *, authority: str = "") -> None:
        self._there = there
        self._organizations: list[str] = []
        self._offered = self._taken = 0
        self.attacker = there.arena.attacker()
        arena = there.arena
        arena.put(arena_kit.config_map(self.attacker.namespace, "ca", {"ca.crt": authority or arena.authority.ca_pem}))
        self._password = arena.secret("the crowd's password", username="robot")

    def join(self, name: str, settings: arena_kit.Json, *, endpoint: str = "", password: str = "") -> None:
        """Apply an organization's settings, and a Secret of its name that is bound to its server.

        What the schema or an admission policy refuses is not applied: then there is no such attack.
        """
        if endpoint:
            secret = arena_kit.secret(self.attacker.namespace, name, password or self._password, endpoint=endpoint)
            self._there.arena.put(secret)
            settings["auth"] = {**settings["auth"], "passwordSecretRef": {"name": name}}
        document = worlds.document("OrgEmailSettings", name, self.attacker.namespace, **settings)
        status, _ = self._there.arena.try_put(document)
        if status in {200, 201}:
            self._organizations.append(name)

    def told(self) -> ground.Measures:
        """Return how much of the attack came about."""
        return {"the attacker's notifications that were taken": f"{self._taken} of {self._offered}"}

    def notify(self, *, each: int, recipient: str = "somebody@tenant.example") -> None:
        """Hand in notifications for each organization."""
        arena = self._there.arena
        ends_at = time.monotonic() + _KNOWN_SECONDS
        body = arena_kit.ALERT | {"recipients": [recipient]}
        waiting = [name for name in self._organizations for _ in range(each)]
        self._offered += len(waiting)

        async def hand_in(client: intake.Client, tenant: tenants.Tenant, name: str) -> int:
            return (await client.post(tenant, body, organization=name)).status

        async def batch(names: list[str]) -> list[int]:
            return await asyncio.gather(*(hand_in(arena.client, self.attacker.tenant, name) for name in names))

        while waiting and time.monotonic() < ends_at:
            now, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            for name, status in zip(now, arena.loop.run(batch(now)), strict=True):
                if status in _TAKEN:
                    self._taken += 1
                elif status not in _REFUSED_FOR_GOOD:
                    # Its settings are not published yet.
                    waiting.append(name)

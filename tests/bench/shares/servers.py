"""Attacks by servers: what a tenant's own server does, and what a tenant makes the host's do."""

import base64
import collections.abc
import contextlib
import pathlib
import re

from bench.shares import crowds, ground, launchers, scenario, weapons
from kit import arena as arena_kit
from kit import background, dns, smtpd

_HEAVY = 6
_SILENT = 1_000
_NAMES = 600
_LOGINS = 40
_TARPIT_SECONDS = 10.0
_ALIASES = 12
_ACCOUNT = "tenant"


@contextlib.contextmanager
def _heavy_handshakes(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    port = there.arena.token_port
    with weapons.at_work(there.folder, "heavy", port, f"--folder={there.folder}"):
        crowd = crowds.Crowd(there, authority=(there.folder / weapons.AUTHORITY).read_text(encoding="ascii"))
        for number, address in enumerate(crowds.addresses(_HEAVY)):
            spec = crowds.spec(address, port)
            spec["smtp"]["tls"]["mode"] = "Implicit"
            crowd.join(f"org-{number}", spec, endpoint=address)
        crowd.notify(each=3)
        yield crowd.told


@contextlib.contextmanager
def _silent_servers(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    port = there.arena.token_port
    with weapons.at_work(there.folder, "silent", port):
        crowd = crowds.Crowd(there)
        for number, address in enumerate(crowds.addresses(_SILENT)):
            crowd.join(f"org-{number}", crowds.spec(address, port), endpoint=address)
        crowd.notify(each=1)
        yield crowd.told


@contextlib.contextmanager
def _refused_logins(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    arena = there.arena
    crowd = crowds.Crowd(there)
    for number in range(_LOGINS):
        password = arena.secret(f"a guess of {crowd.attacker.namespace}", username=arena_kit.RELAY_USER)
        encoded = base64.b64encode(f"\0{arena_kit.RELAY_USER}\0{password}".encode()).decode()
        # A tarpit, as many servers set one against guessing.
        arena.relay.script.on(
            re.compile(rf"AUTH PLAIN {re.escape(encoded)}"),
            smtpd.Behaviour(reply="535 5.7.8 no", delay_seconds=_TARPIT_SECONDS),
        )
        spec = crowds.spec("127.0.0.1", arena.port, auth={"username": arena_kit.RELAY_USER})
        spec["from"] = {"address": f"{crowd.attacker.namespace}@platform.example"}
        crowd.join(f"org-{number}", spec, endpoint=f"127.0.0.1:{arena.port}", password=password)
    crowd.notify(each=5)

    def told() -> ground.Measures:
        return crowd.told() | {"refused logins at the host's relay": str(_refused(arena.relay))}

    yield told


def _refused(relay: smtpd.Server) -> int:
    return sum(not attempt.accepted for attempt in relay.auth_attempts)


@contextlib.contextmanager
def _temporary_refusals(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    there.arena.relay.script.on("RCPT TO:<refused@", smtpd.Behaviour(reply="421 4.7.0 too much", drop=smtpd.Drop.AFTER))
    crowd = crowds.Crowd(there)
    crowd.join("org-0", {})
    crowd.notify(each=20, recipient="refused@tenant.example")
    yield crowd.told


@contextlib.contextmanager
def _many_caps(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    relay = there.arena.relay
    relay.script.on("RCPT TO:<slow@", smtpd.Behaviour(delay_seconds=2.0))
    crowd = crowds.Crowd(there)
    password = there.arena.secret("a tenant's account at the relay", username=_ACCOUNT)
    there.arena.relay_users[_ACCOUNT] = password
    for number in range(_ALIASES):
        spec = crowds.spec("127.0.0.1", there.arena.port, auth={"username": _ACCOUNT})
        spec["from"] = {"address": f"{crowd.attacker.namespace}@platform.example"}
        spec["delivery"] = {"messagesPerConnection": number + 1}
        crowd.join(f"org-{number}", spec, endpoint=f"127.0.0.1:{there.arena.port}", password=password)
    relay.peak_connections = 0
    crowd.notify(each=8, recipient="slow@tenant.example")

    def told() -> ground.Measures:
        return crowd.told() | {"connections at the host's server, of 3": str(relay.peak_connections)}

    yield told


@contextlib.contextmanager
def _black_holes(there: ground.Ground) -> collections.abc.Iterator[scenario.Told]:
    crowd = crowds.Crowd(there)
    for number in range(_NAMES):
        name = f"black-hole-{number}.tenant.example"
        crowd.join(f"org-{number}", crowds.spec(name, there.arena.port), endpoint=name)
    crowd.notify(each=1)
    yield crowd.told


@contextlib.contextmanager
def _with_names(tree: pathlib.Path) -> collections.abc.Iterator[ground.Ground]:
    """Give a ground whose neighbour's server has a name, and whose sender asks a name server on loopback."""
    names = dns.Server({f"black-hole-{number}.tenant.example": None for number in range(_NAMES)}, at=launchers.DNS)
    # Nothing is remembered from one message to the next.
    names.ttl_seconds = 0
    with (
        background.Loop() as loop,
        loop.entered(names),
        ground.Ground(tree, own_server=True, names=names, launcher=launchers.resolving) as there,
    ):
        yield there


ALL = (
    scenario.Scenario(
        name="heavy-handshakes",
        attacker=f"{_HEAVY} organizations of a tenant send to a server with a DH modulus of 10,000 bits",
        attack=_heavy_handshakes,
        setting=scenario.with_own_server,
    ),
    scenario.Scenario(
        name="refused-logins",
        attacker=f"{_LOGINS} wrong passwords for the host's user at the host's relay, which answers after"
        f" {_TARPIT_SECONDS:.0f} s",
        attack=_refused_logins,
        setting=scenario.opening_anew,
    ),
    scenario.Scenario(
        name="silent-servers",
        attacker=f"{_SILENT:,} organizations of a tenant, each with a server that says nothing",
        attack=_silent_servers,
        setting=scenario.with_own_server,
    ),
    scenario.Scenario(
        name="temporary-refusals",
        attacker="the host's relay answers a tenant's recipients with 421 and hangs up",
        attack=_temporary_refusals,
    ),
    scenario.Scenario(
        name="many-caps",
        attacker=f"{_ALIASES} organizations name the host's relay, each with another messagesPerConnection",
        attack=_many_caps,
        setting=scenario.opening_anew,
    ),
    scenario.Scenario(
        name="black-holes",
        attacker=f"{_NAMES} organizations of a tenant, each with a server whose name nobody answers for",
        attack=_black_holes,
        setting=_with_names,
    ),
)

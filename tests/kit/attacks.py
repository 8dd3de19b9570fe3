"""Attacks of a tenant as values: what is tried, which rules it goes against, and what stops it.

The tables stand in the modules of `tests/tenant`, each beside the test that plays it; here is what they share.
`docs/explanation/attacks.md` is generated from all of them.
"""

import collections.abc
import dataclasses
import importlib
import typing

from kit import arena, corpus, rest, tiers
from kit import repository as repository_kit
from mailtier.api import kinds, names, problems
from mailtier.settings import effective, observed, resolve

Json = dict[str, typing.Any]

_FOLDER = "tests/tenant"
_PORT = 2525
BOUND: typing.Final = "(bound)"
"""In place of an annotation: the one that binds the Secret to whatever endpoint the settings name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing that a tenant tries.

    Attributes:
        name: Words with hyphens, unique among all attacks.
        rules: The rules of the threat model that it goes against.
        story: What the attacker does and hopes for, in one sentence.
        stopped_by: What is in the way, in a few words.
    """

    name: str
    rules: tuple[str, ...]
    story: str
    stopped_by: str

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Story(Attack):
    """An attack in several steps, which only a test of its own can tell.

    Attributes:
        test: The name of that test, in the same module.
    """

    test: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Attack):
    """An object that the API does not take.

    Attributes:
        kind: Its kind.
        spec: Its spec.
        says: A part of the answer that tells what is wrong.
        offline: The same part offline, where it differs.
    """

    kind: str = names.ORG_KIND
    spec: Json
    says: str
    offline: str | None = None

    def check(self, server: rest.Rest) -> None:
        """Check that the models refuse it, and the API server with the same sentence."""
        document = corpus.document(self.kind, self.spec)
        found = " ".join(map(str, problems.found(kinds.ALL[self.kind], document)))
        assert (self.says if self.offline is None else self.offline) in found, found
        status, message = server.try_out(document)
        assert status in {400, 422}, (status, message)
        assert self.says in message, message


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Attack):
    """Settings that the API takes, and that come to nothing.

    Attributes:
        spec: Of the OrgEmailSettings.
        reason: Of its condition Ready.
        annotation: Of the Secret `smtp`, which holds a password; None for none.
        unsaid: Texts that may not be repeated in its status.
        host: The host's spec, where it is not the arena's; then the attack is judged by the pure core alone.
    """

    spec: Json
    reason: str
    annotation: str | None = BOUND
    unsaid: tuple[str, ...] = ()
    host: Json | None = None

    def endpoint(self, host: Json) -> str:
        """Return the effective endpoint, and that of a fallback, as an annotation lists them."""
        planned = tiers.plan(host, self.spec)
        there = planned.fallback
        servers = (planned.values.endpoint, None if there is None else there.values.endpoint)
        return ",".join(str(server) for server in servers if server is not None)

    def judge(self) -> resolve.Resolution:
        """Return what the pure core makes of it."""
        host = self.host or arena.host_spec(_PORT)
        annotation = self.endpoint(host) if self.annotation == BOUND else self.annotation
        found = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1", annotation=annotation)
        return tiers.conclude(host, self.spec, secret=found)

    def check_core(self) -> None:
        """Check that nothing is connected to with these settings, and why."""
        settings = self.judge().effective
        found = [finding.reason.name for finding in settings.findings]
        assert found[:1] == [self.reason], found
        assert settings.state in {effective.State.BLOCKED, effective.State.UNRESOLVED}
        for text in self.unsaid:
            assert not any(text in finding.message for finding in settings.findings)

    def begin(self, attacker: arena.Attacker) -> None:
        """Apply everything, for the operator to judge."""
        host = arena.host_spec(attacker.arena.port)
        annotation = self.endpoint(host) if self.annotation == BOUND else self.annotation
        attacker.bring(attacker.arena.secret(self.name, username="robot"), endpoint=annotation)
        attacker.settings(self.spec)

    def check_real(self, attacker: arena.Attacker) -> None:
        """Check that the operator comes to the same."""
        attacker.until_reason(self.reason)
        status = str(attacker.status())
        for text in self.unsaid:
            assert text not in status
        assert attacker.effective()["state"] in {"Blocked", "Unresolved"}


def server(host: str, **tls: typing.Any) -> Json:
    """Return settings for a server of the tenant's own with the Secret `smtp`."""
    smtp: Json = {"host": host} | ({"tls": tls} if tls else {})
    return {
        "smtp": smtp,
        "auth": {"username": "robot", "passwordSecretRef": {"name": "smtp"}},
        "from": {"address": "robot@tenant.example"},
    }


def begin(on: arena.Arena, table: collections.abc.Iterable[Judged]) -> dict[str, arena.Attacker]:
    """Return a tenant for each attack that the arena's host judges, by its name; all of them begin at once."""
    found = {}
    for attack in table:
        if attack.host is None:
            found[attack.name] = on.attacker()
            attack.begin(found[attack.name])
    return found


def tables() -> dict[str, tuple[Attack, ...]]:
    """Return the attacks of each module that has some, by the module's title."""
    found = {}
    for path in repository_kit.python():
        if str(path.parent) == _FOLDER and path.name.startswith("test_"):
            module = importlib.import_module(f"tenant.{path.stem}")
            attacks: collections.abc.Sequence[Attack] = getattr(module, "ATTACKS", ())
            if attacks:
                assert module.__doc__ is not None
                found[module.__doc__.partition("\n")[0].rstrip(".")] = tuple(attacks)
    return found


def everything() -> list[Attack]:
    """Return all attacks."""
    return [attack for attacks in tables().values() for attack in attacks]

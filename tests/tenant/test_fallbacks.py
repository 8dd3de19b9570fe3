"""A second server, which is asked for when the first is dead: named to get past what holds for the first."""

import dataclasses
import pathlib

import pytest

from kit import arena as arena_kit
from kit import attacks, dns, ports, sending, smtpd, spares, tiers, wait
from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.settings import effective

_LOGIN: attacks.Json = {"username": "robot", "passwordSecretRef": {"name": "smtp"}}
_SPARES: attacks.Json = {
    **tiers.RELAY,
    "smtp": {
        "host": "relay.example.com",
        "fallback": {
            "host": "spare.example.com",
            "auth": {"username": "spare", "passwordSecretRef": {"name": "spare"}},
        },
    },
}


def _fallback(
    name: str,
    story: str,
    fallback: attacks.Json,
    reason: str,
    *,
    rules: tuple[str, ...] = ("R3",),
    host: attacks.Json = tiers.RELAY,
    annotation: str | None = attacks.BOUND,
) -> attacks.Judged:
    first = attacks.server("smtp.tenant.example")
    return attacks.Judged(
        name=name,
        rules=rules,
        story=f"The organization names {story} as the fallback of a harmless server of its own.",
        stopped_by="every rule is asked of the fallback again, as if it were the first server",
        spec={**first, "smtp": {**first["smtp"], "fallback": fallback}},
        host=host,
        reason=reason,
        annotation=annotation,
    )


JUDGED = (
    _fallback(
        "fallback-at-loopback", "this machine", {"host": "127.0.0.1", "port": 25}, "EndpointNotAllowed", rules=("R6",)
    ),
    _fallback(
        "fallback-at-metadata",
        "the cloud's metadata server",
        {"host": "169.254.169.254", "port": 25},
        "EndpointNotAllowed",
        rules=("R6",),
    ),
    _fallback(
        "fallback-inside", "an address inside the cluster", {"host": "10.96.0.1"}, "EndpointNotAllowed", rules=("R6",)
    ),
    _fallback(
        "fallback-on-another-port",
        "the port of a database",
        {"host": "db.tenant.example", "port": 6379},
        "EndpointNotAllowed",
        rules=("R6",),
    ),
    _fallback(
        "fallback-is-the-relay",
        "the host's server with a login of its own, to send as its neighbour",
        {"host": "RELAY.example.com.", "port": 465, "tls": {"mode": "Implicit"}},
        "FromNotAllowed",
    ),
    _fallback(
        "fallback-is-the-host-s-fallback",
        "the host's own fallback, to send as its neighbour",
        {"host": "spare.example.com", "auth": _LOGIN},
        "FromNotAllowed",
        host=_SPARES,
    ),
    _fallback(
        "fallback-with-the-host-s-account",
        "the host's fallback with the host's account there",
        {"host": "spare.example.com", "auth": {**_LOGIN, "username": "SPARE"}},
        "HostAccountNotAllowed",
        rules=("R3", "R12"),
        host=_SPARES,
    ),
    _fallback(
        "fallback-without-a-login",
        "the host's server without credentials",
        {"host": "relay.example.com", "auth": {"mechanism": "Anonymous"}},
        "AnonymousNotAllowed",
        host={**tiers.RELAY, "policy": {"endpoints": {"anonymous": True}}},
    ),
    _fallback(
        "fallback-that-the-secret-does-not-list",
        "a server of its own, with a Secret of a colleague that lists the first server alone",
        {"host": "collector.tenant.example"},
        "SecretNotBound",
        rules=("R1", "R3"),
        annotation="smtp.tenant.example",
    ),
    dataclasses.replace(
        _fallback("first-is-the-host-s-fallback", "nothing", {"host": "spare.tenant.example"}, "FromNotAllowed"),
        story="The organization names the host's fallback as its own first server, to send as its neighbour.",
        stopped_by="the host's fallback is the host's server",
        spec=attacks.server("spare.example.com"),
        host=_SPARES,
    ),
)

REFUSED = (
    attacks.Refused(
        name="fallback-in-clear",
        rules=("R2",),
        story="Whoever can break connections to the first server waits at a fallback without TLS for the password.",
        stopped_by="a fallback's TLS is never weaker than the first server's",
        spec={
            **attacks.server("smtp.tenant.example"),
            "smtp": {
                "host": "smtp.tenant.example",
                "fallback": {"host": "smtp.tenant.example", "tls": {"mode": "Disabled"}},
            },
        },
        says="fallback.tls.mode Disabled is weaker than tls.mode",
    ),
)

ATTACKS = (
    *JUDGED,
    *REFUSED,
    attacks.Story(
        name="fallback-leads-to-the-relay",
        rules=("R3",),
        story="The first server is dead, and the fallback's name leads to the address of the host's fallback.",
        stopped_by="the sender knows the host's servers by their addresses, both of them",
        test="test_a_name_that_leads_to_the_host_s_fallback_is_held",
    ),
)


@pytest.mark.parametrize("attack", JUDGED, ids=str)
def test_a_fallback_gets_past_nothing(attack: attacks.Judged) -> None:
    """Nothing is connected to with such a fallback, nor with the first server beside it (R1, R3, R6, R12)."""
    attack.check_core()


@pytest.mark.parametrize("attack", REFUSED, ids=str)
def test_a_fallback_is_not_weaker(attack: attacks.Refused, arena: arena_kit.Arena) -> None:
    """The API does not take it (R2)."""
    attack.check(arena.rest)


async def test_a_name_that_leads_to_the_host_s_fallback_is_held(tmp_path: pathlib.Path) -> None:
    """The address is the host's fallback's: nothing is sent there without credentials (R3)."""
    alias, named = "spare.tenant.example", "spare.example.com"
    async with (
        smtpd.Server(host="127.0.9.1") as spare,
        dns.Server({alias: ["127.0.9.1"], named: ["127.0.9.1"]}) as nameserver,
        sending.Sender(tmp_path, nameserver=nameserver.address) as sender,
    ):
        dead = dataclasses.replace(sending.endpoint(spare), port=ports.free())
        host = sending.settings("", dead)
        host = dataclasses.replace(host, organization=effective.HOST)
        sender.settings.put(spares.with_fallback(host, sending.endpoint(spare, host=named)))
        origin = vocabulary.Origin.ORG
        first = dataclasses.replace(sending.endpoint(spare, origin=origin), port=ports.free())
        of = sending.settings("team-a", first)
        of = sender.settings.put(spares.with_fallback(of, sending.endpoint(spare, host=alias, origin=origin)))
        sent = await sender.notify(of)

        async def is_known_again() -> bool:
            return await sender.reasons(of, sent) == [reasons.DeliveryReason.HOST_RELAY]

        await wait.until_async(is_known_again, within_seconds=20, why="the host's fallback is known again")
        assert spare.transcripts == []

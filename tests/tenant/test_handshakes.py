"""TLS handshakes that cost much: while they are computed, everybody's mail would wait."""

import dataclasses
import pathlib
import ssl
from collections.abc import Callable

import pytest

from kit import arena as arena_kit
from kit import attacks, smtpd
from kit import handshakes as costly


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Costs(attacks.Attack):
    """A server that makes the handshake cost much.

    Attributes:
        certificates: What it has.
        context: Makes its context of them, with files in a folder.
        says: What Verified says.
    """

    certificates: Callable[[], costly.Certificates]
    context: Callable[[costly.Certificates, pathlib.Path], ssl.SSLContext]
    says: str


ATTACKS = (
    Costs(
        name="modulus-of-ten-thousand-bits",
        rules=("R10", "R15"),
        story="A server wants Diffie-Hellman with a modulus of 10,000 bits, which costs a second for each handshake.",
        stopped_by="that needs TLS 1.2, with which ECDHE alone is offered",
        certificates=costly.plain_chain,
        context=costly.finite_field_context,
        says="ended the connection during the TLS handshake",
    ),
    Costs(
        name="chain-of-long-exponents",
        rules=("R10", "R15"),
        story="A server sends as many certificates as go into a handshake, each of which takes long to verify.",
        stopped_by="a handshake has at most 64 KiB, and is made in a thread of which each namespace has one",
        certificates=lambda: costly.costly_chain(costly.MOST + 20),
        context=costly.Certificates.server_context,
        says="more than 64 KiB in the TLS handshake",
    ),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_costly_handshake_is_not_made(attacker: arena_kit.Attacker, tmp_path: pathlib.Path, attack: Costs) -> None:
    """The handshake is given up before its cost, and the server gets no password (R10, R15)."""
    arena = attacker.arena
    password = arena.secret(attack.name, username="robot")
    found = attack.certificates()
    options = smtpd.Options(tls=smtpd.Tls.STARTTLS, context=attack.context(found, tmp_path), users={"robot": password})
    with arena.serve(options) as server:
        attacker.bring(password, endpoint=f"{server.host}:{server.port}")
        arena.put(arena_kit.config_map(attacker.namespace, "ca", {"ca.crt": found.authority}))
        attacker.settings(attacker.own(server))
        condition = attacker.until_reason("TlsFailed", "TlsNoCommonCipher", "Verified", type_="Verified")
        assert condition["reason"] != "Verified"
        assert attack.says in condition["message"]
        assert server.auth_attempts == []

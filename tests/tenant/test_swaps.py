"""Swaps: settings, Secrets and servers that change while a password is in use."""

import collections.abc
import dataclasses

import pytest

from kit import arena as arena_kit
from kit import attacks, certs, smtpd


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Swap(attacks.Attack):
    """Settings that change while a password is in use.

    Attributes:
        steps: Each the letter of the server and of the Secret that settings name; Secret a is bound to server a, and
            server b is the attacker's. An empty Secret bound to b is applied as b.
        reason: Of Ready at the end.
    """

    steps: tuple[tuple[str, str], ...]
    reason: str


SWAPS = (
    Swap(
        name="endpoint-swapped-under-a-secret",
        rules=("R1", "R3"),
        story="Whoever may write settings points the endpoint of a working organization to a server of their own.",
        stopped_by="the sender reads annotation and password together, and finds the new endpoint missing",
        steps=(("a", "a"), ("b", "a")),
        reason="SecretNotBound",
    ),
    Swap(
        name="secret-swapped-under-an-endpoint",
        rules=("R1", "R3"),
        story="The settings keep their endpoint and name another Secret, whose password is for elsewhere.",
        stopped_by="the annotation on the Secret",
        steps=(("b", "b"), ("b", "a")),
        reason="SecretNotBound",
    ),
    Swap(
        name="endpoint-then-secret",
        rules=("R1", "R3"),
        story="Two applies: first the endpoint, then the Secret, for the first Secret to meet the second server.",
        stopped_by="each state is judged as a whole, by what it names now",
        steps=(("a", "a"), ("b", "a"), ("b", "b")),
        reason="Published",
    ),
    Swap(
        name="secret-then-endpoint",
        rules=("R1", "R3"),
        story="Two applies: first the Secret, then the endpoint, for the first endpoint to get the second Secret.",
        stopped_by="each state is judged as a whole, by what it names now",
        steps=(("a", "a"), ("a", "b"), ("b", "b")),
        reason="Published",
    ),
    Swap(
        name="flipping-back-and-forth",
        rules=("R1", "R3", "R8"),
        story="The endpoint is flipped many times in a second, to be caught between the check and the use.",
        stopped_by="the sender checks the annotation on the read that yields the password",
        steps=(("a", "a"), *(("b", "a"), ("a", "a")) * 10, ("b", "a")),
        reason="SecretNotBound",
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unprotected(attacks.Attack):
    """A server that is not what the settings ask for.

    Attributes:
        offered: The server's options, from those of a good one.
        reason: Of Verified.
    """

    offered: collections.abc.Callable[[arena_kit.Arena], smtpd.Options]
    reason: str


def _stripped(_arena: arena_kit.Arena) -> smtpd.Options:
    return smtpd.Options(users={"robot": "x"}, plaintext_auth=True)


def _foreign(arena: arena_kit.Arena) -> smtpd.Options:
    leaf = certs.Authority(arena.folder / "foreign").issue(arena_kit.CERTIFICATE_NAME)
    return arena.starttls(leaf=leaf, users={"robot": "x"})


UNPROTECTED = (
    Unprotected(
        name="starttls-stripped",
        rules=("R1", "R2"),
        story="Somebody on the network removes STARTTLS from the server's greeting and offers AUTH in clear.",
        stopped_by="StartTLS means required",
        offered=_stripped,
        reason="StartTlsNotOffered",
    ),
    Unprotected(
        name="certificate-of-another-authority",
        rules=("R1", "R2"),
        story="Somebody on the network answers with a certificate of an authority of their own.",
        stopped_by="the certificate is verified against the bundle that was asked for, before AUTH",
        offered=_foreign,
        reason="TlsFailed",
    ),
)

STORIES = (
    attacks.Story(
        name="annotation-taken-back",
        test="test_a_binding_that_is_taken_back_counts",
        rules=("R1", "R3"),
        story="An endpoint was bound once, the owner took the binding back, and mail goes on being queued.",
        stopped_by="the annotation counts at the next read; the operator unpublishes, and the sender holds",
    ),
    attacks.Story(
        name="guessing-the-host-s-password",
        test="test_the_host_s_account_is_not_guessed",
        rules=("R3", "R12"),
        story="The organization tries passwords for the host's account on the host's relay, until it is locked out.",
        stopped_by="one AUTH for each version of the Secret, across probe and delivery",
    ),
    attacks.Story(
        name="guessing-with-many-secrets",
        test="test_many_secrets_are_no_more_guesses",
        rules=("R3", "R12", "R15"),
        story="The organization brings ten Secrets, each with another guess for one account of the host's relay, until"
        " the relay locks it.",
        stopped_by="three refused logins of a namespace within an hour hold its others at that server",
    ),
)

ATTACKS = (*SWAPS, *UNPROTECTED, *STORIES)


@pytest.mark.parametrize("attack", SWAPS, ids=str)
def test_a_swap_leads_no_password_elsewhere(attacker: arena_kit.Attacker, attack: Swap) -> None:
    """Whatever the order of endpoint and Secret, each server sees its own password or none (R1, R3)."""
    arena = attacker.arena
    passwords = {letter: arena.secret(f"{attack}: {letter}", username="robot") for letter in "ab"}
    with (
        arena.serve(arena.starttls(users={"robot": passwords["a"]})) as first,
        arena.serve(arena.starttls(users={"robot": passwords["b"]})) as second,
    ):
        servers = {"a": first, "b": second}
        for letter, server in servers.items():
            attacker.bring(passwords[letter], endpoint=f"{server.host}:{server.port}", name=letter)
        for number, (at, secret) in enumerate(attack.steps):
            auth = {"username": "robot", "passwordSecretRef": {"name": secret}}
            attacker.settings(attacker.own(servers[at], auth=auth))
            if number == 0:
                attacker.until_reason("Published")
        attacker.until_reason(attack.reason)
        taken = attacker.post(arena_kit.ALERT)
        if attack.reason == "Published":
            attacker.until_states(taken, "accepted")
        else:
            attacker.until_held()
        for letter, server in servers.items():
            seen = {attempt.password for attempt in server.auth_attempts}
            assert seen <= {passwords[letter]}, attack


@pytest.mark.parametrize("attack", UNPROTECTED, ids=str)
def test_a_server_that_cannot_protect_gets_no_password(attacker: arena_kit.Attacker, attack: Unprotected) -> None:
    """No byte of AUTH is sent before TLS stands and the certificate verifies (R1, R2)."""
    with attacker.arena.serve(attack.offered(attacker.arena)) as server:
        password = attacker.arena.secret(attack.name, username="robot")
        attacker.bring(password, endpoint=f"{server.host}:{server.port}")
        attacker.settings(attacker.own(server))
        attacker.until_reason(attack.reason, type_="Verified")
        assert server.auth_attempts == []
        assert not any(command.startswith(b"AUTH") for each in server.transcripts for command in each.commands())


def test_a_binding_that_is_taken_back_counts(attacker: arena_kit.Attacker) -> None:
    """A password whose owner withdrew consent is not used for what is queued afterwards (R1, R3)."""
    arena = attacker.arena
    password = arena.secret("annotation-taken-back", username="robot")
    with arena.serve(arena.starttls(users={"robot": password})) as server:
        attacker.bring(password, endpoint=f"{server.host}:{server.port}")
        attacker.settings(attacker.own(server))
        attacker.until_reason("Verified", type_="Verified")
        attacker.bring(password, endpoint=None)
        # A change of the settings has the Secret read again at once; otherwise the next reading finds it.
        attacker.settings(attacker.own(server, **{"from": {"address": "other@tenant.example"}}))
        attacker.until_reason("SecretNotBound")
        seen = len(server.auth_attempts)
        attacker.post(arena_kit.ALERT)
        attacker.until_held()
        assert (len(server.auth_attempts), server.messages) == (seen, [])


def test_the_host_s_account_is_not_guessed(attacker: arena_kit.Attacker) -> None:
    """One wrong password is one AUTH, however much mail waits for it (R3, R12)."""
    arena = attacker.arena
    wrong = arena.secret("guessing-the-host-s-password", username="administrator")
    attacker.bring(wrong, endpoint=f"127.0.0.1:{arena.port}")
    attacker.settings({"auth": {"username": "administrator", "passwordSecretRef": {"name": "smtp"}}})
    attacker.until_reason("AuthFailed", type_="Verified")
    for _ in range(5):
        attacker.post(arena_kit.ALERT)
    attacker.until_held()
    tried = [attempt for attempt in arena.relay.auth_attempts if attempt.username == "administrator"]
    assert len(tried) == 1


def test_many_secrets_are_no_more_guesses(attacker: arena_kit.Attacker) -> None:
    """Ten wrong passwords in ten Secrets are three AUTHs, whoever asks for a probe in between (R3, R12, R15)."""
    arena = attacker.arena
    for number in range(10):
        wrong = arena.secret(f"guessing-with-many-secrets: {number}", username="postmaster")
        attacker.bring(wrong, endpoint=f"127.0.0.1:{arena.port}", name=f"guess-{number}")
        auth = {"username": "postmaster", "passwordSecretRef": {"name": f"guess-{number}"}}
        attacker.settings({"auth": auth}, name=f"mail-{number}")
    taken = []
    for number in range(10):
        attacker.until_reason("Published", name=f"mail-{number}")
        taken.append(attacker.post(arena_kit.ALERT, organization=f"mail-{number}"))
    held = sorted(attacker.until_states(each, "held")["recipients"][0]["reason"] for each in taken)
    assert held == ["CredentialsRefused"] * 3 + ["TooManyRefusedLogins"] * 7
    tried = [attempt for attempt in arena.relay.auth_attempts if attempt.username == "postmaster"]
    assert len(tried) == 3

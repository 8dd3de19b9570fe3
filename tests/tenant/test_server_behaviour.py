"""What a server does: a sender that waits for ever, reads without end, or sends the same mail again and again."""

import collections.abc
import contextlib
import dataclasses

import pytest

from kit import arena as arena_kit
from kit import attacks, hostile, intake, smtpd, wait

_TOTAL = "a total by the wall clock beside the limits of single commands"
_OK = "250 2.0.0 By and by"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Behaves(attacks.Attack):
    """A server that misbehaves at one command.

    Attributes:
        on: The command.
        does: What it does then.
        verified: What Verified may say.
        states: Of the recipient of a notification; none where no session comes about.
    """

    on: str
    does: smtpd.Behaviour
    verified: tuple[str, ...] = ("Verified",)
    states: tuple[str, ...] = ()


def _drips(name: str, on: str, reply: str, **where: tuple[str, ...]) -> Behaves:
    return Behaves(
        name=f"drips-at-{name}",
        rules=("R10",),
        story=f"At {on.strip('<>')} the server sends a byte every other second, so that no single wait is long.",
        stopped_by=_TOTAL,
        on=on,
        does=hostile.drip(reply),
        **where,
    )


def _silent(name: str, on: str, **where: tuple[str, ...]) -> Behaves:
    return Behaves(
        name=f"silent-at-{name}",
        rules=("R10", "R12"),
        story=f"At {on.strip('<>')} the server says nothing, and keeps the connection.",
        stopped_by=_TOTAL,
        on=on,
        does=hostile.silence(),
        **where,
    )


def _floods(name: str, on: str, **where: tuple[str, ...]) -> Behaves:
    return Behaves(
        name=f"floods-at-{name}",
        rules=("R10",),
        story=f"At {on.strip('<>')} the server sends a million lines, to be read into memory.",
        stopped_by="of a reply, 64 lines and 8 KiB are read, and its code counts",
        on=on,
        does=hostile.flood(),
        **where,
    )


def _hangs_up(name: str, on: str, when: smtpd.Drop = smtpd.Drop.BEFORE, **where: tuple[str, ...]) -> Behaves:
    is_dot = on == smtpd.DOT
    return Behaves(
        name=f"hangs-up-{name}",
        rules=("R4",) if is_dot else ("R4", "R12"),
        story=f"The server drops the connection {name.replace('-', ' ')}, for the mail to be lost, or sent many times.",
        stopped_by="in doubt is a state: resent the same, at most twice" if is_dot else "no attempt is charged",
        on=on,
        does=hostile.hang_up(when),
        **where,
    )


_LATE = ("TimedOut",)
_GONE = ("ServerUnavailable", "GreetingFailed", "TlsFailed", "EhloFailed")

BEHAVIOURS = (
    _drips("greeting", smtpd.GREETING, "220 smtp.test ESMTP", verified=_LATE),
    _drips("ehlo", "EHLO", _OK, verified=_LATE),
    _drips("starttls", "STARTTLS", "220 2.0.0 Ready", verified=_LATE),
    _drips("auth", "AUTH", "235 2.7.0 Ok", verified=_LATE),
    _drips("mail", "MAIL", _OK, verified=_LATE),
    _drips("rcpt", "RCPT", _OK, states=("deferred",)),
    _drips("data", "DATA", "354 Go on", states=("deferred",)),
    _drips("the-dot", smtpd.DOT, _OK, states=("in doubt",)),
    _silent("greeting", smtpd.GREETING, verified=_LATE),
    _silent("auth", "AUTH", verified=_LATE),
    _silent("rcpt", "RCPT", states=("deferred",)),
    _silent("the-dot", smtpd.DOT, states=("in doubt",)),
    _floods("greeting", smtpd.GREETING, verified=_GONE),
    _floods("ehlo", "EHLO", verified=_GONE),
    _floods("rcpt", "RCPT", states=("deferred",)),
    _floods("the-dot", smtpd.DOT, states=("accepted",)),
    _hangs_up("at-the-greeting", smtpd.GREETING, verified=_GONE),
    _hangs_up("at-ehlo", "EHLO", verified=_GONE),
    _hangs_up("at-starttls", "STARTTLS", verified=_GONE),
    _hangs_up("at-auth", "AUTH", verified=_GONE),
    _hangs_up("at-rcpt", "RCPT", states=("deferred",)),
    _hangs_up("at-data", "DATA", states=("deferred",)),
    _hangs_up("before-the-dot-counts", smtpd.DOT, states=("in doubt",)),
    _hangs_up("after-the-dot-counted", smtpd.DOT, smtpd.Drop.INSTEAD, states=("in doubt",)),
    _hangs_up("after-it-said-yes", smtpd.DOT, smtpd.Drop.AFTER, states=("accepted",)),
)

STORIES = (
    attacks.Story(
        name="a-crowd-of-silent-servers",
        test="test_silent_servers_delay_nobody_else",
        rules=("R4", "R10"),
        story="Many organizations name servers that answer nothing, so that nobody's mail goes out any more.",
        stopped_by="a dead or slow server delays only those who use it",
    ),
    attacks.Story(
        name="text-before-the-handshake",
        test="test_text_before_the_handshake_is_not_believed",
        rules=("R2",),
        story="Somebody on the network puts replies behind the answer to STARTTLS, to be believed after TLS.",
        stopped_by="what came in clear before TLS is discarded",
    ),
    attacks.Story(
        name="password-refused-for-ever",
        test="test_a_refused_password_is_not_shown_again",
        rules=("R12",),
        story="The server refuses the password each time, to see it as often as there is mail.",
        stopped_by="one AUTH for each version of the Secret, across probe and delivery",
    ),
)

ATTACKS = (*BEHAVIOURS, *STORIES)


def _own(attacker: arena_kit.Attacker, server: smtpd.Server, password: str) -> None:
    attacker.bring(password, endpoint=f"{server.host}:{server.port}")
    attacker.settings(attacker.own(server))


@dataclasses.dataclass(slots=True, kw_only=True)
class _Played:
    """An attack under way."""

    attacker: arena_kit.Attacker
    server: smtpd.Server
    taken: intake.Answer | None = None


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> collections.abc.Iterator[dict[str, _Played]]:
    """Return all attacks of the table by name, played at the same time: most of them are waiting."""
    found = {}
    with contextlib.ExitStack() as stack:
        for attack in BEHAVIOURS:
            attacker, password = arena.attacker(), arena.secret(attack.name, username="robot")
            server = stack.enter_context(arena.serve(arena.starttls(users={"robot": password})))
            server.script.on(attack.on, attack.does)
            _own(attacker, server, password)
            found[attack.name] = _Played(attacker=attacker, server=server)
        for attack in BEHAVIOURS:
            if attack.states:
                found[attack.name].taken = found[attack.name].attacker.post(arena_kit.ALERT)
        yield found


@pytest.mark.parametrize("attack", BEHAVIOURS, ids=str)
def test_a_server_gets_its_time_and_no_more(played: dict[str, _Played], attack: Behaves) -> None:
    """Long before the server is done it is left alone, and what was acknowledged is still there (R4, R10, R12)."""
    under_way = played[attack.name]
    under_way.attacker.until_reason(*attack.verified, type_="Verified")
    if under_way.taken is not None:
        (recipient,) = under_way.attacker.until_states(under_way.taken, *attack.states)["recipients"]
        # A fault of the server before the dot is no attempt.
        assert recipient["attempts"] == (attack.states != ("deferred",))
    server = under_way.server
    wait.until(lambda: not server.open_connections, within_seconds=15, why="the sender has left the server")


def test_silent_servers_delay_nobody_else(arena: arena_kit.Arena) -> None:
    """While ten organizations wait for servers that say nothing, another's mail goes out (R4, R10)."""
    with arena.serve(smtpd.Options()) as server:
        server.script.on(smtpd.GREETING, hostile.silence())
        attackers = [arena.attacker() for _ in range(10)]
        for number, attacker in enumerate(attackers, start=1):
            attacker.bring(arena.secret(f"a silent server's {number}", username="robot"), endpoint=server.host)
            timeouts = {"session": "30s", "envelope": "60s", "message": "10m"}
            attacker.settings(attacker.own(server, delivery={"maxConnections": number, "timeouts": timeouts}))
        for attacker in attackers:
            assert attacker.post(arena_kit.ALERT).status == 202
        innocent = arena.attacker()
        innocent.settings({})
        innocent.until_reason("Published")
        innocent.until_states(innocent.post(arena_kit.ALERT), "accepted")
        assert server.open_connections >= 1


def test_text_before_the_handshake_is_not_believed(attacker: arena_kit.Attacker) -> None:
    """Replies that were sent in clear have no effect under TLS (R2)."""
    arena = attacker.arena
    password = arena.secret("text-before-the-handshake", username="robot")
    with arena.serve(arena.starttls(users={"robot": password}, mechanisms=("LOGIN",))) as server:
        server.script.on("STARTTLS", b"220 2.0.0 Go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
        _own(attacker, server, password)
        attacker.until_reason("AuthNotOffered", *_GONE, type_="Verified")
        assert server.auth_attempts == []


def test_a_refused_password_is_not_shown_again(attacker: arena_kit.Attacker) -> None:
    """However much mail waits, the server sees a refused password once (R12)."""
    arena = attacker.arena
    password = arena.secret("password-refused-for-ever", username="robot")
    with arena.serve(arena.starttls(users={"robot": password})) as server:
        server.script.on("AUTH", "535 5.7.8 No")
        _own(attacker, server, password)
        attacker.until_reason("AuthFailed", type_="Verified")
        for _ in range(5):
            attacker.post(arena_kit.ALERT)
        attacker.until_held()
        assert len(server.auth_attempts) == 1

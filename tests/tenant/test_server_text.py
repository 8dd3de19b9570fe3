"""What a server says: words that give a password away, in a status, a log or an Event."""

import base64
import collections.abc
import contextlib
import dataclasses
import json

import pytest

from kit import arena as arena_kit
from kit import attacks, hostile, smtpd, wait
from mailtier.mail import classify, quoting, replies

_BANNER = "zanzibar"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Echo(attacks.Attack):
    """A server that repeats what was sent with AUTH.

    Attributes:
        on: The command that it answers so.
        code: Of its reply.
        phase: Of a delivery, for the pure core.
        states: Of the recipient at the end; none where the server lets nobody in.
        verified: The reason of Verified.
    """

    on: str
    code: str
    phase: classify.Phase
    states: tuple[str, ...]
    verified: str = "Verified"

    @property
    def rule(self) -> tuple[str, smtpd.Behaviour]:
        """What the server's script is told."""
        return self.on, hostile.echo(self.code)

    @property
    def events(self) -> tuple[str, ...]:
        """The reasons of the Events that quote the server; what is well from the beginning is none."""
        return () if self.verified == "Verified" else (self.verified,)


def _echo(name: str, on: str, code: str, phase: classify.Phase, *states: str, verified: str = "Verified") -> Echo:
    return Echo(
        name=f"echo-at-{name}",
        rules=("R1", "R7"),
        story=f"The server repeats username, password and AUTH payload in its answer to {on.strip('<>')}, with {code}.",
        stopped_by="what the session knows is removed from every quotation, plain or encoded",
        on=on,
        code=code,
        phase=phase,
        states=states,
        verified=verified,
    )


ECHOES = (
    _echo("auth", "AUTH", "535 5.7.8", classify.Phase.AUTH, verified="AuthFailed"),
    _echo("auth-for-now", "AUTH", "454 4.7.0", classify.Phase.AUTH, verified="ServerUnavailable"),
    _echo("mail", "MAIL", "550 5.7.1", classify.Phase.MAIL, verified="SenderRefused"),
    _echo("rcpt", "RCPT", "550 5.1.1", classify.Phase.RCPT, "failed"),
    _echo("rcpt-for-now", "RCPT", "450 4.2.0", classify.Phase.RCPT, "deferred"),
    _echo("data", "DATA", "554 5.6.0", classify.Phase.DATA, "failed", "deferred"),
    _echo("the-dot", smtpd.DOT, "554 5.6.0", classify.Phase.DOT, "failed"),
    _echo("success", smtpd.DOT, "250 2.0.0", classify.Phase.DOT, "accepted"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Greeting(attacks.Attack):
    """Another protocol on the port, of which the attacker wants to read something.

    Attributes:
        says: Its first bytes.
    """

    says: bytes

    @property
    def rule(self) -> tuple[str, bytes]:
        """What the server's script is told."""
        return smtpd.GREETING, self.says


def _greeting(name: str, what: str, says: bytes) -> Greeting:
    return Greeting(
        name=name,
        rules=("R6", "R7"),
        story=f"The organization points at {what}, to read its banner in the status.",
        stopped_by="a greeting that is not SMTP is never quoted",
        says=says,
    )


GREETINGS = (
    _greeting("ssh-banner", "an SSH server", b"SSH-2.0-OpenSSH_9.2 zanzibar\r\n"),
    _greeting("http-answer", "a web server", b"HTTP/1.1 400 Bad Request\r\nServer: zanzibar\r\n\r\n"),
    _greeting("redis-error", "a Redis", b"-NOAUTH zanzibar\r\n"),
    _greeting("database-handshake", "a database", b"\x4a\x00\x00\x00\x0a8.0.36-zanzibar\x00\r\n"),
    _greeting("almost-smtp", "a server that begins like SMTP", b"220-zanzibar\r\nzanzibar\r\n"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words(attacks.Attack):
    """Words that do something to whoever reads them.

    Attributes:
        says: The server's answer to RCPT.
        unsaid: What may not be left of it.
    """

    says: bytes
    unsaid: tuple[str, ...]

    @property
    def rule(self) -> tuple[str, bytes]:
        """What the server's script is told."""
        return "RCPT", self.says


def _words(
    name: str, story: str, says: str, *unsaid: str, stopped_by: str = "printable ASCII, 200 characters"
) -> Words:
    return Words(
        name=name,
        rules=("R7",),
        story=story,
        stopped_by=stopped_by,
        says=f"550 5.1.1 {says}\r\n".encode(),
        unsaid=unsaid,
    )


WORDS = (
    _words(
        "terminal-codes",
        "The answer clears the terminal of whoever lists organizations.",
        "\x1b[2J\x1b]0;x\x07",
        "\x1b",
        "\x07",
    ),
    _words("words-backwards", "The answer reads differently from what it is.", "\u202eneddibrof\u2066", "\u202e"),
    _words("a-line-of-its-own", "The answer forges a line of the log.", 'no\u2028{"event": "forged"}', "\u2028"),
    _words("a-novel", "The answer is two thousand letters long.", "lorem ipsum " * 150, "lorem ipsum " * 20),
    _words(
        "somebody-s-token",
        "The answer holds a token from elsewhere, for the status to publish.",
        "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9.eyJpc3MiOiJr",
        "eyJhbGciOiJSUzI1NiIs",
        stopped_by="what looks like base64 is removed",
    ),
)

STORIES = (
    attacks.Story(
        name="echo-of-the-host-s-relay",
        test="test_the_relay_s_words_are_not_for_tenants",
        rules=("R1", "R7"),
        story="An organization that inherits provokes an error of the host's relay, to read about relay and account.",
        stopped_by="on an inherited endpoint an organization reads codes alone",
    ),
    attacks.Story(
        name="the-host-s-account-in-status",
        test="test_an_inherited_endpoint_shows_no_account",
        rules=("R7",),
        story="An organization that inherits everything looks for the host's username, Secret and CA in its status.",
        stopped_by="an inherited endpoint shows neither",
    ),
)

ATTACKS = (*ECHOES, *GREETINGS, *WORDS, *STORIES)


@pytest.mark.parametrize("attack", ECHOES, ids=str)
def test_the_core_quotes_no_credentials(attack: Echo) -> None:
    """Whatever a reply holds, what is kept of it has no piece of the password (R1, R7)."""
    password, username = "Xk3-9_qPz7LmN0aB", "robot"
    payload = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
    text = hostile.ECHO.format(payload=payload, username=username, password=password)
    known = quoting.KnownSecrets((password, username))
    (reply,) = replies.ReplyParser().receive(f"{attack.code} {text}\r\n".encode())
    if attack.states == ("accepted",):
        told = quoting.quotable(reply.text, known)
    else:
        told = classify.classify_reply(attack.phase, reply, secrets=known).text
    assert not [piece for piece in hostile.fragments(password) if piece in told.lower()]
    assert not [piece for piece in hostile.fragments(payload, 8) if piece in told.lower()]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Played:
    """An attack under way, with the password that it is about."""

    attacker: arena_kit.Attacker
    server: smtpd.Server
    password: str


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> collections.abc.Iterator[dict[str, _Played]]:
    """Return all attacks of the tables by name, which begin at once."""
    with contextlib.ExitStack() as stack:
        found = {}
        for attack in (*ECHOES, *GREETINGS, *WORDS):
            attacker, password = arena.attacker(), arena.secret(attack.name, username="robot")
            server = stack.enter_context(arena.serve(arena.starttls(users={"robot": password})))
            server.script.on(*attack.rule)
            attacker.bring(password, endpoint=server.host)
            attacker.settings(attacker.own(server))
            found[attack.name] = _Played(attacker=attacker, server=server, password=password)
        yield found


def _events(attacker: arena_kit.Attacker, *reasons: str) -> str:
    """Return the Events of an attacker's namespace as JSON, once there is one for each of these reasons."""

    def told() -> str:
        text = attacker.arena.cluster.kubectl("get", "events", "-n", attacker.namespace, "-o", "json").stdout
        return text if set(reasons) <= {event["reason"] for event in json.loads(text)["items"]} else ""

    why = f"there are Events for {reasons}"
    return wait.until(told, within_seconds=arena_kit.WITHIN, why=why, poll_seconds=0.2)


@pytest.mark.parametrize("attack", ECHOES, ids=str)
def test_an_echo_is_told_to_nobody(played: dict[str, _Played], attack: Echo) -> None:
    """Status, Events and record of a real delivery hold no piece of the password (R1, R7)."""
    attacker, password = played[attack.name].attacker, played[attack.name].password
    attacker.until_reason(attack.verified, type_="Verified")
    told = json.dumps(attacker.status()) + _events(attacker, *attack.events)
    if attack.states:
        told += json.dumps(attacker.until_states(attacker.post(arena_kit.ALERT), *attack.states))
    assert {attempt.password for attempt in played[attack.name].server.auth_attempts} == {password}
    assert not [piece for piece in hostile.fragments(password) if piece in told.lower()]
    payload = base64.b64encode(f"\0robot\0{password}".encode()).decode()
    assert not [piece for piece in hostile.fragments(payload, 12) if piece in told.lower()]


@pytest.mark.parametrize("attack", GREETINGS, ids=str)
def test_a_greeting_that_is_not_smtp_is_not_quoted(played: dict[str, _Played], attack: Greeting) -> None:
    """The status says that the server does not greet, and nothing of what it said (R6, R7)."""
    attacker = played[attack.name].attacker
    attacker.until_reason("GreetingFailed", type_="Verified")
    assert _BANNER not in json.dumps(attacker.status())
    assert _BANNER not in attacker.arena.sender.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("attack", WORDS, ids=str)
def test_words_do_nothing_to_their_reader(played: dict[str, _Played], attack: Words) -> None:
    """What is kept of a server's words is short, printable ASCII (R7)."""
    attacker = played[attack.name].attacker
    attacker.until_reason("Verified", type_="Verified")
    (recipient,) = attacker.until_states(attacker.post(arena_kit.ALERT), "failed")["recipients"]
    message = recipient["message"]
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 400
    assert not [text for text in attack.unsaid if text in message]


def test_the_relay_s_words_are_not_for_tenants(attacker: arena_kit.Attacker) -> None:
    """Of an error of the host's relay an organization reads the codes, and no word, name or account (R1, R7)."""
    attacker.settings({})
    attacker.until_reason("Verified", type_="Verified")
    recipient = f"echo@{attacker.namespace}.example"
    attacker.arena.relay.script.on(f"RCPT TO:<{recipient}>", f"550 5.1.1 relay-7.internal {hostile.ECHO}")
    taken = attacker.post(arena_kit.ALERT | {"recipients": [recipient]})
    told = json.dumps(attacker.until_states(taken, "failed"))
    assert "550 5.1.1" in told
    password = attacker.arena.secrets[0].value
    assert not [text for text in ("relay-7", arena_kit.RELAY_USER, password[:6]) if text in told]


def test_an_inherited_endpoint_shows_no_account(attacker: arena_kit.Attacker) -> None:
    """An inherited endpoint shows neither the host's username, nor its Secret, nor its CA (R7)."""
    attacker.settings({})
    attacker.until_reason("Verified", type_="Verified")
    told = json.dumps(attacker.status())
    assert not [text for text in (f'"{arena_kit.RELAY_USER}"', "relay-password", "relay-ca") if text in told]

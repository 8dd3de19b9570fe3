"""OAuth2: a client's secret or a token that ends up with somebody else, and token servers that are traps."""

import collections.abc
import dataclasses
import pathlib
import typing

import pytest

from kit import arena as arena_kit
from kit import attacks, certs, dns, granting, oauth, sending, smtpd, wait
from mailtier.api import names, vocabulary

_S = vocabulary.RecipientState
_TOKEN_URL = "https://login.example.org/oauth2/token"


def _spec(token_url: str = _TOKEN_URL, *, host: str = "smtp.example.org", **changes: typing.Any) -> attacks.Json:
    oauth2 = {"tokenURL": token_url, "clientID": "app", "secretRef": {"name": "smtp"}} | changes
    return attacks.server(host) | {"auth": {"username": "robot@example.org", "oauth2": oauth2}}


def _spelled(name: str, what: str, token_url: str) -> attacks.Refused:
    return attacks.Refused(
        name=f"token-url-{name}",
        rules=("R6",),
        story=f"The organization names {what} as its token server: {token_url!r}.",
        stopped_by="a token URL is https, names a server by its name, and nothing else",
        spec=_spec(token_url),
        says="must be an https address of a server by its name",
    )


SPELLINGS = (
    _spelled("in-clear", "a server without TLS, on whose way the secret can be read", "http://login.example.org/token"),
    _spelled("by-address", "the metadata service by its address", "https://169.254.169.254/token"),
    _spelled("by-ipv6-address", "this machine by its IPv6 address", "https://[::1]/token"),
    _spelled("by-decimal-number", "this machine by a decimal number", "https://2130706433/token"),
    _spelled("by-hexadecimal-number", "this machine by a hexadecimal number", "https://0x7f000001/token"),
    _spelled("with-a-user", "a host behind a user's name", "https://login.example.org@evil.example.net/token"),
    _spelled(
        "with-a-backslash", "a host that parsers read differently", "https://evil.example.net\\@login.example.org/"
    ),
    _spelled("with-a-fragment", "a path behind a fragment", "https://login.example.org/token#/../.."),
    _spelled("with-a-line-break", "a header behind a line break", "https://login.example.org/token\r\nHost: evil"),
    _spelled("of-another-scheme", "a file of the sender's", "file:///var/run/secrets/token"),
)

SETTINGS = (
    attacks.Judged(
        name="token-server-that-is-denied",
        rules=("R6",),
        story="The organization names a token server that the platform team has closed.",
        stopped_by="token servers are judged by the same lists as endpoints",
        spec=_spec("https://closed.example.org/token"),
        reason="TokenServerNotAllowed",
    ),
    attacks.Judged(
        name="token-server-on-another-port",
        rules=("R6",),
        story="The organization scans ports by naming them in its token URL.",
        stopped_by="port 443 alone, unless the policy opens more",
        spec=_spec("https://login.example.org:6443/token"),
        reason="TokenServerNotAllowed",
    ),
    attacks.Judged(
        name="tokens-sent-to-another-smtp-server",
        rules=("R1", "R3"),
        story="Whoever may write settings and not Secrets has the company's token sent to an SMTP server of their own.",
        stopped_by="the Secret has to list the SMTP server beside the token server",
        spec=_spec(host="smtp.evil.example.net"),
        annotation="smtp.example.org:587, https://login.example.org",
        reason="SecretNotBound",
    ),
    attacks.Judged(
        name="client-secret-sent-to-another-token-server",
        rules=("R1", "R3"),
        story="Whoever may write settings and not Secrets has the client's secret sent to a token server of their own.",
        stopped_by="the Secret has to list the token server beside the SMTP server",
        spec=_spec("https://login.evil.example.net/token"),
        annotation="smtp.example.org:587, https://login.example.org",
        reason="SecretNotBound",
    ),
    attacks.Judged(
        name="password-as-a-client-secret",
        rules=("R1", "R3"),
        story="The organization names a Secret with a mail password as oauth2.secretRef, to have it sent over HTTPS.",
        stopped_by="consent to an SMTP server is none to a token server",
        spec=_spec(secretRef={"name": "smtp", "clientSecretKey": "password"}),
        annotation="smtp.example.org",
        reason="SecretNotBound",
    ),
    attacks.Judged(
        name="client-secret-shown-to-a-mail-server",
        rules=("R1", "R3"),
        story="The owner agreed that a password goes to a machine, and the settings name that as their token server.",
        stopped_by="consent to an SMTP server is none to a token server",
        spec=_spec(),
        annotation="smtp.example.org,login.example.org:443",
        reason="SecretNotBound",
    ),
    attacks.Judged(
        name="refresh-token-as-a-password",
        rules=("R1", "R3"),
        story="The settings name the refresh token as a password, to have it sent to the mail server itself.",
        stopped_by="consent for access tokens is none for a password",
        spec=attacks.server("smtp.example.org"),
        annotation="smtp.example.org,https://login.example.org",
        reason="SecretNotBound",
    ),
)


def _to_metadata(_login: granting.Login) -> oauth.Behaviour:
    return oauth.redirect("http://169.254.169.254/latest/meta-data/")


def _to_itself(login: granting.Login) -> oauth.Behaviour:
    return oauth.redirect(login.tokens.url)


def _endless(login: granting.Login) -> oauth.Behaviour:
    return login.tokens.flood


def _second_word(_login: granting.Login) -> oauth.Behaviour:
    return oauth.says(
        {"access_token": "a\1auth=Bearer b\1\1\r\nMAIL FROM:<ceo@platform.example>", "token_type": "Bearer"}
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trap(attacks.Attack):
    """A token server that answers with something else than a token.

    Attributes:
        behaves: How.
    """

    behaves: collections.abc.Callable[[granting.Login], oauth.Behaviour]


TRAPS = (
    Trap(
        name="token-url-that-redirects-inside",
        rules=("R6",),
        story="The token server redirects to the metadata service, whose answer is to be read in the status.",
        stopped_by="redirects are not followed",
        behaves=_to_metadata,
    ),
    Trap(
        name="token-url-that-redirects-for-ever",
        rules=("R6", "R10"),
        story="The token server redirects to itself, without end.",
        stopped_by="redirects are not followed",
        behaves=_to_itself,
    ),
    Trap(
        name="token-without-an-end",
        rules=("R6", "R10"),
        story="The token server sends an answer without an end, to fill the sender's memory.",
        stopped_by="no more than 64 KiB are read",
        behaves=_endless,
    ),
    Trap(
        name="token-that-is-a-command",
        rules=("R5",),
        story="The token holds separators and line breaks, to authenticate as somebody else and to send commands.",
        stopped_by="a token is printable ASCII without blanks",
        behaves=_second_word,
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answers(attacks.Attack):
    """A token server that makes something of the secret that it was shown.

    Attributes:
        how: What it makes of it.
    """

    how: str


ANSWERS = (
    Answers(
        name="secret-carried-on",
        rules=("R1", "R6"),
        story="The token server redirects the request, with the secret in it, to another server.",
        stopped_by="redirects are not followed",
        how="redirect",
    ),
    Answers(
        name="secret-as-an-error",
        rules=("R1", "R7"),
        story="The token server repeats the secret as its error, for the status to publish.",
        stopped_by="of an answer only codes of RFC 6749 are told",
        how="echo",
    ),
)

STORIES = (
    attacks.Story(
        name="token-url-on-this-machine",
        test="test_this_machine_is_not_asked",
        rules=("R6",),
        story="The organization names localhost as its token server, to reach what listens beside the sender.",
        stopped_by="the addresses of a token server are checked like an endpoint's",
    ),
    attacks.Story(
        name="another-organization-s-token",
        test="test_another_s_token_is_not_had",
        rules=("R3",),
        story="The organization names the client, token server and mailbox of another, with a secret that it made up.",
        stopped_by="a token belongs to the Secret that it was asked for with",
    ),
    attacks.Story(
        name="guessing-a-client-s-secret",
        test="test_a_client_s_secret_is_not_guessed",
        rules=("R12",),
        story="The organization has a client's secret guessed by queueing thousands of messages.",
        stopped_by="one request for each version of the Secret after a refusal",
    ),
    attacks.Story(
        name="token-server-that-never-answers",
        test="test_the_relay_s_connections_are_not_taken",
        rules=("R10", "R12"),
        story="The organization uses a token of its own on the host's relay, from a server that never answers, to take"
        " the relay's few connections from everybody.",
        stopped_by="nobody holds a connection while a token is waited for",
    ),
)

ATTACKS = (*SPELLINGS, *SETTINGS, *TRAPS, *ANSWERS, *STORIES)


@pytest.fixture
async def login(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> collections.abc.AsyncIterator[granting.Login]:
    """Return an organization that sends with tokens."""
    authority = certs.Authority(tmp_path / "ca")
    async with (
        dns.Server({oauth.NAME: ["127.0.0.1"]}) as nameserver,
        granting.running(tmp_path / "queue", authority, monkeypatch, nameserver) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> dict[str, arena_kit.Attacker]:
    """Return the tenants of the attacks that the operator judges, which all begin at once."""
    return attacks.begin(arena, SETTINGS)


@pytest.mark.parametrize("attack", SPELLINGS, ids=str)
def test_other_token_urls_are_not_taken(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """What is no https address of a named server is refused by schema, offline and by the API server (R6)."""
    attack.check(arena.rest)


@pytest.mark.parametrize("attack", SETTINGS, ids=str)
def test_the_core_shows_no_secret_elsewhere(attack: attacks.Judged) -> None:
    """The settings are blocked or unresolved: nobody is asked for a token (R1, R3, R6)."""
    attack.check_core()


@pytest.mark.parametrize("attack", SETTINGS, ids=str)
def test_the_operator_shows_no_secret_elsewhere(played: dict[str, arena_kit.Attacker], attack: attacks.Judged) -> None:
    """The operator says the same of them as the core (R1, R3, R6)."""
    attack.check_real(played[attack.name])


@pytest.mark.parametrize("attack", ANSWERS, ids=str)
def test_a_token_server_gets_its_secret_and_no_more(attacker: arena_kit.Attacker, attack: Answers) -> None:
    """The real sender carries the secret nowhere else, and tells it to nobody (R1, R6, R7)."""
    arena = attacker.arena
    secret = arena.secret(attack.name)
    leaf = arena.authority.issue("localhost", file_name=attack.name)
    server = oauth.Server(leaf, name="localhost", port=arena.token_port)
    target = oauth.Server(leaf, name="127.0.6.1", host="127.0.6.1", port=arena.token_port)
    answer: dict[str, object] = {"error": secret, "error_description": f"You said {secret}."}
    server.behave(oauth.redirect(target.url) if attack.how == "redirect" else oauth.says(answer, status=400))
    with arena.serve(arena.starttls(users={"robot": "x"}, mechanisms=("XOAUTH2",))) as smtp:
        arena.loop.run(server.start())
        arena.loop.run(target.start())
        try:
            bound = f"{smtp.host},https://localhost:{server.port}"
            attacker.bring(secret, endpoint=bound, key=names.CLIENT_SECRET_KEY)
            attacker.settings(attacker.own(smtp, auth=_spec(server.url)["auth"]))
            told = attacker.until_reason("TokenFailed", "TokenRefused", type_="Verified")
        finally:
            arena.loop.run(server.stop())
            arena.loop.run(target.stop())
    assert server.asked
    assert target.asked == []
    assert secret not in told["message"]


@pytest.mark.parametrize("attack", TRAPS, ids=str)
async def test_a_trap_is_not_walked_into(login: granting.Login, attack: Trap) -> None:
    """There is no token, one request was made, and no AUTH is sent (R5, R6, R10)."""
    login.tokens.behave(attack.behaves(login))
    found = await login.check()
    assert found.reason == "TokenFailed"
    assert "platform" not in found.owner_message
    assert len(login.tokens.asked) == 1
    assert not any(line.startswith(b"AUTH") for each in login.smtp.transcripts for line in each.commands())


def test_this_machine_is_not_asked(attacker: arena_kit.Attacker) -> None:
    """The real sender resolves and checks a token server's name, and says at which stage it failed (R6)."""
    options = attacker.arena.starttls(tokens=lambda _user, _token: True, mechanisms=("XOAUTH2",))
    with attacker.arena.serve(options) as server:
        value = attacker.arena.secret("token-url-on-this-machine", username="robot@example.org")
        bound = f"{server.host}:{server.port},https://localhost"
        attacker.bring(value, endpoint=bound, key=names.CLIENT_SECRET_KEY)
        spec = _spec("https://localhost/token")
        attacker.settings(attacker.own(server, auth=spec["auth"]))
        told = attacker.until_reason("TokenFailed", type_="Verified")
        assert "policy does not allow" in told["message"]
        assert server.auth_attempts == []


async def test_another_s_token_is_not_had(login: granting.Login) -> None:
    """Whoever names the same client without its secret gets none of the tokens that are in memory (R3)."""
    await login.deliver()
    thief = login.other(namespace="thief", values={names.CLIENT_SECRET_KEY: "made up"})
    sent = await login.sender.notify(thief.settings)
    await login.sender.until_held()
    login.sender.skip(61)
    await login.sender.until(thief.settings, sent, _S.HELD)
    assert [attempt.accepted for attempt in login.smtp.auth_attempts] == [True]
    assert len(login.smtp.messages) == 1


async def test_a_client_s_secret_is_not_guessed(login: granting.Login) -> None:
    """One wrong secret is one request, however much mail waits for it (R12)."""
    guess = login.other(values={names.CLIENT_SECRET_KEY: "guess"})
    for _ in range(50):
        await login.sender.notify(guess.settings)
    await login.sender.until_held()
    for _ in range(3):
        login.sender.skip(61)
        await guess.check()
    assert len(login.tokens.asked) == 1


async def test_the_relay_s_connections_are_not_taken(login: granting.Login) -> None:
    """While a token server does not answer, the relay serves everybody else as fast as ever (R10, R12)."""
    login.tokens.behave(login.tokens.hang)
    async with smtpd.Server(login.smtp.options) as relay:
        slow = [login.other(namespace=f"slow-{number}", smtp=relay) for number in range(5)]
        for each in slow:
            await login.sender.notify(each.settings)
        await wait.until_async(lambda: login.tokens.asked, within_seconds=5, why="the token server is asked")
        endpoint = slow[0].settings.endpoint
        assert endpoint is not None
        # It takes their mail without AUTH, so that they need no token.
        relay.script.on("MAIL", "250 2.1.0 Ok")
        good = login.sender.settings.put(sending.settings("good", endpoint))
        assert (await login.sender.check(good)).reason == "Verified"
        target = login.sender.destinations.get(good)
        assert (target.busy, target.connections) == (0, 1)
        assert relay.auth_attempts == []

"""Token servers: a client's secret sent to a server that its owner did not mean."""

import dataclasses

import pytest
from aiohttp import web

from kit import arena as arena_kit
from kit import attacks, oauth, wait

_URL = "https://login.example.org/token"


def _spec(url: str, **oauth2: object) -> attacks.Json:
    """Return settings for a server of the tenant's own with an access token."""
    group = {"tokenURL": url, "clientID": "app", "secretRef": {"name": "smtp"}} | oauth2
    return attacks.server("smtp.example.org") | {"auth": {"username": "robot", "oauth2": group}}


def _written(name: str, url: str, story: str) -> attacks.Refused:
    return attacks.Refused(
        name=name,
        rules=("R6",),
        story=f"The token URL holds {story}.",
        stopped_by="a token URL is https, a host, a port and a path",
        spec=_spec(url),
        says="spec.auth.oauth2.tokenURL",
    )


SPELLINGS = (
    _written("token-url-in-clear", "http://login.example.org/token", "http, for the secret to cross in clear"),
    _written("token-url-with-a-user", "https://login.example.org@evil.example/token", "a user in front of its host"),
    _written("token-url-with-a-fragment", "https://login.example.org/token#@evil.example", "a fragment"),
    _written("token-url-of-a-file", "file:///var/run/secrets/kubernetes.io/serviceaccount/token", "a file's path"),
    _written("token-url-in-decimal", "https://2130706433/token", "loopback as one decimal number"),
    _written("token-url-in-hexadecimal", "https://0x7f.1/token", "loopback in hexadecimal"),
    _written("token-server-of-metadata", "https://169.254.169.254/latest/api/token", "the metadata service's address"),
    _written("token-server-inside", "https://10.96.0.1/api/v1/secrets", "the address of the cluster's API server"),
    _written("token-server-on-loopback", "https://[::1]/token", "the sender's own loopback"),
    _written("token-url-with-a-backslash", "https://login.example.org\\@evil.example/token", "a backslash"),
    _written("token-url-with-a-line-break", "https://login.example.org/token\r\nHost: evil.example", "a header"),
)


def _server(name: str, url: str, story: str) -> attacks.Judged:
    return attacks.Judged(
        name=name,
        rules=("R6",),
        story=f"The token URL names {story}.",
        stopped_by="policy.endpoints, with port 443 in place of those of mail",
        spec=_spec(url),
        annotation="smtp.example.org,https://login.example.org",
        reason="TokenServerNotAllowed",
    )


SERVERS = (
    _server("token-server-on-another-port", "https://login.example.org:6443/token", "another port of a public machine"),
    _server("token-server-that-is-closed", "https://closed.example.org:6443/token", "a server that the policy denies"),
)


def _annotated(name: str, annotation: str, story: str) -> attacks.Judged:
    return attacks.Judged(
        name=name,
        rules=("R1", "R3"),
        story=story,
        stopped_by="the annotation lists the token server beside the SMTP endpoint",
        spec=_spec(_URL),
        annotation=annotation,
        reason="SecretNotBound",
    )


ANNOTATIONS = (
    _annotated(
        "token-server-without-consent",
        "smtp.example.org",
        "The Secret is bound to the mail server, and the settings send it to a token server of the attacker's.",
    ),
    _annotated(
        "token-server-on-a-mail-server-s-consent",
        "smtp.example.org,login.example.org:443",
        "The owner agreed that a password goes to a machine, and the settings name that as their token server.",
    ),
    _annotated(
        "token-for-another-mail-server",
        "https://login.example.org",
        "The Secret is bound to the token server, and the token goes to a mail server of the attacker's.",
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answers(attacks.Attack):
    """A token server that misbehaves.

    Attributes:
        how: Which behaviour it has.
    """

    how: str


ANSWERS = (
    Answers(
        name="token-server-that-redirects",
        rules=("R1", "R6"),
        story="The token server redirects the request, with the secret in it, to another server.",
        stopped_by="redirects are not followed",
        how="redirect",
    ),
    Answers(
        name="token-server-that-floods",
        rules=("R10",),
        story="The token server's answer has no end.",
        stopped_by="an answer has at most 64 KiB",
        how="flood",
    ),
    Answers(
        name="token-server-that-echoes",
        rules=("R1", "R7"),
        story="The token server repeats the secret as its error, for the status to publish.",
        stopped_by="of an answer only codes of RFC 6749 are told",
        how="echo",
    ),
)

ATTACKS = (*SPELLINGS, *SERVERS, *ANNOTATIONS, *ANSWERS)


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> dict[str, arena_kit.Attacker]:
    """Return the tenants of the attacks that the operator judges, which all begin at once."""
    return attacks.begin(arena, (*SERVERS, *ANNOTATIONS))


@pytest.mark.parametrize("attack", SPELLINGS, ids=str)
def test_other_forms_of_a_url_are_not_taken(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """What clients read differently is no token URL (R6)."""
    attack.check(arena.rest)


@pytest.mark.parametrize("attack", (*SERVERS, *ANNOTATIONS), ids=str)
def test_the_core_shows_no_secret_elsewhere(attack: attacks.Judged) -> None:
    """The token server is not allowed, or the Secret's owner has not agreed (R1, R3, R6)."""
    attack.check_core()


@pytest.mark.parametrize("attack", (*SERVERS, *ANNOTATIONS), ids=str)
def test_the_operator_shows_no_secret_elsewhere(played: dict[str, arena_kit.Attacker], attack: attacks.Judged) -> None:
    """The operator says the same of them as the core (R1, R3, R6)."""
    attack.check_real(played[attack.name])


@pytest.mark.parametrize("attack", ANSWERS, ids=str)
def test_a_token_server_gets_its_secret_and_no_more(attacker: arena_kit.Attacker, attack: Answers) -> None:
    """Nothing of what it says has an effect elsewhere, and no secret is told (R1, R6, R7, R10)."""
    arena = attacker.arena
    secret = arena.secret(attack.name)
    leaf = arena.authority.issue("localhost", file_name=attack.name)
    server = oauth.Server(leaf, name="localhost", port=arena.token_port)
    target = oauth.Server(leaf, name="127.0.6.1", host="127.0.6.1", port=arena.token_port)

    async def echo(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": secret, "error_description": f"You said {secret}."}, status=400)

    async def redirect(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(target.url)

    server.behave({"echo": echo, "redirect": redirect, "flood": server.flood}[attack.how])
    with arena.serve(arena.starttls(users={"robot": "x"}, mechanisms=("XOAUTH2",))) as smtp:
        arena.loop.run(server.start())
        arena.loop.run(target.start())
        try:
            attacker.bring(secret, endpoint=f"{smtp.host},https://localhost:{server.port}", key="client-secret")
            auth = {"username": "robot", "oauth2": _spec(server.url)["auth"]["oauth2"]}
            attacker.settings(attacker.own(smtp, auth=auth))
            told = attacker.until_reason("TokenFailed", "TokenRefused", type_="Verified")
            wait.until(lambda: server.asked, within_seconds=arena_kit.WITHIN, why="it was asked")
        finally:
            arena.loop.run(server.stop())
            arena.loop.run(target.stop())
    assert target.asked == []
    assert secret not in told["message"]

"""SASL dialogues with servers that ask in their own way (R12)."""

import base64
import collections.abc
import dataclasses

import pytest

from kit import certs, openings, sending, smtpd
from mailtier.api import secret, vocabulary
from mailtier.mail import classify, reasons
from mailtier.sender.secrets import auth_states

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_R = reasons.DeliveryReason


@pytest.fixture
def rig(authority: certs.Authority) -> openings.Rig:
    """Return what opens sessions."""
    return openings.Rig(authority)


def _said_in_auth(server: smtpd.Server) -> list[str]:
    """Return what the client said from AUTH on, decoded."""
    commands = [command.decode() for command in server.transcripts[0].commands()]
    start = next(index for index, command in enumerate(commands) if command.startswith("AUTH"))
    return [commands[start], *(base64.b64decode(line).decode() for line in commands[start + 1 :] if line != "*")]


@pytest.mark.parametrize(
    "prompts",
    [
        pytest.param((("username", "VXNlcm5hbWU6"), ("password", "UGFzc3dvcmQ6")), id="as usual"),
        pytest.param((("password", "UGFzc3dvcmQ6"), ("username", "VXNlcm5hbWU6")), id="the password first"),
        pytest.param((("username", ""), ("password", "")), id="without words"),
        pytest.param((("username", "VXNlciBOYW1lAA=="), ("password", "UGFzc3dvcmQA")), id="with NUL"),
        pytest.param((("username", "Username:"), ("password", "Password:")), id="not encoded"),
        pytest.param(
            (("username", "VXNlcm5hbWU6"), ("username", "VXNlcm5hbWU6"), ("password", "cGFzc3dvcmQ6")),
            id="the user name twice",
        ),
    ],
)
async def test_login_answers_each_prompt_with_what_it_asks_for(
    rig: openings.Rig, serve: Serve, leaf: certs.Leaf, prompts: tuple[tuple[str, str], ...]
) -> None:
    """Whatever the order and the words, the password goes out once, and to its own prompt (R12)."""
    server = await serve(
        openings.options(leaf, smtpd.Tls.STARTTLS, mechanisms=("LOGIN",), login_prompts=prompts, ignores_initial=True)
    )
    at = sending.endpoint(server, tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    await (await rig.open(at, found=openings.login(vocabulary.Mechanism.LOGIN))).quit()
    (attempt,) = server.auth_attempts
    assert (attempt.username, attempt.password, attempt.accepted) == ("robot", openings.PASSWORD, True)
    assert _said_in_auth(server)[1 : 1 + len(prompts)] == [
        {"username": "robot", "password": openings.PASSWORD}[wanted] for wanted, _ in prompts
    ]


async def test_plain_is_said_again_where_the_server_ignored_it(
    rig: openings.Rig, serve: Serve, leaf: certs.Leaf
) -> None:
    """An empty challenge after AUTH PLAIN asks for what came with the command (RFC 4954 section 4)."""
    server = await serve(openings.options(leaf, smtpd.Tls.STARTTLS, ignores_initial=True))
    at = sending.endpoint(server, tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    await (await rig.open(at, found=openings.login())).quit()
    assert [attempt.accepted for attempt in server.auth_attempts] == [True]


async def test_xoauth2_is_said_again_where_the_server_ignored_it(
    rig: openings.Rig, serve: Serve, leaf: certs.Leaf
) -> None:
    """Microsoft's servers show an empty challenge; a refusal is a challenge that is not empty."""
    server = await serve(
        openings.options(
            leaf,
            smtpd.Tls.STARTTLS,
            users={},
            tokens=lambda _, token: token == openings.PASSWORD.replace(" ", ""),
            mechanisms=("XOAUTH2",),
            ignores_initial=True,
        )
    )
    at = sending.endpoint(server, tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    found = openings.login(vocabulary.Mechanism.XOAUTH2)
    good = dataclasses.replace(found, password=secret.Hidden(openings.PASSWORD.replace(" ", "")))
    await (await rig.open(at, found=good)).quit()
    assert (await rig.fails(at, found=dataclasses.replace(found, password=secret.Hidden("stale")))).failure.code == 535
    assert [attempt.accepted for attempt in server.auth_attempts] == [True, False]
    assert server.transcripts[1].violations == []


async def test_a_prompt_that_nobody_knows_gets_no_answer(rig: openings.Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """A second factor that is asked for ends the dialogue, says so, and is not asked for again (R7, R12)."""
    asked = base64.b64encode(b"Token code for robot:").decode()
    server = await serve(
        openings.options(
            leaf,
            smtpd.Tls.STARTTLS,
            mechanisms=("LOGIN",),
            login_prompts=(("username", "VXNlcm5hbWU6"), ("password", asked)),
        )
    )
    at = sending.endpoint(server, tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    auth = auth_states.AuthState()
    for _ in range(2):
        error = await rig.fails(at, found=openings.login(vocabulary.Mechanism.LOGIN), auth=auth)
        assert (error.phase, error.failure.reason) == (classify.Phase.AUTH, _R.PROMPT_NOT_RECOGNIZED)
        assert error.failure.scope is classify.Scope.CREDENTIALS
        assert "Token code for" in error.failure.text
    assert _said_in_auth(server) == ["AUTH LOGIN", "robot"]
    assert server.auth_attempts == []
    assert not any(command.startswith(b"AUTH") for command in server.transcripts[1].commands())

"""Mail is sent with access tokens, which come from token servers that may be as hostile as SMTP servers (R6, R12)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import logging
import pathlib

import pytest

from kit import between, certs, dns, granting, oauth, sending, smtpd, wait
from mailtier.api import names, vocabulary
from mailtier.sender.secrets import tokens
from mailtier.settings import effective

_S = vocabulary.RecipientState
_GRANT = vocabulary.GrantType
_BY = vocabulary.ClientAuthentication
_REFRESH_TOKEN = "refresh.token.of.the.tests"
_RSA = oauth.new_key("RSA")
_P256 = oauth.new_key("P-256")


@pytest.fixture
async def nameserver() -> collections.abc.AsyncIterator[dns.Server]:
    """Return a DNS server that knows the token server."""
    async with dns.Server({oauth.NAME: ["127.0.0.1"]}) as running:
        yield running


@pytest.fixture
async def login(
    tmp_path: pathlib.Path, nameserver: dns.Server, authority: certs.Authority, monkeypatch: pytest.MonkeyPatch
) -> collections.abc.AsyncIterator[granting.Login]:
    """Return an organization that sends with tokens."""
    async with granting.running(tmp_path / "queue", authority, monkeypatch, nameserver) as running:
        yield running


@pytest.mark.parametrize(
    ("grant", "method"),
    [
        (grant, method)
        for grant in _GRANT
        for method in _BY
        if (grant, method) != (_GRANT.CLIENT_CREDENTIALS, _BY.PUBLIC)
    ],
)
async def test_mail_is_sent_with_a_token(
    login: granting.Login, grant: vocabulary.GrantType, method: vocabulary.ClientAuthentication
) -> None:
    """Each grant goes with each way of proving who asks, but that a public client has nothing of its own to prove."""
    login.tokens.clients["app"] = {
        _BY.CLIENT_SECRET: oauth.Client(secret=granting.CLIENT_SECRET),
        _BY.PRIVATE_KEY_JWT: oauth.Client(certificate=oauth.certificate_for(_RSA)),
        _BY.PUBLIC: oauth.Client(),
    }[method]
    oauth2 = granting.oauth2_of(
        login.tokens,
        grant_type=grant,
        client_authentication=method,
        client_secret_key=names.CLIENT_SECRET_KEY if method is _BY.CLIENT_SECRET else None,
        private_key_key=names.PRIVATE_KEY_KEY if method is _BY.PRIVATE_KEY_JWT else None,
        refresh_token_key=names.REFRESH_TOKEN_KEY if grant is _GRANT.REFRESH_TOKEN else None,
    )
    certificate = login.tokens.clients["app"].certificate
    values = {
        names.CLIENT_SECRET_KEY: granting.CLIENT_SECRET,
        names.REFRESH_TOKEN_KEY: _REFRESH_TOKEN,
        names.PRIVATE_KEY_KEY: oauth.pem(_RSA, *([certificate] if certificate else [])),
    }
    login.tokens.refresh_tokens[_REFRESH_TOKEN] = "app"
    other = login.other(oauth2=oauth2, values=values, namespace="team-b")
    await other.deliver()
    (attempt,) = login.smtp.auth_attempts
    assert (attempt.mechanism, attempt.username) == ("XOAUTH2", "robot@example.com")
    assert attempt.password in login.tokens.granted
    assert login.smtp.transcripts[0].violations == []


async def test_an_assertion_is_signed_on_either_curve(login: granting.Login) -> None:
    """A P-256 key signs with ES256, and without a certificate no thumbprint is named."""
    login.tokens.clients["app"] = oauth.Client(certificate=oauth.certificate_for(_P256), named_by=False)
    oauth2 = granting.oauth2_of(
        login.tokens,
        client_authentication=_BY.PRIVATE_KEY_JWT,
        client_secret_key=None,
        private_key_key=names.PRIVATE_KEY_KEY,
    )
    values = {names.PRIVATE_KEY_KEY: oauth.pem(_P256)}
    await login.other(oauth2=oauth2, values=values, namespace="team-b").deliver()
    assert len(login.tokens.asked) == 1


async def test_a_token_serves_many_sessions(login: granting.Login) -> None:
    """Sessions one after the other, and the probe, use one token until shortly before its end."""
    await login.deliver(3)
    assert (await login.check()).reason == "Verified"
    assert len(login.smtp.auth_attempts) == 4
    assert len(login.tokens.asked) == 1


async def test_many_messages_ask_once(login: granting.Login) -> None:
    """Whoever wants a token that is being asked for waits for the same answer."""
    sent = [await login.sender.notify(login.settings) for _ in range(20)]
    await asyncio.gather(*(login.sender.until(login.settings, each, _S.ACCEPTED) for each in sent))
    assert len(login.tokens.asked) == 1


async def test_a_token_that_ends_is_replaced_before(login: granting.Login) -> None:
    """Within its last minute a token is not used any more."""
    login.tokens.lifetime = 400
    await login.deliver()
    login.sender.skip(200)
    await login.deliver()
    assert len(login.tokens.asked) == 1
    login.sender.skip(150)
    await login.deliver()
    assert len(login.tokens.asked) == 2
    assert len({attempt.password for attempt in login.smtp.auth_attempts}) == 2


async def test_a_token_that_nobody_wants_is_forgotten(login: granting.Login) -> None:
    """What lies unused as long as a password would be kept is not in memory any more (R1)."""
    await login.deliver()
    assert len(login.sender.tokens) == 1
    login.sender.skip(301)
    await wait.until_async(lambda: not len(login.sender.tokens), within_seconds=5, why="it is forgotten")


async def test_a_revoked_token_is_replaced_once(login: granting.Login) -> None:
    """After a 535 a new token is asked for, and the message goes with it; nothing is held or counted (R12)."""
    await login.deliver()
    login.tokens.revoke()
    await login.deliver()
    assert [attempt.accepted for attempt in login.smtp.auth_attempts] == [True, False, True]
    assert len(login.tokens.asked) == 2
    assert not login.sender.delivery.held()


async def test_a_probe_replaces_a_revoked_token_too(login: granting.Login) -> None:
    """A probe that meets a 535 looks whether another token is taken."""
    await login.deliver()
    login.tokens.revoke()
    login.sender.skip(1)
    assert (await login.check()).reason == "Verified"


@pytest.mark.parametrize("same", [False, True])
async def test_a_second_refusal_is_one_of_the_credentials(login: granting.Login, same: bool) -> None:
    """Where a new token is refused as well, no more are asked for and no more are sent (R12)."""
    login.smtp.script.on("AUTH", "535 5.7.3 Authentication unsuccessful")
    if same:
        login.tokens.behave(oauth.says({"access_token": "ever-the-same", "token_type": "bearer", "expires_in": "3599"}))
    sent = await login.sender.notify(login.settings)
    await login.sender.until_held()
    assert (await login.check()).reason == "AuthFailed"
    login.sender.skip(61)
    stands = await login.sender.until(login.settings, sent, _S.HELD)
    assert [each.reason for each in stands] == ["CredentialsRefused"]
    assert len(login.smtp.auth_attempts) == 2
    assert len(login.tokens.asked) == 2
    login.smtp.script.clear()
    login.tokens.be_good()
    login.other()
    login.sender.skip(61)
    await login.sender.until(login.settings, sent, _S.ACCEPTED)


async def test_a_refused_client_asks_once(login: granting.Login) -> None:
    """A wrong secret is sent once by delivery and probe, also after a restart, until the Secret changes (R12)."""
    login.tokens.clients["app"] = oauth.Client(secret="another")
    sent = await login.sender.notify(login.settings)
    await login.sender.until_held()
    found = await login.check()
    assert (found.reason, found.stage) == ("TokenRefused", vocabulary.ProbeStage.AUTH)
    assert "invalid_client" in found.owner_message
    assert "This is refused" in found.owner_message
    assert "invalid_client" in found.tenant_message
    assert "This is refused" not in found.tenant_message
    login.sender.skip(61)
    stands = await login.sender.until(login.settings, sent, _S.HELD)
    assert [each.reason for each in stands] == ["TokenRefused"]
    login.sender.skip(61)
    await login.sender.stop()
    await login.sender.queue.close()
    async with sending.Sender(login.sender.folder, before=login.sender) as again:
        await again.prober.load()
        again.settings.put(login.settings)
        await again.until_held()
        assert (await again.check(login.settings)).reason == "TokenRefused"
    assert len(login.tokens.asked) == 1
    assert login.smtp.auth_attempts == []


async def test_a_corrected_client_is_asked_for_at_once(login: granting.Login) -> None:
    """Settings that change are other credentials, though the Secret is the same (R12)."""
    login.tokens.clients["other"] = login.tokens.clients.pop("app")
    sent = await login.sender.notify(login.settings)
    await login.sender.until_held()
    login.other(oauth2=granting.oauth2_of(login.tokens, client_id="other"))
    await login.sender.until(login.settings, sent, _S.ACCEPTED)


@pytest.mark.parametrize(
    "behaviour",
    [
        oauth.redirect("https://127.0.0.1:1/"),
        oauth.says(b"\xff\xfe nothing of the kind"),
        oauth.says(b" " * (64 * 1024) + b'{"access_token": "a", "token_type": "Bearer"}'),
        oauth.says("[" * 60_000),
        oauth.says({"access_token": "with a blank", "token_type": "Bearer"}),
        oauth.says({"access_token": "a", "token_type": "mac"}),
        oauth.says({"access_token": "a", "token_type": "Bearer", "expires_in": 1}),
        oauth.says({"error": "come_back_later"}, status=400),
        oauth.says("", status=429),
        oauth.says("", status=503),
    ],
    ids=["redirect", "garbage", "large", "deep", "blank", "mac", "short", "unknown", "429", "503"],
)
async def test_a_token_server_in_trouble_is_asked_again(login: granting.Login, behaviour: oauth.Behaviour) -> None:
    """What is no refusal holds the messages without charging them, and ends by itself (R6, R12)."""
    login.tokens.behave(behaviour)
    sent = await login.sender.notify(login.settings)
    await login.sender.until_held()
    found = await login.check()
    assert (found.reason, found.stage) == ("TokenFailed", vocabulary.ProbeStage.AUTH)
    login.sender.skip(20)
    stands = await login.sender.until(login.settings, sent, _S.HELD)
    assert [each.reason for each in stands] == ["TokenFailed"]
    assert login.smtp.auth_attempts == []
    login.tokens.be_good()

    async def is_accepted() -> bool:
        # More than once: a request may have been under way that the server still answered badly.
        login.sender.skip(61)
        return await login.sender.states(login.settings, sent) == [_S.ACCEPTED]

    await wait.until_async(is_accepted, within_seconds=15, why="the message is accepted", poll_seconds=0.5)


async def test_a_redirect_carries_the_secret_nowhere(login: granting.Login, authority: certs.Authority) -> None:
    """Where a redirect leads is not connected to (R1, R6)."""
    leaf = authority.issue(oauth.NAME, file_name="elsewhere", loopback=False)
    async with oauth.Server(leaf) as elsewhere:
        login.tokens.behave(oauth.redirect(elsewhere.url))
        assert (await login.check()).reason == "TokenFailed"
        assert elsewhere.asked == []


async def test_a_dead_token_server_delays_its_users_alone(
    login: granting.Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a token is waited for, other organizations have the relay's connections; its breaker stays closed (R12)."""
    login.tokens.behave(login.tokens.hang)
    patient = await login.sender.notify(login.settings)
    await wait.until_async(lambda: login.tokens.asked, within_seconds=5, why="the token server is asked")
    password = login.sender.secrets.put("mailtier", "relay", "pw", endpoint=str(login.settings.endpoint))
    assert login.settings.endpoint is not None
    options = dataclasses.replace(login.smtp.options, users={"relay": "pw"})
    monkeypatch.setattr(login.smtp, "options", options)
    relayed = login.sender.settings.put(
        sending.settings("team-b", login.settings.endpoint, auth=sending.login(password, identity="relay"))
    )
    for _ in range(5):
        await login.sender.until(relayed, await login.sender.notify(relayed), _S.ACCEPTED)
    await between.until_brief(login.sender, login.settings, "TokenAwaited")
    assert await login.sender.states(login.settings, patient) == [_S.QUEUED]
    assert len(login.tokens.asked) == 1


@pytest.mark.parametrize("how", ["hang", "drip"])
async def test_a_request_has_a_total(login: granting.Login, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A token server that drips or never answers is given up by the wall clock (R10)."""
    monkeypatch.setattr(tokens, "TOTAL_SECONDS", 0.5)
    login.tokens.behave(getattr(login.tokens, how))
    async with asyncio.timeout(5):
        found = await login.check()
    assert found.reason == "TokenFailed"
    assert "did not answer within" in found.owner_message


@pytest.mark.parametrize("address", ["10.0.0.8", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_a_token_server_inside_is_not_asked(login: granting.Login, nameserver: dns.Server, address: str) -> None:
    """A name that leads inward is not connected to, unless the policy opens it (R6)."""
    nameserver.names[oauth.NAME] = [address]
    server = dataclasses.replace(granting.oauth2_of(login.tokens).server, addresses=sending.PUBLIC)
    inside = login.other(oauth2=granting.oauth2_of(login.tokens, server=server))
    found = await inside.check()
    assert found.reason == "TokenFailed"
    assert "policy does not allow" in found.owner_message
    assert login.tokens.asked == []


async def test_the_request_goes_to_the_address_that_was_checked(
    login: granting.Login, nameserver: dns.Server, authority: certs.Authority
) -> None:
    """A name is resolved once for a request; what it says a moment later counts for the next one (R6)."""
    nameserver.ttl_seconds = 0
    leaf = authority.issue(oauth.NAME, file_name="rebound", loopback=False)
    async with oauth.Server(leaf, host="127.0.0.3", port=login.tokens.port) as rebound:
        only = effective.AddressRules(public=False, private=False, allow=("127.0.0.1/32",), deny=())
        server = dataclasses.replace(granting.oauth2_of(login.tokens).server, addresses=only)
        other = login.other(oauth2=granting.oauth2_of(login.tokens, server=server))
        assert (await other.check()).reason == "Verified"
        assert nameserver.asked.count(oauth.NAME) == 2, "once for A, once for AAAA"
        nameserver.names[oauth.NAME] = ["127.0.0.3"]
        login.sender.skip(3700)
        assert (await other.check()).reason == "TokenFailed"
        assert rebound.asked == []


async def test_a_certificate_that_does_not_verify_gets_no_secret(
    login: granting.Login, authority: certs.Authority
) -> None:
    """The name in the URL is what the certificate has to be for (R1, R6)."""
    leaf = authority.issue("other.example.com", file_name="other", loopback=False)
    async with oauth.Server(leaf) as false:
        found = await login.other(granting=false).check()
        assert found.reason == "TokenFailed"
        assert "certificate" in found.owner_message
        assert false.asked == []


async def test_a_secret_that_does_not_name_the_token_server_is_not_shown_to_it(login: granting.Login) -> None:
    """Consent is needed for the token server as for the SMTP server (R1, R3)."""
    for bound in (str(login.settings.endpoint), f"{oauth.NAME}:{login.tokens.port}"):
        login.sender.secrets.put_values("team-a", "mailbox", granting.VALUES, endpoint=bound)
        sent = await login.sender.notify(login.settings)
        await login.sender.until_held()
        login.sender.skip(15)
        stands = await login.sender.until(login.settings, sent, _S.HELD)
        assert [each.reason for each in stands] == ["CredentialsUnusable"]
    assert login.tokens.asked == []
    assert login.smtp.transcripts == []


async def test_a_server_without_xoauth2_costs_no_auth(login: granting.Login) -> None:
    """The settings' mechanism is used or none, with a token as with a password (R12)."""
    options = smtpd.Options(tokens=login.tokens.is_good, users={"a": "b"}, mechanisms=("PLAIN",), plaintext_auth=True)
    async with smtpd.Server(options) as server:
        found = await login.other(smtp=server).check()
        assert found.reason == "AuthNotOffered"
        assert "does not offer XOAUTH2; it offers PLAIN." in found.owner_message
        assert "XOAUTH2" not in found.tenant_message
        assert server.auth_attempts == []


@pytest.mark.parametrize("quoted", ["client_secret", "grant_type"])
async def test_nothing_secret_is_told_or_logged(
    login: granting.Login, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], quoted: str
) -> None:
    """Neither an echo of the token server nor one of the SMTP server is shown or logged (R1, R7)."""
    caplog.set_level(logging.DEBUG)
    login.smtp.script.on("AUTH", "535 5.7.8 You said {payload}, that is {password}")
    told = [(await login.check()).owner_message]
    login.tokens.clients["app"] = oauth.Client(secret="another")
    login.tokens.behave(oauth.echo(quoted))
    login.smtp.script.clear()
    other = login.other()
    sent = await login.sender.notify(other.settings)
    await login.sender.until_held()
    login.sender.skip(61)
    await login.sender.until(other.settings, sent, _S.HELD)
    told.append((await other.check()).owner_message)
    record = await login.sender.queue.find(sending.lane(other.settings), sent)
    told += [str(record), caplog.text, *capsys.readouterr(), repr(login.sender.tokens._states)]
    secrets = [granting.CLIENT_SECRET, granting.CLIENT_SECRET.replace(" ", "+"), *login.tokens.granted]
    secrets += [attempt.password[:12] for attempt in login.smtp.auth_attempts]
    for text in told:
        assert not [secret for secret in secrets if secret in text]


async def test_a_refusal_is_challenged_and_answered(login: granting.Login) -> None:
    """The challenge with which XOAUTH2 is refused gets an empty answer, and the refusal that follows is read."""
    login.tokens.behave(oauth.says({"access_token": "not-granted", "token_type": "Bearer"}))
    assert (await login.check()).reason == "AuthFailed"
    lines = [line for each in login.smtp.transcripts for line in each.commands() if line.startswith(b"AUTH")]
    assert len(lines) == 2
    assert all(each.violations == [] for each in login.smtp.transcripts)


async def test_tokens_are_not_waited_for_at_the_end(login: granting.Login) -> None:
    """A sender that is stopped gives up what it asks a token server."""
    login.tokens.behave(login.tokens.hang)
    await login.sender.notify(login.settings)
    await wait.until_async(lambda: login.tokens.asked, within_seconds=5, why="the token server is asked")
    async with asyncio.timeout(5):
        await login.sender.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await login.sender.tokens.close()

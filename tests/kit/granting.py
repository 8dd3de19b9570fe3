"""An organization that sends with access tokens: its token server, its SMTP server, and settings that name both."""

import collections.abc
import contextlib
import dataclasses
import pathlib
import typing

import pytest

from kit import certs, dns, oauth, sending, smtpd, wait
from mailtier.api import feed, names, vocabulary
from mailtier.settings import effective

CLIENT_SECRET: typing.Final = "client secret of the tests"
SCOPE: typing.Final = "https://mail.example.com/.default"
VALUES: typing.Final = {names.CLIENT_SECRET_KEY: CLIENT_SECRET}

_S = vocabulary.RecipientState


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A server that takes tokens, the server that grants them, and settings with both."""

    sender: sending.Sender
    smtp: smtpd.Server
    tokens: oauth.Server
    settings: effective.Effective

    def other(
        self,
        *,
        oauth2: effective.OAuth2 | None = None,
        values: collections.abc.Mapping[str, str] = VALUES,
        namespace: str = "team-a",
        smtp: smtpd.Server | None = None,
        granting: oauth.Server | None = None,
    ) -> "Login":
        """Return settings that differ, put in place of the namespace's former ones; their Secret is bound."""
        smtp, granting = smtp or self.smtp, granting or self.tokens
        return log_in(self.sender, smtp, granting, oauth2=oauth2, values=values, namespace=namespace)

    async def deliver(self, count: int = 1) -> None:
        """Send messages, one after the other, each over a session of its own."""
        for _ in range(count):
            sent = await self.sender.notify(self.settings)
            await self.sender.until(self.settings, sent, _S.ACCEPTED)
            self.sender.skip(10)
            await wait.until_async(lambda: not self.smtp.open_connections, within_seconds=5, why="it is idle")

    async def check(self) -> feed.Probe:
        """Return what a probe finds."""
        return await self.sender.check(self.settings)


def oauth2_of(granting: oauth.Server, **changes: typing.Any) -> effective.OAuth2:
    """Return how tokens are asked for: with client credentials and a secret, unless it is said otherwise."""
    usual = effective.OAuth2(
        grant_type=vocabulary.GrantType.CLIENT_CREDENTIALS,
        server=effective.TokenServer(
            url=granting.url, host=granting.name, port=granting.port, addresses=sending.LOOPBACK
        ),
        client_id="app",
        client_authentication=vocabulary.ClientAuthentication.CLIENT_SECRET,
        key_id=None,
        scopes=(SCOPE,),
        client_secret_key=names.CLIENT_SECRET_KEY,
        private_key_key=None,
        refresh_token_key=None,
    )
    return dataclasses.replace(usual, **changes)


def log_in(
    sender: sending.Sender,
    smtp: smtpd.Server,
    granting: oauth.Server,
    *,
    oauth2: effective.OAuth2 | None = None,
    values: collections.abc.Mapping[str, str] = VALUES,
    namespace: str = "team-a",
) -> Login:
    """Return settings with a Secret that lists both servers."""
    oauth2 = oauth2 or oauth2_of(granting)
    at = sending.endpoint(smtp)
    reference = sender.secrets.put_values(namespace, "mailbox", values, endpoint=f"{at},https://{oauth2.server}")
    auth = sending.login(reference, identity="robot@example.com", oauth2=oauth2)
    settings = sender.settings.put(sending.settings(namespace, at, auth=auth))
    return Login(sender=sender, smtp=smtp, tokens=granting, settings=settings)


@contextlib.asynccontextmanager
async def running(
    folder: pathlib.Path, authority: certs.Authority, environment: pytest.MonkeyPatch, nameserver: dns.Server
) -> collections.abc.AsyncIterator[Login]:
    """Give an organization that sends with tokens, and everything around it.

    Args:
        folder: For the queue.
        authority: Of the token server's certificate; the sender trusts it as it trusts the system's.
        environment: Of this process, in which the sender runs. A proxy that it names is not used.
        nameserver: Which the sender asks.
    """
    environment.setenv("SSL_CERT_FILE", str(authority.ca_path))
    environment.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    leaf = authority.issue(oauth.NAME, file_name="login", loopback=False)
    async with (
        sending.Sender(folder, nameserver=nameserver.address) as sender,
        oauth.Server(leaf) as granting,
        smtpd.Server(
            smtpd.Options(tokens=granting.is_good, mechanisms=("PLAIN", "XOAUTH2"), plaintext_auth=True)
        ) as smtp,
    ):
        granting.clients["app"] = oauth.Client(secret=CLIENT_SECRET, scope=SCOPE)
        yield log_in(sender, smtp, granting)

"""A server that wants StartTLS and a password, and settings that have both."""

import collections.abc
import dataclasses

from kit import certs, sending, smtpd
from mailtier.api import vocabulary
from mailtier.settings import effective

PASSWORD = "correct horse battery"

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The server, and the settings."""

    server: smtpd.Server
    settings: effective.Effective


def protected(sender: sending.Sender, authority: certs.Authority) -> effective.Tls:
    """Return StartTLS that trusts an authority alone."""
    return effective.Tls(
        mode=vocabulary.TlsMode.STARTTLS,
        server_name="smtp.test",
        min_version=vocabulary.TlsVersion.V1_2,
        ca=sender.settings.publish(authority.ca_pem),
    )


async def start(sender: sending.Sender, serve: Serve, authority: certs.Authority, leaf: certs.Leaf) -> Login:
    """Return a server that runs, and settings whose Secret lists it."""
    server = await serve(
        smtpd.Options(tls=smtpd.Tls.STARTTLS, context=leaf.server_context(), users={"robot": PASSWORD})
    )
    at = sending.endpoint(server, tls=protected(sender, authority))
    reference = sender.secrets.put("mailtier", "smtp", PASSWORD, endpoint=str(at))
    return Login(server=server, settings=sending.settings("team-a", at, auth=sending.login(reference)))

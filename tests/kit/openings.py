"""What opens sessions, without anything around it: for tests of the opening itself."""

import dataclasses
import datetime as dt

import pytest

from kit import certs, smtpd, written
from mailtier.api import secret, vocabulary
from mailtier.sender.net import faults, resolver, tls
from mailtier.sender.secrets import auth_states, credentials
from mailtier.sender.smtp.sessions import opening, session
from mailtier.settings import effective

PASSWORD = "correct horse battery"


def tls_settings(
    mode: vocabulary.TlsMode,
    *,
    ca: str | None = None,
    server_name: str | None = None,
    min_version: vocabulary.TlsVersion = vocabulary.TlsVersion.V1_2,
) -> effective.Tls:
    """Return TLS settings."""
    return effective.Tls(mode=mode, server_name=server_name, min_version=min_version, ca=ca)


def login(mechanism: vocabulary.Mechanism = vocabulary.Mechanism.PLAIN) -> credentials.Credentials:
    """Return the credentials of a robot."""
    return credentials.Credentials(
        identity="robot",
        password=secret.Hidden(PASSWORD),
        generation=credentials.Generation(
            mechanism=mechanism, identity="robot", source=("ns", "smtp", "password"), version="1"
        ),
    )


class Rig:
    """What opens sessions, without anything around it."""

    def __init__(self, authority: certs.Authority) -> None:
        self.settings = written.WrittenSettings()
        self.ca = self.settings.publish(authority.ca_pem)
        self.nameservers: tuple[str, ...] | None = None
        self.helo_name = "sender.test"
        self.progress = opening.OpeningProgress()

    async def open(
        self,
        at: effective.Endpoint,
        *,
        found: credentials.Credentials = credentials.ANONYMOUS,
        total: dt.timedelta = dt.timedelta(seconds=5),
        auth: auth_states.AuthState | None = None,
    ) -> session.Session:
        """Return an open session."""
        async with resolver.Resolver(nameservers=self.nameservers) as names:
            resolved = await names.resolve(at.host, at.addresses, payer=None)
        return await opening.Opener(tls.Contexts(self.settings)).open(
            opening.OpeningPlan(
                endpoint=at,
                addresses=resolved.addresses,
                credentials=found,
                helo_name=self.helo_name,
                total=total,
                auth=auth or auth_states.AuthState(),
                owner="team-a",
            ),
            self.progress,
        )

    async def fails(self, at: effective.Endpoint, **arguments: object) -> faults.DeliveryError:
        """Return why no session came about."""
        with pytest.raises(faults.DeliveryError) as caught:
            await self.open(at, **arguments)  # type: ignore[arg-type]
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        return caught.value


def options(leaf: certs.Leaf, mode: smtpd.Tls, **changes: object) -> smtpd.Options:
    """Return what a server with TLS and the robot's account offers."""
    usual = smtpd.Options(tls=mode, context=leaf.server_context(), users={"robot": PASSWORD})
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]

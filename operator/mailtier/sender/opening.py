"""Opening a session: a checked address, TLS as the settings demand, EHLO, and at most one AUTH (R2, R6, R10, R12).

aiosmtplib does the talking. What its exceptions quote may hold a password that a server echoed, so none of them
leaves this module, not even as a cause: they are read, and an error of ours is raised afterwards.
"""

import asyncio
import dataclasses
import datetime as dt
import socket
import ssl
from collections.abc import Sequence
from typing import Final

import aiosmtplib

from mailtier.api import vocabulary
from mailtier.mail import classify, replies, wire
from mailtier.sender import credentials, faults, resolver, session, tls
from mailtier.settings import effective

_MALFORMED: Final = -1
"""The code of aiosmtplib's exceptions where what came was no reply."""


class AuthState:
    """What is known of one credential generation at one destination; shared by delivery and probe (R12).

    Attributes:
        refusal: Why the server refused it; from then on no AUTH is sent with it.
    """

    def __init__(self) -> None:
        self.refusal: classify.Failure | None = None
        # One AUTH at a time: three sessions that opened together would be three attempts with a wrong password.
        self.lock = asyncio.Lock()


@dataclasses.dataclass(slots=True)
class Progress:
    """How far an opening has come; it stays readable when the opening fails.

    Attributes:
        phase: The step under way.
        certificate_expires_at: notAfter of the server's certificate, aware UTC; None before TLS.
    """

    phase: classify.Phase = classify.Phase.CONNECT
    certificate_expires_at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a session is opened with.

    Attributes:
        helo_name: Name for EHLO.
        total: From connecting until AUTH is done (R10).
        auth: The state of the credentials' generation.
    """

    endpoint: effective.Endpoint
    addresses: Sequence[resolver.Address]
    credentials: credentials.Credentials
    helo_name: str
    total: dt.timedelta
    auth: AuthState


class _Client(aiosmtplib.SMTP):
    """aiosmtplib's client, which drops its connection instead of waiting for a server that does not answer."""

    def close(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        super().close()


class Opener:
    """Opens sessions."""

    def __init__(self, contexts: tls.Contexts) -> None:
        self._contexts = contexts

    async def open(self, plan: Plan, progress: Progress) -> session.Session:
        """Return an open session.

        Raises:
            faults.DeliveryError: It did not come about; nothing is left of the attempt.
        """
        context = None
        if plan.endpoint.tls.mode is not vocabulary.TlsMode.DISABLED:
            context = await self._contexts.get(plan.endpoint.tls)
        opened: list[session.Session] = []
        failure = await _guard(_open(plan, context, progress, opened), plan, progress)
        if failure is not None:
            raise faults.DeliveryError(progress.phase, failure)
        return opened[0]


async def _guard(work: "asyncio._CoroutineLike[None]", plan: Plan, progress: Progress) -> classify.Failure | None:
    raise NotImplementedError

"""Opening a session: a checked address, TLS as the settings demand, EHLO, and at most one AUTH (R2, R6, R10, R12).

aiosmtplib does the talking. What its exceptions quote may hold a password that a server echoed, so none of them
leaves this module, not even as a cause: they are read, and an error of ours is raised afterwards.
"""

import asyncio
import dataclasses
import datetime as dt
import operator
import socket
import ssl
from collections.abc import Callable, Collection, Sequence
from typing import Final

import aiosmtplib

from mailtier.api import vocabulary
from mailtier.mail import classify, wire
from mailtier.sender.net import connecting, faults, handshakes, resolver, shares, tls
from mailtier.sender.secrets import auth_states, credentials
from mailtier.sender.smtp.sessions import authentication, session, smtp_client
from mailtier.settings import effective

_CONCURRENT: Final = 1_000
"""Sessions that are being opened at the same time, to all servers: each may take 30 s and holds a descriptor."""

_CONCURRENT_PER_NAMESPACE: Final = 16
"""What a handshake costs the event loop, some milliseconds, one namespace causes 32 times a second at most: each
slot is held half a second for each connection that is made with it."""

_ASKING: Final = dt.timedelta(seconds=3)
"""The part of the time in which a server that does not greet is asked whether it expects TLS: it is asked late, since
some make a client wait for the greeting, and hold it against one that speaks first (Postfix's postscreen, 6 s)."""

_ASKING_PART: Final = 1 / 4
"""Of what an address has: no more than that part of it, where it is short."""

_NOT_KNOWN: Final = frozenset({500, 502})
"""RFC 5321 section 4.2.4: a command that is not recognized, or not implemented."""


class OpeningProgress:
    """How far an opening has come; it stays readable when the opening fails.

    Args:
        observe: Told each phase as it begins.

    Attributes:
        certificate_expires_at: notAfter of the server's certificate, aware UTC; None before TLS.
        address: Which of the server's was connected to last; None before the first.
        steps: How many phases the present connection has come through, in whatever order its protection has them.
    """

    def __init__(self, observe: Callable[[classify.Phase], None] = lambda _phase: None) -> None:
        self.certificate_expires_at: dt.datetime | None = None
        self.address: resolver.Address | None = None
        self.steps = 0
        self._phase = classify.Phase.CONNECT
        self._observe = observe

    @property
    def phase(self) -> classify.Phase:
        """The step under way."""
        return self._phase

    @phase.setter
    def phase(self, phase: classify.Phase) -> None:
        if phase is classify.Phase.CONNECT:
            self.steps = 0
        elif phase is not self._phase:
            self.steps += 1
        self._phase = phase
        self._observe(phase)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpeningPlan:
    """Everything that a session is opened with.

    Attributes:
        addresses: At least one; what fails at one before AUTH is tried at the next, within the total, but at no more
            than three with which more was tried than to connect.
        helo_name: Name for EHLO; empty for the connection's own address.
        total: From connecting until AUTH is done (R10).
        auth: The state of the credentials' generation.
        owner: Who answers for the server, and with whose share of the threads TLS is made (R15): the namespace that
            names the endpoint, or the host.
        ehlo_ignore: What the session makes no use of, though it is offered.
    """

    endpoint: effective.Endpoint
    addresses: Sequence[resolver.Address]
    credentials: credentials.Credentials
    helo_name: str
    total: dt.timedelta
    auth: auth_states.AuthState
    owner: str
    ehlo_ignore: Collection[vocabulary.EhloKeyword] = ()


class Opener:
    """Opens sessions.

    Attributes:
        shares: To be taken from for each opening, the lookup of its name included (R15).
    """

    def __init__(self, contexts: tls.Contexts) -> None:
        self._contexts = contexts
        self.shares = shares.Shares(
            "openings",
            total=_CONCURRENT,
            each=_CONCURRENT_PER_NAMESPACE,
            at_least_seconds=connecting.APART_SECONDS,
        )

    def forget_old(self) -> None:
        """Drop the private keys that nobody has used for as long as a password is kept."""
        self._contexts.forget_old(credentials.KEPT_SECONDS)

    async def open(self, plan: OpeningPlan, progress: OpeningProgress) -> session.Session:
        """Return an open session.

        Raises:
            faults.DeliveryError: It did not come about; nothing is left of the attempt.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + plan.total.total_seconds()
        context = await self._context(plan, progress, ends_at=ends_at)
        if isinstance(context, faults.DeliveryError):
            raise context
        tries = connecting.Tries(plan.addresses, plan.endpoint.port, seconds=ends_at - loop.time())
        failures: list[tuple[int, faults.DeliveryError]] = []
        while (reached := await tries.reach()) is not None:
            progress.address = reached.address
            if failures:
                progress.phase = classify.Phase.CONNECT
            found = await self._try(plan, context, progress, reached, ends_at=ends_at)
            if isinstance(found, session.Session):
                return found
            failures.append((progress.steps, found))
            if found.phase not in classify.BEFORE_AUTH:
                break
        if not failures:
            raise faults.of(classify.Phase.CONNECT, tries.fault)
        # Of the address that got furthest there is most to tell.
        raise max(failures, key=operator.itemgetter(0))[1]

    async def _context(
        self, plan: OpeningPlan, progress: OpeningProgress, *, ends_at: float
    ) -> ssl.SSLContext | faults.DeliveryError | None:
        """Return what handshakes are made with, None where there are none, or why there is no such thing."""
        if plan.endpoint.tls.mode is vocabulary.TlsMode.DISABLED:
            return None
        try:
            async with asyncio.timeout_at(ends_at):
                return await self._contexts.get(
                    plan.endpoint.tls, owner=plan.owner, certificate=plan.credentials.certificate
                )
        except Exception as error:  # noqa: BLE001 - as in `_try`.
            return _told(error, progress, plan)

    async def _try(
        self,
        plan: OpeningPlan,
        context: ssl.SSLContext | None,
        progress: OpeningProgress,
        reached: connecting.Reached,
        *,
        ends_at: float,
    ) -> session.Session | faults.DeliveryError:
        """Return a session on a connection, or why there is none."""
        try:
            async with asyncio.timeout_at(reached.until) as limit:
                return await self._open(plan, context, progress, reached, limit, ends_at=ends_at)
        except Exception as error:  # noqa: BLE001 - whatever a library raises here may quote a secret.
            return _told(error, progress, plan)

    async def _open(
        self,
        plan: OpeningPlan,
        context: ssl.SSLContext | None,
        progress: OpeningProgress,
        reached: connecting.Reached,
        limit: asyncio.Timeout,
        *,
        ends_at: float,
    ) -> session.Session:
        settings = plan.endpoint.tls
        is_implicit = settings.mode is vocabulary.TlsMode.IMPLICIT
        connected = reached.sock
        client: smtp_client.SmtpClient | None = None
        secured: handshakes.Secured | None = None
        spare: socket.socket | None = None
        try:
            progress.phase = classify.Phase.TLS if is_implicit else classify.Phase.GREETING
            if is_implicit:
                secured = await self._shake_hands(connected, context, plan)
            client = smtp_client.SmtpClient(
                connected,
                server_name=_server_name(plan),
                helo_name=wire.client_name(plan.helo_name, connected.getsockname()[0]),
                secured=secured,
            )
            await _hear_greeting(client, plan, reached.address, limit)
            if is_implicit:
                progress.certificate_expires_at = _certificate_expiry(client)
            await _greet(client, progress)
            if settings.mode is vocabulary.TlsMode.STARTTLS:
                progress.phase = classify.Phase.TLS
                connected = await _leave_clear_text(client)
                secured = await self._shake_hands(connected, context, plan)
                spare = connected.dup()
                await client.go_on(connected, secured)
                progress.certificate_expires_at = _certificate_expiry(client)
                # RFC 3207 section 4.2: what was offered before TLS is forgotten.
                await _greet(client, progress)
            _require_protection(client, plan)
            progress.phase = classify.Phase.AUTH
            limit.reschedule(ends_at)
            await authentication.authenticate(client, plan.credentials, plan.auth, limit)
            client.require_quiet()
            return session.Session(
                _transport(client),
                generation=plan.credentials.generation,
                offered=wire.Extensions.from_ehlo(client.esmtp_extensions, ignored=plan.ehlo_ignore),
                secrets=plan.credentials.known,
                certificate_expires_at=progress.certificate_expires_at,
            )
        except BaseException as error:
            if client is not None:
                client.close()
            if secured is not None and spare is not None:
                # The server may have ended the connection while EHLO was on its way, with its last words unread.
                secured.hear_out(spare)
            if secured is not None and secured.refusal is not None and isinstance(error, Exception):
                # The loss of the connection, which followed, tells less.
                progress.phase = classify.Phase.TLS
                raise secured.refusal from None
            raise
        finally:
            if spare is not None:
                spare.close()

    async def _shake_hands(
        self, connected: socket.socket, context: ssl.SSLContext | None, plan: OpeningPlan
    ) -> handshakes.Secured:
        """Return the connection under TLS."""
        assert context is not None
        try:
            return await self._contexts.handshakes.connect(
                connected, context, server_name=_server_name(plan), owner=plan.owner
            )
        except BaseException:
            # No transport has it, which would close it.
            connected.close()
            raise


def _server_name(plan: OpeningPlan) -> str:
    return plan.endpoint.tls.server_name or plan.endpoint.host


async def _hear_greeting(
    client: smtp_client.SmtpClient, plan: OpeningPlan, address: resolver.Address, limit: asyncio.Timeout
) -> None:
    """Return when the server has greeted; where it does not in clear, find out whether it expects TLS."""
    ends_at = limit.when()
    assert ends_at is not None
    asking = min(_ASKING.total_seconds(), (ends_at - asyncio.get_running_loop().time()) * _ASKING_PART)
    try:
        async with asyncio.timeout_at(None if client.use_tls else ends_at - asking):
            await client.connect()
    except TimeoutError:
        # On another connection: this one's greeting may be on its way.
        if not await connecting.expects_tls(address, plan.endpoint.port):
            raise
    else:
        return
    raise faults.of(classify.Phase.GREETING, classify.Fault.TLS_EXPECTED)


async def _greet(client: aiosmtplib.SMTP, progress: OpeningProgress) -> None:
    """Say EHLO; HELO to a server that does not know the other, and so has no extensions (RFC 5321 section 3.2)."""
    progress.phase = classify.Phase.EHLO
    # RFC 3207 section 4.2, also where the server knows HELO alone after TLS.
    client.esmtp_extensions, client.server_auth_methods = {}, []
    try:
        response = await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in _NOT_KNOWN:
            raise
        response = await client.helo()
    smtp_client.read_reply(response.code, response.message)


async def _leave_clear_text(client: smtp_client.SmtpClient) -> socket.socket:
    if not client.supports_extension("starttls"):
        told = smtp_client.HELO_ALONE if client.last_helo_response is not None else None
        raise faults.of(classify.Phase.TLS, classify.Fault.STARTTLS_NOT_OFFERED, text=told)
    return await client.leave_clear_text()


def _require_protection(client: aiosmtplib.SMTP, plan: OpeningPlan) -> None:
    """Return when the connection is protected, or is meant not to be: the last look before AUTH (R2)."""
    is_protected = client.get_transport_info("sslcontext") is not None
    if not is_protected and plan.endpoint.tls.mode is not vocabulary.TlsMode.DISABLED:
        raise faults.of(classify.Phase.TLS, classify.Fault.TLS_FAILED)


def _transport(client: aiosmtplib.SMTP) -> asyncio.BaseTransport:
    """Return the connection, for another protocol to take over."""
    if client.transport is None or client.transport.is_closing():
        raise faults.of(classify.Phase.AUTH, classify.Fault.CONNECTION_LOST)
    return client.transport


def _told(error: Exception, progress: OpeningProgress, plan: OpeningPlan) -> faults.DeliveryError:
    """Return what is told of an exception of the opening: without its context, which may quote a secret."""
    if isinstance(error, faults.DeliveryError):
        return type(error)(error.phase, error.failure)
    failure = _judge(error, progress, plan)
    # Read only now: the judgement knows better where a refused greeting belongs.
    return faults.DeliveryError(progress.phase, failure)


def _judge(error: BaseException, progress: OpeningProgress, plan: OpeningPlan) -> classify.Failure:
    """Return what an exception of the opening means; moves the phase where the exception knows it better."""
    match error:
        case aiosmtplib.SMTPConnectResponseError():
            progress.phase = classify.Phase.GREETING
            return smtp_client.judge_reply(progress.phase, error.code, error.message, plan.credentials)
        case aiosmtplib.SMTPResponseException():
            if progress.phase is classify.Phase.TLS and plan.endpoint.tls.mode is vocabulary.TlsMode.IMPLICIT:
                progress.phase = classify.Phase.GREETING
            return smtp_client.judge_reply(progress.phase, error.code, error.message, plan.credentials)
        case ssl.SSLError():
            return tls.judge(progress.phase, error)
        case TimeoutError():
            return classify.classify_fault(progress.phase, classify.Fault.TIMED_OUT)
        case aiosmtplib.SMTPConnectError() if error.__cause__ is not None:
            return _judge(error.__cause__, progress, plan)
        case OSError():
            return classify.classify_fault(progress.phase, classify.Fault.CONNECTION_LOST)
        case _:
            return classify.classify_fault(progress.phase, classify.Fault.PROTOCOL_ERROR)


def _certificate_expiry(client: aiosmtplib.SMTP) -> dt.datetime | None:
    certificate = client.get_transport_info("peercert")
    if not certificate or "notAfter" not in certificate:
        return None
    return dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), tz=dt.UTC)

"""Opening a session: a checked address, TLS as the settings demand, EHLO, and at most one AUTH (R2, R6, R10, R12).

aiosmtplib does the talking. What its exceptions quote may hold a password that a server echoed, so none of them
leaves this module, not even as a cause: they are read, and an error of ours is raised afterwards.
"""

import asyncio
import collections
import dataclasses
import datetime as dt
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import aiosmtplib

from mailtier.api import secret, vocabulary
from mailtier.mail import classify, reasons, replies, sasl, wire
from mailtier.sender.net import connecting, faults, handshakes, resolver, shares, tls
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp import session, smtp_client
from mailtier.settings import effective

_CONCURRENT: Final = 1_000
"""Sessions that are being opened at the same time, to all servers: each may take 30 s and holds a descriptor."""

_CONCURRENT_PER_NAMESPACE: Final = 16
_SHORTEST_SECONDS: Final = 0.5
"""What a handshake costs the event loop, some milliseconds, one namespace causes 32 times a second at most."""

_REMEMBERED_GENERATIONS: Final = 20_000

_ASKING: Final = dt.timedelta(seconds=3)
"""The part of the time in which a server that does not greet is asked whether it expects TLS."""

_NOT_KNOWN: Final = frozenset({500, 502})
"""RFC 5321 section 4.2.4: a command that is not recognized, or not implemented."""

_HELO_ALONE: Final = "The SMTP server does not know EHLO, and so has neither STARTTLS nor AUTH."

_STALE: Final = classify.Failure(
    scope=classify.Scope.CREDENTIALS,
    permanence=classify.Permanence.TRANSIENT,
    reason=reasons.DeliveryReason.CREDENTIALS_REFUSED,
)


class AuthState:
    """What is known of one credential generation at one server; shared by delivery and probe (R12).

    Attributes:
        refusal: Why the server refused it; from then on no AUTH is sent with it.
        stale: An access token that was refused, with nothing accepted since; the next one that is refused counts.
        is_recalled: Whether it was looked up what an earlier process learned.
        is_counted: Whether its refusal was counted (`logins`).
        proven: The rooms of servers at which it succeeded.
        probed_at: When a probe last opened a session with it; seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.refusal: classify.Failure | None = None
        self.stale: secret.Hidden | None = None
        self.is_recalled = False
        self.is_counted = False
        self.proven: set[str] = set()
        self.probed_at = float("-inf")
        # One AUTH at a time: three sessions that opened together would be three attempts with a wrong password.
        self.lock = asyncio.Lock()


class AuthStates:
    """What is known of credentials at all servers.

    Destinations of one server share it: organizations that say different things of their connections are several
    destinations, and would else be as many attempts with one wrong password.
    """

    def __init__(self) -> None:
        self._known: collections.OrderedDict[tuple[str, int, credentials.Generation], AuthState] = (
            collections.OrderedDict()
        )

    def get(self, endpoint: effective.Endpoint, generation: credentials.Generation) -> AuthState:
        """Return what is known of a credential generation at an endpoint's server."""
        key = (endpoint.host, endpoint.port, generation)
        state = self._known.get(key)
        if state is None:
            state = self._known[key] = AuthState()
            if len(self._known) > _REMEMBERED_GENERATIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return state


class OpeningProgress:
    """How far an opening has come; it stays readable when the opening fails.

    Args:
        observe: Told each phase as it begins.

    Attributes:
        certificate_expires_at: notAfter of the server's certificate, aware UTC; None before TLS.
    """

    def __init__(self, observe: Callable[[classify.Phase], None] = lambda _phase: None) -> None:
        self.certificate_expires_at: dt.datetime | None = None
        self._phase = classify.Phase.CONNECT
        self._observe = observe

    @property
    def phase(self) -> classify.Phase:
        """The step under way."""
        return self._phase

    @phase.setter
    def phase(self, phase: classify.Phase) -> None:
        self._phase = phase
        self._observe(phase)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpeningPlan:
    """Everything that a session is opened with.

    Attributes:
        helo_name: Name for EHLO; empty for the connection's own address.
        total: From connecting until AUTH is done (R10).
        auth: The state of the credentials' generation.
        owner: Who answers for the server, and with whose share of the threads TLS is made (R15): the namespace that
            names the endpoint, or the host.
    """

    endpoint: effective.Endpoint
    addresses: Sequence[resolver.Address]
    credentials: credentials.Credentials
    helo_name: str
    total: dt.timedelta
    auth: AuthState
    owner: str


class Opener:
    """Opens sessions.

    Attributes:
        shares: To be taken from for each opening, the lookup of its name included (R15).
    """

    def __init__(self, contexts: tls.Contexts) -> None:
        self._contexts = contexts
        self.shares = shares.Shares(
            "openings", total=_CONCURRENT, each=_CONCURRENT_PER_NAMESPACE, at_least_seconds=_SHORTEST_SECONDS
        )

    async def open(self, plan: OpeningPlan, progress: OpeningProgress) -> session.Session:
        """Return an open session.

        Raises:
            faults.DeliveryError: It did not come about; nothing is left of the attempt.
        """
        try:
            async with asyncio.timeout(plan.total.total_seconds()) as limit:
                return await self._open(plan, progress, limit)
        except faults.DeliveryError as error:
            failed = type(error)(error.phase, error.failure)
        except Exception as error:  # noqa: BLE001 - whatever a library raises here may quote a secret.
            failure = _judge(error, progress, plan)
            # Read only now: the judgement knows better where a refused greeting belongs.
            failed = faults.DeliveryError(progress.phase, failure)
        raise failed

    async def _open(self, plan: OpeningPlan, progress: OpeningProgress, limit: asyncio.Timeout) -> session.Session:
        settings = plan.endpoint.tls
        is_implicit = settings.mode is vocabulary.TlsMode.IMPLICIT
        is_plain = settings.mode is vocabulary.TlsMode.DISABLED
        context = None if is_plain else await self._contexts.get(settings, owner=plan.owner)
        connected = await connecting.connect(plan.addresses, plan.endpoint.port, limit)
        client: smtp_client.SmtpClient | None = None
        try:
            secured = None
            progress.phase = classify.Phase.TLS if is_implicit else classify.Phase.GREETING
            if is_implicit:
                secured = await self._shake_hands(connected, context, plan)
            client = smtp_client.SmtpClient(
                connected,
                server_name=_server_name(plan),
                helo_name=wire.client_name(plan.helo_name, connected.getsockname()[0]),
                secured=secured,
            )
            await self._hear_greeting(client, plan, limit)
            if is_implicit:
                progress.certificate_expires_at = _certificate_expiry(client)
            await _greet(client, progress)
            if settings.mode is vocabulary.TlsMode.STARTTLS:
                progress.phase = classify.Phase.TLS
                connected = await _leave_clear_text(client)
                await client.go_on(connected, await self._shake_hands(connected, context, plan))
                progress.certificate_expires_at = _certificate_expiry(client)
                # RFC 3207 section 4.2: what was offered before TLS is forgotten.
                await _greet(client, progress)
            _require_protection(client, plan)
            progress.phase = classify.Phase.AUTH
            await _authenticate(client, plan, limit)
            return session.Session(
                _transport(client),
                generation=plan.credentials.generation,
                offered=wire.Extensions.from_ehlo(client.esmtp_extensions),
                secrets=plan.credentials.secrets(),
                certificate_expires_at=progress.certificate_expires_at,
            )
        except BaseException:
            if client is not None:
                client.close()
            raise

    async def _hear_greeting(self, client: smtp_client.SmtpClient, plan: OpeningPlan, limit: asyncio.Timeout) -> None:
        """Return when the server has greeted; where it does not in clear, find out whether it expects TLS."""
        ends_at = limit.when()
        assert ends_at is not None
        patience = None if client.use_tls else ends_at - min(_ASKING, plan.total / 4).total_seconds()
        try:
            async with asyncio.timeout_at(patience):
                await client.connect()
        except TimeoutError:
            # On another connection: this one's greeting may be on its way.
            if not await connecting.expects_tls(plan.addresses, plan.endpoint.port, limit):
                raise
        else:
            return
        raise faults.of(classify.Phase.GREETING, classify.Fault.TLS_EXPECTED)

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
    _as_reply(response.code, response.message)


async def _leave_clear_text(client: smtp_client.SmtpClient) -> socket.socket:
    if not client.supports_extension("starttls"):
        told = _HELO_ALONE if client.last_helo_response is not None else None
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


async def _authenticate(client: aiosmtplib.SMTP, plan: OpeningPlan, limit: asyncio.Timeout) -> None:
    """Send one AUTH, with the one mechanism of the settings; `login` would try all that are offered."""
    found = plan.credentials
    mechanism, password = found.generation.mechanism, found.password
    if mechanism is vocabulary.Mechanism.ANONYMOUS:
        return
    if mechanism.lower() not in client.server_auth_methods:
        missing = classify.classify_fault(classify.Phase.AUTH, classify.Fault.MECHANISM_NOT_OFFERED)
        offered = client.server_auth_methods
        told = _HELO_ALONE if client.last_helo_response is not None else sasl.not_offered(mechanism, offered)
        raise faults.DeliveryError(classify.Phase.AUTH, dataclasses.replace(missing, text=told))
    if found.failure is not None:
        raise faults.DeliveryError(classify.Phase.AUTH, found.failure)
    assert password is not None
    dialogue = sasl.dialogue(mechanism, username=found.identity, password=password)
    loop = asyncio.get_running_loop()
    left = (limit.when() or loop.time()) - loop.time()
    # Waiting for another session's AUTH is not the server's time.
    limit.reschedule(None)
    async with plan.auth.lock:
        limit.reschedule(loop.time() + left)
        if plan.auth.refusal is not None:
            raise faults.DeliveryError(classify.Phase.AUTH, plan.auth.refusal)
        if plan.auth.stale is password:
            # Another session learned that while this one waited. The same text, granted once more, is another token.
            raise faults.StaleTokenError(classify.Phase.AUTH, _STALE)
        failure = await _converse(client, dialogue, plan)
        if failure is None:
            plan.auth.stale = None
            return
        if failure.reason is reasons.DeliveryReason.PROMPT_NOT_RECOGNIZED:
            plan.auth.refusal = failure
        elif failure.scope is classify.Scope.CREDENTIALS:
            if found.client is not None and plan.auth.stale is None:
                plan.auth.stale = password
                raise faults.StaleTokenError(classify.Phase.AUTH, failure)
            plan.auth.refusal = failure
    raise faults.DeliveryError(classify.Phase.AUTH, failure)


async def _converse(client: aiosmtplib.SMTP, dialogue: sasl.Dialogue, plan: OpeningPlan) -> classify.Failure | None:
    """Lead a dialogue to its end, and return why it failed, or None; aiosmtplib's own does not look at the prompts."""
    response = await client.execute_command(dialogue.begin())
    while response.code == replies.CHALLENGE:
        try:
            line = dialogue.answer(response.message)
        except sasl.DialogueError as error:
            asked = replies.quotable(sasl.readable(response.message), plan.credentials.secrets())
            told = f'{error} It asked "{asked}".' if asked else str(error)
            # Whatever it answers, the connection is closed.
            await client.execute_command(sasl.CANCEL)
            failure = classify.classify_fault(classify.Phase.AUTH, classify.Fault.PROMPT_NOT_RECOGNIZED)
            return dataclasses.replace(failure, text=told)
        response = await client.execute_command(line)
    if response.code == replies.AUTHENTICATED:
        return None
    return _judge_reply(classify.Phase.AUTH, response.code, response.message, plan)


def _judge(error: BaseException, progress: OpeningProgress, plan: OpeningPlan) -> classify.Failure:
    """Return what an exception of the opening means; moves the phase where the exception knows it better."""
    match error:
        case aiosmtplib.SMTPConnectResponseError():
            progress.phase = classify.Phase.GREETING
            return _judge_reply(progress.phase, error.code, error.message, plan)
        case aiosmtplib.SMTPResponseException():
            if progress.phase is classify.Phase.TLS and plan.endpoint.tls.mode is vocabulary.TlsMode.IMPLICIT:
                progress.phase = classify.Phase.GREETING
            return _judge_reply(progress.phase, error.code, error.message, plan)
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


def _judge_reply(phase: classify.Phase, code: int, message: str, plan: OpeningPlan) -> classify.Failure:
    try:
        reply = _as_reply(code, message)
    except replies.ReplyError:
        return classify.classify_fault(phase, classify.Fault.PROTOCOL_ERROR)
    return classify.classify_reply(phase, reply, secrets=plan.credentials.secrets())


def _as_reply(code: int, message: str) -> replies.Reply:
    """Return aiosmtplib's response as the reply that it was, within our own bounds (R10).

    Raises:
        replies.ReplyError: It is none, or larger than it may be.
    """
    *others, last = message.encode("utf-8", "surrogateescape").split(b"\n")
    prefix = str(code).encode()
    read = replies.ReplyParser().receive(
        b"".join([*(prefix + b"-" + line + b"\r\n" for line in others), prefix + b" " + last + b"\r\n"])
    )
    return read[0]


def _certificate_expiry(client: aiosmtplib.SMTP) -> dt.datetime | None:
    certificate = client.get_transport_info("peercert")
    if not certificate or "notAfter" not in certificate:
        return None
    return dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), tz=dt.UTC)

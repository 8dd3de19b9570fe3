"""Access tokens: asked for at the token server, kept in memory until shortly before their end, and never for long.

A token server belongs to whoever named it. It may be slow or dead, so nobody holds a connection to an SMTP server
while a token is waited for, and only those who need that token wait.
"""

import asyncio
import base64
import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Callable
from typing import Final

import aiohttp

from mailtier.api import vocabulary
from mailtier.mail import classify, oauth, reasons
from mailtier.sender import clock
from mailtier.sender.net import breaker, connecting, faults, handshakes, resolver, shares, tls
from mailtier.sender.secrets import credentials, token_connections, token_states
from mailtier.settings import effective
from mailtier.telemetry import logs, metrics, tasks

TOTAL_SECONDS: Final = 10.0
"""R10: for one request, from the connection to the end of the answer."""

_CONCURRENT: Final = 200
_CONCURRENT_PER_NAMESPACE: Final = 4
"""Whose token servers are dead has no more of them asked at the same time, and others are asked meanwhile."""

_MARGIN_SECONDS: Final = 60.0
"""How long before its end a token is no longer used: a session may take half a minute to AUTH (R10), clocks differ."""

_MARGIN_PART: Final = 0.1
"""For tokens that live shortly: that part of their life at most."""

_TLS: Final = effective.Tls(
    mode=vocabulary.TlsMode.IMPLICIT, server_name=None, min_version=vocabulary.TlsVersion.V1_2, ca=None
)
"""The CA bundle of the settings is the SMTP server's; token servers have certificates of public CAs."""

_HEADERS: Final = {
    "Accept": "application/json",
    # What is compressed could be far larger than what was read.
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
}
_JTI_BYTES: Final = 16

_INTERRUPTED: Final = oauth.judge(oauth.Unusable(problem="was not asked to the end"))

_R: Final = reasons.DeliveryReason

_log = logs.get_logger(__name__)


class Tokens:
    """Gives credentials their access tokens.

    Args:
        names: Resolves and checks the servers' names (R6).
        contexts: TLS contexts.
        time: Clocks and chance.
        entropy: Returns so many random bytes.
    """

    def __init__(
        self,
        *,
        names: resolver.Resolver,
        contexts: tls.Contexts,
        time: clock.Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._resolver = names
        self._contexts = contexts
        self._clock = time
        self._entropy = entropy
        self._states = token_states.States()
        self._shares = shares.Shares("tokens", total=_CONCURRENT, each=_CONCURRENT_PER_NAMESPACE)
        self._background = tasks.Background()

    def __len__(self) -> int:
        """Return how many tokens are in memory."""
        return sum(state.token is not None for _, state in self._states)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._background.finish(within_seconds=0)

    def peek(self, found: credentials.Credentials) -> credentials.Credentials | None:
        """Return credentials that are ready for AUTH, or say why they will not be; None if a token must be asked for.

        While the pause after a fault lasts, the fault is the answer.
        """
        if found.client is None:
            return found
        state = self._state(found.generation)
        if state.fault is not None and state.pause.state(self._clock.monotonic()) is breaker.BreakerState.OPEN:
            return self._known(found, state) or dataclasses.replace(found, failure=state.fault)
        return self._known(found, state)

    def fetch(self, found: credentials.Credentials, then: Callable[[], None]) -> None:
        """Have a token asked for, unless that is under way, and be told when there is an answer."""
        self._ask(found, self._state(found.generation)).add_done_callback(lambda _task: then())

    async def get(self, found: credentials.Credentials) -> credentials.Credentials:
        """Return credentials with their token, or with the reason why there is none; also during a pause."""
        if found.client is None:
            return found
        state = self._state(found.generation)
        known = self._known(found, state)
        if known is None:
            await asyncio.wait({self._ask(found, state)})
            known = self._known(found, state) or dataclasses.replace(found, failure=state.fault or _INTERRUPTED)
        return known

    def drop(self, found: credentials.Credentials) -> None:
        """Forget the token of credentials: the SMTP server refused it."""
        state = self._states.get(found.generation)
        if state is not None and state.token is found.password:
            state.token = None

    def forgive(self, found: credentials.Credentials) -> None:
        """Ask for a token once more, though the token server has refused, or did not answer: a person wants to know."""
        state = self._states.get(found.generation)
        if state is None:
            return
        state.pause.allow_trial(self._clock.monotonic())
        if state.refusal is not None:
            self._states.forget(found.generation)

    def forget_old(self) -> None:
        """Drop tokens that have ended, and those that nobody has wanted for as long as a password is kept."""
        now = self._clock.monotonic()
        for generation, state in list(self._states):
            is_unwanted = state.used_at + credentials.KEPT_SECONDS <= now
            if state.usable_until <= now or is_unwanted:
                state.token = None
            if is_unwanted and state.refusal is None and state.asking is None:
                self._states.forget(generation)

    def _state(self, generation: credentials.Generation) -> token_states.TokenState:
        state = self._states.use(generation)
        state.used_at = self._clock.monotonic()
        return state

    def _known(self, found: credentials.Credentials, state: token_states.TokenState) -> credentials.Credentials | None:
        if state.refusal is not None:
            return dataclasses.replace(found, failure=state.refusal)
        if state.token is not None and self._clock.monotonic() < state.usable_until:
            return dataclasses.replace(found, password=state.token)
        return None

    def _ask(self, found: credentials.Credentials, state: token_states.TokenState) -> asyncio.Task[None]:
        """Return the one request for a generation that is under way."""
        if state.asking is None:
            state.asking = self._background.spawn(self._learn(found, state))
        return state.asking

    async def _learn(self, found: credentials.Credentials, state: token_states.TokenState) -> None:
        """Ask for a token, and remember what comes of it."""
        oauth2, client = found.generation.oauth2, found.client
        assert oauth2 is not None
        assert client is not None
        namespace = found.generation.source[0]
        try:
            answer = await self._request(oauth2.server, client, namespace)
        finally:
            state.asking = None
        now = self._clock.monotonic()
        whose = f"{namespace}/{found.generation.source[1]}"
        match answer:
            case oauth.Granted(token=token, lifetime=lifetime):
                seconds = lifetime.total_seconds()
                state.token, state.fault = token, None
                state.usable_until = now + seconds - min(_MARGIN_SECONDS, seconds * _MARGIN_PART)
                state.pause.succeed()
                metrics.count_token_request(outcome="granted")
            case oauth.TokenRefused():
                self._states.refuse(found.generation, state, oauth.judge(answer))
                metrics.count_token_request(outcome="refused")
                _log.warning(
                    "a token server refused its client", of=whose, server=str(oauth2.server), error=answer.code
                )
            case oauth.Unusable():
                state.fault = oauth.judge(answer)
                state.pause.fail(now, jitter=self._clock.random())
                metrics.count_token_request(outcome="failed")
                _log.warning("no token from a token server", of=whose, server=str(oauth2.server), error=answer.problem)

    async def _request(self, server: effective.TokenServer, client: oauth.OAuthClient, namespace: str) -> oauth.Answer:
        """Return what a token server answers, or what kept it from that."""
        try:
            # Neither waiting for a slot nor the lookup, which has limits of its own, is the server's time.
            with await self._shares.take(namespace):
                resolution = await self._resolver.resolve(server.host, server.addresses, payer=namespace)
                async with asyncio.timeout(TOTAL_SECONDS):
                    return await self._exchange(server, client, resolution, namespace)
        except Exception as error:  # noqa: BLE001 - what a library raises here is not to be quoted.
            return oauth.Unusable(problem=_problem(error))

    async def _exchange(
        self,
        server: effective.TokenServer,
        client: oauth.OAuthClient,
        resolution: resolver.ResolvedName,
        namespace: str,
    ) -> oauth.Answer:
        jti = base64.urlsafe_b64encode(self._entropy(_JTI_BYTES)).decode("ascii").rstrip("=")
        request = oauth.request(client, now=self._clock.wall(), jti=jti)
        connected, secured = await self._connect(server, resolution, namespace)
        connector = token_connections.TokenConnector(connected, secured, server_name=server.host)
        # Without `trust_env`, which is off, no proxy of the environment is used.
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session:
            posted = session.post(
                server.url,
                data=request.body.reveal.encode("ascii"),
                headers=_HEADERS,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
            async with posted as answer:
                return oauth.parse(answer.status, await _read(answer), secrets=request.secrets)

    async def _connect(
        self, server: effective.TokenServer, resolution: resolver.ResolvedName, namespace: str
    ) -> tuple[socket.socket, handshakes.Secured]:
        """Return a connection under TLS: what fails at one address until then is tried at the next."""
        context = await self._contexts.get(_TLS, owner=namespace)
        tries = connecting.Tries(resolution.addresses, server.port, seconds=TOTAL_SECONDS)
        failed: Exception | None = None
        while (reached := await tries.reach()) is not None:
            try:
                async with asyncio.timeout_at(reached.until):
                    return reached.sock, await self._contexts.handshakes.connect(
                        reached.sock, context, server_name=server.host, owner=namespace
                    )
            except OSError as error:
                # Both errors of TLS and TimeoutError are such.
                reached.sock.close()
                failed = error
            except BaseException:
                reached.sock.close()
                raise
        raise failed or faults.of(classify.Phase.CONNECT, tries.fault)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer; of one that is too large, a little more than is allowed (R6)."""
    body = bytearray()
    with contextlib.suppress(EOFError):
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > oauth.MAXIMUM_ANSWER_BYTES:
                break
    return bytes(body)


def _problem(error: Exception) -> str:
    """Return what kept a token server from answering, as half a sentence."""
    match error:
        case faults.DeliveryError(failure=classify.Failure(reason=_R.NAME_NOT_RESOLVED)):
            return "has no address, or none that its name servers tell"
        case faults.DeliveryError(failure=classify.Failure(reason=_R.NAME_NOT_ABSOLUTE)):
            return "has a name that is not whole, and is looked up as it stands"
        case faults.DeliveryError(failure=classify.Failure(reason=_R.ADDRESS_DENIED)):
            return "has an address that the policy does not allow"
        case faults.DeliveryError(failure=classify.Failure(reason=_R.CONNECTION_FAILED)):
            return "could not be connected to"
        case TimeoutError():
            return f"did not answer within {TOTAL_SECONDS:.0f} s"
        case ssl.SSLCertVerificationError():
            return "has a certificate that does not verify"
        case ssl.SSLError():
            return "does not come to terms about TLS"
        case aiohttp.ClientError() | OSError():
            return "ended the connection, or does not speak HTTP"
        case _:
            return "could not be asked"

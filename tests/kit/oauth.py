"""A token server (RFC 6749) that checks what it is shown, and misbehaves when it is told to.

    async with oauth.Server(leaf) as server:
        server.clients["app"] = oauth.Client(secret="s3cret")
        ...
        assert server.is_good("robot", token)

It is real: HTTPS with the given certificate, and signatures of assertions are verified.
"""

import asyncio
import base64
import collections
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import json
import secrets
import time
import typing

from aiohttp import web
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import oid

from kit import certs

NAME = "login.example.com"
PATH = "/oauth2/token"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Behaviour = collections.abc.Callable[[web.Request], collections.abc.Awaitable[web.StreamResponse]]

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW_SECONDS = 60
_LONGEST_ASSERTION_SECONDS = 600


class _RefusedError(Exception):
    """An error of RFC 6749 section 5.2; the text is its code."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client.

    Attributes:
        secret: Its secret; None for none.
        certificate: With the public half of its key; None for none. With neither it is a public client.
        named_by: Whether its assertions must name the certificate by both thumbprints.
        scope: What it may ask for; None for anything.
    """

    secret: str | None = dataclasses.field(default=None, repr=False)
    certificate: x509.Certificate | None = None
    named_by: bool = True
    scope: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that came in.

    Attributes:
        form: Its body.
        host: Of the header.
    """

    form: dict[str, str] = dataclasses.field(repr=False)
    host: str


class Server:
    """A token server on loopback, at work while its context is entered.

    Args:
        leaf: Its certificate.
        name: Its name in the URL.
        host: The address to listen at.
        port: The port to listen at; 0 takes a free one.

    Attributes:
        clients: By client id; a test fills them in.
        refresh_tokens: The client of each.
        lifetime: What `expires_in` says; None to say nothing.
        asked: The requests, those that a behaviour answered too.
        granted: The tokens, oldest first.
    """

    def __init__(self, leaf: certs.Leaf, *, name: str = NAME, host: str = "127.0.0.1", port: int = 0) -> None:
        self.name, self.host, self.port = name, host, port
        self.clients: dict[str, Client] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.lifetime: object = 3600
        self.asked: list[Asked] = []
        self.granted: list[str] = []
        self._good: set[str] = set()
        self._assertions: set[str] = set()
        self._behaviours: collections.deque[Behaviour] = collections.deque()
        self._always: Behaviour | None = None
        self._leaf = leaf
        self._runner: web.AppRunner | None = None
        self._ending = asyncio.Event()

    async def __aenter__(self) -> typing.Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._leaf.server_context())
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        self._ending.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The token endpoint."""
        return f"https://{self.name}:{self.port}{PATH}"

    def is_good(self, _username: str, token: str) -> bool:
        """Return whether it granted a token and has not revoked it; what an SMTP server asks it."""
        return token in self._good

    def revoke(self) -> None:
        """Let no token be good any more, whatever was said of its lifetime."""
        self._good.clear()

    def behave(self, behaviour: Behaviour, *, times: int | None = None) -> None:
        """Have the next requests answered by a behaviour; without `times`, all of them."""
        if times is None:
            self._always = behaviour
        else:
            self._behaviours.extend([behaviour] * times)

    def be_good(self) -> None:
        """Forget all behaviours."""
        self._behaviours.clear()
        self._always = None

    async def hang(self, _request: web.Request) -> web.StreamResponse:
        """Never answer: a behaviour."""
        await self._ending.wait()
        return web.Response(status=503)

    async def drip(self, request: web.Request) -> web.StreamResponse:
        """Send a byte now and then: a behaviour."""
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not self._ending.is_set():
                await response.write(b" ")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._ending.wait()
        return response

    async def flood(self, request: web.Request) -> web.StreamResponse:
        """Send without an end, as fast as it is read: a behaviour."""
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not self._ending.is_set():
                await response.write(b" " * 65_536)
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append(Asked(form=form, host=request.host))
        behaviour = self._behaviours.popleft() if self._behaviours else self._always
        if behaviour is not None:
            return await behaviour(request)
        if request.path != PATH or request.method != "POST":
            return web.json_response({"error": "not_found"}, status=404)
        try:
            token = self._grant(form)
        except _RefusedError as error:
            return web.json_response({"error": str(error), "error_description": "This is refused."}, status=400)
        document: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if self.lifetime is not None:
            document["expires_in"] = self.lifetime
        return web.json_response(document)

    def _grant(self, form: dict[str, str]) -> str:
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            raise _RefusedError("invalid_client")
        self._authenticate(form["client_id"], client, form)
        if client.scope is not None and form.get("scope") != client.scope:
            raise _RefusedError("invalid_scope")
        match form.get("grant_type"):
            case "client_credentials":
                if client.secret is None and client.certificate is None:
                    raise _RefusedError("unauthorized_client")
            case "refresh_token":
                if self.refresh_tokens.get(form.get("refresh_token", "")) != form["client_id"]:
                    raise _RefusedError("invalid_grant")
            case _:
                raise _RefusedError("unsupported_grant_type")
        token = secrets.token_urlsafe(48)
        self.granted.append(token)
        self._good.add(token)
        return token

    def _authenticate(self, client_id: str, client: Client, form: dict[str, str]) -> None:
        if client.secret is not None:
            if form.get("client_secret") != client.secret or "client_assertion" in form:
                raise _RefusedError("invalid_client")
        elif client.certificate is not None:
            if form.get("client_assertion_type") != _ASSERTION_TYPE or "client_secret" in form:
                raise _RefusedError("invalid_client")
            self._verify(client_id, client, client.certificate, form.get("client_assertion", ""))
        elif {"client_secret", "client_assertion"} & set(form):
            raise _RefusedError("invalid_client")

    def _verify(self, client_id: str, client: Client, certificate: x509.Certificate, assertion: str) -> None:
        """Return when an assertion holds (RFC 7523 section 3)."""
        signed, _, signature = assertion.rpartition(".")
        header, claims = (json.loads(decoded(part)) for part in signed.split("."))
        thumbprints = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303 - RFC 7515 section 4.1.7.
        now = time.time()
        wrong = [
            header.get("alg") != ("RS256" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ES256"),
            client.named_by
            and any(
                decoded(header.get(name, "")) != certificate.fingerprint(kind) for name, kind in thumbprints.items()
            ),
            claims.get("iss") != client_id,
            claims.get("sub") != client_id,
            claims.get("aud") != self.url,
            not claims["iat"] - _SKEW_SECONDS <= now <= claims["exp"],
            claims["exp"] - claims["iat"] > _LONGEST_ASSERTION_SECONDS,
            not claims.get("jti") or claims["jti"] in self._assertions,
            not is_signed(certificate, signed.encode(), decoded(signature)),
        ]
        if any(wrong):
            raise _RefusedError("invalid_client")
        self._assertions.add(claims["jti"])


def decoded(text: str) -> bytes:
    """Return what base64url without padding holds."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_signed(certificate: x509.Certificate, data: bytes, signature: bytes) -> bool:
    """Return whether a signature of RS256 or ES256 is the certificate's key's."""
    public = certificate.public_key()
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            assert isinstance(public, ec.EllipticCurvePublicKey)
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except exceptions.InvalidSignature:
        return False
    return True


def new_key(kind: typing.Literal["RSA", "P-256"] = "P-256") -> PrivateKey:
    """Return a new private key."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def certificate_for(key: PrivateKey) -> x509.Certificate:
    """Return a self-signed certificate, as one uploads it to a token server."""
    name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "mailtier")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )


def pem(key: PrivateKey, *certificates: x509.Certificate) -> str:
    """Return a private key in PEM, with certificates beside it, as it stands in a Secret."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    blocks = [private, *(each.public_bytes(serialization.Encoding.PEM) for each in certificates)]
    return b"".join(blocks).decode("ascii")


def redirect(to: str) -> Behaviour:
    """Return the behaviour that sends clients elsewhere."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": to})

    return answer


def says(body: bytes | str | dict[str, object], *, status: int = 200) -> Behaviour:
    """Return the behaviour that answers with a body, whatever is asked."""
    text = json.dumps(body) if isinstance(body, dict) else body

    async def answer(_request: web.Request) -> web.StreamResponse:
        data = text if isinstance(text, bytes) else text.encode()
        return web.Response(body=data, status=status, content_type="application/json")

    return answer


def echo(request_key: str) -> Behaviour:
    """Return the behaviour that refuses, and quotes a field of the request."""

    async def answer(request: web.Request) -> web.StreamResponse:
        quoted = str((await request.post())[request_key])
        document = {"error": "invalid_client", "error_description": f"I do not know {quoted}, or {quoted[:20]}"}
        return web.json_response(document, status=401)

    return answer

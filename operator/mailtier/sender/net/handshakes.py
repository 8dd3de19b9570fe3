"""TLS handshakes, whose costly steps run in threads of their own: the loop is everybody's, the peer may be anybody.

What a step costs is the peer's choice. A server whose authority is a tenant's may send a chain of seventy
certificates, each of which takes 5 ms to verify; a finite-field group of 10,000 bits takes a second (it is not
offered, see `tls`). OpenSSL lets go of the interpreter's lock meanwhile, so that the loop goes on.

asyncio cannot wait for a thread in the middle of a handshake. So the handshake is made here, on the bare socket, and
asyncio gets the connection when there is nothing left to wait for: `Secured` is to it a context whose handshakes are
done at once.
"""

import asyncio
import contextlib
import enum
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from mailtier.sender.net import threads

# What Python allows for TLS 1.2 without finite-field DH: there the server chooses the modulus, and with one of 10,000
# bits the handshake takes a second. The suites of TLS 1.3 are not in this list; its groups are those of the
# configuration of OpenSSL, which is the image's `openssl.cnf`.
CIPHERS: Final = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!AESCCM"

_THREADS: Final = 4

MAXIMUM_BYTES: Final = 64 * 1024
"""What a peer may send until the handshake is done; OpenSSL alone would take 100 KiB for the certificates."""

_CHUNK_BYTES: Final = 16 * 1024
_RECORD_BYTES: Final = 16 * 1024
"""What a record holds at most (RFC 8446 section 5.1)."""

# RFC 8446 section 5.1: the first byte of a record is its type, the second is 3 in every version since SSL 3.
_RECORD_TYPES: Final = frozenset({20, 21, 22, 23})
_MAJOR_VERSION: Final = 3


class HandshakeCause(enum.Enum):
    """Why a handshake failed, where it is known better than `failed`."""

    CLEAR_TEXT = enum.auto()
    """The peer does not speak TLS here."""
    VERSION = enum.auto()
    """No version that both would use."""
    CIPHER = enum.auto()
    """No cipher suite, group or signature that both would use."""
    OVERSIZED = enum.auto()
    """More bytes than a handshake may have."""
    ENDED = enum.auto()
    """The peer ended the connection in the middle of it, without a word."""
    WEAK_KEY = enum.auto()
    """A key or signature below what OpenSSL takes."""
    CERTIFICATE_REQUIRED = enum.auto()
    """The peer wants a client certificate, and was shown none."""
    CERTIFICATE_REFUSED = enum.auto()
    """The peer does not take the client certificate: it is revoked, of a kind that it does not know, or not meant."""
    CERTIFICATE_EXPIRED = enum.auto()
    """The peer takes the client certificate for one that has ended."""
    CERTIFICATE_UNKNOWN_CA = enum.auto()
    """The peer does not know the authority of the client certificate."""


class HandshakeError(ssl.SSLError):
    """A handshake that failed for a reason that can be named; it quotes nothing of the peer."""

    def __init__(self, cause: HandshakeCause) -> None:
        super().__init__(cause.name)
        self.cause = cause


_CAUSES: Final = {
    "UNSUPPORTED_PROTOCOL": HandshakeCause.VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": HandshakeCause.VERSION,
    "NO_PROTOCOLS_AVAILABLE": HandshakeCause.VERSION,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": HandshakeCause.CIPHER,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": HandshakeCause.CIPHER,
    "SSL/TLS_ALERT_HANDSHAKE_FAILURE": HandshakeCause.CIPHER,
    "NO_CIPHERS_AVAILABLE": HandshakeCause.CIPHER,
    "WRONG_CIPHER_RETURNED": HandshakeCause.CIPHER,
    "UNKNOWN_CIPHER_RETURNED": HandshakeCause.CIPHER,
    "WRONG_VERSION_NUMBER": HandshakeCause.CLEAR_TEXT,
    "HTTP_REQUEST": HandshakeCause.CLEAR_TEXT,
    "EXCESSIVE_MESSAGE_SIZE": HandshakeCause.OVERSIZED,
    "DH_KEY_TOO_SMALL": HandshakeCause.WEAK_KEY,
    "EE_KEY_TOO_SMALL": HandshakeCause.WEAK_KEY,
    "CA_KEY_TOO_SMALL": HandshakeCause.WEAK_KEY,
    "CA_MD_TOO_WEAK": HandshakeCause.WEAK_KEY,
    **dict.fromkeys(
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_CERTIFICATE_REQUIRED"), HandshakeCause.CERTIFICATE_REQUIRED
    ),
    **dict.fromkeys(
        (
            "SSLV3_ALERT_BAD_CERTIFICATE",
            "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
            "SSLV3_ALERT_CERTIFICATE_REVOKED",
            "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
            "TLSV1_ALERT_ACCESS_DENIED",
        ),
        HandshakeCause.CERTIFICATE_REFUSED,
    ),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": HandshakeCause.CERTIFICATE_EXPIRED,
    "TLSV1_ALERT_UNKNOWN_CA": HandshakeCause.CERTIFICATE_UNKNOWN_CA,
}
"""OpenSSL's names for what a handshake failed of; version 3.2 gave one alert another name."""


_OF_CLIENT_CERTIFICATE: Final = frozenset(
    {
        HandshakeCause.CERTIFICATE_REQUIRED,
        HandshakeCause.CERTIFICATE_REFUSED,
        HandshakeCause.CERTIFICATE_EXPIRED,
        HandshakeCause.CERTIFICATE_UNKNOWN_CA,
    }
)


class Secured:
    """A TLS connection whose handshake is done, as asyncio takes one: in place of a context, for one connection.

    Attributes:
        refusal: Why the peer takes it for failed nevertheless: with TLS 1.3 it looks at the client certificate when
            the client is done, and says what it thinks of it in place of its first words (RFC 8446 section 4.4.2.4).
            None where it has not.
    """

    def __init__(self, established: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.refusal: HandshakeError | None = None
        self._established = established
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def for_asyncio(self) -> ssl.SSLContext:
        """This, typed as the argument `ssl` of `create_connection` and `connect_accepted_socket`."""
        return cast("ssl.SSLContext", self)

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **_fixed_already: Any) -> "_Through":
        """Return the connection, reading from and writing to the buffers of whoever asks."""
        return _Through(self._established, (incoming, self._incoming), (self._outgoing, outgoing), self._note_refusal)

    def hear_out(self, sock: socket.socket) -> None:
        """Note what the peer thinks of the handshake, where asyncio has lost the connection before it was read.

        Args:
            sock: The connection, by a descriptor that is still open; non-blocking.
        """
        with contextlib.suppress(OSError):
            self._incoming.write(sock.recv(_CHUNK_BYTES))
        try:
            self._established.read(1)
        except ssl.SSLError as error:
            self._note_refusal(error)

    def _note_refusal(self, error: ssl.SSLError) -> None:
        cause = _CAUSES.get(str(error.reason))
        if cause in _OF_CLIENT_CERTIFICATE:
            self.refusal = HandshakeError(cause)


class _Through:
    """What asyncio uses of an `ssl.SSLObject`, with its buffers and those of the handshake joined."""

    def __init__(
        self,
        established: ssl.SSLObject,
        inwards: tuple[ssl.MemoryBIO, ssl.MemoryBIO],
        outwards: tuple[ssl.MemoryBIO, ssl.MemoryBIO],
        on_error: Callable[[ssl.SSLError], None],
    ) -> None:
        self._established = established
        self._inwards = inwards
        self._outwards = outwards
        self._on_error = on_error

    def do_handshake(self) -> None:
        """Return at once: it is done."""

    def getpeercert(self) -> Any:
        return self._established.getpeercert()

    def cipher(self) -> Any:
        return self._established.cipher()

    def compression(self) -> Any:
        return self._established.compression()

    def read(self, size: int, *buffers: Any) -> Any:
        """Return or fill in what came; at most a record, as OpenSSL does, which asyncio asks for until there is none.

        asyncio asks for 256 KiB, which Python would set aside each time, also to find out that there is nothing more.
        """
        source, target = self._inwards
        if source.pending:
            target.write(source.read())
        elif not (target.pending or self._established.pending()):
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "nothing has come")
        outgoing, leaving = self._outwards
        try:
            return self._established.read(min(size, _RECORD_BYTES), *buffers)
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._on_error(error)
            raise
        finally:
            if outgoing.pending:
                leaving.write(outgoing.read())

    def write(self, data: Any) -> int:
        return cast("int", self._through(self._established.write, data))

    def unwrap(self) -> None:
        self._through(self._established.unwrap)

    def _through(self, method: Callable[..., Any], *arguments: Any) -> Any:
        _move(*self._inwards)
        try:
            return method(*arguments)
        except ssl.SSLError as error:
            self._on_error(error)
            raise
        finally:
            _move(*self._outwards)


def _move(source: ssl.MemoryBIO, target: ssl.MemoryBIO) -> None:
    if source.pending:
        target.write(source.read())


class Handshakes:
    """Makes handshakes; nobody who comes this way can hold the loop."""

    def __init__(self) -> None:
        self._threads = threads.SharedThreads("handshakes", total=_THREADS)

    async def connect(self, sock: socket.socket, context: ssl.SSLContext, *, server_name: str, owner: str) -> Secured:
        """Return the connection that a handshake with a server establishes.

        Args:
            sock: Connected, non-blocking, and nobody else reads from it.
            server_name: For SNI, and what the certificate has to name.
            owner: The namespace whose share of the threads it takes.

        Raises:
            HandshakeError: It failed for a reason that has a name.
            ssl.SSLError: It failed, or the certificate does not verify.
            OSError: The connection was lost.
        """
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        begun = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
        return await self._shake(sock, begun, incoming, outgoing, owner)

    async def accept(self, sock: socket.socket, context: ssl.SSLContext, *, owner: str) -> Secured:
        """Return the connection that a handshake with a client establishes; see `connect`."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        begun = context.wrap_bio(incoming, outgoing, server_side=True)
        return await self._shake(sock, begun, incoming, outgoing, owner)

    async def _shake(
        self, sock: socket.socket, begun: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, owner: str
    ) -> Secured:
        loop = asyncio.get_running_loop()
        received = 0
        if not begun.server_side:
            # The first words depend on nothing that the peer said.
            with contextlib.suppress(ssl.SSLWantReadError):
                begun.do_handshake()
        while True:
            if outgoing.pending:
                await loop.sock_sendall(sock, outgoing.read())
            data = await loop.sock_recv(sock, _CHUNK_BYTES)
            if not data:
                raise HandshakeError(HandshakeCause.ENDED)
            if not received and not _is_tls(data):
                raise HandshakeError(HandshakeCause.CLEAR_TEXT)
            received += len(data)
            if received > MAXIMUM_BYTES:
                raise HandshakeError(HandshakeCause.OVERSIZED)
            incoming.write(data)
            if await self._step(begun, sock, outgoing, owner):
                break
        if outgoing.pending:
            await loop.sock_sendall(sock, outgoing.read())
        return Secured(begun, incoming, outgoing)

    async def _step(self, begun: ssl.SSLObject, sock: socket.socket, outgoing: ssl.MemoryBIO, owner: str) -> bool:
        """Return whether the handshake is done, after all that has come was made use of."""
        try:
            await self._threads.run(owner, begun.do_handshake)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            # An alert tells the peer what was wrong; whether it arrives is not worth waiting for.
            with contextlib.suppress(OSError):
                sock.send(outgoing.read())
            cause = _cause_of(error, begun)
            if cause is None:
                raise
            raise HandshakeError(cause) from error
        return True


def _cause_of(error: ssl.SSLError, begun: ssl.SSLObject) -> HandshakeCause | None:
    """Return why a handshake failed; None where it has no name of its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return None
    cause = _CAUSES.get(str(error.reason))
    if begun.server_side and cause in _OF_CLIENT_CERTIFICATE:
        # The client's opinion of our own certificate.
        return None
    is_refused = cause is HandshakeCause.CIPHER and "HANDSHAKE_FAILURE" in str(error.reason)
    if is_refused and not begun.server_side and begun.cipher() is not None:
        # The cipher is agreed upon: what a server of TLS 1.2 misses then is a certificate (RFC 5246 section 7.4.6).
        return HandshakeCause.CERTIFICATE_REQUIRED
    return cause


async def is_expected(sock: socket.socket) -> bool:
    """Return whether a server answers a handshake as TLS does; nothing is kept of it.

    Args:
        sock: Connected and non-blocking.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, outgoing.read())
    data = await loop.sock_recv(sock, _CHUNK_BYTES)
    return bool(data) and _is_tls(data)


def _is_tls(data: bytes) -> bool:
    """Return whether bytes begin as a TLS record does; one alone says little, and OpenSSL will judge the second."""
    return data[0] in _RECORD_TYPES and (len(data) == 1 or data[1] == _MAJOR_VERSION)

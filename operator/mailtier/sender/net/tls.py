"""TLS contexts, built once: reading the CA certificates takes 25 ms, which no session should pay for."""

import asyncio
import collections
import contextlib
import dataclasses
import os
import ssl
import weakref
from collections.abc import Iterator
from typing import Final, Protocol

from mailtier.api import prose, vocabulary
from mailtier.kube import trust
from mailtier.mail import classify, quoting
from mailtier.sender.net import faults, handshakes, threads
from mailtier.settings import client_certificates, effective

_KEPT: Final = 256
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Of PEM text; OpenSSL makes three times as much of it."""
_PUBLIC_BYTES: Final = 256 * 1024
"""What the public CAs are as text."""
_KEPT_BYTES_EACH: Final = _KEPT_BYTES // _KEPT
"""What each counts for beside its text, so that neither many small ones nor few large ones are more than a share."""
_THREADS: Final = 2

_VERSIONS: Final = {
    vocabulary.TlsVersion.V1_2: ssl.TLSVersion.TLSv1_2,
    vocabulary.TlsVersion.V1_3: ssl.TLSVersion.TLSv1_3,
}

_C: Final = handshakes.HandshakeCause
_FAULTS: Final[dict[handshakes.HandshakeCause | None, classify.Fault]] = {
    _C.CLEAR_TEXT: classify.Fault.TLS_NOT_SPOKEN,
    _C.VERSION: classify.Fault.TLS_TOO_OLD,
    _C.CIPHER: classify.Fault.TLS_NO_COMMON_CIPHER,
}
_TEXTS: Final[dict[handshakes.HandshakeCause | None, str]] = {
    _C.ENDED: "The SMTP server ended the connection during the TLS handshake; some do so where no version"
    " or cipher is common.",
    _C.OVERSIZED: "The SMTP server sends more than 64 KiB in the TLS handshake: too many certificates.",
    _C.WEAK_KEY: "A key or signature of the SMTP server's certificates is too weak.",
    _C.CERTIFICATE_REQUIRED: "The SMTP server demands a client certificate (smtp.tls.clientCertificateRef), and was"
    " shown none that it could use.",
    _C.CERTIFICATE_REFUSED: "The SMTP server refuses the client certificate.",
    _C.CERTIFICATE_EXPIRED: "The SMTP server takes the client certificate for one that has ended.",
    _C.CERTIFICATE_UNKNOWN_CA: "The SMTP server does not know the authority of the client certificate; tls.crt has to"
    " hold those between the two as well.",
}


class CaSource(Protocol):
    """Where published CA bundles are."""

    async def bundle(self, digest: str) -> str | None:
        """Return the PEM text with this hexadecimal SHA-256, None where it is not published (yet)."""


class Contexts:
    """Client contexts by lowest version, CA bundle and client certificate. Each verifies certificates and names.

    Those with neither of the two, which are everybody's, are kept for good. The others are kept within a bound; beyond
    it those go first whose namespace fills the most of it, and a namespace has one built at a time (R15). One with a
    client certificate holds its private key, and is kept no longer than a password is.

    Certificates are not checked for revocation: Python's ssl fetches neither CRLs nor OCSP responses.

    Attributes:
        handshakes: Makes the handshakes with them.
    """

    def __init__(self, source: CaSource) -> None:
        self._source = source
        self.handshakes = handshakes.Handshakes()
        self._threads = threads.SharedThreads("contexts", total=_THREADS)
        self._pinned: dict[_Key, ssl.SSLContext] = {}
        self._kept: collections.OrderedDict[_Key, _Context] = collections.OrderedDict()
        # What sessions still use is not built a second time, though it is kept no longer.
        self._used: weakref.WeakValueDictionary[_Key, ssl.SSLContext] = weakref.WeakValueDictionary()
        # With the owner: nobody waits behind another's bundles for one that both have.
        self._locks: weakref.WeakValueDictionary[tuple[str, _Key], asyncio.Lock] = weakref.WeakValueDictionary()

    async def get(
        self,
        tls: effective.Tls,
        *,
        owner: str,
        certificate: client_certificates.ClientCertificate | None = None,
    ) -> ssl.SSLContext:
        """Return the context for an endpoint.

        Args:
            tls: What the settings say of it.
            owner: The namespace whose share it takes to build one and to keep it.
            certificate: What the server is shown if it asks for it; None for nothing.

        Raises:
            faults.DeliveryError: Its CA bundle is not there, or this or the client certificate cannot be used.
        """
        key = (tls.min_version, tls.ca, None if certificate is None else certificate.digest)
        lock = self._locks.get((owner, key))
        if lock is None:
            lock = self._locks[owner, key] = asyncio.Lock()
        async with lock:
            return self._recall(key) or await self._make(key, owner, certificate)

    def forget_old(self, older_than_seconds: float) -> None:
        """Drop those with a client certificate that nobody has asked for since."""
        oldest = asyncio.get_running_loop().time() - older_than_seconds
        for key in [key for key, kept in self._kept.items() if key[2] is not None and kept.used_at <= oldest]:
            del self._kept[key]

    def _recall(self, key: "_Key") -> ssl.SSLContext | None:
        if key in self._kept:
            self._kept.move_to_end(key)
            self._kept[key].used_at = asyncio.get_running_loop().time()
            return self._kept[key].context
        return self._pinned.get(key)

    def _find(self, key: "_Key") -> ssl.SSLContext | None:
        """Return a context that is somewhere, if kept no longer; threads ask as well."""
        return self._pinned.get(key) or self._used.get(key)

    async def _make(
        self, key: "_Key", owner: str, certificate: client_certificates.ClientCertificate | None
    ) -> ssl.SSLContext:
        version, digest, _ = key
        bundle = await self._source.bundle(digest) if digest is not None else None
        if digest is not None and bundle is None:
            raise _unusable("The CA bundle of the settings is not published yet.")
        # Another may have built it while this one waited for its turn.
        context = self._find(key) or await self._threads.run(
            owner, lambda: self._find(key) or _build(version, bundle, certificate)
        )
        if context is None:
            which = "CA bundle" if certificate is None else "CA bundle or client certificate"
            raise _unusable(f"The {which} of the settings cannot be loaded.")
        if bundle is None and certificate is None:
            self._pinned[key] = context
        elif key not in self._kept:
            size_bytes = (_PUBLIC_BYTES if bundle is None else len(bundle)) + _KEPT_BYTES_EACH
            self._keep(key, _Context(context, size_bytes, owner, used_at=asyncio.get_running_loop().time()))
        return context

    def _keep(self, key: "_Key", made: "_Context") -> None:
        self._kept[key] = made
        self._used[key] = made.context
        while len(self._kept) > 1 and sum(kept.size_bytes for kept in self._kept.values()) > _KEPT_BYTES:
            filled: collections.Counter[str] = collections.Counter()
            for kept in self._kept.values():
                filled[kept.owner] += kept.size_bytes
            # Of several that fill as much, whose context was longest not asked for.
            most = max(filled, key=filled.__getitem__)
            del self._kept[next(each for each, kept in self._kept.items() if kept.owner == most)]


_Key = tuple[vocabulary.TlsVersion, str | None, str | None]


@dataclasses.dataclass(slots=True)
class _Context:
    """A context, what it counts for, the namespace that had it built, and when it was asked for last."""

    context: ssl.SSLContext
    size_bytes: int
    owner: str
    used_at: float


def _unusable(text: str) -> faults.DeliveryError:
    failure = classify.classify_fault(classify.Phase.TLS, classify.Fault.TLS_FAILED)
    return faults.DeliveryError(classify.Phase.TLS, dataclasses.replace(failure, text=text))


def judge(phase: classify.Phase, error: ssl.SSLError) -> classify.Failure:
    """Return what a handshake that failed means; nothing of its text comes from the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        failure = classify.classify_fault(phase, classify.Fault.CERTIFICATE_NOT_TRUSTED)
        # OpenSSL's words and our own server name.
        return dataclasses.replace(failure, text=quoting.quotable(prose.continued(failure.text, error.verify_message)))
    cause = error.cause if isinstance(error, handshakes.HandshakeError) else None
    failure = classify.classify_fault(phase, _FAULTS.get(cause, classify.Fault.TLS_FAILED))
    return dataclasses.replace(failure, text=_TEXTS.get(cause, failure.text))


def _build(
    min_version: vocabulary.TlsVersion,
    bundle: str | None,
    certificate: client_certificates.ClientCertificate | None,
) -> ssl.SSLContext | None:
    try:
        with _file("ca", bundle) as name:
            # With a file the system's certificates are not loaded: a private CA replaces the public ones.
            context = trust.client_context(cafile=name)
        if certificate is not None:
            # `load_cert_chain` takes the name of a file alone. This one is in memory, has no name that another process
            # could open, and is gone when it is closed, so that the private key is never on a disk (R1).
            with _file("client", certificate.chain + certificate.private_key.reveal) as name:
                context.load_cert_chain(str(name))
    except ssl.SSLError:
        return None
    context.minimum_version = _VERSIONS[min_version]
    context.set_ciphers(handshakes.CIPHERS)
    # A server could ask for one handshake after another, each with its certificates, and those in the loop.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


@contextlib.contextmanager
def _file(what: str, text: str | None) -> Iterator[str | None]:
    """Give the name of a file in memory that holds PEM text; None without any.

    A thousand certificates take half a second to load. From a file OpenSSL loads them without the interpreter's lock;
    from `cadata` the loop would stand still meanwhile, although this is another thread.
    """
    if text is None:
        yield None
        return
    with os.fdopen(os.memfd_create(what), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"

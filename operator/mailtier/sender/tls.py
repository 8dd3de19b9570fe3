"""TLS contexts, built once: reading the CA certificates takes 25 ms, which no session should pay for."""

import asyncio
import collections
import dataclasses
import ssl
from typing import Final, Protocol

from mailtier.api import vocabulary
from mailtier.kube import trust
from mailtier.mail import classify, replies
from mailtier.sender import faults, handshakes
from mailtier.settings import effective

_KEPT: Final = 256
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
}


class CaSource(Protocol):
    """Where published CA bundles are."""

    async def bundle(self, digest: str) -> str | None:
        """Return the PEM text with this hexadecimal SHA-256, None where it is not published (yet)."""


class Contexts:
    """Client contexts by lowest version and CA bundle. Each verifies certificates and names, always.

    Certificates are not checked for revocation: Python's ssl fetches neither CRLs nor OCSP responses.

    Attributes:
        handshakes: Makes the handshakes with them.
    """

    def __init__(self, source: CaSource) -> None:
        self._source = source
        self.handshakes = handshakes.Handshakes()
        self._contexts: collections.OrderedDict[tuple[vocabulary.TlsVersion, str | None], ssl.SSLContext] = (
            collections.OrderedDict()
        )

    async def get(self, tls: effective.Tls) -> ssl.SSLContext:
        """Return the context for an endpoint.

        Raises:
            faults.DeliveryError: Its CA bundle is not there or cannot be used.
        """
        key = (tls.min_version, tls.ca)
        context = self._contexts.get(key)
        if context is None:
            bundle = await self._source.bundle(tls.ca) if tls.ca is not None else None
            if tls.ca is not None and bundle is None:
                raise faults.of(classify.Phase.TLS, classify.Fault.TLS_FAILED)
            context = await asyncio.to_thread(_build, tls.min_version, bundle)
            if context is None:
                raise faults.of(classify.Phase.TLS, classify.Fault.TLS_FAILED)
            self._contexts[key] = context
            if len(self._contexts) > _KEPT:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context


def judge(phase: classify.Phase, error: ssl.SSLError) -> classify.Failure:
    """Return what a handshake that failed means; nothing of its text comes from the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        failure = classify.classify_fault(phase, classify.Fault.CERTIFICATE_NOT_TRUSTED)
        # OpenSSL's words and our own server name.
        return dataclasses.replace(failure, text=replies.quotable(f"{failure.text} {error.verify_message}."))
    cause = error.cause if isinstance(error, handshakes.HandshakeError) else None
    failure = classify.classify_fault(phase, _FAULTS.get(cause, classify.Fault.TLS_FAILED))
    return dataclasses.replace(failure, text=_TEXTS.get(cause, failure.text))


def _build(min_version: vocabulary.TlsVersion, bundle: str | None) -> ssl.SSLContext | None:
    try:
        # With `cadata` the system's certificates are not loaded: a private CA replaces the public ones.
        context = trust.client_context(cadata=bundle)
    except ssl.SSLError:
        return None
    context.minimum_version = _VERSIONS[min_version]
    context.set_ciphers(handshakes.CIPHERS)
    # A server could ask for one handshake after another, each with its certificates, and those in the loop.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context

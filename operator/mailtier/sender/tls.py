"""TLS contexts, built once: reading the CA certificates takes 25 ms, which no session should pay for."""

import asyncio
import collections
import ssl
from typing import Final, Protocol

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender import faults
from mailtier.settings import effective

_KEPT: Final = 256
_VERSIONS: Final = {
    vocabulary.TlsVersion.V1_2: ssl.TLSVersion.TLSv1_2,
    vocabulary.TlsVersion.V1_3: ssl.TLSVersion.TLSv1_3,
}


class CaSource(Protocol):
    """Where published CA bundles are."""

    async def bundle(self, digest: str) -> str | None:
        """Return the PEM text with this hexadecimal SHA-256, None where it is not published (yet)."""


class Contexts:
    """Client contexts by lowest version and CA bundle. Each verifies certificates and names, always.

    Certificates are not checked for revocation: Python's ssl fetches neither CRLs nor OCSP responses.
    """

    def __init__(self, source: CaSource) -> None:
        self._source = source
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


def _build(min_version: vocabulary.TlsVersion, bundle: str | None) -> ssl.SSLContext | None:
    try:
        # With `cadata` the system's certificates are not loaded: a private CA replaces the public ones.
        context = ssl.create_default_context(cadata=bundle)
    except ssl.SSLError:
        return None
    context.minimum_version = _VERSIONS[min_version]
    return context

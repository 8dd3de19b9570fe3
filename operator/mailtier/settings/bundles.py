"""Bundles of CA certificates, checked before anything is verified against them (R10)."""

import dataclasses
import hashlib
from typing import Final

from cryptography import x509

from mailtier.settings import pem

MAXIMUM_BYTES: Final = 64 * 1024
MAXIMUM_CERTIFICATES: Final = 50


class BundleError(Exception):
    """The bundle is not usable; the message says what is wrong, at which position."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Certificates to verify a server against.

    Attributes:
        pem: The certificates alone, one after another, in their order: comments and order of lines around them do
            not make another bundle.
        digest: Hexadecimal SHA-256 of `pem`.
    """

    pem: str
    digest: str


def parse(text: str) -> Bundle:
    """Return the certificates of a PEM text.

    Raises:
        BundleError: It is too large, holds no certificate or too many, or a block is not a certificate.
    """
    size = len(text.encode())
    if size > MAXIMUM_BYTES:
        raise BundleError(f"the bundle has {size} bytes; at most {MAXIMUM_BYTES} are allowed")
    blocks = list(pem.blocks(text))
    if not blocks:
        raise BundleError("the bundle holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    if len(blocks) > MAXIMUM_CERTIFICATES:
        raise BundleError(f"the bundle holds {len(blocks)} certificates; at most {MAXIMUM_CERTIFICATES} are allowed")
    for position, block in enumerate(blocks, start=1):
        if block.label != "CERTIFICATE":
            raise BundleError(f"block {position} is a {block.label}; only certificates belong in a CA bundle")
        try:
            x509.load_pem_x509_certificate(block.text.encode())
        except ValueError as error:
            raise BundleError(f"certificate {position} of the bundle cannot be read, remove or replace it") from error
    joined = "\n".join(block.text for block in blocks) + "\n"
    return Bundle(pem=joined, digest=hashlib.sha256(joined.encode()).hexdigest())

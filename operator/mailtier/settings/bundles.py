"""Bundles of CA certificates, checked before anything is verified against them (R10)."""

import dataclasses
import hashlib
import warnings
from typing import Final

from cryptography import utils, x509

from mailtier.settings import encodings, pem

# As much as one ConfigMap or Secret takes (Kubernetes counts the values of all its keys), so that what trust-manager or
# OpenShift make of all public authorities, 240 KiB and 150 certificates, and one's own fits.
MAXIMUM_BYTES: Final = 1024 * 1024
MAXIMUM_CERTIFICATES: Final = 1000

# Some public authorities' certificates are not as RFC 5280 wants them, with a serial number below 1 or NULL among a
# signature's parameters. They are read all the same, and nobody here could mend them. The filter is set once for what
# this module calls: one for the time of a call would be the whole process's, and bundles are parsed in threads.
warnings.filterwarnings("ignore", category=utils.CryptographyDeprecationWarning, module=r"mailtier\.settings\.bundles")


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

    Line breaks that became blanks, or the two characters of an escape, are set right. What is in doubt is refused.

    Args:
        text: What is no UTF-8 may stand in it as surrogates.

    Raises:
        BundleError: It is too large, holds no certificate or too many, or a block is not a certificate.
    """
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) > MAXIMUM_BYTES:
        raise BundleError(f"the bundle has {len(raw)} bytes; at most {MAXIMUM_BYTES} are allowed")
    blocks = list(pem.blocks(text))
    begins = pem.begins(text)
    if begins == 0:
        raise BundleError(encodings.problem(raw) or "the bundle holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    if len(blocks) > MAXIMUM_CERTIFICATES:
        raise BundleError(f"the bundle holds {len(blocks)} certificates; at most {MAXIMUM_CERTIFICATES} are allowed")
    if unended := begins - len(blocks):
        place = _place(text, pem.unended(text) or 0)
        if unended == 1:
            raise BundleError(f"a block of the bundle does not end as it begins, at {place}")
        raise BundleError(f"{unended} blocks of the bundle do not end as they begin, the first at {place}")
    certificates = [_certificate(position, block, text) for position, block in enumerate(blocks, start=1)]
    joined = "\n".join(certificates) + "\n"
    return Bundle(pem=joined, digest=hashlib.sha256(joined.encode()).hexdigest())


def _certificate(position: int, block: pem.Block, text: str) -> str:
    """Return a certificate as it is published."""
    if block.label != "CERTIFICATE":
        raise BundleError(f"block {position} is a {block.label}; only certificates belong in a CA bundle")
    try:
        x509.load_der_x509_certificate(pem.content(block))
        return pem.rewrapped(block)
    except pem.PemError as error:
        what = "ends too soon, or too late" if error.at is None else "has something other than base64"
        place = _place(text, block.at + (error.at or 0))
        raise BundleError(f"certificate {position} of the bundle {what} ({place})") from None
    except ValueError as error:
        place = _place(text, block.at)
        raise BundleError(
            f"certificate {position} of the bundle cannot be read ({place}); remove or replace it"
        ) from error


def _place(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, character {at - text.rfind(chr(10), 0, at)}"

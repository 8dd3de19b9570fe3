"""How the certificates of servers are verified: the same on every Python, in every part of the program.

`ssl.create_default_context` differs between versions: from 3.13 on it demands that certificates keep to RFC 5280 to
the letter (`VERIFY_X509_STRICT`), and lets a chain end at any certificate of the bundle (`VERIFY_X509_PARTIAL_CHAIN`).

The first is off here. What it refuses are authorities without key usage, which `openssl req -x509` makes by its
default configuration, and leaves without an authority key identifier: people have them, other clients take them (Go's
crypto/tls, and so kubectl), and neither lets anybody sign who could not sign otherwise. The second is on: who names an
intermediate authority, or a server's own certificate, means that one and not whoever signed it.

Source:
    https://docs.python.org/3/library/ssl.html#ssl.create_default_context, changed in 3.13.
"""

import ssl


def client_context(*, cafile: str | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """Return a context that verifies a server's certificate and name.

    Args:
        cafile: A PEM file to verify against.
        cadata: PEM text to verify against; with neither, the system's authorities count.

    Raises:
        ssl.SSLError: A certificate cannot be used.
        OSError: The file cannot be read.
    """
    context = ssl.create_default_context(cafile=cafile, cadata=cadata)
    context.verify_flags = (context.verify_flags & ~ssl.VERIFY_X509_STRICT) | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context

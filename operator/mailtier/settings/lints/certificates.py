"""Lints about certificates: the server's, as the last probe saw it, and the one that the server is shown."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.settings.lints import terms

NOTICE: Final = dt.timedelta(days=21)
"""Three weeks: what renews by itself does so a month before the end (Let's Encrypt, cert-manager), so that by then
something failed; and a person has time to act."""


def _expires_soon(subject: terms.Subject) -> Iterator[terms.Notice]:
    expires_at = subject.certificate_expires_at
    if expires_at is not None and subject.endpoint is not None and expires_at - subject.now <= NOTICE:
        # The day and not what is left: a message that changed with every look would be written to the status each time.
        yield terms.Notice(
            field="spec.smtp.tls",
            message=f"the server's certificate is valid until {expires_at:%Y-%m-%d}, and mail stops with it; have it"
            " renewed",
        )


def _client_s_expires_soon(subject: terms.Subject) -> Iterator[terms.Notice]:
    expires_at = subject.client_certificate_expires_at
    if expires_at is not None and subject.endpoint is not None and expires_at - subject.now <= NOTICE:
        yield terms.Notice(
            field="spec.smtp.tls.clientCertificateRef",
            message=f"the certificate is valid until {expires_at:%Y-%m-%d}, and mail waits from then on; put a new one"
            " into the Secret",
        )


LINTS: Final = (
    terms.Lint(
        identifier="certificate-expires-soon",
        severity=terms.LintSeverity.WARNING,
        title="The server's certificate ends within 21 days",
        explanation="What renews by itself has done so by now. When the certificate ends, all mail through the server"
        " waits from one moment to the next, and Verified says TlsFailed.",
        remedy="Have the server's certificate renewed; the next probe sees the new one.",
        check=_expires_soon,
    ),
    terms.Lint(
        identifier="client-certificate-expires-soon",
        severity=terms.LintSeverity.WARNING,
        title="The client certificate ends within 21 days",
        explanation="What renews by itself has done so by now. When the certificate ends, nothing more is connected to"
        " with it: ResolvedRefs says ClientCertificateInvalid, and mail waits.",
        remedy="Put the renewed certificate and its key into the Secret; they are used within a minute, without a"
        " restart.",
        check=_client_s_expires_soon,
    ),
)

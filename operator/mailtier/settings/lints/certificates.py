"""Lints about the certificate of the server, as the last probe saw it."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.settings.lints import model

NOTICE: Final = dt.timedelta(days=21)
"""Three weeks: what renews by itself does so a month before the end (Let's Encrypt, cert-manager), so that by then
something failed; and a person has time to act."""


def _remaining(subject: model.Subject) -> dt.timedelta | None:
    expires_at = subject.certificate_expires_at
    return expires_at - subject.now if expires_at is not None and subject.endpoint is not None else None


def _day(subject: model.Subject) -> str:
    expires_at = subject.certificate_expires_at
    return expires_at.strftime("%Y-%m-%d") if expires_at is not None else ""


def _expired(subject: model.Subject) -> Iterator[model.Place]:
    remaining = _remaining(subject)
    if remaining is not None and remaining <= dt.timedelta():
        yield model.Place(
            field="spec.smtp.tls",
            message=f"the server's certificate ended on {_day(subject)}, so that nothing is sent to it; have the"
            " server's certificate renewed",
        )


def _expires_soon(subject: model.Subject) -> Iterator[model.Place]:
    remaining = _remaining(subject)
    if remaining is not None and dt.timedelta() < remaining <= NOTICE:
        # The day and not what is left: a message that changed with every look would be written to the status each time.
        yield model.Place(
            field="spec.smtp.tls",
            message=f"the server's certificate ends on {_day(subject)}; have it renewed before, or all mail stops"
            " on that day",
        )


LINTS: Final = (
    model.Lint(
        identifier="certificate-expired",
        severity=model.Severity.ERROR,
        title="The server's certificate has ended",
        explanation="A certificate that does not verify ends the connection before any AUTH; mail waits until it is"
        " renewed, or reaches its max age.",
        remedy="Have the server's certificate renewed; the next probe sees the new one.",
        check=_expired,
    ),
    model.Lint(
        identifier="certificate-expires-soon",
        severity=model.Severity.WARNING,
        title="The server's certificate ends within 21 days",
        explanation="What renews by itself has done so by now. When the certificate ends, all mail through the server"
        " stops at once.",
        remedy="Have the server's certificate renewed.",
        check=_expires_soon,
    ),
)

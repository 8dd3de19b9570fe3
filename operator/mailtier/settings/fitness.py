"""Whether what is needed of a Secret is in it, and fit for its purpose."""

import dataclasses
import datetime as dt
from collections.abc import Callable

from mailtier.settings import client_certificates, observed, passwords


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """What was found of a Secret's values.

    Attributes:
        unfit: The first key whose value is not fit for its purpose; None where all are.
        problem: Why it is not; "" where all are.
        expires_at: When a client certificate ends, aware UTC; None for what does not end.
    """

    unfit: observed.SecretKey | None = None
    problem: str = ""
    expires_at: dt.datetime | None = None


def judge(need: observed.SecretNeed, value: Callable[[str], bytes | None], *, kind: str, now: dt.datetime) -> Fitness:
    """Return whether the values of a Secret are fit for what is needed of it.

    Args:
        need: What is needed of the Secret.
        value: Returns the decoded bytes under a key; None where the Secret has no such key.
        kind: The Secret's type.
        now: Aware UTC time.
    """
    if need.is_certificate:
        return _judge_certificate(need, value, kind=kind, now=now)
    for key in need.keys:
        if why := passwords.problem(value(key.name), key.purpose):
            return Fitness(unfit=key, problem=why)
    return Fitness()


def absent(key: observed.SecretKey | None) -> Fitness:
    """Return what is found where a key is absent, and nothing is known of the others; None where none is."""
    return Fitness() if key is None else Fitness(unfit=key, problem=passwords.ABSENT)


def _judge_certificate(
    need: observed.SecretNeed, value: Callable[[str], bytes | None], *, kind: str, now: dt.datetime
) -> Fitness:
    certificate, private_key = need.keys
    try:
        found = client_certificates.parse(value(certificate.name), value(private_key.name), kind=kind, now=now)
    except client_certificates.ClientCertificateError as error:
        return Fitness(unfit=certificate if error.key == certificate.name else private_key, problem=str(error))
    return Fitness(expires_at=found.expires_at)

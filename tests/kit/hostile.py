"""SMTP servers that are somebody's weapon: what they say and do, by name."""

import typing

from kit import smtpd

ECHO: typing.Final = "You sent {payload} as {username} with {password}"
"""A text that gives away everything that was sent with AUTH."""

FOREVER_SECONDS: typing.Final = 3600.0


def echo(code: str) -> smtpd.Behaviour:
    """Return a reply that repeats the credentials."""
    return smtpd.Behaviour(reply=f"{code} {ECHO}")


def drip(reply: str) -> smtpd.Behaviour:
    """Return a reply of which a byte comes every other second, so that no single wait is long."""
    return smtpd.Behaviour(reply=reply, drip_seconds=2.0)


def silence() -> smtpd.Behaviour:
    """Return no reply at all."""
    return smtpd.Behaviour(delay_seconds=FOREVER_SECONDS)


def flood() -> smtpd.Behaviour:
    """Return a reply that does not end within any sensible bound."""
    return smtpd.Behaviour(flood_lines=1_000_000)


def hang_up(when: smtpd.Drop = smtpd.Drop.BEFORE) -> smtpd.Behaviour:
    """Return the end of the connection."""
    return smtpd.Behaviour(drop=when)


def fragments(secret: str, length: int = 6) -> set[str]:
    """Return every piece of a secret of a length, in lower case."""
    folded = secret.lower()
    return {folded[start : start + length] for start in range(len(folded) - length + 1)}

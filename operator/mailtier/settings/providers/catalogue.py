"""All providers, and which one a server belongs to."""

import functools
import re
from typing import Final

from mailtier.api import reasons
from mailtier.settings.providers import (
    amazon_ses,
    brevo,
    exchange_server,
    facts,
    gmail,
    google_workspace_relay,
    mailgun,
    microsoft_365,
    microsoft_365_connector,
    postfix_dovecot,
    postmark,
    sendgrid,
    zoho,
)

ALL: Final[tuple[facts.Provider, ...]] = (
    gmail.PROVIDER,
    google_workspace_relay.PROVIDER,
    microsoft_365.PROVIDER,
    microsoft_365_connector.PROVIDER,
    exchange_server.PROVIDER,
    amazon_ses.PROVIDER,
    sendgrid.PROVIDER,
    mailgun.PROVIDER,
    postmark.PROVIDER,
    brevo.PROVIDER,
    zoho.PROVIDER,
    postfix_dovecot.PROVIDER,
)

BY_NAME: Final[dict[str, facts.Provider]] = {provider.name: provider for provider in ALL}

_OWN_SERVERS: Final = tuple(provider for provider in ALL if provider.hosts is None)
_TRIED_ONCE: Final = frozenset({reasons.AUTH_FAILED, reasons.PROMPT_NOT_RECOGNIZED, reasons.TOKEN_REFUSED})


def named(text: str) -> facts.Provider | None:
    """Return the provider that people call so, with or without hyphens and capitals; None where none is.

    Args:
        text: A name, or a short one.
    """
    wanted = _plain(text)
    return next(
        (each for each in ALL if wanted in {_plain(name) for name in (each.name, each.title, *each.short_names)}), None
    )


@functools.lru_cache(maxsize=1024)
def find(server: str) -> facts.Provider | None:
    """Return the provider that a server belongs to; None for a server of one's own.

    Args:
        server: Its name or address, normalized.
    """
    return next((provider for provider in ALL if naming(provider, server) is not None), None)


def naming(provider: facts.Provider, server: str) -> facts.Fact[tuple[str, ...]] | None:
    """Return the fact by which a server is a provider's; None where it is not.

    Args:
        provider: Any.
        server: Its name or address, normalized.
    """
    for named in (provider.hosts, provider.aliases):
        if named is not None and any(_pattern(pattern).fullmatch(server) for pattern in named.value):
            return named
    return None


def remedy(server: str, code: int, enhanced: str | None, text: str) -> str | None:
    """Return what to do about a refusal that is known at the server's provider; None where it is not known.

    A server of no provider is one's own: there only a text tells that it is Exchange Server or Postfix, because codes
    alone mean something else on every server.

    Args:
        server: Its name or address, normalized.
        code: The reply's basic code.
        enhanced: Its enhanced code, as in `5.7.8`; None without one.
        text: All that the reply says: looked at, never quoted.

    Returns:
        A sentence of this program's own, which holds nothing of the reply (R7).
    """
    provider = find(server)
    said = text.lower()
    if provider is not None:
        return _first(provider.errors, code, enhanced, said)
    known = (error for own in _OWN_SERVERS for error in own.errors if error.text is not None)
    return _first(tuple(known), code, enhanced, said)


def further_remedy(reason: reasons.Reason, message: str) -> str:
    """Return what a reason says to do beside a message about a refusal; "" where the message says it more closely.

    Of credentials that were refused, only the reason says when they are tried again.
    """
    errors = (error for provider in ALL for error in provider.errors)
    is_told = reason not in _TRIED_ONCE and any(error.remedy in message for error in errors)
    return "" if is_told else reason.remedy


def _first(errors: tuple[facts.KnownError, ...], code: int, enhanced: str | None, said: str) -> str | None:
    """Return the remedy of the error that says most of the reply, so that a text wins over a code alone."""
    fitting = [error for error in errors if _fits(error, code, enhanced, said)]
    fitting.sort(key=lambda error: (error.text is None, error.enhanced is None))
    return fitting[0].remedy if fitting else None


def _fits(error: facts.KnownError, code: int, enhanced: str | None, said: str) -> bool:
    if error.code != code or (error.text is not None and error.text not in said):
        return False
    # A text is distinctive enough where a server leaves its enhanced code out.
    return error.enhanced is None or error.enhanced == enhanced or (error.text is not None and enhanced is None)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


@functools.cache
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(r"[^.]+".join(re.escape(part) for part in glob.split("*")))

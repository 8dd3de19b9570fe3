"""Postmark: smtp.postmarkapp.com."""

import datetime as dt
import re
from typing import Final

from mailtier.settings.providers import facts

_READ: Final = dt.date(2026, 11, 30)
_SMTP: Final = facts.FactSource(
    title="Sending email with SMTP",
    url="https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
    looked_up=_READ,
)
_DETAILS: Final = facts.FactSource(
    title="What are the SMTP details / API Tokens I should be using?",
    url="https://postmarkapp.com/support/article/811-what-are-the-smtp-details-api-tokens-i-should-be-using",
    looked_up=_READ,
)
_ERRORS: Final = facts.FactSource(
    title="Common SMTP Connection Errors",
    url="https://postmarkapp.com/support/article/common-smtp-connection-errors",
    looked_up=_READ,
)
_STARTED: Final = facts.FactSource(
    title="Get started", url="https://postmarkapp.com/developer/get-started", looked_up=_READ
)
_API_TOKEN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _is_access_key(username: str) -> bool:
    return bool(username) and _API_TOKEN.fullmatch(username) is None


PROVIDER: Final = facts.Provider(
    name="postmark",
    title="Postmark",
    summary="Sends for domains and addresses that are verified as Sender Signature; an SMTP token belongs to one"
    " message stream.",
    hosts=facts.Fact(
        value=("smtp.postmarkapp.com", "smtp-broadcasts.postmarkapp.com"),
        source=_DETAILS,
        note="the first for transactional messages, the second for broadcasts",
    ),
    starttls=facts.Fact(value=(587, 2525, 25), source=_DETAILS),
    implicit=None,
    anonymous=facts.Fact(value=False, source=_SMTP, note="a session authenticates with a token"),
    sender=facts.Fact(
        value=facts.SenderRule.VERIFIED,
        source=_STARTED,
        note="until the account is approved, only the account owner's address gets mail",
    ),
    binds_from=facts.Fact(
        value=False,
        source=_STARTED,
        note="the page asks for a verified domain or signature, and does not say that others are refused over SMTP",
    ),
    username=facts.Fact(
        value=facts.UsernameRule(
            matches=_is_access_key, sentence="is the access key of an SMTP token, and not a server's API token"
        ),
        source=_SMTP,
        note="a server's API token is taken as username too, and is its own password: it would be read in the settings",
        verified=False,
    ),
    mechanisms=None,
    oauth2=None,
    limits=facts.ProviderLimits(),
    errors=(),
    steps=(
        facts.Fact(
            value="Verify the domain of from.address, or the address as Sender Signature, and have the account"
            " approved.",
            source=_STARTED,
        ),
        facts.Fact(
            value="Turn SMTP access on in the server's Settings.",
            source=_SMTP,
        ),
        facts.Fact(
            value="Generate an SMTP token in the Settings of a transactional message stream. Its access key belongs in"
            " auth.username and its secret key, which is shown once, into the Secret.",
            source=_SMTP,
        ),
    ),
    sample=facts.Sample(
        host="smtp.postmarkapp.com", username="smtp-token-access-key", from_address="notifications@example.com"
    ),
    unverified=(
        "That a server's API token has the form of a UUID is commonly known; no page said so.",
        "Which mechanisms are offered, how many connections, and how large a message, no page at hand said.",
        f"The page on connection errors speaks of TLS/SSL beside STARTTLS and names no port for it ({_ERRORS.url}).",
    ),
)

"""Mailgun: smtp.mailgun.org and smtp.eu.mailgun.org."""

import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 25)
_SEND: Final = facts.FactSource(
    title="Send via SMTP",
    url="https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    looked_up=_READ,
)
_PROTOCOL: Final = facts.FactSource(
    title="SMTP Protocol",
    url="https://documentation.mailgun.com/docs/mailgun/user-manual/smtp-protocol/",
    looked_up=_READ,
)
_RELAY: Final = facts.FactSource(
    title="SMTP Relay",
    url="https://documentation.mailgun.com/docs/mailgun/user-manual/smtp-protocol/smtp-relay",
    looked_up=_READ,
)
_REGIONS: Final = facts.FactSource(
    title="Sending email with Mailgun (Google Cloud)",
    url="https://cloud.google.com/compute/docs/tutorials/sending-mail/using-mailgun",
    looked_up=_READ,
)
_CREDENTIALS: Final = facts.FactSource(
    title="Where can I find my API keys and SMTP credentials?",
    url="https://help.mailgun.com/hc/en-us/articles/203380100-Where-can-I-find-my-API-keys-and-SMTP-credentials",
    looked_up=_READ,
)

PROVIDER: Final = facts.Provider(
    name="mailgun",
    title="Mailgun",
    summary="Sends for domains that were added and verified, each with SMTP credentials of its own, in the region (US"
    " or EU) of the domain.",
    hosts=facts.Fact(value=("smtp.mailgun.org", "smtp.eu.mailgun.org"), source=_REGIONS, verified=False),
    starttls=facts.Fact(value=(587, 2525, 25), source=_SEND),
    implicit=facts.Fact(value=(465,), source=_SEND),
    anonymous=facts.Fact(value=False, source=_CREDENTIALS, note="authentication is required to relay"),
    sender=facts.Fact(
        value=facts.SenderRule.VERIFIED, source=_RELAY, note="send from the domain that the credentials belong to"
    ),
    binds_from=facts.Fact(
        value=False, source=_RELAY, note="the page asks for it, and does not say that others are refused"
    ),
    username=facts.Fact(
        value=facts.UsernameRule(
            matches=forms.is_address, sentence="is the whole SMTP user of a domain, as in postmaster@mg.example.com"
        ),
        source=_PROTOCOL,
        note="the password is the SMTP user's, not an API key",
    ),
    mechanisms=facts.Fact(
        value=(vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.LOGIN),
        source=_PROTOCOL,
        note="the manual speaks of plain text authentication; LOGIN stands in the server's answer to EHLO",
        verified=False,
    ),
    oauth2=None,
    limits=facts.ProviderLimits(),
    errors=(
        facts.KnownError(
            code=535,
            meaning="username or password is not accepted",
            remedy="Use the SMTP credentials of the domain (Sending, Domain settings, SMTP credentials), not an API"
            " key, and smtp.eu.mailgun.org for a domain of the EU region.",
            source=_CREDENTIALS,
        ),
    ),
    steps=(
        facts.Fact(
            value="Add and verify the domain of from.address. A domain of the EU region has the server"
            " smtp.eu.mailgun.org.",
            source=_REGIONS,
            verified=False,
        ),
        facts.Fact(
            value="Create SMTP credentials of the domain under Sending, Domain settings, SMTP credentials. The"
            " user belongs in auth.username and its password into the Secret; an API key is not an SMTP"
            " password.",
            source=_CREDENTIALS,
        ),
    ),
    sample=facts.Sample(
        host="smtp.mailgun.org", username="postmaster@mg.example.com", from_address="notifications@mg.example.com"
    ),
    unverified=(
        "The servers' names were read on a page of Google Cloud's; Mailgun shows them in its control panel.",
        "That LOGIN is offered beside PLAIN was read in public logs.",
        "The manual names no limit for connections and rates; 25 MB a message stands on third parties' pages alone.",
        "The refusals of sandbox domains were not found on a page of Mailgun's.",
    ),
)

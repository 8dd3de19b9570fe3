"""Twilio SendGrid: smtp.sendgrid.net."""

import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts

_READ: Final = dt.date(2026, 11, 25)
_INTEGRATE: Final = facts.FactSource(
    title="Integrating with the SMTP API",
    url="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    looked_up=_READ,
)
_START: Final = facts.FactSource(
    title="How to Send an SMTP Email",
    url="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/getting-started-smtp",
    looked_up=_READ,
)
_ERRORS: Final = facts.FactSource(
    title="SMTP Errors and Troubleshooting",
    url="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/smtp-errors-and-troubleshooting",
    looked_up=_READ,
)


def _is_apikey(username: str) -> bool:
    return username == "apikey"


PROVIDER: Final = facts.Provider(
    name="sendgrid",
    title="SendGrid",
    summary="Sends for domains and addresses that are verified as Sender Identity; the API key is the password.",
    hosts=facts.Fact(value=("smtp.sendgrid.net",), source=_INTEGRATE),
    aliases=facts.Fact(
        value=("smtp.eu.sendgrid.net",),
        source=_INTEGRATE,
        note="for subusers in the EU; not on the page, and no other source was found",
        verified=False,
    ),
    starttls=facts.Fact(value=(587, 2525, 25), source=_INTEGRATE),
    implicit=facts.Fact(value=(465,), source=_INTEGRATE),
    anonymous=facts.Fact(value=False, source=_ERRORS, note="550 Unauthenticated senders not allowed"),
    sender=facts.Fact(value=facts.SenderRule.VERIFIED, source=_ERRORS, note="others are refused"),
    binds_from=facts.Fact(
        value=True,
        source=_ERRORS,
        note="to what its account has verified: API keys of the host's own account share its addresses",
    ),
    username=facts.Fact(
        value=facts.UsernameRule(matches=_is_apikey, sentence="is the word apikey"),
        source=_INTEGRATE,
        note="the password is an API key with the permission Mail Send",
    ),
    mechanisms=facts.Fact(
        value=(vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.LOGIN),
        source=_START,
        note="the page uses LOGIN; PLAIN stands in the server's answer to EHLO",
        verified=False,
    ),
    oauth2=None,
    shared_usernames=facts.Fact(value=("apikey",), source=_INTEGRATE, note="the key alone tells the account"),
    limits=facts.ProviderLimits(
        connections=facts.Fact(value=10_000, source=_INTEGRATE, note="from one server"),
        messages_per_connection=facts.Fact(value=5000, source=_INTEGRATE),
    ),
    errors=(
        facts.KnownError(
            code=535,
            meaning="username or API key is not accepted",
            remedy="Set auth.username to the word apikey, and put an API key with the permission Mail Send into the"
            " Secret, without a line break at its end.",
            source=_INTEGRATE,
        ),
        facts.KnownError(
            code=550,
            text="does not match a verified sender identity",
            meaning="the From address is not verified",
            remedy="Authenticate the domain of from.address, or verify the address, under Settings, Sender"
            " Authentication.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=550,
            text="unauthenticated senders not allowed",
            meaning="the session did not authenticate",
            remedy="Set auth.username to the word apikey, and auth.passwordSecretRef to a Secret with an API key.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=451,
            text="maximum credits exceeded",
            meaning="the plan's number of messages is used up",
            remedy="Wait for the next day or month of the plan, or change the plan.",
            source=_ERRORS,
        ),
    ),
    steps=(
        facts.Fact(
            value="Authenticate the domain of from.address, or verify the address, under Settings, Sender"
            " Authentication.",
            source=_ERRORS,
        ),
        facts.Fact(
            value="Create an API key with the permission Mail Send, and put it into the Secret.",
            source=_INTEGRATE,
        ),
    ),
    sample=facts.Sample(host="smtp.sendgrid.net", username="apikey", from_address="notifications@example.com"),
    unverified=(
        "The largest message was not read on a page; the server announces SIZE 31457280 in public logs.",
        "That PLAIN is offered beside LOGIN was read in public logs.",
        "The text of 535 was not on the page of errors.",
    ),
)

"""Brevo, formerly Sendinblue: smtp-relay.brevo.com."""

import datetime as dt
from typing import Final

from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 30)
_RELAY: Final = facts.FactSource(
    title="SMTP relay integration", url="https://developers.brevo.com/docs/smtp-integration", looked_up=_READ
)
_EXAMPLE: Final = facts.FactSource(
    title="Node.js SMTP relay example", url="https://developers.brevo.com/docs/node-smtp-relay-example", looked_up=_READ
)
_KEYS: Final = facts.FactSource(
    title="Create and manage your SMTP keys",
    url="https://help.brevo.com/hc/en-us/articles/7959631848850-Create-and-manage-your-SMTP-keys",
    looked_up=_READ,
)
_SEND: Final = facts.FactSource(
    title="Envoyer des emails transactionnels avec Brevo SMTP",
    url="https://help.brevo.com/hc/fr/articles/7924908994450-Envoyer-des-emails-transactionnels-avec-Brevo-SMTP",
    looked_up=_READ,
)
_TESTER: Final = facts.FactSource(
    title="Brevo SMTP test (smtptester.org)", url="https://smtptester.org/guides/brevo-smtp-test/", looked_up=_READ
)

PROVIDER: Final = facts.Provider(
    name="brevo",
    title="Brevo",
    summary="Sends for senders and domains that were added to the account; an SMTP key is the password.",
    hosts=facts.Fact(value=("smtp-relay.brevo.com",), source=_EXAMPLE),
    aliases=facts.Fact(
        value=("smtp-relay.sendinblue.com",),
        source=facts.FactSource(
            title="Troubleshooting issues with the SMTP (Sendinblue)",
            url="https://help.sendinblue.com/hc/en-us/articles/115000188150-Troubleshooting-issues-with-the-SMTP",
            looked_up=_READ,
        ),
        note="the former name; whether it is kept, no page said",
        verified=False,
    ),
    starttls=facts.Fact(
        value=(587, 2525),
        source=_RELAY,
        note="the page calls them not encrypted; that STARTTLS is offered there, third parties say",
        verified=False,
    ),
    implicit=facts.Fact(value=(465,), source=_RELAY),
    anonymous=facts.Fact(value=False, source=_KEYS, note="a login and an SMTP key are required"),
    sender=facts.Fact(
        value=facts.SenderRule.VERIFIED, source=_SEND, note="domain and sender are added to the account first"
    ),
    binds_from=facts.Fact(
        value=False, source=_SEND, note="the page asks for it, and does not say that others are refused"
    ),
    username=facts.Fact(
        value=facts.UsernameRule(matches=forms.is_address, sentence="is the SMTP login, an address that Brevo made"),
        source=_KEYS,
        note="the password is an SMTP key, not an API key",
    ),
    mechanisms=None,
    oauth2=None,
    limits=facts.ProviderLimits(),
    errors=(
        facts.KnownError(
            code=535,
            meaning="login or SMTP key is not accepted",
            remedy="Set auth.username to the login that Brevo shows under SMTP & API, SMTP, and put an SMTP key into"
            " the Secret, not an API key.",
            source=_TESTER,
        ),
    ),
    steps=(
        facts.Fact(value="Add and authenticate the domain of from.address, and create the sender.", source=_SEND),
        facts.Fact(
            value="Generate an SMTP key under SMTP & API, SMTP. The login that is shown there belongs in auth.username"
            " and the key, which is shown once, into the Secret.",
            source=_KEYS,
        ),
    ),
    sample=facts.Sample(
        host="smtp-relay.brevo.com", username="login@smtp-brevo.com", from_address="notifications@example.com"
    ),
    unverified=(
        "The page that Brevo has for ports calls 587 and 2525 not encrypted; STARTTLS there was read at third hand.",
        "The text of 535 was read at third hand.",
        "The page on sending was read in French.",
        "An hourly limit holds for new accounts on shared addresses; its number is each account's own.",
    ),
)

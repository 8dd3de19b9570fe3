"""Zoho Mail: smtp.zoho.com, smtppro.zoho.com, and those of other regions."""

import datetime as dt
from typing import Final

from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 30)
_SMTP: Final = facts.FactSource(
    title="SMTP Server Configuration - Zoho Mail", url="https://www.zoho.com/mail/help/zoho-smtp.html", looked_up=_READ
)
_PAID: Final = facts.FactSource(
    title="Configure Email Server with Zoho SMTP Settings (a copy of Zoho's page)",
    url="https://wiki.stretchpowered.com/books/zoho/page/how-to-configure-email-server-with-zoho-smtp-settings",
    looked_up=_READ,
)
_REGIONS: Final = facts.FactSource(
    title="Zoho Mail SMTP Settings (postigo.net)", url="https://postigo.net/smtp/zoho", looked_up=_READ
)

PROVIDER: Final = facts.Provider(
    name="zoho",
    title="Zoho Mail",
    summary="One account of Zoho Mail sends as itself, through the server of the region in which it is kept: smtp for"
    " personal and free accounts, smtppro for those of paying organizations.",
    hosts=facts.Fact(value=("smtp.zoho.com",), source=_SMTP),
    aliases=facts.Fact(
        value=(
            *("smtppro.zoho.com", "smtp.zoho.eu", "smtppro.zoho.eu", "smtp.zoho.in", "smtppro.zoho.in"),
            *("smtp.zoho.com.au", "smtppro.zoho.com.au", "smtp.zoho.jp", "smtppro.zoho.jp"),
        ),
        source=_REGIONS,
        note="of paying organizations, and of other regions; the page of Zoho's that was at hand names smtp.zoho.com",
        verified=False,
    ),
    starttls=facts.Fact(value=(587,), source=_SMTP),
    implicit=facts.Fact(value=(465,), source=_SMTP),
    anonymous=facts.Fact(value=False, source=_SMTP, note="authentication is required"),
    sender=facts.Fact(
        value=facts.SenderRule.ACCOUNT,
        source=_SMTP,
        note="the address has to be the account's, or an alias of it",
    ),
    binds_from=facts.Fact(
        value=False, source=_SMTP, note="the page asks for it, and does not say that others are refused"
    ),
    username=facts.Fact(
        value=facts.UsernameRule(matches=forms.is_address, sentence="is the whole address of the account"),
        source=_SMTP,
        note="with two-factor authentication the password is an application-specific one",
    ),
    mechanisms=None,
    oauth2=None,
    limits=facts.ProviderLimits(),
    errors=(),
    steps=(
        facts.Fact(
            value="Write the server of the account's region into smtp.host: smtppro in place of smtp for a paying"
            " organization with its own domain.",
            source=_PAID,
            verified=False,
        ),
        facts.Fact(
            value="With two-factor authentication, create an application-specific password for the account, and put it"
            " into the Secret.",
            source=_SMTP,
        ),
        facts.Fact(
            value="Send from the account's own address, or add from.address to the account as an alias.", source=_SMTP
        ),
    ),
    sample=facts.Sample(
        host="smtp.zoho.com", username="notifications@example.com", from_address="notifications@example.com"
    ),
    short_names=("zohomail",),
    unverified=(
        "That paying organizations use smtppro was read in a copy of Zoho's page, and the regions at third hand.",
        "Zoho lowers and raises the hourly limit by the account's reputation; no number can be relied on.",
        "The refusals were not found on a page of Zoho's.",
    ),
)

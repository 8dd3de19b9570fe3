"""Microsoft 365 (Exchange Online), the tenant's own server: SMTP relay by a connector, and direct send."""

import datetime as dt
from typing import Final

from mailtier.settings.providers import facts

_READ: Final = dt.date(2026, 11, 25)
_SETUP: Final = facts.FactSource(
    title="How to set up a multifunction device or application to send emails using Microsoft 365 or Office 365",
    url="https://learn.microsoft.com/exchange/mail-flow-best-practices/how-to-set-up-a-multifunction-device-or"
    "-application-to-send-email-using-microsoft-365-or-office-365",
    looked_up=_READ,
)

PROVIDER: Final = facts.Provider(
    name="microsoft-365-connector",
    title="Microsoft 365 connector",
    summary="The tenant's MX. A connector that knows the cluster's public IP address or its certificate"
    " (smtp.tls.clientCertificateRef) relays to everybody; without one (direct send) only the tenant's own recipients"
    " get the mail.",
    hosts=facts.Fact(value=("*.mail.protection.outlook.com",), source=_SETUP),
    starttls=facts.Fact(value=(25,), source=_SETUP),
    implicit=None,
    anonymous=facts.Fact(value=True, source=_SETUP, note="credentials are not asked for, and not taken"),
    sender=facts.Fact(
        value=facts.SenderRule.VERIFIED,
        source=_SETUP,
        note="any address of an accepted domain of the tenant; its SPF record should list the cluster's address",
    ),
    binds_from=facts.Fact(value=False, source=_SETUP, note="there are no logins"),
    username=None,
    mechanisms=facts.Fact(value=(), source=_SETUP, note="the connection is known by its address or certificate"),
    oauth2=None,
    limits=facts.ProviderLimits(),
    errors=(),
    steps=(
        facts.Fact(
            value="In the Exchange admin center, create a connector from your own mail server to Microsoft 365"
            " that recognizes the cluster by its public IP address or its certificate.",
            source=_SETUP,
        ),
        facts.Fact(
            value="Add the cluster's public IP address to the SPF record of the domain of from.address.",
            source=_SETUP,
        ),
    ),
    sample=facts.Sample(
        host="example-com.mail.protection.outlook.com", username=None, from_address="notifications@example.com"
    ),
    unverified=(
        "Microsoft publishes no number for the rate through a connector; the page speaks of throttling policies.",
        "No page with the refusals of a connector was at hand.",
    ),
)

"""Microsoft Exchange Server on one's own machines: the default Receive connectors."""

import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 25)
_CONNECTORS: Final = facts.FactSource(
    title="Receive connectors",
    url="https://learn.microsoft.com/exchange/mail-flow/connectors/receive-connectors",
    looked_up=_READ,
)
_RATES: Final = facts.FactSource(
    title="Message rate limits and throttling",
    url="https://learn.microsoft.com/exchange/mail-flow/message-rate-limits",
    looked_up=_READ,
)

PROVIDER: Final = facts.Provider(
    name="exchange-server",
    short_names=("exchange",),
    title="Exchange Server",
    summary="Exchange 2016, 2019 or Subscription Edition in one's own network. The connector Client Frontend takes"
    " authenticated sessions on port 587.",
    hosts=None,
    starttls=facts.Fact(value=(587, 25), source=_CONNECTORS, note="587 is Client Frontend; 25 is Default Frontend"),
    implicit=None,
    anonymous=facts.Fact(
        value=True,
        source=_CONNECTORS,
        note="on port 25 to the organization's own recipients; to others only through a connector that allows relay",
    ),
    sender=facts.Fact(
        value=facts.SenderRule.ACCOUNT,
        source=_CONNECTORS,
        note="members of ExchangeUsers send as themselves; another address needs Send As",
    ),
    binds_from=facts.Fact(value=False, source=_CONNECTORS, note="as its connectors were configured"),
    username=facts.Fact(
        value=facts.UsernameRule(matches=forms.is_domain_account, sentence="is user@domain or DOMAIN\\user"),
        source=_CONNECTORS,
        note="the connector authenticates accounts of Active Directory; auth.domain with usernameFormat renders both",
    ),
    mechanisms=facts.Fact(
        value=(vocabulary.Mechanism.LOGIN,),
        source=_CONNECTORS,
        note="BasicAuth is the mechanism LOGIN, offered after STARTTLS (BasicAuthRequireTLS)",
        verified=False,
    ),
    oauth2=None,
    limits=facts.ProviderLimits(
        messages_per_minute=facts.Fact(
            value=5, source=_RATES, note="for each user on Client Frontend; Set-ReceiveConnector -MessageRateLimit"
        ),
        connections=facts.Fact(
            value=20, source=_RATES, note="from one source; Set-ReceiveConnector -MaxInboundConnectionPerSource"
        ),
    ),
    errors=(
        facts.KnownError(
            code=421,
            enhanced="4.4.2",
            text="message submission rate for this client has exceeded the configured limit",
            meaning="more than the connector's MessageRateLimit",
            remedy="Raise it with Set-ReceiveConnector -MessageRateLimit, or set delivery.ratePerMinute below it.",
            source=_RATES,
        ),
        facts.KnownError(
            code=421,
            enhanced="4.3.2",
            text="maximum number of concurrent connections has exceeded a limit",
            meaning="more than the connector's MaxInboundConnectionPerSource",
            remedy="Raise it with Set-ReceiveConnector -MaxInboundConnectionPerSource, or lower"
            " delivery.maxConnections.",
            source=_RATES,
        ),
        facts.KnownError(
            code=550,
            enhanced="5.7.60",
            text="does not have permissions to send as this sender",
            meaning="the account may not send as the From address",
            remedy="Set from.address to the account's own, or run Add-ADPermission -ExtendedRights Send-As.",
            source=_CONNECTORS,
        ),
    ),
    steps=(
        facts.Fact(
            value="Create an account with a mailbox, and put its password into the Secret.",
            source=_CONNECTORS,
        ),
        facts.Fact(
            value="Where from.address is not the account's own, give the account the permission Send As on it.",
            source=_CONNECTORS,
        ),
        facts.Fact(
            value="Where five messages a minute are not enough, raise the limit with Set-ReceiveConnector"
            " -MessageRateLimit, and delivery.endpointRatePerMinute with it.",
            source=_RATES,
        ),
    ),
    sample=facts.Sample(
        host="mail.example.com",
        username="notifications@example.com",
        from_address="notifications@example.com",
        mechanism=vocabulary.Mechanism.LOGIN,
    ),
    unverified=(
        "That BasicAuth is the mechanism LOGIN, and the text of 5.7.60, are commonly known; no page said so.",
        "NTLM (Integrated) is offered too; this version does not speak it.",
    ),
)

"""Microsoft 365 (Exchange Online), client submission: smtp.office365.com."""

import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 25)
_SETUP: Final = facts.FactSource(
    title="How to set up a multifunction device or application to send emails using Microsoft 365 or Office 365",
    url="https://learn.microsoft.com/exchange/mail-flow-best-practices/how-to-set-up-a-multifunction-device-or"
    "-application-to-send-email-using-microsoft-365-or-office-365",
    looked_up=_READ,
)
_THROTTLING: Final = facts.FactSource(
    title="Message storage and concurrent connection throttling for SMTP Authenticated Submission",
    url="https://learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements",
    looked_up=_READ,
)
_OAUTH: Final = facts.FactSource(
    title="Authenticate an IMAP, POP or SMTP connection using OAuth",
    url="https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp"
    "-application-by-using-oauth",
    looked_up=_READ,
)
_BASIC: Final = facts.FactSource(
    title="Updated Exchange Online SMTP AUTH Basic Authentication Deprecation Timeline",
    url="https://techcommunity.microsoft.com/blog/exchange/updated-exchange-online-smtp-auth-basic-authentication"
    "-deprecation-timeline/4489835",
    looked_up=_READ,
)
_RETIREMENT: Final = facts.FactSource(
    title="Exchange Online to retire Basic auth for Client Submission (SMTP AUTH)",
    url="https://techcommunity.microsoft.com/t5/exchange-team-blog/exchange-online-to-retire-basic-auth-for-client"
    "-submission-smtp/ba-p/4114750",
    looked_up=_READ,
)
_DISABLED: Final = facts.FactSource(
    title="Enable or disable authenticated client SMTP submission (SMTP AUTH) in Exchange Online",
    url="https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp"
    "-submission",
    looked_up=_READ,
)
_MECHANISMS: Final = facts.FactSource(
    title='Office 365 - SMTP error "first record does not look like a TLS handshake" (mattermost/mattermost)',
    url="https://github.com/mattermost/mattermost/issues/954",
    looked_up=_READ,
)
_OUTLOOK_COM: Final = facts.FactSource(
    title="POP, IMAP, and SMTP settings for Outlook.com",
    url="https://support.microsoft.com/office/pop-imap-and-smtp-settings-8361e398-8af4-4e97-b147-6c6c4ac95353",
    looked_up=dt.date(2026, 11, 29),
)
_M, _G = vocabulary.Mechanism, vocabulary.GrantType

PROVIDER: Final = facts.Provider(
    name="microsoft-365",
    short_names=("m365", "office365"),
    title="Microsoft 365",
    summary="One mailbox of Exchange Online sends as itself (SMTP AUTH, client submission). For many senders, use a"
    " connector and the tenant's own server instead.",
    hosts=facts.Fact(value=("smtp.office365.com", "smtp-legacy.office365.com"), source=_RETIREMENT),
    aliases=facts.Fact(
        value=("smtp-mail.outlook.com", "outlook.office365.com", "smtp.office365.us", "smtp.partner.outlook.cn"),
        source=_OUTLOOK_COM,
        note="the page has smtp-mail.outlook.com for accounts of Outlook.com, and outlook.office365.com for incoming"
        " mail; no page was found for the last two, of the clouds for governments and for China",
        verified=False,
    ),
    starttls=facts.Fact(value=(587, 25), source=_SETUP, note="Microsoft recommends 587"),
    implicit=None,
    anonymous=facts.Fact(value=False, source=_SETUP, note="a licensed mailbox is required"),
    sender=facts.Fact(
        value=facts.SenderRule.ACCOUNT,
        source=_SETUP,
        note="another address needs the permission Send As on its mailbox; without it the message is refused",
    ),
    binds_from=facts.Fact(value=True, source=_SETUP, note="without Send As on a mailbox its address is refused"),
    username=facts.Fact(
        value=facts.UsernameRule(
            matches=forms.is_address, sentence="is the user principal name of the mailbox, user@domain"
        ),
        source=_SETUP,
    ),
    mechanisms=facts.Fact(
        value=(_M.LOGIN, _M.XOAUTH2),
        source=_MECHANISMS,
        note="to AUTH PLAIN the server answers 504 5.7.4 Unrecognized authentication type; XOAUTH2 is described on"
        f" Microsoft's page about OAuth ({_OAUTH.url})",
        verified=False,
    ),
    oauth2=facts.Fact(
        value=facts.OAuth2Facts(
            token_url="https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token",  # noqa: S106  # An address.
            scopes=(
                (_G.CLIENT_CREDENTIALS, ("https://outlook.office365.com/.default",)),
                (_G.REFRESH_TOKEN, ("https://outlook.office.com/SMTP.Send",)),
            ),
        ),
        source=_OAUTH,
        note="for client credentials the application has the permission SMTP.SendAsApp, an administrator's consent,"
        " and its service principal full access to the mailbox",
    ),
    limits=facts.ProviderLimits(
        recipients_per_day=facts.Fact(value=10_000, source=_THROTTLING),
        messages_per_minute=facts.Fact(value=30, source=_THROTTLING, note="for each mailbox"),
        connections=facts.Fact(value=3, source=_THROTTLING, note="for each mailbox"),
    ),
    errors=(
        facts.KnownError(
            code=535,
            enhanced="5.7.139",
            meaning="SMTP AUTH is turned off for the mailbox or the tenant, or a policy forbids passwords",
            remedy="Use oauth2, or have the tenant's administrator run Set-CASMailbox <mailbox>"
            " -SmtpClientAuthenticationDisabled $false and turn off security defaults.",
            source=_DISABLED,
        ),
        facts.KnownError(
            code=550,
            enhanced="5.7.30",
            meaning="passwords are not accepted any more for client submission",
            remedy="Replace auth.passwordSecretRef by auth.oauth2.",
            source=_RETIREMENT,
        ),
        facts.KnownError(
            code=535,
            enhanced="5.7.3",
            meaning="the credentials or the token are not accepted",
            remedy="Check the username (user@domain); with oauth2 check the scope, the permission SMTP.SendAsApp, the"
            " administrator's consent and the service principal's access to the mailbox.",
            source=_OAUTH,
        ),
        facts.KnownError(
            code=432,
            enhanced="4.3.2",
            meaning="more than three connections at the same time",
            remedy="Set delivery.maxConnections to 3 or less, and less if others use the mailbox too.",
            source=_THROTTLING,
        ),
        facts.KnownError(
            code=554,
            enhanced="5.2.0",
            meaning="the mailbox's number of recipients for a day is reached",
            remedy="Wait up to 24 hours, or send through a connector, which has no such limit.",
            source=_THROTTLING,
        ),
        facts.KnownError(
            code=554,
            enhanced="5.2.2",
            meaning="the mailbox is full, because sent messages are kept in it",
            remedy="Empty Sent Items of the mailbox, and give the folder a retention policy.",
            source=_THROTTLING,
        ),
        facts.KnownError(
            code=554,
            text="sendasdenied",
            meaning="the mailbox may not send as the From address",
            remedy="Set from.address to the mailbox's own address, or grant the permission Send As.",
            source=_SETUP,
        ),
        facts.KnownError(
            code=530,
            enhanced="5.7.57",
            meaning="the session did not authenticate",
            remedy="Set auth.username and auth.oauth2; this server takes no mail without credentials.",
            source=_SETUP,
        ),
    ),
    steps=(
        facts.Fact(
            value="Register an application in the Microsoft Entra admin center, give it the application"
            " permission SMTP.SendAsApp of Office 365 Exchange Online, and grant the administrator's"
            " consent.",
            source=_OAUTH,
        ),
        facts.Fact(
            value="Write the tenant into auth.oauth2.tokenURL and the application's client ID into"
            " auth.oauth2.clientID.",
            source=_OAUTH,
        ),
        facts.Fact(
            value="In Exchange Online PowerShell, give the application access to the mailbox with"
            " New-ServicePrincipal and Add-MailboxPermission.",
            source=_OAUTH,
        ),
        facts.Fact(
            value="Allow SMTP AUTH for the mailbox with Set-CASMailbox <mailbox>"
            " -SmtpClientAuthenticationDisabled $false.",
            source=_DISABLED,
        ),
        facts.Fact(
            value="Create a client secret for the application, and put its value into the Secret.",
            source=_OAUTH,
        ),
    ),
    sample=facts.Sample(
        host="smtp.office365.com",
        username="notifications@example.com",
        from_address="notifications@example.com",
        token_url="https://login.microsoftonline.com/example.onmicrosoft.com/oauth2/v2.0/token",  # noqa: S106
        grant=_G.CLIENT_CREDENTIALS,
    ),
    passwords_end=facts.Fact(
        value=dt.date(2026, 12, 31),
        source=_BASIC,
        note="turned off by default in existing tenants at the end of December 2026, where administrators may turn it"
        " on again; not available by default in tenants created later; the final day is announced in the second half"
        " of 2027",
    ),
    unverified=(
        "The texts of 5.7.57, 5.7.139 and SendAsDenied were seen in public logs, not on a page of Microsoft's.",
        "That LOGIN is offered and PLAIN is not, a Microsoft employee said on another project's tracker, and no page.",
        "Which of the other names of the servers the pages' limits hold for, no page said.",
        "The largest message was not read on a page; the server announces SIZE 157286400 in public logs.",
    ),
)

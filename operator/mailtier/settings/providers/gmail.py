"""Gmail and Google Workspace accounts: smtp.gmail.com."""

import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 25)
_LIMITS: Final = facts.FactSource(
    title="Gmail sending limits in Google Workspace", url="https://support.google.com/a/answer/166852", looked_up=_READ
)
_ERRORS: Final = facts.FactSource(
    title="Gmail SMTP errors and codes", url="https://support.google.com/a/answer/3726730", looked_up=_READ
)
_XOAUTH2: Final = facts.FactSource(
    title="OAuth 2.0 mechanism (XOAUTH2 protocol)",
    url="https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
    looked_up=_READ,
)
_OAUTH2: Final = facts.FactSource(
    title="Using OAuth 2.0 to Access Google APIs",
    url="https://developers.google.com/identity/protocols/oauth2",
    looked_up=_READ,
)
_SERVERS: Final = facts.FactSource(
    title="IMAP, POP, and SMTP", url="https://developers.google.com/workspace/gmail/imap/imap-smtp", looked_up=_READ
)
_APP_PASSWORDS: Final = facts.FactSource(
    title="Sign in with app passwords",
    url="https://knowledge.workspace.google.com/kb/how-to-create-app-passwords-000009237",
    looked_up=_READ,
)
_SETTINGS: Final = facts.FactSource(
    title="Gmail SMTP settings: ports, auth, limits (Nylas)",
    url="https://developer.nylas.com/docs/cookbook/email/gmail-smtp-settings/",
    looked_up=_READ,
)
_ALIAS: Final = facts.FactSource(
    title="Sending mail from a different address",
    url="https://support.google.com/mail/answer/22370",
    looked_up=_READ,
)
_SEND_AS: Final = facts.FactSource(
    title="Managing aliases and signatures",
    url="https://developers.google.com/workspace/gmail/api/guides/alias_and_signature_settings",
    looked_up=dt.date(2026, 11, 29),
)
_M: Final = vocabulary.Mechanism

PROVIDER: Final = facts.Provider(
    name="gmail",
    title="Gmail",
    summary="One account of Gmail or Google Workspace sends as itself. For a whole domain, use the relay of Google"
    " Workspace.",
    hosts=facts.Fact(value=("smtp.gmail.com",), source=_SERVERS),
    aliases=facts.Fact(
        value=("smtp.googlemail.com",),
        source=_SERVERS,
        note="not on the page; the former name, for which no source was found",
        verified=False,
    ),
    starttls=facts.Fact(value=(587,), source=_SERVERS),
    implicit=facts.Fact(value=(465,), source=_SERVERS),
    anonymous=facts.Fact(value=False, source=_SETTINGS, note="both ports require credentials", verified=False),
    sender=facts.Fact(
        value=facts.SenderRule.ACCOUNT,
        source=_ALIAS,
        note="another address has to be confirmed under Settings, Accounts, Send mail as; without that the message"
        " leaves with the account's own address",
        verified=False,
    ),
    binds_from=facts.Fact(
        value=True,
        source=_SEND_AS,
        note="an account sends as itself, and as aliases that were confirmed before; another From is rewritten. The"
        " page is that of the API",
    ),
    username=facts.Fact(
        value=facts.UsernameRule(matches=forms.is_address, sentence="is the whole address of the account"),
        source=_SETTINGS,
        note="the password is an app password of 16 letters, which needs 2-Step Verification, not the account's own"
        f" ({_APP_PASSWORDS.url})",
        verified=False,
    ),
    mechanisms=facts.Fact(
        value=(_M.PLAIN, _M.LOGIN, _M.XOAUTH2),
        source=_XOAUTH2,
        note="the page describes XOAUTH2; PLAIN and LOGIN stand in the server's answer to EHLO",
        verified=False,
    ),
    oauth2=facts.Fact(
        value=facts.OAuth2Facts(
            token_url="https://oauth2.googleapis.com/token",  # noqa: S106  # An address.
            scopes=((vocabulary.GrantType.REFRESH_TOKEN, ("https://mail.google.com/",)),),
        ),
        source=_XOAUTH2,
        note=f"the account agrees once; client credentials are not among the flows that Google lists ({_OAUTH2.url})",
    ),
    limits=facts.ProviderLimits(
        messages_per_day=facts.Fact(
            value=2000, source=_LIMITS, note="500 for trial accounts; counted over any 24 hours"
        ),
        recipients_per_day=facts.Fact(value=10_000, source=_LIMITS),
        recipients_per_message=facts.Fact(value=100, source=_LIMITS, note="through SMTP"),
    ),
    errors=(
        facts.KnownError(
            code=535,
            enhanced="5.7.8",
            meaning="username and password are not accepted",
            remedy="Write the whole address as username. With a password, put an app password of the account into the"
            " Secret (myaccount.google.com/apppasswords), not the one that its owner signs in with; with oauth2, have"
            " the account agree to the scope https://mail.google.com/ once more.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=534,
            enhanced="5.7.9",
            meaning="the account's own password is not taken from an application",
            remedy="Turn on 2-Step Verification, make an app password and put that into the Secret, or use oauth2.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=534,
            enhanced="5.7.14",
            meaning="Google wants the account's owner to sign in with a browser",
            remedy="Sign in to the account with a browser once and confirm what it asks, then probe again.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=530,
            enhanced="5.7.0",
            text="starttls",
            meaning="the connection is not protected",
            remedy="Set smtp.tls.mode to StartTLS with port 587, or Implicit with 465.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=550,
            enhanced="5.4.5",
            meaning="the account's limit for a day is reached",
            remedy="Wait up to 24 hours, or send through smtp-relay.gmail.com, which allows more.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=421,
            enhanced="4.7.0",
            text="unusual rate",
            meaning="Google slows down the address that the mail comes from",
            remedy="Lower delivery.ratePerMinute and delivery.maxConnections.",
            source=_ERRORS,
        ),
    ),
    steps=(
        facts.Fact(
            value="Turn on 2-Step Verification for the account.",
            source=_APP_PASSWORDS,
        ),
        facts.Fact(
            value="Create an app password for the account at https://myaccount.google.com/apppasswords, and put"
            " it into the Secret. The password that its owner signs in with is refused.",
            source=_APP_PASSWORDS,
        ),
        facts.Fact(
            value="To send from another address than the account's, confirm that one first under Settings,"
            " Accounts, Send mail as.",
            source=_ALIAS,
        ),
    ),
    sample=facts.Sample(
        host="smtp.gmail.com", username="notifications@example.com", from_address="notifications@example.com"
    ),
    unverified=(
        "That both ports ask for credentials, and the username is the whole address, was read at third hand (Nylas).",
        "That PLAIN and LOGIN are offered beside XOAUTH2 was read in public logs.",
        "How many connections and how large a message it takes, no page said; public logs show SIZE 35882577.",
        "The number of 500 messages a day for accounts without Workspace stands on third parties' pages alone.",
        "The page of error codes could be read in part; 5.4.5, 5.7.8, 5.7.9 and 5.7.14 were seen in public logs.",
        "That another From address is replaced, and not refused, is what third parties report.",
    ),
)

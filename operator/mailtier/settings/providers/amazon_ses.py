"""Amazon SES, its SMTP interface: email-smtp.<region>.amazonaws.com."""

import datetime as dt
import re
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts

_READ: Final = dt.date(2026, 11, 25)
_CONNECT: Final = facts.FactSource(
    title="Connecting to an Amazon SES SMTP endpoint",
    url="https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
    looked_up=_READ,
)
_CREDENTIALS: Final = facts.FactSource(
    title="Obtaining Amazon SES SMTP credentials",
    url="https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html",
    looked_up=_READ,
)
_QUOTAS: Final = facts.FactSource(
    title="Service quotas in Amazon SES", url="https://docs.aws.amazon.com/ses/latest/dg/quotas.html", looked_up=_READ
)
_QUOTA_ERRORS: Final = facts.FactSource(
    title="Errors related to the sending quotas for your Amazon SES account",
    url="https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html",
    looked_up=_READ,
)
_TROUBLE: Final = facts.FactSource(
    title="Amazon SES SMTP issues",
    url="https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html",
    looked_up=_READ,
)
_COMMAND_LINE: Final = facts.FactSource(
    title="Testing your connection to the Amazon SES SMTP interface using the command line",
    url="https://docs.aws.amazon.com/ses/latest/dg/send-email-smtp-client-command-line.html",
    looked_up=_READ,
)
_ENDPOINTS: Final = facts.FactSource(
    title="Amazon Simple Email Service endpoints and quotas",
    url="https://docs.aws.amazon.com/general/latest/gr/ses.html",
    looked_up=dt.date(2026, 11, 29),
)
_ACCESS_KEY: Final = re.compile(r"AKIA[A-Z0-9]{12,124}")


def _is_access_key(username: str) -> bool:
    return _ACCESS_KEY.fullmatch(username) is not None


PROVIDER: Final = facts.Provider(
    name="amazon-ses",
    short_names=("ses",),
    title="Amazon SES",
    summary="Sends for domains and addresses that were verified, in the region that the host names. New accounts are"
    " in a sandbox, where recipients have to be verified too.",
    hosts=facts.Fact(value=("email-smtp.*.amazonaws.com",), source=_COMMAND_LINE),
    aliases=facts.Fact(
        value=(
            *("email-smtp-fips.*.amazonaws.com", "email-smtp.*.api.aws", "email-smtp-fips.*.api.aws"),
            "email-smtp.*.amazonaws.com.cn",
        ),
        source=_ENDPOINTS,
        note="made after the pattern of the page's API endpoints for FIPS, dual stack and China; no page that lists"
        " them for SMTP was found",
        verified=False,
    ),
    starttls=facts.Fact(value=(587, 2587, 25), source=_CONNECT, note="Amazon EC2 throttles port 25 by default"),
    implicit=facts.Fact(value=(465, 2465), source=_CONNECT),
    anonymous=facts.Fact(value=False, source=_TROUBLE, note="530 Authentication required"),
    sender=facts.Fact(
        value=facts.SenderRule.VERIFIED,
        source=_TROUBLE,
        note="From, Sender and Return-Path; each region has its own list",
    ),
    binds_from=facts.Fact(
        value=True,
        source=_TROUBLE,
        note="to what its AWS account has verified: logins of the host's own account share its addresses, unless their"
        " IAM policy narrows ses:FromAddress",
    ),
    username=facts.Fact(
        value=facts.UsernameRule(
            matches=_is_access_key,
            sentence="is the SMTP user name that SES shows, an access key ID that begins with AKIA",
        ),
        source=_CREDENTIALS,
        note="the SMTP password is derived from the secret access key and is not that key; temporary keys (ASIA) do"
        " not work",
    ),
    mechanisms=facts.Fact(
        value=(vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.LOGIN),
        source=_COMMAND_LINE,
        note="the page uses LOGIN; PLAIN stands in the server's answer to EHLO",
        verified=False,
    ),
    oauth2=None,
    limits=facts.ProviderLimits(
        recipients_per_message=facts.Fact(value=50, source=_QUOTAS),
        message_bytes=facts.Fact(
            value=40_000_000, source=_QUOTAS, note="40 MB after encoding; above 10 MB the bandwidth is throttled"
        ),
    ),
    errors=(
        facts.KnownError(
            code=535,
            text="authentication credentials invalid",
            meaning="these are not SMTP credentials of this region",
            remedy="Create SMTP credentials in the SES console of the region that smtp.host names; an AWS secret access"
            " key is not an SMTP password.",
            source=_TROUBLE,
        ),
        facts.KnownError(
            code=535,
            text="account not subscribed to ses",
            meaning="the AWS account does not use SES",
            remedy="Sign the AWS account up for SES, or use the credentials of another.",
            source=_TROUBLE,
        ),
        facts.KnownError(
            code=554,
            text="email address is not verified",
            meaning="From or envelope (in the sandbox the recipient too) is not verified in this region",
            remedy="Verify the domain of from.address in SES in this region, and ask for production access.",
            source=_TROUBLE,
        ),
        facts.KnownError(
            code=554,
            text="is not authorized to perform",
            meaning="the IAM user may not send as this identity",
            remedy="Give the IAM user a policy that allows ses:SendRawEmail for the identity.",
            source=_TROUBLE,
        ),
        facts.KnownError(
            code=454,
            text="maximum sending rate exceeded",
            meaning="more messages a second than the account may send",
            remedy="Set delivery.ratePerMinute to 60 times the rate that SES shows, or ask for a higher one.",
            source=_QUOTA_ERRORS,
        ),
        facts.KnownError(
            code=454,
            text="daily message quota exceeded",
            meaning="the account's number for 24 hours is reached",
            remedy="Wait, or ask for a higher quota in the SES console.",
            source=_QUOTA_ERRORS,
        ),
        facts.KnownError(
            code=421,
            text="too many concurrent smtp connections",
            meaning="too many connections at the same time",
            remedy="Lower delivery.maxConnections.",
            source=_TROUBLE,
        ),
        facts.KnownError(
            code=530,
            text="authentication required",
            meaning="the session did not authenticate",
            remedy="Set auth.username and auth.passwordSecretRef to SMTP credentials of SES.",
            source=_TROUBLE,
        ),
    ),
    steps=(
        facts.Fact(
            value="Verify the domain of from.address in the region that smtp.host names.",
            source=_TROUBLE,
        ),
        facts.Fact(
            value="Create SMTP credentials in the SES console of that region. The user name belongs in"
            " auth.username and the password into the Secret; an AWS secret access key is not an SMTP"
            " password.",
            source=_CREDENTIALS,
        ),
        facts.Fact(
            value="Ask for production access. In the sandbox, recipients have to be verified too.",
            source=_QUOTAS,
        ),
    ),
    sample=facts.Sample(
        host="email-smtp.eu-west-1.amazonaws.com",
        username="AKIAIOSFODNN7EXAMPLE",
        from_address="notifications@example.com",
    ),
    unverified=(
        "Outside the sandbox (200 messages a day, one a second) the quotas are each account's own; none is public.",
        "That PLAIN is offered beside LOGIN was read in public logs.",
    ),
)

"""Postfix with Dovecot for authentication, on one's own machines."""

import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 25)
_SASL: Final = facts.FactSource(
    title="Postfix SASL Howto", url="https://www.postfix.org/SASL_README.html", looked_up=_READ
)
_POSTCONF: Final = facts.FactSource(
    title="Postfix Configuration Parameters", url="https://www.postfix.org/postconf.5.html", looked_up=_READ
)
_DOS: Final = facts.FactSource(
    title="Postfix configuration options for limiting DoS attacks (Red Hat Enterprise Linux 9)",
    url="https://docs.redhat.com/en/documentation/red_hat_enterprise_linux/9/html/securing_networks/ref_postfix"
    "-configuration-options-for-limiting-dos-attacks_assembly_securing-the-postfix-service",
    looked_up=_READ,
)
_MISMATCH: Final = facts.FactSource(
    title="reject_authenticated_sender_login_mismatch (W. Venema on postfix-users)",
    url="https://www.mail-archive.com/postfix-users@postfix.org/msg95483.html",
    looked_up=_READ,
)

PROVIDER: Final = facts.Provider(
    name="postfix-dovecot",
    short_names=("postfix",),
    title="Postfix with Dovecot",
    summary="A submission server of one's own. Its main.cf and master.cf decide; here are the defaults.",
    hosts=None,
    starttls=facts.Fact(
        value=(587, 25), source=_SASL, note="the services submission and smtp of master.cf", verified=False
    ),
    implicit=facts.Fact(
        value=(465,), source=_SASL, note="the service submissions (smtps) of master.cf", verified=False
    ),
    anonymous=facts.Fact(value=True, source=_SASL, note="from networks that mynetworks lists"),
    sender=facts.Fact(
        value=facts.SenderRule.SERVER,
        source=_MISMATCH,
        note="with reject_sender_login_mismatch the envelope's sender has to be the login's own, by"
        " smtpd_sender_login_maps",
    ),
    binds_from=facts.Fact(value=False, source=_MISMATCH, note="as it was configured"),
    username=facts.Fact(
        value=facts.UsernameRule(matches=forms.is_anything, sentence="is what Dovecot's passdb knows"),
        source=_SASL,
        note="often the whole address (auth_username_format), sometimes the part before the @",
    ),
    mechanisms=facts.Fact(
        value=(vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.LOGIN),
        source=_SASL,
        note="as auth_mechanisms of Dovecot says; plain alone by default",
    ),
    oauth2=None,
    limits=facts.ProviderLimits(
        connections=facts.Fact(
            value=50, source=_POSTCONF, note="smtpd_client_connection_count_limit, half of default_process_limit"
        ),
        message_bytes=facts.Fact(value=10_240_000, source=_DOS, note="message_size_limit", verified=False),
    ),
    errors=(
        facts.KnownError(
            code=553,
            text="sender address rejected: not owned by user",
            meaning="the login does not own the envelope's sender",
            remedy="Set from.envelope (or from.address) to an address of the login, or add it to"
            " smtpd_sender_login_maps.",
            source=_MISMATCH,
        ),
        facts.KnownError(
            code=554,
            text="relay access denied",
            meaning="the session has neither credentials nor an address in mynetworks",
            remedy="Set auth, or add the cluster's address to mynetworks.",
            source=_SASL,
        ),
        facts.KnownError(
            code=504,
            text="helo command rejected: need fully-qualified hostname",
            meaning="the name in EHLO has no dot",
            remedy="Set delivery.heloName to a full name that resolves to the cluster's address.",
            source=_POSTCONF,
        ),
        facts.KnownError(
            code=421,
            text="error: too many connections from",
            meaning="more than smtpd_client_connection_count_limit",
            remedy="Lower delivery.maxConnections, or raise smtpd_client_connection_count_limit.",
            source=_POSTCONF,
        ),
    ),
    steps=(
        facts.Fact(
            value="Create a login in what Dovecot's passdb reads, and put its password into the Secret.",
            source=_SASL,
        ),
        facts.Fact(
            value="Where main.cf has reject_sender_login_mismatch, add the address to smtpd_sender_login_maps"
            " for the login.",
            source=_MISMATCH,
        ),
    ),
    sample=facts.Sample(
        host="mail.example.com", username="notifications@example.com", from_address="notifications@example.com"
    ),
    unverified=(
        "The default of message_size_limit was read in the manual of Red Hat Enterprise Linux.",
        "The texts of the refusals are those of Postfix as public logs show them.",
        "Of the SASL Howto an older copy was at hand; ports and mynetworks are as master.cf and main.cf come.",
    ),
)

"""The SMTP relay service of Google Workspace: smtp-relay.gmail.com."""

import datetime as dt
from typing import Final

from mailtier.settings.providers import facts, forms

_READ: Final = dt.date(2026, 11, 25)
_RELAY: Final = facts.FactSource(
    title="Route outgoing SMTP relay messages through Google",
    url="https://support.google.com/a/answer/2956491",
    looked_up=_READ,
)
_ERRORS: Final = facts.FactSource(
    title="SMTP relay service error messages", url="https://support.google.com/a/answer/6140680", looked_up=_READ
)
_LIMITS: Final = facts.FactSource(
    title="Gmail sending limits in Google Workspace", url="https://support.google.com/a/answer/166852", looked_up=_READ
)

PROVIDER: Final = facts.Provider(
    name="google-workspace-relay",
    short_names=("workspace-relay",),
    title="Google Workspace relay",
    summary="Relays for the domains of a Google Workspace account, known by its IP address or by credentials, as the"
    " administrator sets under Apps, Google Workspace, Gmail, Routing.",
    hosts=facts.Fact(value=("smtp-relay.gmail.com",), source=_RELAY),
    starttls=facts.Fact(value=(587, 25), source=_RELAY, note="with TLS, Google asks for 587"),
    implicit=facts.Fact(value=(465,), source=_RELAY, verified=False),
    anonymous=facts.Fact(
        value=True, source=_RELAY, note="from IP addresses that are registered in the relay's settings"
    ),
    sender=facts.Fact(
        value=facts.SenderRule.VERIFIED,
        source=_ERRORS,
        note="the domain has to be one of the account's; else the session needs credentials, or one of these domains"
        " in EHLO",
    ),
    binds_from=facts.Fact(value=False, source=_ERRORS, note="any address of the account's domains, whoever logs in"),
    username=facts.Fact(
        value=facts.UsernameRule(matches=forms.is_address, sentence="is the whole address of a user of the account"),
        source=_RELAY,
    ),
    mechanisms=None,
    oauth2=None,
    limits=facts.ProviderLimits(
        messages_per_day=facts.Fact(value=10_000, source=_RELAY, note="for each user, by the envelope's sender"),
        recipients_per_day=facts.Fact(
            value=4_600_000,
            source=_RELAY,
            note="for the whole account, with 319,444 in ten minutes; smaller accounts have less",
        ),
        recipients_per_message=facts.Fact(value=100, source=_LIMITS, note="for each transaction"),
    ),
    errors=(
        facts.KnownError(
            code=550,
            enhanced="5.7.0",
            text="mail relay denied",
            meaning="Google does not know the address or the domain that the mail comes from",
            remedy="Register the cluster's public IP address in the relay's settings (or authenticate), and set"
            " delivery.heloName and from.envelope to a domain of the account.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=550,
            enhanced="5.7.1",
            text="invalid credentials for relay",
            meaning="the registered IP address belongs to another account than the sender's domain",
            remedy="Set delivery.heloName to a domain of the account, or authenticate with a user of it.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=550,
            enhanced="5.7.1",
            text="daily smtp relay limit exceeded for customer",
            meaning="the account's limit for a day is reached",
            remedy="Wait up to 24 hours, and set delivery.ratePerMinute so that the day's number is not reached.",
            source=_ERRORS,
        ),
        facts.KnownError(
            code=550,
            enhanced="5.4.5",
            meaning="the user's limit for a day is reached",
            remedy="Wait up to 24 hours, or set from.envelope to an address that is not a registered user's.",
            source=_RELAY,
        ),
        facts.KnownError(
            code=450,
            enhanced="4.2.1",
            text="peak smtp relay limit",
            meaning="too many recipients within ten minutes",
            remedy="Nothing for now: it is tried again. Lower delivery.ratePerMinute if it comes back.",
            source=_ERRORS,
        ),
    ),
    steps=(
        facts.Fact(
            value="In the Google Admin console, under Apps, Google Workspace, Gmail, Routing, add an SMTP relay"
            " service for the domain of from.address.",
            source=_RELAY,
        ),
        facts.Fact(
            value="Register the public IP addresses of the cluster in the relay's settings.",
            source=_RELAY,
        ),
    ),
    sample=facts.Sample(
        host="smtp-relay.gmail.com",
        username=None,
        from_address="notifications@example.com",
        helo_name="example.com",
    ),
    names_itself=True,
    unverified=(
        "Which mechanisms the relay offers to sessions with credentials, no page said.",
        "That port 465 begins with TLS follows from RFC 8314; the page lists it among the ports without TLS.",
    ),
)

"""Lints about how fast, how often and how long is tried."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.api import patience, vocabulary
from mailtier.api import types as scalars
from mailtier.settings.lints import names, terms, transport
from mailtier.settings.providers import facts as providers

SHORT_SESSION: Final = dt.timedelta(seconds=10)
"""Postfix postscreen waits 6 s before it greets, Exchange's tarpit 5 s, and a name is resolved before that."""

SHORT_MESSAGE: Final = dt.timedelta(minutes=2)
"""RFC 5321 section 4.5.3.2.6 asks for 10 minutes; servers that scan a message take one or two."""


def _limit(subject: terms.Subject, name: str) -> providers.Fact[int] | None:
    """Return a limit of the provider, for the owner of the server alone."""
    if subject.endpoint is None or subject.provider is None:
        return None
    found: providers.Fact[int] | None = getattr(subject.provider.limits, name)
    return found


def _port(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, provider = subject.endpoint, subject.provider
    # What holds for the port everywhere is said by the lints about transport.
    if endpoint is None or provider is None or transport.expects_other_mode(endpoint):
        return
    known = provider.implicit if endpoint.tls.mode == vocabulary.TlsMode.IMPLICIT else provider.starttls
    ports = known.value if known is not None else ()
    if endpoint.port in ports:
        return
    if not ports:
        message = (
            f"{provider.title} has no port for Implicit; set smtp.tls.mode to StartTLS and port to"
            f" {provider.starttls.value[0]}"
        )
    else:
        listed = " or ".join(str(port) for port in ports)
        message = f"{endpoint.port} is not a port of {provider.title} for {endpoint.tls.mode}; use {listed}"
    yield terms.Notice(field="spec.smtp.port", message=message, fact=known or provider.starttls)


def _connections(subject: terms.Subject) -> Iterator[terms.Notice]:
    limit = _limit(subject, "connections")
    most = subject.effective.delivery.max_connections
    if limit is not None and subject.provider is not None and most > limit.value:
        yield terms.Notice(
            field="spec.delivery.maxConnections",
            message=f"{most} is more than the {limit.value} that {subject.provider.title} takes; lower it",
            fact=limit,
        )


def _per_connection(subject: terms.Subject) -> Iterator[terms.Notice]:
    limit = _limit(subject, "messages_per_connection")
    most = subject.effective.delivery.messages_per_connection
    if limit is not None and subject.provider is not None and most > limit.value:
        yield terms.Notice(
            field="spec.delivery.messagesPerConnection",
            message=f"{most} is more than the {limit.value} that {subject.provider.title} takes; lower it",
            fact=limit,
        )


def _rate(subject: terms.Subject) -> Iterator[terms.Notice]:
    limit = _limit(subject, "messages_per_minute")
    delivery = subject.effective.delivery
    # Where all together have a rate, no organization's goes beyond it.
    name = "ratePerMinute" if delivery.endpoint_rate_per_minute is None else "endpointRatePerMinute"
    rate = delivery.rate_per_minute if delivery.endpoint_rate_per_minute is None else delivery.endpoint_rate_per_minute
    if limit is not None and subject.provider is not None and rate is not None and rate > limit.value:
        yield terms.Notice(
            field=f"spec.delivery.{name}",
            message=f"{rate} is more than the {limit.value} a minute that {subject.provider.title} takes; lower it",
            fact=limit,
        )


def _no_rate(subject: terms.Subject) -> Iterator[terms.Notice]:
    limit = _limit(subject, "messages_per_minute")
    delivery = subject.effective.delivery
    is_limited = delivery.rate_per_minute is not None or delivery.endpoint_rate_per_minute is not None
    if limit is not None and subject.provider is not None and not is_limited:
        yield terms.Notice(
            field="spec.delivery.endpointRatePerMinute",
            message=f"is absent, and {subject.provider.title} takes {limit.value} messages a minute; set it to that or"
            " less",
            fact=limit,
        )


def _short_age(subject: terms.Subject) -> Iterator[terms.Notice]:
    max_age = subject.effective.delivery.max_age
    if max_age is None or not subject.owns("delivery.maxAge"):
        return
    late = [
        category
        for category, values in subject.effective.notifications.items()
        if values.enabled and patience.POLICIES[category].maximal_backoff > max_age
    ]
    if late:
        listed = ", ".join(sorted(late))
        yield terms.Notice(
            field="spec.delivery.maxAge",
            message=f"{scalars.format_duration(max_age)} is shorter than the pause between two attempts for {listed},"
            " so that mail fails while a server restarts; set 4h or more, or remove it",
        )


def _short_session(subject: terms.Subject) -> Iterator[terms.Notice]:
    timeout = subject.effective.delivery.session_timeout
    if subject.endpoint is not None and timeout < SHORT_SESSION:
        yield terms.Notice(
            field="spec.delivery.timeouts.session",
            message=f"{scalars.format_duration(timeout)} is less than careful servers wait before they greet; set 10s"
            " or more, or remove it",
        )


def _short_message(subject: terms.Subject) -> Iterator[terms.Notice]:
    timeout = subject.effective.delivery.message_timeout
    if subject.endpoint is not None and timeout < SHORT_MESSAGE:
        yield terms.Notice(
            field="spec.delivery.timeouts.message",
            message=f"{scalars.format_duration(timeout)} gives up on servers that scan a message before they reply,"
            " which then arrives twice; set 2m or more, or remove it",
        )


def _helo(subject: terms.Subject) -> Iterator[terms.Notice]:
    name = subject.effective.delivery.helo_name
    if subject.endpoint is not None and name is not None and ("." not in name or names.is_loopback(name)):
        yield terms.Notice(
            field="spec.delivery.heloName",
            message=f"{name} is not a full name, and servers refuse it (504); write one that resolves, or remove it",
        )


def _unreachable(subject: terms.Subject) -> Iterator[terms.Notice]:
    rules = subject.effective.delivery.replies if subject.endpoint is not None else ()
    for number, rule in enumerate(rules):
        earlier = next((before for before in range(number) if rules[before].covers(rule)), None)
        if earlier is not None:
            yield terms.Notice(
                field=f"spec.delivery.replies[{number}]",
                message=f"never acts: replies[{earlier}] matches all that it matches, and the first one counts;"
                " move it in front of that, or remove it",
            )


LINTS: Final = (
    terms.Lint(
        identifier="port-not-of-provider",
        severity=terms.LintSeverity.WARNING,
        title="The provider does not listen on the port",
        explanation="The provider's pages list its ports for each way to begin TLS; on another one nothing answers, or"
        " something else does.",
        remedy="Use a port from the provider's page.",
        check=_port,
        by_facts=True,
    ),
    terms.Lint(
        identifier="connections-above-provider",
        severity=terms.LintSeverity.WARNING,
        title="More connections than the provider takes",
        explanation="Connections above the limit are refused, or the whole account is slowed down. Other programs that"
        " use the account count too.",
        remedy="Lower delivery.maxConnections to the provider's limit or below.",
        check=_connections,
        by_facts=True,
    ),
    terms.Lint(
        identifier="messages-per-connection-above-provider",
        severity=terms.LintSeverity.INFO,
        title="More messages in a connection than the provider takes",
        explanation="The provider ends the connection in the middle, and the message at hand is tried again.",
        remedy="Lower delivery.messagesPerConnection.",
        check=_per_connection,
        by_facts=True,
    ),
    terms.Lint(
        identifier="rate-above-provider",
        severity=terms.LintSeverity.WARNING,
        title="A higher rate than the provider takes",
        explanation="What is above the provider's rate is refused for a while and tried again, later than it would have"
        " been with a rate that fits.",
        remedy="Lower delivery.endpointRatePerMinute, which holds for all organizations together, or set it:"
        " delivery.ratePerMinute holds for each of them alone.",
        check=_rate,
        by_facts=True,
    ),
    terms.Lint(
        identifier="no-rate-at-limited-provider",
        severity=terms.LintSeverity.INFO,
        title="No rate is set, and the provider has a low one",
        explanation="A burst of alerts goes out as fast as connections allow, and runs into the provider's limit.",
        remedy="Set delivery.endpointRatePerMinute to the provider's rate or below.",
        check=_no_rate,
        by_facts=True,
    ),
    terms.Lint(
        identifier="max-age-shorter-than-retries",
        severity=terms.LintSeverity.WARNING,
        title="Mail fails before it is tried a second time",
        explanation="Between two attempts lie up to 30 minutes for alerts, an hour for licence status and 67 minutes"
        " for product updates. With a shorter max age one restart of the server is enough to lose mail.",
        remedy="Set delivery.maxAge to 4h or more, or remove it.",
        check=_short_age,
    ),
    terms.Lint(
        identifier="session-timeout-short",
        severity=terms.LintSeverity.WARNING,
        title="Little time to connect, greet and authenticate",
        explanation="Many servers wait some seconds before they greet, to see who talks first; DNS and TLS come before"
        " and after. A session that is given up looks like a dead server.",
        remedy="Set delivery.timeouts.session to 10s or more, or remove it.",
        check=_short_session,
    ),
    terms.Lint(
        identifier="message-timeout-short",
        severity=terms.LintSeverity.WARNING,
        title="Little time for the reply to a message",
        explanation="A server may have taken a message whose reply was not waited for; it is then sent again and"
        " arrives twice (RFC 1047, RFC 5321 section 4.5.3.2.6).",
        remedy="Set delivery.timeouts.message to 2m or more, or remove it.",
        check=_short_message,
    ),
    terms.Lint(
        identifier="helo-name-not-qualified",
        severity=terms.LintSeverity.WARNING,
        title="The name in EHLO is not a full one",
        explanation="RFC 5321 section 2.3.5 asks for a name that resolves; servers with reject_non_fqdn_helo_hostname"
        " and its like answer 504, and filters count it.",
        remedy="Set delivery.heloName to a full name, or remove it.",
        check=_helo,
    ),
    terms.Lint(
        identifier="reply-rule-never-acts",
        severity=terms.LintSeverity.WARNING,
        title="A rule about replies that can never act",
        explanation="Of the rules in delivery.replies the first one that matches a reply counts. One before it matches"
        " whatever this one would match, so that what it says is not done.",
        remedy="Put the narrower rule first, or remove it.",
        check=_unreachable,
    ),
)

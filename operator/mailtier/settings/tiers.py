"""The two tiers joined into values, each with its provenance; whether they are allowed is decided elsewhere.

`smtp` and `auth` are atomic: an organization that could override the server and inherit the rest would have its
password sent in clear by a host's `Disabled`, or the host's password sent to a server of its own. `from`,
`notifications` and two fields of `delivery` are resolved one by one.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from mailtier.api import groups, names, policies, settings, types, vocabulary
from mailtier.settings import binding, credentials, effective, endpoints, host_server, ledgers, observed, recipients

_HOST, _ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG

# RFC 6409 section 3.1, RFC 8314 section 7.3, RFC 5321 section 4.5.4.2.
PORTS: Final = {
    vocabulary.TlsMode.STARTTLS: 587,
    vocabulary.TlsMode.IMPLICIT: 465,
    vocabulary.TlsMode.DISABLED: 25,
}
MAX_CONNECTIONS: Final = 3
MESSAGES_PER_CONNECTION: Final = 100
# Totals of R10.
SESSION_TIMEOUT: Final = dt.timedelta(seconds=30)
ENVELOPE_TIMEOUT: Final = dt.timedelta(seconds=60)
MESSAGE_TIMEOUT: Final = dt.timedelta(minutes=10)

CATEGORY_FIELDS: Final = {
    vocabulary.Category.PASSWORD_RECOVERY: "password_recovery",
    vocabulary.Category.LICENSE_STATUS: "license_status",
    vocabulary.Category.PRODUCT_UPDATE: "product_update",
    vocabulary.Category.JOB_ALERT: "job_alert",
    vocabulary.Category.ROBOT_ALERT: "robot_alert",
}
CATEGORY_PATHS: Final = {category: category[0].lower() + category[1:] for category in CATEGORY_FIELDS}
"""How each category's group is spelled in YAML."""

# Groups that say nothing; as objects of the API they would be refused, because they read like an override.
_NO_FROM: Final = groups.From.model_construct()
_NO_TLS: Final = groups.Tls.model_construct()
_NO_DELIVERY: Final = groups.Delivery.model_construct()
_NO_TIMEOUTS: Final = groups.Timeouts.model_construct()
_NO_CATEGORIES: Final = groups.Notifications.model_construct()
_NO_CATEGORY: Final = groups.CategorySettings.model_construct()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Effective values, before anybody asked whether they are allowed and before anything was read.

    Attributes:
        provenance: Path of every value to its tier.
        suspended: Whether either tier holds delivery.
        secret: The Secret with the credentials, if there is one.
        certificate: The Secret with the client certificate, if there is one.
        ca: The CA bundle, if there is one.
    """

    endpoint: effective.Endpoint | None
    auth: effective.Auth | None
    from_: effective.From | None
    delivery: effective.Delivery
    notifications: Mapping[vocabulary.Category, effective.CategorySettings]
    quota: effective.Quota
    recipients: effective.RecipientRules
    provenance: Mapping[str, vocabulary.Origin]
    suspended: bool
    secret: observed.SecretNeed | None
    certificate: observed.SecretNeed | None
    ca: observed.CaNeed | None

    @property
    def source(self) -> vocabulary.Source:
        """Which tiers the values draw on; a default, a suspension and a quota are nobody's settings."""
        tiers = {
            origin for path, origin in self.provenance.items() if path != "suspend" and not path.startswith("quota.")
        }
        if _ORG not in tiers:
            return vocabulary.Source.HOST
        return vocabulary.Source.MIXED if _HOST in tiers else vocabulary.Source.ORG


def join(
    host: settings.HostSpec | None,
    org: settings.OrgSpec,
    *,
    organization: effective.OrganizationKey,
    operator_namespace: str,
) -> Values:
    """Return an organization's effective values.

    Args:
        host: The host's settings; None where there are none.
        org: The organization's; `OrgSpec()` to see what the host's are by themselves.
        organization: Its key; its references live in its namespace.
        operator_namespace: Where the host's references live.
    """
    ledger = ledgers.Ledger()
    policy = host.policy if host else None
    owner = _HOST if org.smtp is None else _ORG
    smtp = org.smtp or (host.smtp if host else None)
    endpoint = ca = auth = secret = certificate = None
    if smtp is not None:
        namespaces = {_HOST: operator_namespace, _ORG: organization.namespace}
        endpoint = _endpoint(ledger, smtp, owner, policy)
        ca = _ca(smtp, namespaces[owner])
        auth, secret = credentials.choose(ledger, host, org, owner=owner, namespaces=namespaces)
        certificate = credentials.choose_certificate(ledger, smtp, org, auth, owner=owner, namespaces=namespaces)
        if auth is not None and certificate is not None:
            shown = effective.CertificateReference(namespace=certificate.namespace, name=certificate.name, version="")
            auth = dataclasses.replace(auth, certificate=shown)
        is_there = owner == _HOST or host_server.is_named(host, endpoint.host)
        is_trusted = host_server.is_trusted(host, auth, named=endpoint.host)
        endpoint = dataclasses.replace(endpoint, is_host_s=is_there and not is_trusted)
    return Values(
        endpoint=endpoint,
        auth=auth,
        from_=_from(ledger, host, org),
        delivery=_delivery(ledger, host, org, owner, is_host_s=endpoint is None or endpoint.is_host_s),
        notifications=dict(_notifications(ledger, host, org)),
        quota=_quota(ledger, policy),
        recipients=recipients.rules(policy),
        suspended=_is_suspended(ledger, host, org),
        provenance=ledger.provenance,
        secret=secret,
        certificate=certificate,
        ca=ca,
    )


def server(smtp: groups.Smtp) -> tuple[str, int]:
    """Return the normalized host and the port that a group names, the latter by its TLS mode where it names none."""
    mode = (smtp.tls.mode if smtp.tls else None) or vocabulary.TlsMode.STARTTLS
    return binding.normalize_host(smtp.host), smtp.port or PORTS[mode]


def _endpoint(
    ledger: ledgers.Ledger, smtp: groups.Smtp, owner: vocabulary.Origin, policy: policies.Policy | None
) -> effective.Endpoint:
    tls = smtp.tls or _NO_TLS
    mode = ledger.own("smtp.tls.mode", owner, tls.mode, default=vocabulary.TlsMode.STARTTLS)
    host, port = server(smtp)
    ledger.own("smtp.host", owner, host, default="")
    ledger.own("smtp.port", owner, smtp.port, default=port)
    server_name = ledger.own("smtp.tls.serverName", owner, tls.server_name, default=None)
    version = ledger.own("smtp.tls.minVersion", owner, tls.min_version, default=vocabulary.TlsVersion.V1_2)
    ledger.own("smtp.tls.caRef", owner, tls.ca_ref, default=None)
    return effective.Endpoint(
        host=host,
        port=port,
        tls=effective.Tls(
            mode=mode,
            # SNI has no trailing dot (RFC 6066 section 3).
            server_name=None if server_name is None else binding.normalize_host(server_name),
            min_version=version,
            ca=None,
        ),
        addresses=endpoints.rules(policy, origin=owner, host=host, port=port),
        origin=owner,
        is_host_s=owner == _HOST,
    )


def _ca(smtp: groups.Smtp, namespace: str) -> observed.CaNeed | None:
    reference = smtp.tls.ca_ref if smtp.tls else None
    if reference is None:
        return None
    return observed.CaNeed(
        namespace=namespace, kind=reference.kind, name=reference.name, key=reference.key or names.CA_KEY
    )


def _from(ledger: ledgers.Ledger, host: settings.HostSpec | None, org: settings.OrgSpec) -> effective.From | None:
    mine, hosts = org.from_ or _NO_FROM, (host.from_ if host else None) or _NO_FROM
    if mine.address is None and hosts.address is None:
        return None
    address = ledger.choose("from.address", mine.address, hosts.address, default="")
    return effective.From(
        address=address,
        display_name=ledger.choose("from.displayName", mine.display_name, hosts.display_name, default=None),
        reply_to=ledger.choose("from.replyTo", mine.reply_to, hosts.reply_to, default=None),
        # Where it falls back to the From address, that is a default's doing, wherever the address came from.
        envelope=ledger.choose("from.envelope", mine.envelope, hosts.envelope, default=address),
    )


def _delivery(
    ledger: ledgers.Ledger,
    host: settings.HostSpec | None,
    org: settings.OrgSpec,
    owner: vocabulary.Origin,
    *,
    is_host_s: bool,
) -> effective.Delivery:
    """Return how mail is delivered.

    What belongs to a connection is said by the owner of the server: on the host's it is the host, whoever names it.
    There the host's rate and age are upper bounds besides.
    """
    mine, hosts = org.delivery or _NO_DELIVERY, (host.delivery if host else None) or _NO_DELIVERY
    says = _HOST if is_host_s else owner
    theirs = hosts if says == _HOST else mine
    timeouts = theirs.timeouts or _NO_TIMEOUTS
    helo_name = ledger.own("delivery.heloName", says, theirs.helo_name, default=None)
    most = hosts if is_host_s else _NO_DELIVERY
    return effective.Delivery(
        helo_name=None if helo_name is None else helo_name.removesuffix("."),
        max_connections=ledger.own("delivery.maxConnections", says, theirs.max_connections, default=MAX_CONNECTIONS),
        messages_per_connection=ledger.own(
            "delivery.messagesPerConnection", says, theirs.messages_per_connection, default=MESSAGES_PER_CONNECTION
        ),
        session_timeout=ledger.own(
            "delivery.timeouts.session", says, _duration(timeouts.session), default=SESSION_TIMEOUT
        ),
        envelope_timeout=ledger.own(
            "delivery.timeouts.envelope", says, _duration(timeouts.envelope), default=ENVELOPE_TIMEOUT
        ),
        message_timeout=ledger.own(
            "delivery.timeouts.message", says, _duration(timeouts.message), default=MESSAGE_TIMEOUT
        ),
        ehlo_ignore=tuple(sorted(ledger.own("delivery.ehloIgnore", says, theirs.ehlo_ignore, default=[]))),
        replies=tuple(rule.as_override() for rule in ledger.own("delivery.replies", says, theirs.replies, default=[])),
        endpoint_rate_per_minute=ledger.own(
            "delivery.endpointRatePerMinute", says, theirs.endpoint_rate_per_minute, default=None
        ),
        rate_per_minute=ledger.choose(
            "delivery.ratePerMinute",
            _capped(mine.rate_per_minute, most.rate_per_minute),
            hosts.rate_per_minute,
            default=None,
        ),
        max_age=ledger.choose(
            "delivery.maxAge",
            _capped(_duration(mine.max_age), _duration(most.max_age)),
            _duration(hosts.max_age),
            default=None,
        ),
    )


_Amount = TypeVar("_Amount", int, dt.timedelta)


def _capped(own: _Amount | None, most: _Amount | None) -> _Amount | None:
    """Return an organization's own limit, or None where the host's is lower and has to be used instead."""
    if own is None or most is None:
        return own
    return own if own <= most else None


def _duration(text: str | None) -> dt.timedelta | None:
    return None if text is None else types.parse_duration(text)


def _notifications(
    ledger: ledgers.Ledger, host: settings.HostSpec | None, org: settings.OrgSpec
) -> Iterator[tuple[vocabulary.Category, effective.CategorySettings]]:
    mine = org.notifications or _NO_CATEGORIES
    hosts = (host.notifications if host else None) or _NO_CATEGORIES
    for category, field in CATEGORY_FIELDS.items():
        path = f"notifications.{CATEGORY_PATHS[category]}"
        own, inherited = getattr(mine, field) or _NO_CATEGORY, getattr(hosts, field) or _NO_CATEGORY
        enabled = ledger.choose(f"{path}.enabled", own.enabled, inherited.enabled, default=True)
        named: list[str] = []
        if category != vocabulary.Category.PASSWORD_RECOVERY:
            named = ledger.choose(f"{path}.recipients", own.recipients, inherited.recipients, default=[])
        locale = ledger.choose(f"{path}.locale", own.locale, inherited.locale, default=vocabulary.Locale.ENGLISH)
        yield category, effective.CategorySettings(enabled=enabled, recipients=tuple(named), locale=locale)


def _quota(ledger: ledgers.Ledger, policy: policies.Policy | None) -> effective.Quota:
    """Return the quota, which is the host's alone; what the host leaves out, the sender's own limits decide."""
    quota = policy.quota if policy else None
    if quota is None:
        return effective.Quota()
    size = None if quota.queued_bytes is None else types.parse_bytes(quota.queued_bytes)
    return effective.Quota(
        queued_messages=ledger.own("quota.queuedMessages", _HOST, quota.queued_messages, default=None),
        queued_bytes=ledger.own("quota.queuedBytes", _HOST, size, default=None),
        rate_per_minute=ledger.own("quota.ratePerMinute", _HOST, quota.rate_per_minute, default=None),
    )


def _is_suspended(ledger: ledgers.Ledger, host: settings.HostSpec | None, org: settings.OrgSpec) -> bool:
    hosts = host.suspend if host else None
    # The host's true holds everybody, so that it is not a value an organization could override.
    return ledger.choose("suspend", None if hosts else org.suspend, hosts, default=False)

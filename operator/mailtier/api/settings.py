"""The two settings kinds: HostEmailSettings and OrgEmailSettings."""

from typing import ClassVar

import pydantic

from mailtier.api import groups, policies, schema, types, vocabulary


class HostAuth(groups.Auth):
    """How the host's sessions authenticate: one atomic group; they are anonymous when it is absent."""

    allow_plaintext: types.Flag | None = None
    """Whether these credentials may cross a connection without TLS; false when absent."""

    RULES: ClassVar = groups.AUTH_RULES


def _plaintext_is_allowed(spec: "HostSpec") -> bool:
    tls = spec.smtp.tls if spec.smtp else None
    if tls is None or tls.mode != vocabulary.TlsMode.DISABLED or spec.auth is None:
        return True
    return spec.auth.mechanism == vocabulary.Mechanism.ANONYMOUS or spec.auth.allow_plaintext is True


class HostSpec(schema.Model):
    """Settings that apply to every organization unless it overrides them."""

    smtp: groups.Smtp | None = None
    """Organizations without an smtp group of their own inherit it."""
    auth: HostAuth | None = None
    """Inherited only together with the whole smtp group."""
    from_: groups.From | None = pydantic.Field(default=None, alias="from")
    delivery: groups.Delivery | None = None
    notifications: groups.Notifications | None = None
    suspend: types.Flag | None = None
    """Whether all delivery waits; messages are taken and held meanwhile."""
    policy: policies.Policy | None = None

    RULES: ClassVar = (
        schema.Rule(
            cel="!has(self.auth) || has(self.smtp)",
            holds=lambda spec: spec.auth is None or spec.smtp is not None,
            message="auth belongs to an endpoint; set smtp.host too",
        ),
        schema.Rule(
            cel="!has(self.smtp) || !has(self.smtp.tls) || !has(self.smtp.tls.mode) || "
            "self.smtp.tls.mode != 'Disabled' || !has(self.auth) || "
            "(has(self.auth.mechanism) && self.auth.mechanism == 'Anonymous') || "
            "(has(self.auth.allowPlaintext) && self.auth.allowPlaintext)",
            holds=_plaintext_is_allowed,
            message="smtp.tls.mode Disabled would send the password in clear; use StartTLS or Implicit, or"
            " auth.mechanism: Anonymous, or accept it with auth.allowPlaintext: true",
        ),
    )


def _is_plaintext(spec: "OrgSpec") -> bool:
    return spec.smtp is not None and spec.smtp.tls is not None and spec.smtp.tls.mode == vocabulary.TlsMode.DISABLED


OWNER_ONLY = (
    "helo_name",
    "max_connections",
    "messages_per_connection",
    "timeouts",
    "ehlo_ignore",
    "replies",
    "endpoint_rate_per_minute",
)
"""Fields of delivery that belong to the owner of the endpoint."""


def _owner_s(spec: "OrgSpec") -> list[str]:
    """Return the fields that an organization without an endpoint of its own sets, and that belong to the owner."""
    if spec.smtp is not None or spec.delivery is None:
        return []
    fields = type(spec.delivery).model_fields
    return [f".delivery.{fields[name].alias}" for name in OWNER_ONLY if getattr(spec.delivery, name) is not None]


class OrgSpec(schema.Model):
    """What an organization overrides. Absent means inherited; {} inherits everything."""

    smtp: groups.Smtp | None = None
    """An organization that sets any of it names its own host; nothing of the host's smtp or auth is then inherited."""
    auth: groups.Auth | None = None
    """Required with an endpoint of the organization's own, if only as mechanism: Anonymous; otherwise the host's."""
    from_: groups.From | None = pydantic.Field(default=None, alias="from")
    """On the host's endpoint the host's policy says which addresses are allowed."""
    delivery: groups.Delivery | None = None
    notifications: groups.Notifications | None = None
    suspend: types.Flag | None = None
    """Whether delivery waits; messages are taken and held meanwhile."""
    publish: types.Flag | None = None
    """Whether a ConfigMap mailtier-<name> in this namespace tells applications where to send notifications, for
    envFrom; false when absent."""

    RULES: ClassVar = (
        schema.Rule(
            cel="!has(self.smtp) || !has(self.smtp.tls) || !has(self.smtp.tls.mode) || "
            "self.smtp.tls.mode != 'Disabled' || !has(self.auth) || "
            "(has(self.auth.mechanism) && self.auth.mechanism == 'Anonymous')",
            holds=lambda spec: (
                not _is_plaintext(spec) or spec.auth is None or spec.auth.mechanism == vocabulary.Mechanism.ANONYMOUS
            ),
            message="smtp.tls.mode Disabled would send the password in clear; use StartTLS or Implicit, or"
            " auth.mechanism: Anonymous",
        ),
        schema.Rule(
            cel="has(self.smtp) || !has(self.delivery) || !(has(self.delivery.heloName) || "
            "has(self.delivery.maxConnections) || has(self.delivery.messagesPerConnection) || "
            "has(self.delivery.timeouts) || has(self.delivery.ehloIgnore) || has(self.delivery.replies) || "
            "has(self.delivery.endpointRatePerMinute))",
            holds=lambda spec: not _owner_s(spec),
            message="delivery.heloName, maxConnections, messagesPerConnection, timeouts, ehloIgnore, replies and"
            " endpointRatePerMinute belong to the owner of the endpoint; remove them, or set smtp.host to an endpoint"
            " of your own",
            faulty=_owner_s,
            alone="belongs to the owner of the endpoint; remove it, or set smtp.host to an endpoint of your own",
        ),
    )

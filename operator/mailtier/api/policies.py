"""The host's policy: which namespaces hold organizations, and what those may do."""

from typing import Annotated, ClassVar

import pydantic

from mailtier.api import schema, types, vocabulary

Ports = Annotated[list[types.Port], pydantic.Field(min_length=1, max_length=16), schema.SET]


class NamespaceSelector(schema.Model):
    """Selects namespaces by their labels; all of them must match."""

    match_labels: types.Labels
    """Labels that a namespace must have."""


class OrganizationsPolicy(schema.Model):
    """Which namespaces hold organizations."""

    mode: vocabulary.Organizations
    """Listed (those with an OrgEmailSettings; the default), Selector (only selected namespaces) or All."""
    selector: NamespaceSelector | None = None
    """For mode Selector alone."""

    RULES: ClassVar = (
        schema.Rule(
            cel="has(self.selector) == (self.mode == 'Selector')",
            holds=lambda policy: (policy.selector is not None) == (policy.mode == vocabulary.Organizations.SELECTOR),
            message="selector goes with mode Selector: set both or neither",
        ),
    )


class FromPolicy(schema.Model):
    """Which addresses organizations may use as From, envelope and Reply-To on the host's server, beside its own."""

    allow: Annotated[list[types.FromEntry], pydantic.Field(max_length=64), schema.SET] | None = None
    """Addresses (alerts@example.com), domains (@example.com), or {namespace}@example.com; none when absent. An address
    or a domain is for every organization, {namespace} for each its own."""
    own_logins: vocabulary.OwnLogins | None = None
    """Whether an organization that authenticates on the host's server with a login of its own is held to this:
    Enforce (always), KnownProviders (not at a public provider that is known to bind From to the login; the default) or
    Trust (never: the server alone decides who may send as whom). A login that is not held to it is not held to the
    host's limits and rates and quota.ratePerMinute either; what is queued counts for the quota all the same."""

    RULES: ClassVar = (schema.not_empty("allow", "own_logins"),)


class EndpointPattern(schema.Model):
    """Endpoints by name or by network."""

    host: types.HostGlob | None = None
    """A DNS name, *.example.com, or * for every name."""
    cidr: types.Cidr | None = None
    """A network. In allow, it opens addresses that are not public, for every name that resolves into it."""
    ports: Ports | None = None
    """The ports meant; when absent 25, 465, 587 and 2525 (for token servers 443) in allow, and every port in deny."""

    RULES: ClassVar = (
        schema.Rule(
            cel="has(self.host) != has(self.cidr)",
            holds=lambda pattern: (pattern.host is None) != (pattern.cidr is None),
            message="needs either host or cidr, and not both",
        ),
    )


class EndpointsPolicy(schema.Model):
    """Which SMTP servers organizations may name."""

    allow: Annotated[list[EndpointPattern], pydantic.Field(max_length=64), schema.ATOMIC] | None = None
    """If set, only these; if absent, every server with public addresses on ports 25, 465, 587 and 2525. Token servers
    of auth.oauth2 are judged by the same list, with port 443 in place of those four."""
    deny: Annotated[list[EndpointPattern], pydantic.Field(max_length=64), schema.ATOMIC] | None = None
    """Never these, whatever allow says."""
    anonymous: types.Flag | None = None
    """Whether an organization's own endpoint may be used without credentials; false when absent."""
    host_allow: Annotated[list[types.Cidr], pydantic.Field(max_length=16), schema.SET] | None = None
    """Loopback, link-local or metadata networks that the host's own endpoint may use; not for organizations."""

    RULES: ClassVar = (schema.not_empty("allow", "deny", "anonymous", "host_allow"),)


class RecipientsPolicy(schema.Model):
    """Whom organizations may write to."""

    domains: Annotated[list[types.HostGlob], pydantic.Field(max_length=64), schema.SET]
    """Domains of recipients, such as example.com, or *.example.com for all below it; [] means nobody. It holds for
    recipients that organizations and notifications name, not for those that the host names."""


class QuotaPolicy(schema.Model):
    """What one namespace may have, whatever number of organizations it holds."""

    queued_messages: Annotated[int, pydantic.Field(ge=1, le=1_000_000, strict=True)] | None = None
    """Messages waiting; beyond it the intake answers 429. The sender's own limit (5000) when absent."""
    queued_bytes: types.Bytes | None = None
    """Size of what waits, such as 64Mi; beyond it the intake answers 429. The sender's own limit (64Mi) when absent."""
    rate_per_minute: Annotated[int, pydantic.Field(ge=1, le=100_000, strict=True)] | None = None
    """Messages a minute through the host's endpoint; what is above waits in the queue. Not limited when absent."""

    RULES: ClassVar = (schema.not_empty("queued_messages", "queued_bytes", "rate_per_minute"),)


class Policy(schema.Model):
    """What organizations may do."""

    mode: vocabulary.PolicyMode | None = None
    """Enforce (a violation blocks the organization's mail; the default) or Audit (it is only told and counted, and so
    organizations may send as anybody through the host's server meanwhile). Audit opens no address that is not public
    and no port but the usual ones, sends no password elsewhere, and leaves the quota in force."""
    locked: (
        Annotated[list[vocabulary.Lockable], pydantic.Field(max_length=len(vocabulary.Lockable)), schema.SET] | None
    ) = None
    """Fields that no organization may set: smtp, auth, from (or from.address, from.displayName, from.replyTo,
    from.envelope), delivery (or delivery.ratePerMinute, delivery.maxAge), notifications (or one category, such as
    notifications.jobAlert), suspend, publish."""

    organizations: OrganizationsPolicy | None = None
    """Those with an OrgEmailSettings when absent."""
    from_: FromPolicy | None = pydantic.Field(default=None, alias="from")
    recipients: RecipientsPolicy | None = None
    """Every address when absent."""
    endpoints: EndpointsPolicy | None = None
    """Every server with public addresses on ports 25, 465, 587 and 2525, with credentials, when absent."""

    quota: QuotaPolicy | None = None
    """The sender's own limits when absent."""

    RULES: ClassVar = (
        schema.not_empty("mode", "locked", "organizations", "from_", "recipients", "endpoints", "quota"),
    )

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
    """Which addresses organizations may use as From, envelope and Reply-To on the host's endpoint, beside its own."""

    allow: Annotated[list[types.FromEntry], pydantic.Field(max_length=64), schema.SET]
    """Addresses (alerts@example.com), domains (@example.com), or {namespace}@example.com."""


class EndpointPattern(schema.Model):
    """Endpoints by name or by network."""

    host: types.HostGlob | None = None
    """A DNS name, *.example.com, or * for every name."""
    cidr: types.Cidr | None = None
    """A network. In allow, it opens addresses that are not public, for every name that resolves into it."""
    ports: Ports | None = None
    """The ports meant; when absent 25, 465, 587 and 2525 in allow, and every port in deny."""

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
    """If set, only these; if absent, every server with public addresses on ports 25, 465, 587 and 2525."""
    deny: Annotated[list[EndpointPattern], pydantic.Field(max_length=64), schema.ATOMIC] | None = None
    """Never these, whatever allow says."""
    anonymous: types.Flag | None = None
    """Whether an organization's own endpoint may be used without credentials; false when absent."""
    host_allow: Annotated[list[types.Cidr], pydantic.Field(max_length=16), schema.SET] | None = None
    """Loopback, link-local or metadata networks that the host's own endpoint may use; not for organizations."""

    RULES: ClassVar = (schema.not_empty("allow", "deny", "anonymous", "host_allow"),)


class Policy(schema.Model):
    """What organizations may do."""

    organizations: OrganizationsPolicy | None = None
    """Those with an OrgEmailSettings when absent."""
    from_: FromPolicy | None = pydantic.Field(default=None, alias="from")
    endpoints: EndpointsPolicy | None = None
    """Every server with public addresses on ports 25, 465, 587 and 2525, with credentials, when absent."""

    RULES: ClassVar = (schema.not_empty("organizations", "from_", "endpoints"),)

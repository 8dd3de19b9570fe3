"""What a lint is, what it looks at, and what it finds."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Iterator
from typing import Any

from mailtier.api import groups, settings, vocabulary
from mailtier.settings import effective as values
from mailtier.settings.providers import catalogue
from mailtier.settings.providers import facts as providers


class LintSeverity(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "Error"
    """Mail does not leave, or what is secret is not safe."""
    WARNING = "Warning"
    """Mail may be refused, lost or late."""
    INFO = "Info"
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """Its place in an order that has the worst first."""
        return tuple(LintSeverity).index(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Everything that a lint looks at.

    Attributes:
        viewer: Who reads the findings: Org, or Host for the host's own settings.
        host: The host's spec; None where there is none that fits the schema.
        org: The organization's own; None for the host's settings, and for an organization without an object.
        certificate_expires_at: When the server's certificate ends, as the last probe saw it; None if none did.
        client_certificate_expires_at: When the one that the server is shown ends; None without one that can be used.
        now: Aware UTC time.
    """

    viewer: vocabulary.Origin
    organization: values.OrganizationKey
    effective: values.Effective
    host: settings.HostSpec | None
    org: settings.OrgSpec | None
    certificate_expires_at: dt.datetime | None
    client_certificate_expires_at: dt.datetime | None = None
    now: dt.datetime

    @property
    def endpoint(self) -> values.Endpoint | None:
        """The server, for its owner alone: about an inherited one an organization is told nothing (R7)."""
        endpoint = self.effective.endpoint
        return endpoint if endpoint is not None and endpoint.origin == self.viewer else None

    @property
    def auth(self) -> values.Auth | None:
        """The credentials, for their owner alone (R7); Anonymous belongs to the owner of the server."""
        auth = self.effective.auth
        if auth is None or self.effective.endpoint is None:
            return None
        if auth.origin == vocabulary.Origin.DEFAULT:
            return auth if self.endpoint is not None else None
        return auth if auth.origin == self.viewer else None

    @property
    def provider(self) -> providers.Provider | None:
        """The provider of the server, which whoever uses it may know: its host stands in every status."""
        return catalogue.find(self.effective.endpoint.host) if self.effective.endpoint else None

    @property
    def spec(self) -> settings.HostSpec | settings.OrgSpec | None:
        """The viewer's own object."""
        return self.host if self.viewer == vocabulary.Origin.HOST else self.org

    @property
    def auth_group(self) -> groups.Auth | None:
        """The credentials as the viewer's own object has them, where they are the ones in use."""
        auth, spec = self.auth, self.spec
        return spec.auth if auth is not None and spec is not None and auth.origin == self.viewer else None

    def owns(self, path: str) -> bool:
        """Return whether the viewer set an effective value.

        Args:
            path: As provenance has it, such as `from.address`.
        """
        return self.effective.provenance.get(path) == self.viewer


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that a lint noticed.

    Attributes:
        field: Path of the field below the object, as in `spec.from.address`.
        message: What is so and what to do, as it follows the field; without a final full stop. It names no username,
            no Secret and no CA: a finding stands in a status (R7).
        fact: What is known of the provider, where the message rests on that.
    """

    field: str
    message: str
    fact: providers.Fact[Any] | None = None


Check = Callable[[Subject], Iterator[Notice]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """One thing to look for.

    Attributes:
        identifier: In kebab-case; it is also the anchor on the page of lints, and never changes its meaning.
        severity: The worst that a finding of it has.
        title: What is wrong, in one line without a full stop.
        explanation: Why that matters; sentences.
        remedy: What to do; sentences.
        check: Yields what it notices; it raises nothing, whatever the settings are.
        by_facts: Whether what it says rests on what is known of a provider, which may not be verified.
    """

    identifier: str
    severity: LintSeverity
    title: str
    explanation: str
    remedy: str
    check: Check
    by_facts: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """What a lint noticed about one field.

    Attributes:
        severity: The lint's, and at most Warning where it rests on a fact that is not verified.
    """

    lint: Lint
    severity: LintSeverity
    field: str
    message: str

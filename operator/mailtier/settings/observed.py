"""What the operator has read of the world before it decides: plain values, never a password (R1)."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Final, Literal

import pydantic

from mailtier.api import problems, settings
from mailtier.settings import effective


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """An object that does not fit the schema of this version.

    Attributes:
        field: Path of the first field that does not fit, as in `spec.smtp.host`.
        message: What is wrong with it, without a final full stop; holds no value of the object.
        has_remedy: Whether the message says what to do, too.
    """

    field: str
    message: str
    has_remedy: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The two tiers and the namespace, for one organization.

    Attributes:
        host: The HostEmailSettings; None where there is none.
        org: The OrgEmailSettings; `OrgSpec()` for an implicit organization.
        namespace_uid: uid of the organization's namespace.
        namespace_labels: Labels of the organization's namespace.
        operator_namespace: Where the host's references live.
    """

    organization: effective.OrganizationKey
    namespace_uid: str
    namespace_labels: Mapping[str, str]
    operator_namespace: str
    host: settings.HostSpec | Invalid | None
    org: settings.OrgSpec | Invalid


EVERY: Final = dt.timedelta(minutes=1)
"""How often what settings refer to is read again, unless there is more of it than that allows."""


class Purpose(enum.StrEnum):
    """What the value under a Secret's key is for."""

    PASSWORD = "password"  # noqa: S105  # The name of a purpose; the same for the others.
    CLIENT_SECRET = "client secret"  # noqa: S105
    PRIVATE_KEY = "private key"
    REFRESH_TOKEN = "refresh token"  # noqa: S105
    CERTIFICATE = "client certificate"
    CERTIFICATE_KEY = "private key of the client certificate"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """A key of a Secret, and what its value has to be good for."""

    purpose: Purpose
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SecretNeed:
    """A Secret that has to be read before the settings can be used.

    Attributes:
        keys: What is needed of it, at least one; all of it comes from one read.
    """

    namespace: str
    name: str
    keys: tuple[SecretKey, ...]

    @property
    def is_certificate(self) -> bool:
        """Whether it is a client certificate's, and not what a login is made with."""
        return self.keys[0].purpose == Purpose.CERTIFICATE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaNeed:
    """A CA bundle that has to be read before the settings can be used."""

    namespace: str
    kind: Literal["ConfigMap", "Secret"]
    name: str
    key: str


class ReadOutcome(enum.StrEnum):
    """How a read ended."""

    FOUND = "found"
    NOT_FOUND = "not found"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    """The apiserver did not answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What gives the operator the right to read in a namespace.

    Attributes:
        role: The ClusterRole.
        account: Its ServiceAccount, as `namespace:name`.
    """

    role: str
    account: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SecretRead:
    """What a read of a Secret found; all of it from one read, so that annotation and password belong together.

    Attributes:
        version: uid and resourceVersion, as in `1f0c.../4711`.
        annotation: Text of `mailtier.dev/endpoint`; None without it.
        unfit: The first key whose value is not fit for its purpose; None where all are.
        problem: Why it is not (`fitness.judge` says); "" where all are.
        expires_at: When a client certificate ends, aware UTC; None for what does not end.
        grant: Of one that may not be read, who has to be bound to what; None where nobody said.
    """

    outcome: ReadOutcome
    version: str = ""
    annotation: str | None = None
    unfit: SecretKey | None = None
    problem: str = ""
    expires_at: dt.datetime | None = None
    grant: Grant | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaRead:
    """What a read of a CA bundle found.

    Attributes:
        digest: Hexadecimal SHA-256 of the bundle; "" unless it was found and is usable.
        problem: Why it cannot be used, without a final full stop; "" where it can.
        grant: As of a Secret.
    """

    outcome: ReadOutcome
    digest: str = ""
    problem: str = ""
    grant: Grant | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What was read for a plan; what it needs and is absent here counts as unavailable.

    Attributes:
        every: How often it is read again.
        is_answered: Whether all that was to be read anew has been; what the API server did not answer is as it was
            known before.
        fallback: What was read for the plan's fallback; None without one.
    """

    secret: SecretRead | None = None
    certificate: SecretRead | None = None
    ca: CaRead | None = None
    every: dt.timedelta = EVERY
    is_answered: bool = True
    fallback: "Reads | None" = None


def parse_host(spec: Any) -> settings.HostSpec | Invalid:
    """Return the spec of a HostEmailSettings, or why it does not fit.

    Args:
        spec: The object's `spec` as JSON came in; None where it has none.
    """
    try:
        return settings.HostSpec.model_validate(spec if spec is not None else {})
    except pydantic.ValidationError as error:
        return invalid(error, settings.HostSpec)


def parse_org(spec: Any) -> settings.OrgSpec | Invalid:
    """Return the spec of an OrgEmailSettings, or why it does not fit.

    Args:
        spec: The object's `spec` as JSON came in; None where it has none.
    """
    try:
        return settings.OrgSpec.model_validate(spec if spec is not None else {})
    except pydantic.ValidationError as error:
        return invalid(error, settings.OrgSpec)


def invalid(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> Invalid:
    """Return what a validation found, without the values that were given."""
    first, *others = problems.listed(error, model, below="spec")
    more = f" (and {len(others)} more)" if others else ""
    return Invalid(field=first.field, message=first.message + more, has_remedy=first.has_remedy)

"""The three kinds as whole objects: the CRDs are generated from them, and files are checked against them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import pydantic

from mailtier.api import names, notification, schema, settings, types
from mailtier.api import status as statuses

# The apiserver knows both values by itself; an enumeration in the CRD would only say it twice.
_TEXT: Final = pydantic.WithJsonSchema({"type": "string"})
_NOT_OBSERVED: Final[dict[str, pydantic.JsonValue]] = {"default": statuses.STATUS_DEFAULT}

# Whoever applies server-side and removes the last override leaves `spec: null` behind, which would be refused: with a
# default it reads `{}`. It is the one default of a spec, and defaults nothing that could be inherited.
_EMPTY: Final[dict[str, pydantic.JsonValue]] = {"default": {}}


def _only_type(document: dict[str, Any]) -> None:
    """Reduce the schema of metadata to its type: the apiserver refuses a CRD that says more of it."""
    document.clear()
    document["type"] = "object"


class Metadata(pydantic.BaseModel):
    """What is read of an object's metadata; the apiserver knows and checks the rest.

    Attributes:
        name: None where the apiserver is to complete generateName.
    """

    model_config = pydantic.ConfigDict(extra="ignore", frozen=True, json_schema_extra=_only_type)

    name: str | None = None
    namespace: str | None = None


class Object(schema.Model):
    """What every kind has."""

    api_version: Annotated[Literal["mailtier.dev/v1alpha1"], _TEXT]
    """Group and version of the API, mailtier.dev/v1alpha1."""
    kind: str
    metadata: Metadata


def _has_host_name(host: "HostEmailSettings") -> bool:
    return host.metadata.name in {None, names.HOST_NAME}


def _has_organization_name(organization: "OrgEmailSettings") -> bool:
    name = organization.metadata.name
    return name is None or (
        len(name) <= names.ORGANIZATION_NAME_LENGTH and re.fullmatch(types.LABEL_PATTERN, name) is not None
    )


class HostEmailSettings(Object):
    """The host's e-mail settings, which apply to every organization unless it overrides them.

    There is one in a cluster, named default; the platform team writes it.
    """

    kind: Annotated[Literal["HostEmailSettings"], _TEXT]
    """The kind, HostEmailSettings."""
    spec: settings.HostSpec = pydantic.Field(default_factory=settings.HostSpec, json_schema_extra=_EMPTY)
    status: statuses.HostStatus | None = pydantic.Field(default=None, json_schema_extra=_NOT_OBSERVED)

    RULES: ClassVar = (
        schema.Rule(
            cel=f"self.metadata.name == '{names.HOST_NAME}'",
            holds=_has_host_name,
            message=f"metadata.name must be {names.HOST_NAME}: a cluster has one HostEmailSettings",
        ),
    )


class OrgEmailSettings(Object):
    """An organization's e-mail settings: what it overrides of the host's.

    A namespace may hold several organizations; spec: {} inherits everything.
    """

    kind: Annotated[Literal["OrgEmailSettings"], _TEXT]
    """The kind, OrgEmailSettings."""
    spec: settings.OrgSpec = pydantic.Field(default_factory=settings.OrgSpec, json_schema_extra=_EMPTY)
    status: statuses.OrgStatus | None = pydantic.Field(default=None, json_schema_extra=_NOT_OBSERVED)

    RULES: ClassVar = (
        schema.Rule(
            cel=f"size(self.metadata.name) <= {names.ORGANIZATION_NAME_LENGTH} && "
            f"{schema.cel_matches(types.LABEL_PATTERN, 'self.metadata.name')}",
            holds=_has_organization_name,
            message=f"metadata.name must be a DNS label of at most {names.ORGANIZATION_NAME_LENGTH} characters:"
            " lower-case letters, digits and '-'",
        ),
    )


class Notification(Object):
    """One thing to tell somebody by e-mail, for low volume.

    Applications that send much, or that recover passwords, POST to the intake instead.
    """

    kind: Annotated[Literal["Notification"], _TEXT]
    """The kind, Notification."""
    spec: notification.NotificationSpec
    status: statuses.NotificationStatus | None = pydantic.Field(default=None, json_schema_extra=_NOT_OBSERVED)


ALL: Final[Mapping[str, type[Object]]] = {
    names.HOST_KIND: HostEmailSettings,
    names.ORG_KIND: OrgEmailSettings,
    names.NOTIFICATION_KIND: Notification,
}
"""The model of each kind, by its name."""

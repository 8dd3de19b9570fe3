"""The CustomResourceDefinitions, generated from the models: the one source of truth."""

import dataclasses
from typing import Any, Final

from mailtier.api import kinds, names, structural


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`.

    Attributes:
        name: Upper case, as kubectl prints it.
        path: JSONPath from the object.
        type: integer, string or date.
        description: One sentence.
        wide: Whether only `-o wide` shows it.
    """

    name: str
    path: str
    type: str = "string"
    description: str
    wide: bool = False

    def as_entry(self) -> dict[str, Any]:
        """Return the entry of `additionalPrinterColumns`."""
        entry = {"name": self.name, "type": self.type, "jsonPath": self.path, "description": self.description}
        return {**entry, "priority": 1} if self.wide else entry


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a kind's CRD says beside its schema.

    Attributes:
        selectable: Paths for `kubectl get --field-selector`.
    """

    kind: str
    plural: str
    singular: str
    short_name: str
    namespaced: bool
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the CRD."""
        return f"{self.plural}.{names.GROUP}"

    @property
    def file_name(self) -> str:
        """The name of the CRD's file, as controller-gen has it."""
        return f"{names.GROUP}_{self.plural}.yaml"


def _condition(type_: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


_READY: Final = Column(name="READY", path=_condition("Ready", "status"), description="Whether all is well.")
_REASON: Final = Column(name="REASON", path=_condition("Ready", "reason"), description="Why, in one word.")
_HOST: Final = Column(name="HOST", path=".status.effective.smtp.host", description="The effective SMTP server.")
_TLS: Final = Column(name="TLS", path=".status.effective.smtp.tls.mode", description="How the connection is protected.")
_FROM: Final = Column(name="FROM", path=".status.effective.from.address", description="The effective From address.")
_VERIFIED: Final = Column(
    name="VERIFIED", path=_condition("Verified", "status"), description="Whether the sender's probe went through."
)
_AGE: Final = Column(
    name="AGE", path=".metadata.creationTimestamp", type="date", description="Time since the object was created."
)
_MESSAGE: Final = Column(
    name="MESSAGE", path=_condition("Ready", "message"), description="What is so and what to do.", wide=True
)
_QUEUE: Final = (
    Column(
        name="QUEUED",
        path=".status.queue.queued",
        type="integer",
        description="About how many recipients wait for their turn.",
        wide=True,
    ),
    Column(
        name="DEFERRED",
        path=".status.queue.deferred",
        type="integer",
        description="About how many wait for their next attempt.",
        wide=True,
    ),
    Column(
        name="HELD",
        path=".status.queue.held",
        type="integer",
        description="About how many are held until something is mended.",
        wide=True,
    ),
    Column(
        name="OLDEST",
        path=".status.queue.oldest",
        type="date",
        description="Time since the oldest of them was accepted.",
        wide=True,
    ),
)
_PORT: Final = Column(
    name="PORT", path=".status.effective.smtp.port", type="integer", description="The effective port.", wide=True
)

HOST: Final = Resource(
    kind=names.HOST_KIND,
    plural=names.HOST_PLURAL,
    singular="hostemailsettings",
    short_name="hes",
    namespaced=False,
    columns=(
        _READY,
        _REASON,
        _HOST,
        _TLS,
        _FROM,
        Column(
            name="ORGS",
            path=".status.summary.organizations",
            type="integer",
            description="How many organizations there are.",
        ),
        _VERIFIED,
        _AGE,
        _PORT,
        Column(
            name="BLOCKED",
            path=".status.summary.blocked",
            type="integer",
            description="How many organizations are blocked.",
            wide=True,
        ),
        *_QUEUE,
        _MESSAGE,
    ),
)
ORGANIZATION: Final = Resource(
    kind=names.ORG_KIND,
    plural=names.ORG_PLURAL,
    singular="orgemailsettings",
    short_name="oes",
    namespaced=True,
    columns=(
        _READY,
        _REASON,
        _HOST,
        _TLS,
        _FROM,
        Column(name="SOURCE", path=".status.source", description="The tiers drawn on: Host, Org or Mixed."),
        _VERIFIED,
        _AGE,
        _PORT,
        *_QUEUE,
        _MESSAGE,
    ),
    selectable=(".spec.smtp.host", ".status.source"),
)
NOTIFICATION: Final = Resource(
    kind=names.NOTIFICATION_KIND,
    plural=names.NOTIFICATION_PLURAL,
    singular="notification",
    short_name="ntf",
    namespaced=True,
    columns=(
        _READY,
        _REASON,
        Column(name="CATEGORY", path=".spec.category", description="What it is about."),
        Column(
            name="COMPLETE",
            path=_condition("Complete", "status"),
            description="Whether every recipient has a final state.",
        ),
        _AGE,
        # Blank where it is the default, which no column can say; so it is not among those that are always shown.
        Column(name="ORGANIZATION", path=".spec.organization", description="Whose settings deliver it.", wide=True),
        Column(name="ID", path=".status.id", description="The sender's id of it.", wide=True),
        _MESSAGE,
    ),
)
ALL: Final = (HOST, ORGANIZATION, NOTIFICATION)


def definition(resource: Resource) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind, as `kubectl apply` takes it."""
    version: dict[str, Any] = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": structural.schema_of(kinds.ALL[resource.kind])},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.as_entry() for column in resource.columns],
    }
    if resource.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in resource.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": [resource.short_name],
                "categories": [names.CATEGORY],
            },
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [version],
        },
    }

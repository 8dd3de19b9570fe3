"""Which rights the operator and whoever checks need, and what is to be said of those that are missing."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from mailtier.api import names
from mailtier.cli.online.checking import findings

OPERATOR_CHECK: Final = "Operator's rights"
CALLER_CHECK: Final = "Your rights"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """What somebody may do.

    Attributes:
        resource: With its subresource, as in `pods/portforward`.
        name: Of the only object that it is for; "" for all.
        is_own: Whether it is for Mailtier's own namespace alone; else for the whole cluster.
        purpose: What is not possible without it.
    """

    verb: str
    resource: str
    group: str = ""
    name: str = ""
    is_own: bool = False
    purpose: str = dataclasses.field(default="", compare=False)

    def attributes(self, namespace: str) -> dict[str, str]:
        """Return what a review asks for.

        Args:
            namespace: Mailtier's.
        """
        resource, _, subresource = self.resource.partition("/")
        asked = {"verb": self.verb, "group": self.group, "resource": resource, "subresource": subresource}
        asked |= {"name": self.name, "namespace": namespace if self.is_own else ""}
        return {key: value for key, value in asked.items() if value}

    def text(self, namespace: str) -> str:
        """Return it as people write it."""
        where = f"in the namespace {namespace}" if self.is_own else "in the whole cluster"
        return f"{self.verb} {f'{self.resource}.{self.group}' if self.group else self.resource} {where}"


def _each(verbs: str, resources: str, group: str = "", **more: Any) -> list[Right]:
    return [
        Right(verb=verb, resource=resource, group=group, **more)
        for resource in resources.split()
        for verb in verbs.split()
    ]


_HOST, _ORGS, _NOTIFICATIONS = names.HOST_PLURAL, names.ORG_PLURAL, names.NOTIFICATION_PLURAL

OPERATOR: Final[Sequence[Right]] = (
    *_each("list watch", f"{_HOST} {_ORGS} {_NOTIFICATIONS}", names.GROUP),
    *_each("patch", f"{_HOST}/status {_ORGS}/status {_NOTIFICATIONS}/status", names.GROUP),
    *_each("get delete", _NOTIFICATIONS, names.GROUP),
    *_each("create", "events", "events.k8s.io"),
    *_each("list watch", "namespaces"),
    *_each("list watch", "customresourcedefinitions", "apiextensions.k8s.io"),
    *_each("create", "tokenreviews", "authentication.k8s.io"),
    *_each("create", "subjectaccessreviews", "authorization.k8s.io"),
    *_each("list watch create patch delete", "configmaps", is_own=True),
    *_each("create", "leases", "coordination.k8s.io", is_own=True),
    *_each("get update", "leases", "coordination.k8s.io", is_own=True, name=names.LEASE_NAME),
    # In other namespaces only where the chart says so; what is missing there stands in an organization's status.
    *_each("get", "secrets configmaps", is_own=True),
)
"""Of the ServiceAccount that operator and sender share, as the chart gives them."""

CALLER: Final[Sequence[Right]] = (
    *_each("list", _ORGS, names.GROUP, purpose="`mailtier status` works for one namespace at a time"),
    *_each("get", _HOST, names.GROUP, purpose="the host's settings are not looked at"),
    *_each("get", "pods/portforward", is_own=True, purpose="`verify`, `send`, `queue` and `top` need --url"),
    *_each("create", "serviceaccounts/token", is_own=True, purpose="`verify --host` and `top` need --token-file"),
)
"""Of whoever is to use the commands of a bad hour."""


def judge_operator(missing: Sequence[Right] | None, *, namespace: str, account: str) -> list[findings.CheckFinding]:
    """Return what is to be said of the operator's rights.

    Args:
        missing: What its ServiceAccount may not do; None where that could not be asked.
        namespace: Mailtier's.
        account: The ServiceAccount's name; "" where that is not known.
    """
    if not account:
        return [findings.unknown(OPERATOR_CHECK, "Without a pod it is not known which ServiceAccount it has.")]
    if missing is None:
        return [
            findings.unknown(
                OPERATOR_CHECK,
                "You may not ask what others may do (create subjectaccessreviews.authorization.k8s.io).",
                "Have somebody check who may.",
            )
        ]
    if not missing:
        told = f"The ServiceAccount {namespace}/{account} may do what it needs."
        return [findings.ok(OPERATOR_CHECK, told)]
    return [
        findings.failed(
            OPERATOR_CHECK,
            f"The ServiceAccount {namespace}/{account} may not {'; '.join(each.text(namespace) for each in missing)}.",
            "Install the chart with rbac.create: true, or grant what is missing; then restart the pod.",
        )
    ]


def judge_caller(missing: Sequence[Right], *, namespace: str) -> list[findings.CheckFinding]:
    """Return what is to be said of the rights of whoever checks.

    Args:
        missing: What they may not do.
        namespace: Mailtier's.
    """
    if not missing:
        return [findings.ok(CALLER_CHECK, "You may do what the other commands need.")]
    return [
        findings.warning(
            CALLER_CHECK,
            f"You may not {each.text(namespace)}: {each.purpose}.",
            "Have that right granted where you need it.",
        )
        for each in missing
    ]

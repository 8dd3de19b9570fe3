"""Objects of the three kinds with the verdict that the apiserver and the models must both reach."""

import collections.abc
import dataclasses
import pathlib
import typing

import yaml

from mailtier.api import names

FOLDER = pathlib.Path(__file__).parent
_DEFAULT_NAMES = {names.HOST_KIND: "default", names.ORG_KIND: "sales", names.NOTIFICATION_KIND: "nightly"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One object and what is to become of it.

    Attributes:
        why: What is tried, in a few words.
        document: The whole object.
        says: A part of the apiserver's answer that a person needs; "" where the object is accepted.
        offline: The same part from the models; "" where the object is accepted.
    """

    why: str
    document: dict[str, typing.Any]
    says: str = ""
    offline: str = ""

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.document["kind"])

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}"


def document(
    kind: str, spec: object = None, metadata: collections.abc.Mapping[str, object] | None = None
) -> dict[str, typing.Any]:
    """Return a whole object; without a `spec` it has none."""
    namespace = {} if kind == names.HOST_KIND else {"namespace": "default"}
    whole: dict[str, typing.Any] = {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": _DEFAULT_NAMES[kind], **namespace, **(metadata or {})},
    }
    return whole if spec is None else {**whole, "spec": spec}


def accepted() -> list[Case]:
    """Return the objects that the API takes."""
    return list(_cases("accepted.yaml"))


def refused() -> list[Case]:
    """Return the objects that the API refuses, each with the sentence that a person needs."""
    return list(_cases("refused.yaml"))


def _cases(name: str) -> collections.abc.Iterator[Case]:
    tables = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    for kind, rows in tables.items():
        for row in rows:
            says = row.get("says", "")
            yield Case(
                why=row["why"],
                document=document(kind, row.get("spec"), row.get("metadata")),
                says=says,
                offline=row.get("offline", says),
            )

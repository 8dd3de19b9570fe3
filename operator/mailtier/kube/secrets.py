"""Reading one Secret (R1, R9): `get` is the only verb, and its values never show themselves."""

import base64
import binascii
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from mailtier.api import secret
from mailtier.kube import client, paths


class Data(Mapping[str, secret.Hidden]):
    """The keys of a Secret with their values, each decoded when it is asked for.

    What is not UTF-8 in a value stands in it as surrogates, so that whoever judges it can tell.
    """

    def __init__(self, encoded: Mapping[str, Any]) -> None:
        self._encoded = encoded

    def __getitem__(self, key: str) -> secret.Hidden:
        value = _text(self._encoded[key])
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return (key for key, value in self._encoded.items() if _text(value) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Data({sorted(self)})"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SecretContents:
    """A Secret as one read found it: the annotation that permits its use and the values stand side by side.

    Attributes:
        uid: Of the object.
        resource_version: Changes whenever the Secret does.
        kind: Its type, as in kubernetes.io/tls.
    """

    uid: str
    resource_version: str
    kind: str
    annotations: Mapping[str, str]
    data: Data


async def read(api: client.Client, namespace: str, name: str) -> SecretContents:
    """Return a Secret.

    Raises:
        NotFoundError: There is none.
        ForbiddenError: We may not read Secrets there.
        UnavailableError: The apiserver did not answer.
    """
    found = await api.get(paths.secrets(namespace, name))
    metadata = found["metadata"]
    return SecretContents(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        kind=found.get("type") or "",
        annotations=metadata.get("annotations") or {},
        data=Data(found.get("data") or {}),
    )


def _text(encoded: Any) -> secret.Hidden | None:
    try:
        return secret.Hidden(base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape"))
    except (binascii.Error, TypeError):
        return None

"""The objects by which somebody agrees that what is in a Secret is sent to a server."""

import base64
import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Final

from mailtier.api import names, secret
from mailtier.settings import binding, observed, passwords

Object = dict[str, Any]

# RFC 1123 subdomain, and what Kubernetes takes as a key (`IsConfigMapKey`).
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LENGTH: Final = 253
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_GROUP: Final = "rbac.authorization.k8s.io"
_PURPOSES: Final = {
    names.CLIENT_SECRET_KEY: observed.Purpose.CLIENT_SECRET,
    names.PRIVATE_KEY_KEY: observed.Purpose.PRIVATE_KEY,
    names.REFRESH_TOKEN_KEY: observed.Purpose.REFRESH_TOKEN,
}


class ConsentError(ValueError):
    """It cannot be agreed to; the sentence says why and what to do, and holds no value (R1)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What somebody agrees to.

    Attributes:
        name: The Secret's.
        key: Under which its value lies.
        servers: Where the value may be sent, or tokens that were had with it.
        alone: Whether it may be sent nowhere else, whatever was agreed to before.
    """

    namespace: str
    name: str
    key: str
    servers: tuple[binding.BoundServer, ...]
    alone: bool = False

    def __post_init__(self) -> None:
        """Look at the names, which stand in paths and in what a person reads.

        Raises:
            ConsentError: One cannot be the name of an object.
        """
        for what, name in (("namespace", self.namespace or "default"), ("Secret", self.name)):
            if len(name) > _NAME_LENGTH or not _NAME.fullmatch(name):
                raise ConsentError(f"no {what} can be called {name!r}: a-z, 0-9, - and . make a name")
        if not _KEY.fullmatch(self.key):
            raise ConsentError(f"no key of a Secret can be called {self.key!r}: letters, digits, -, _ and . make one")

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"

    @property
    def purpose(self) -> observed.Purpose:
        """What the value is for."""
        return _PURPOSES.get(self.key, observed.Purpose.PASSWORD)

    @property
    def is_for_tokens(self) -> bool:
        """Whether access tokens are had with the value."""
        return any(server.is_token_server for server in self.servers)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesGrant:
    """Who is to read what settings of a namespace refer to.

    Attributes:
        role: The ClusterRole.
        account: The operator's ServiceAccount, `namespace:name`.
    """

    namespace: str
    role: str
    account: str


def parse_servers(texts: Sequence[str]) -> tuple[binding.BoundServer, ...]:
    """Return the servers of `HOST[:PORT]` and `https://HOST[:PORT]`, each once.

    Raises:
        ConsentError: One is not of that form.
    """
    found: dict[binding.BoundServer, None] = {}
    for text in texts:
        server = binding.parse(text)
        if len(server) != 1 or "," in text:
            raise ConsentError(
                f"{text!r} is not HOST[:PORT], such as smtp.example.com:587, nor https://HOST; IPv6 stands in brackets,"
                " and other names than ASCII as A-labels (xn--)"
            )
        found[server[0]] = None
    return tuple(found)


def parse_value(consent: Consent, raw: bytes) -> secret.Hidden:
    """Return the value that is fit for its purpose; the line break that a pipe leaves at the end is none of it.

    Raises:
        ConsentError: It is not fit.
    """
    if consent.purpose != observed.Purpose.PRIVATE_KEY:
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    if why := passwords.problem(raw, consent.purpose):
        raise ConsentError(f"{consent}, key {consent.key}: {why}")
    return secret.Hidden(raw.decode())


def annotation(consent: Consent, present: Object | None) -> str:
    """Return the annotation that a Secret gets.

    Args:
        consent: What is agreed to.
        present: The Secret; None where there is none.

    Raises:
        ConsentError: Passwords and what tokens are had with would come together, or it has more than is looked at.
    """
    before = _annotation(present)
    parsed = binding.parse(before)
    if parsed and binding.is_for_tokens(before) != consent.is_for_tokens:
        what, other = ("passwords", "what tokens are had with") if consent.is_for_tokens else ("access tokens", "this")
        raise ConsentError(f"{consent} is for {what}, as its annotation says; put {other} into another Secret")
    text = binding.joined(None if consent.alone else before, consent.servers)
    if binding.is_too_long(text):
        raise ConsentError(
            f"the annotation of {consent} would have more than {binding.MAXIMUM_LENGTH} characters, so that nothing in"
            " it counted; leave servers out, or use --replace"
        )
    return text


def lacks_value(consent: Consent, present: Object | None) -> bool:
    """Return whether a Secret has nothing under the key; a certificate is put there by what issues it."""
    if present is None:
        return True
    return present.get("type") != names.TLS_SECRET_TYPE and not (present.get("data") or {}).get(consent.key)


def new_secret(consent: Consent, value: secret.Hidden) -> Object:
    """Return the Secret where there is none."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": consent.name,
            "namespace": consent.namespace,
            "annotations": {names.ENDPOINT_ANNOTATION: annotation(consent, None)},
        },
        "type": "Opaque",
        "data": {consent.key: _encoded(value)},
    }


def changes(consent: Consent, present: Object, value: secret.Hidden | None) -> Object:
    """Return what has to change of a Secret that is there, as a merge patch; {} where nothing has.

    Args:
        consent: What is agreed to.
        present: The Secret as it was read; the patch is refused where it has changed since.
        value: To put under the key; None to leave what is there.

    Raises:
        ConsentError: As `annotation` says, or its values cannot be changed.
    """
    found: Object = {}
    text = annotation(consent, present)
    if text != _annotation(present):
        found["metadata"] = {"annotations": {names.ENDPOINT_ANNOTATION: text}}
    if value is not None and (present.get("data") or {}).get(consent.key) != _encoded(value):
        if present.get("immutable"):
            raise ConsentError(f"{consent} is immutable, so that its values stay; name another one in the settings")
        found["data"] = {consent.key: _encoded(value)}
    if found:
        metadata = present["metadata"]
        found.setdefault("metadata", {}).update(uid=metadata["uid"], resourceVersion=metadata["resourceVersion"])
    return found


def role_binding(grant: ReferencesGrant) -> Object:
    """Return what lets the operator read the Secrets and CA bundles of a namespace whose names it knows."""
    namespace, _, name = grant.account.partition(":")
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": names.REFERENCES_BINDING, "namespace": grant.namespace},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": grant.role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def is_same_grant(present: Object, wanted: Object) -> bool:
    """Return whether a RoleBinding that is there grants what is wanted, to whomever else it may."""
    identity = ("kind", "name", "namespace")
    subjects = [{key: each.get(key) for key in identity} for each in present.get("subjects") or ()]
    return present.get("roleRef") == wanted["roleRef"] and wanted["subjects"][0] in subjects


def _annotation(present: Object | None) -> str | None:
    metadata = {} if present is None else present["metadata"]
    found: str | None = (metadata.get("annotations") or {}).get(names.ENDPOINT_ANNOTATION)
    return found


def _encoded(value: secret.Hidden) -> str:
    return base64.b64encode(value.raw).decode("ascii")

"""Effective settings as a list of values, each under the path that people set it by, with where it came from."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailtier.api import prose, vocabulary
from mailtier.settings import codec, effective, view

_SECRET: Final = {"auth.secretName": "name", "auth.secretNamespace": "namespace", "auth.secretKey": "key"}
"""What a status and an effective ConfigMap say of the Secret that the spec refers to."""
_CERTIFICATE: Final = {
    "smtp.tls.clientCertificateSecretName": "smtp.tls.clientCertificateRef.name",
    "smtp.tls.clientCertificateSecretNamespace": "smtp.tls.clientCertificateRef.namespace",
}
"""The same of the client certificate."""
_OAUTH2_KEYS: Final = {
    f"auth.oauth2.{name}": f"auth.oauth2.secretRef.{name}"
    for name in ("clientSecretKey", "privateKeyKey", "refreshTokenKey")
}

_FALLBACK: Final = "smtp.fallback."

_NO_VALUES: Final = frozenset(
    {"state", "source", "provenance", "findings", "audited", "byAddress", "fallbackByAddress"}
)
_UNLIMITED: Final = "unlimited"
_SENDER_S: Final = "the sender's own"
_QUOTA: Final = ("quota.queuedMessages", "quota.queuedBytes", "quota.ratePerMinute")
_ACTING: Final = {
    "delivery.heloName": _SENDER_S,
    "delivery.maxAge": "by category",
    "delivery.endpointRatePerMinute": _UNLIMITED,
    "delivery.ratePerMinute": _UNLIMITED,
    "quota.queuedMessages": _SENDER_S,
    "quota.queuedBytes": _SENDER_S,
    "quota.ratePerMinute": _UNLIMITED,
}
"""What acts in place of a value that is absent."""
_ACTING_WITH_TLS: Final = {"smtp.tls.caRef": "the system's CAs", "smtp.tls.serverName": "smtp.host"}
_ACTING_AT_FALLBACK: Final = {
    "smtp.fallback.tls.caRef": "the system's CAs",
    "smtp.fallback.tls.serverName": "smtp.fallback.host",
}
_HEADS: Final = ("smtp", "auth", "from", "delivery", "notifications")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One effective value.

    Attributes:
        text: As people read it; "" where it is absent.
        origin: Where it came from; None for what follows from the host's policy.
        acting: What acts where it is absent, in a word or two; "none" where nothing does.
    """

    text: str
    origin: vocabulary.Origin | None
    acting: str = "none"

    @property
    def is_own(self) -> bool:
        """Whether the organization set it."""
        return self.origin == vocabulary.Origin.ORG

    @property
    def tier(self) -> str:
        """Where it came from, in one word."""
        return "Policy" if self.origin is None else self.origin.value

    @property
    def shown(self) -> str:
        """The value, or in parentheses what acts in its place."""
        return self.text or f"({self.acting})"

    def __str__(self) -> str:
        return f"{self.shown} ({self.tier})"


def of(settings: effective.Effective) -> dict[str, Value]:
    """Return all values by their dotted paths, in the order of the spec's groups."""
    flat = {_as_set(settings, path): text for path, text in codec.flat_keys(settings).items() if path not in _NO_VALUES}
    flat["suspend"] = _suspend(settings)
    flat = {**dict.fromkeys(_QUOTA, ""), **flat}
    inner = {path.rpartition(".")[0] for path in flat}
    # What has an origin and no value is a default that is an absence.
    flat |= {path: "" for path in settings.provenance if path not in flat and path not in inner}
    acting = dict(_ACTING)
    if settings.endpoint is not None and settings.endpoint.tls.mode != vocabulary.TlsMode.DISABLED:
        acting |= _ACTING_WITH_TLS
    if settings.fallback is not None and settings.fallback.endpoint.tls.mode != vocabulary.TlsMode.DISABLED:
        acting |= _ACTING_AT_FALLBACK
    return {
        path: Value(text=flat[path], origin=_nearest(settings.provenance, path), acting=acting.get(path, "none"))
        for path in sorted(flat, key=rank)
    }


def of_status(status: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values that an object's status shows.

    Args:
        status: `status.effective`, as the operator wrote it for whoever may read the object.
    """
    origins = {path: vocabulary.Origin(origin) for path, origin in status.get("provenance", {}).items()}
    flat = view.flatten({name: group for name, group in status.items() if name != "provenance"})
    as_set = {"auth.secretName": "auth.passwordSecretRef.name", **_CERTIFICATE}
    spelled = {_spelled(path, lambda path: as_set.get(path, path)): text for path, text in flat.items()}
    found = {}
    for path in sorted(spelled, key=rank):
        found[path] = Value(text=spelled[path], origin=_nearest(origins, path))
    return found


def _as_set(settings: effective.Effective, path: str) -> str:
    """Return how the spec spells a path of an effective ConfigMap."""
    there = settings.at_fallback()
    if there is not None and path.startswith(_FALLBACK):
        return _spelled(path, lambda path: _as_set(there, path))
    if path in _SECRET:
        is_oauth2 = settings.auth is not None and settings.auth.oauth2 is not None
        return f"auth.{'oauth2.secretRef' if is_oauth2 else 'passwordSecretRef'}.{_SECRET[path]}"
    return {"smtp.tls.ca": "smtp.tls.caRef", **_CERTIFICATE, **_OAUTH2_KEYS}.get(path, path)


def _spelled(path: str, spell: Callable[[str], str]) -> str:
    """Return how the spec spells a path: that of a fallback as it spells the same of the first server."""
    if not path.startswith(_FALLBACK):
        return spell(path)
    rest = path.removeprefix(_FALLBACK)
    is_auth = rest.startswith("auth.")
    return _FALLBACK + spell(rest if is_auth else f"smtp.{rest}").removeprefix("" if is_auth else "smtp.")


def _suspend(settings: effective.Effective) -> str:
    """Return whether delivery waits, as far as the state lets it be seen."""
    if settings.state == effective.State.SUSPENDED:
        return "true"
    is_default = settings.provenance.get("suspend") == vocabulary.Origin.DEFAULT
    return "false" if is_default or settings.state == effective.State.ACTIVE else ""


def rank(path: str) -> int:
    """Return where a path stands: its group among the spec's groups."""
    head = path.partition(".")[0]
    return _HEADS.index(head) if head in _HEADS else len(_HEADS)


def _nearest(origins: Mapping[str, vocabulary.Origin], path: str) -> vocabulary.Origin | None:
    """Return the origin of a path, or of the group that is chosen as a whole."""
    while path and path not in origins:
        path = path.rpartition(".")[0]
    return origins.get(path)


def finding(entry: effective.Finding, *, aside: str = "") -> str:
    """Return a finding as one line; what is said aside of it stands in parentheses behind its reason."""
    message = entry.message if entry.field else prose.capitalized(entry.message)
    reason = f"{entry.reason.name} ({aside})" if aside else entry.reason.name
    return ": ".join(part for part in (reason, entry.field, message) if part)


def to_json(value: Value | None) -> dict[str, str] | None:
    """Return a value as JSON; null for none."""
    if value is None:
        return None
    return {"value": value.text, "origin": value.tier}

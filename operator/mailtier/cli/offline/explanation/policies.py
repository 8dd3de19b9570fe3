"""The host's policy as values: what organizations may do, which the host alone says."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mailtier.api import names, policies, vocabulary
from mailtier.cli.offline import values
from mailtier.sender import ports

GROUP: Final = "policy"
NOTE: Final = f"it is the host's alone: whoever may write HostEmailSettings {names.HOST_NAME} says what others may do"
_SENDER_S: Final = ports.QueueQuota()
QUOTA: Final = {
    "quota.queuedMessages": str(_SENDER_S.messages),
    "quota.queuedBytes": str(_SENDER_S.payload_bytes),
    "quota.ratePerMinute": "",
}
"""What a namespace may have where the host's policy does not say it: the sender's own limits."""


def _default(text: str, *, acting: str = "none") -> values.Value:
    return values.Value(text=text, origin=vocabulary.Origin.DEFAULT, acting=acting)


_DEFAULTS: Final = {
    "mode": _default(vocabulary.PolicyMode.ENFORCE.value),
    "locked": _default(""),
    "organizations.mode": _default(vocabulary.Organizations.LISTED.value),
    # It belongs to one mode alone, and is nothing where that is not chosen.
    "organizations.selector": _default("", acting=""),
    "from.allow": _default(""),
    "from.ownLogins": _default(vocabulary.OwnLogins.KNOWN_PROVIDERS.value),
    "recipients.domains": _default("", acting="every address"),
    "endpoints.allow": _default("", acting="every server with public addresses, on ports 25, 465, 587 and 2525"),
    "endpoints.deny": _default(""),
    "endpoints.anonymous": _default("false"),
    "endpoints.hostAllow": _default(""),
    **{path: _default(text, acting="unlimited") for path, text in QUOTA.items()},
}
"""What acts where the policy does not say it, by the path below the policy."""


def of(policy: policies.Policy | None) -> dict[str, values.Value]:
    """Return the values of a policy by their dotted paths; of what is absent, the default that acts."""
    document: dict[str, Any] = {}
    if policy is not None:
        document = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    said = dict(_flatten(document, GROUP))
    found: dict[str, values.Value] = {}
    for name, default in _DEFAULTS.items():
        path = f"{GROUP}.{name}"
        found[path] = default
        found |= {
            below: values.Value(text=text, origin=vocabulary.Origin.HOST)
            for below, text in said.items()
            if below == path or below.startswith(f"{path}.")
        }
    return {path: value for path, value in found.items() if value.text or value.acting}


def _flatten(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flatten(below, f"{path}.{name}")
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list() if any(isinstance(entry, Mapping) for entry in value):
            return "; ".join(", ".join(f"{name} {_text(part)}" for name, part in entry.items()) for entry in value)
        case list():
            return " ".join(map(str, value)) or "nobody"
        case _:
            return str(value)

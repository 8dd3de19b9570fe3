"""Choosing a value between the tiers, and writing down which tier it came from."""

from typing import TypeVar

from mailtier.api import vocabulary

_T = TypeVar("_T")
_HOST, _ORG, _DEFAULT = vocabulary.Origin.HOST, vocabulary.Origin.ORG, vocabulary.Origin.DEFAULT


class Ledger:
    """Chooses values and writes down where each came from."""

    def __init__(self) -> None:
        self.provenance: dict[str, vocabulary.Origin] = {}

    def choose(self, path: str, org: _T | None, host: _T | None, *, default: _T) -> _T:
        """Return the organization's value, else the host's, else the default."""
        if org is not None:
            self.provenance[path] = _ORG
            return org
        if host is not None:
            self.provenance[path] = _HOST
            return host
        self.provenance[path] = _DEFAULT
        return default

    def own(self, path: str, owner: vocabulary.Origin, value: _T | None, *, default: _T) -> _T:
        """Return the owner's value, else the default."""
        self.provenance[path] = _DEFAULT if value is None else owner
        return default if value is None else value

"""Effective settings in memory, in place of those that the operator publishes."""

import collections.abc
import hashlib

from mailtier.settings import effective


class WrittenSettings:
    """Effective settings that a test writes itself; CA bundles too.

    Attributes:
        synced: Whether they were listed once.
    """

    def __init__(self) -> None:
        self.synced = True
        self._settings: dict[effective.OrganizationKey, effective.Effective] = {}
        self._bundles: dict[str, str] = {}
        self._callbacks: list[collections.abc.Callable[[effective.OrganizationKey], None]] = []

    def get(self, organization: effective.OrganizationKey) -> effective.Effective | None:
        """Return an organization's settings."""
        return self._settings.get(organization)

    def organizations(self) -> list[effective.Effective]:
        """Return all settings."""
        return list(self._settings.values())

    def subscribe(self, callback: collections.abc.Callable[[effective.OrganizationKey], None]) -> None:
        """Have a callback told of changes."""
        self._callbacks.append(callback)

    def take_over(self, former: "WrittenSettings") -> None:
        """Have the same settings and bundles, and tell nobody."""
        self._settings = dict(former._settings)
        self._bundles = dict(former._bundles)

    def put(self, settings: effective.Effective) -> effective.Effective:
        """Set an organization's settings."""
        self._settings[settings.organization] = settings
        self._tell(settings.organization)
        return settings

    def remove(self, organization: effective.OrganizationKey) -> None:
        """Remove an organization."""
        del self._settings[organization]
        self._tell(organization)

    def publish(self, pem: str) -> str:
        """Publish a CA bundle and return its digest."""
        digest = hashlib.sha256(pem.encode()).hexdigest()
        self._bundles[digest] = pem
        return digest

    async def bundle(self, digest: str) -> str | None:
        """Return a CA bundle."""
        return self._bundles.get(digest)

    def _tell(self, organization: effective.OrganizationKey) -> None:
        for callback in self._callbacks:
            callback(organization)

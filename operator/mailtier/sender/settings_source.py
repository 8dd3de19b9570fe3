"""The effective settings of every organization, as the operator publishes them beside us.

Through an outage of the apiserver the last known settings stay in force.
"""

import hashlib
from collections.abc import Callable
from typing import NoReturn, Protocol

from mailtier.api import names
from mailtier.kube import client, paths, reflector
from mailtier.sender.net import bundle_store
from mailtier.settings import codec, effective
from mailtier.telemetry import logs, metrics

OnChange = Callable[[effective.OrganizationKey], None]

_log = logs.get_logger(__name__)


class KnownSettings(Protocol):
    """What the rest of the sender asks."""

    def get(self, organization: effective.OrganizationKey) -> effective.Effective | None:
        """Return an organization's effective settings; None where there is no such organization."""


class ListedSettings(KnownSettings, Protocol):
    """What is asked by whoever goes through all of them."""

    def organizations(self) -> list[effective.Effective]:
        """Return the effective settings of all organizations."""


def find(known: KnownSettings, key: effective.OrganizationKey) -> effective.Effective | None:
    """Return an organization's effective settings, with its fallback in place of the first server for such a key.

    None where there is no such organization, or no fallback.
    """
    if not isinstance(key, effective.FallbackKey):
        return known.get(key)
    settings = known.get(key.organization)
    return None if settings is None else settings.at_fallback()


class SettingsSource:
    """Keeps effective settings and CA bundles from the labelled ConfigMaps of the operator's namespace.

    Tenants can neither read nor write those, so that their content is trusted once it decodes.

    Args:
        api: Who asks the apiserver.
        namespace: The operator's namespace, which is ours.
        jitter: A random number in [0, 1), to spread retries.
    """

    def __init__(self, api: client.Client, *, namespace: str, jitter: Callable[[], float]) -> None:
        self._settings: dict[effective.OrganizationKey, effective.Effective] = {}
        self._by_object: dict[str, effective.OrganizationKey] = {}
        self._bundles = bundle_store.BundleStore()
        self._digests: dict[str, str] = {}
        self._callbacks: list[OnChange] = []
        self._reflector = reflector.Reflector(
            api,
            paths.config_maps(namespace),
            labels=names.PUBLISHED_SELECTOR,
            on_change=self._note,
            # The text is a copy of what is decoded from it, as large again.
            strip=_read,
            jitter=jitter,
        )

    @property
    def synced(self) -> bool:
        """Whether the settings were listed once: before that an unknown organization means nothing."""
        return self._reflector.synced.is_set()

    async def wait_until_synced(self) -> None:
        """Return once the settings were listed."""
        await self._reflector.synced.wait()

    async def run(self) -> NoReturn:
        """Keep up with the apiserver until cancelled."""
        await self._reflector.run()

    def subscribe(self, callback: OnChange) -> None:
        """Have a callback told of each organization whose settings or CA bundle appeared, changed or went."""
        self._callbacks.append(callback)

    def get(self, organization: effective.OrganizationKey) -> effective.Effective | None:
        """Return an organization's effective settings; None where there is no such organization."""
        return self._settings.get(organization)

    def organizations(self) -> list[effective.Effective]:
        """Return the effective settings of all organizations."""
        return list(self._settings.values())

    async def bundle(self, digest: str) -> str | None:
        """Return the CA bundle with this hexadecimal SHA-256 as PEM text; None where it is not published (yet)."""
        return self._bundles.get(digest)

    def _note(self, name: str, found: client.Object | None) -> None:
        if _holds_settings(name):
            self._note_settings(name, None if found is None else found["settings"])
        else:
            self._note_bundle(name, None if found is None else found["pem"])

    def _note_settings(self, name: str, decoded: effective.Effective | None) -> None:
        before = self._by_object.pop(name, None)
        unchanged = before is not None and decoded == self._settings[before]
        if before is not None:
            del self._settings[before]
        if decoded is not None:
            self._settings[decoded.organization] = decoded
            self._by_object[name] = decoded.organization
        metrics.set_settings(len(self._settings))
        if unchanged:
            return
        for organization in {before, decoded.organization if decoded else None} - {None}:
            assert organization is not None
            self._tell(organization)

    def _note_bundle(self, name: str, pem: str | None) -> None:
        if (before := self._digests.pop(name, None)) is not None:
            self._bundles.drop(before)
        if pem is None:
            return
        digest = hashlib.sha256(pem.encode()).hexdigest()
        if names.ca_config_map(digest) != name:
            _log.error("a published CA bundle is not what its name says; it is not used", config_map=name)
            metrics.count_unusable_settings(component=names.CA_COMPONENT)
            return
        self._digests[name] = digest
        self._bundles.put(digest, pem)
        for settings in self._settings.values():
            servers = (settings.endpoint, settings.fallback.endpoint if settings.fallback else None)
            if any(server is not None and server.tls.ca == digest for server in servers):
                self._tell(settings.organization)

    def _tell(self, organization: effective.OrganizationKey) -> None:
        for callback in self._callbacks:
            callback(organization)


def _holds_settings(name: str) -> bool:
    """Return what a name says: `<namespace>.<organization>` has a dot, `ca-<digest>` has none."""
    return name == names.HOST_CONFIG_MAP or "." in name


def _read(found: client.Object) -> client.Object:
    """Return what is kept of a ConfigMap."""
    name = found["metadata"]["name"]
    if _holds_settings(name):
        return {"settings": _decode(name, found)}
    return {"pem": _data(found, names.CA_KEY)}


def _decode(name: str, found: client.Object) -> effective.Effective | None:
    """Return the settings in a ConfigMap, or None, with a line in the log, where they cannot be used."""
    try:
        decoded = codec.decode(_data(found, names.EFFECTIVE_KEY) or "")
    except codec.CodecError as error:
        _note_unusable(name, str(error))
        return None
    named = names.effective_config_map(decoded.organization.namespace, decoded.organization.name)
    if named != name:
        _note_unusable(name, f"it speaks of {decoded.organization}, whose settings are in {named}")
        return None
    return decoded


def _note_unusable(name: str, why: str) -> None:
    _log.error("effective settings cannot be used; the organization counts as absent", config_map=name, error=why)
    metrics.count_unusable_settings(component=names.EFFECTIVE_COMPONENT)


def _data(found: client.Object, key: str) -> str | None:
    value = (found.get("data") or {}).get(key)
    return value if isinstance(value, str) else None

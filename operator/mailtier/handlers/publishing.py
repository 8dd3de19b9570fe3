"""Effective settings as ConfigMaps in the operator's namespace: applied where they differ, removed where nothing is.

The ConfigMaps are watched by a reflector of this namespace alone, because cluster-wide rights on ConfigMaps are
more than the operator needs. Of each only a digest is kept.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailtier.api import names
from mailtier.handlers import keys, store
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.settings import bundles, codec, effective

_LABELS: Final = {
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
    names.COMPONENT_LABEL: names.EFFECTIVE_COMPONENT,
}
SELECTOR: Final = ",".join(f"{key}={value}" for key, value in _LABELS.items())


def observe(document: Mapping[str, Any]) -> bytes:
    """Return what is kept of a ConfigMap: a digest of labels and data together."""
    return store.digest({"labels": document["metadata"].get("labels", {}), "data": document.get("data", {})})


def _owner(name: str) -> keys.Key:
    if name == names.HOST_CONFIG_MAP:
        return keys.HOST
    namespace, _, organization = name.partition(".")
    return keys.organization(namespace, organization)


class Publisher:
    """Writes effective ConfigMaps, and CA bundles beside them."""

    def __init__(self, client: kube_client.Client, *, namespace: str) -> None:
        """Make a publisher.

        Args:
            client: For the writes.
            namespace: The operator's own.
        """
        self._client = client
        self._namespace = namespace
        self._observed: dict[str, bytes] = {}
        # What was applied, and over what; until the watch shows it.
        self._applied: dict[str, tuple[bytes, bytes | None]] = {}
        self._bundles: set[str] = set()

    def seen(self, name: str, observed: bytes | None, look_again: Callable[[keys.Key], None]) -> None:
        """Take in what the watch shows of a ConfigMap; what is not as it was written is looked at again.

        Args:
            name: Of the ConfigMap.
            observed: What `observe` returned; None when it is gone.
            look_again: Gets the key of whose settings it holds.
        """
        if self._observed.get(name) == observed:
            return
        if observed is None:
            del self._observed[name]
        else:
            self._observed[name] = observed
        applied = self._applied.get(name)
        if applied is not None and applied[0] == observed:
            del self._applied[name]
        else:
            look_again(_owner(name))

    def owners(self) -> list[keys.Key]:
        """Return the key of everybody who has an effective ConfigMap."""
        return [_owner(name) for name in self._observed]

    async def publish(self, settings: effective.Effective, *, extra: Mapping[str, str]) -> bool:
        """Apply an organization's effective ConfigMap where it differs; return whether it was written.

        Args:
            settings: What the sender is to use.
            extra: Further keys for people, such as the conditions of an organization without an object.
        """
        organization = settings.organization
        name = names.effective_config_map(organization.namespace, organization.name)
        labels = {
            **_LABELS,
            names.NAMESPACE_LABEL: organization.namespace,
            names.ORGANIZATION_LABEL: organization.name,
        }
        data = {names.EFFECTIVE_KEY: codec.encode(settings), **codec.flat_keys(settings), **extra}
        digest = store.digest({"labels": labels, "data": data})
        observed = self._observed.get(name)
        # A key that somebody else added stays theirs: then what is there never equals what was applied, and applying
        # it again over the same would change nothing.
        if observed == digest or self._applied.get(name) == (digest, observed):
            return False
        # Noted before it is sent, because the watch may show it before the answer comes.
        self._applied[name] = (digest, observed)
        try:
            await self._client.apply(
                paths.config_maps(self._namespace, name),
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
                    "data": data,
                },
                field_manager=names.FIELD_MANAGER,
            )
        except errors.ApiError:
            self._applied.pop(name, None)
            raise
        return True

    async def withdraw(self, namespace: str, organization: str) -> bool:
        """Delete an organization's effective ConfigMap if there is one; return whether there was."""
        name = names.effective_config_map(namespace, organization)
        if name not in self._observed and name not in self._applied:
            return False
        with contextlib.suppress(errors.NotFoundError):
            await self._client.delete(paths.config_maps(self._namespace, name))
        self._observed.pop(name, None)
        self._applied.pop(name, None)
        return True

    async def publish_bundle(self, bundle: bundles.Bundle) -> None:
        """Apply the ConfigMap of a CA bundle, once: its name is its content's digest."""
        if bundle.digest in self._bundles:
            return
        name = names.ca_config_map(bundle.digest)
        await self._client.apply(
            paths.config_maps(self._namespace, name),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": name,
                    "namespace": self._namespace,
                    "labels": {
                        names.MANAGED_BY_LABEL: names.MANAGED_BY,
                        names.COMPONENT_LABEL: names.CA_COMPONENT,
                    },
                },
                "data": {names.CA_KEY: bundle.pem},
            },
            field_manager=names.FIELD_MANAGER,
        )
        self._bundles.add(bundle.digest)

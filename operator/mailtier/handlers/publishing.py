"""Effective settings as ConfigMaps in the operator's namespace: applied where they differ, removed where nothing is.

The ConfigMaps are watched by a reflector of this namespace alone, because cluster-wide rights on ConfigMaps are
more than the operator needs. Of each only a digest is kept.
"""

import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An effective ConfigMap as the watch showed it.

    Attributes:
        digest: Of labels and data together.
    """

    uid: str
    digest: bytes


def observe(document: Mapping[str, Any]) -> Observed:
    """Return what is kept of a ConfigMap."""
    metadata = document["metadata"]
    content = {"labels": metadata.get("labels", {}), "data": document.get("data", {})}
    return Observed(uid=metadata["uid"], digest=store.digest(content))


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
        self._observed: dict[str, Observed] = {}
        self._applied: dict[str, tuple[bytes, Observed]] = {}
        self._bundles: set[str] = set()

    def seen(self, name: str, observed: Observed | None, look_again: Callable[[keys.Key], None]) -> None:
        """Take in what the watch shows of a ConfigMap; what is not as it was written is looked at again.

        Args:
            name: Of the ConfigMap.
            observed: None when it is gone.
            look_again: Gets the key of whose settings it holds.
        """
        if self._observed.get(name) == observed:
            return
        if observed is None:
            del self._observed[name]
        else:
            self._observed[name] = observed
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
        if observed is not None and (observed.digest == digest or self._applied.get(name) == (digest, observed)):
            return False
        written = await self._client.apply(
            paths.config_maps(self._namespace, name),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
                "data": data,
            },
            field_manager=names.FIELD_MANAGER,
        )
        # A key that somebody else added stays theirs, so that the result need not equal what was applied.
        observed = observe(written)
        self._observed[name] = observed
        self._applied[name] = (digest, observed)
        return True

    async def withdraw(self, namespace: str, organization: str) -> bool:
        """Delete an organization's effective ConfigMap if there is one; return whether there was."""
        name = names.effective_config_map(namespace, organization)
        observed = self._observed.get(name)
        if observed is None:
            return False
        with contextlib.suppress(errors.NotFoundError):
            await self._client.delete(paths.config_maps(self._namespace, name), uid=observed.uid)
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

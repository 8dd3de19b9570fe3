"""Effective settings and CA bundles as ConfigMaps in the operator's namespace: applied, repaired, removed.

The ConfigMaps are watched by a reflector of this namespace alone, because cluster-wide rights on ConfigMaps are
more than the operator needs. Of each only a digest is kept.
"""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from mailtier.api import names
from mailtier.handlers import keys, store
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.settings import bundles, codec, effective

KEEP_UNUSED_SECONDS: Final = 120.0
"""How long a CA bundle stays that nobody refers to: the sender may learn of the change a little later."""


def observe(document: Mapping[str, Any]) -> bytes:
    """Return what is kept of a ConfigMap: a digest of labels and data together."""
    return store.digest({"labels": document["metadata"].get("labels", {}), "data": document.get("data", {})})


def owner(name: str) -> keys.Key:
    """Return whose settings an effective ConfigMap holds."""
    if name == names.HOST_CONFIG_MAP:
        return keys.HOST
    namespace, _, organization = name.partition(".")
    return keys.organization(namespace, organization)


async def attempt(publishing: Awaitable[bool]) -> tuple[bool, errors.ApiError | None]:
    """Return whether something was written, and why it could not be, which status says before it is tried again."""
    try:
        return await publishing, None
    except errors.ApiError as error:
        return False, error


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
        # What was applied and has not been shown by the watch yet, oldest first.
        self._pending: dict[str, list[bytes]] = {}
        self._unused_since: dict[str, float] = {}

    def seen(self, name: str, observed: bytes | None, look_again: Callable[[str], None]) -> None:
        """Take in what the watch shows of a ConfigMap; what is not as it was written is looked at again.

        Args:
            name: Of the ConfigMap.
            observed: What `observe` returned; None when it is gone.
            look_again: Gets the name.
        """
        if self._observed.get(name) == observed:
            return
        if observed is None:
            del self._observed[name]
        else:
            self._observed[name] = observed
        pending = self._pending.pop(name, [])
        if observed in pending:
            # Two writes in a row are seen one after the other; the first is no drift.
            if left := pending[pending.index(observed) + 1 :]:
                self._pending[name] = left
        else:
            look_again(name)

    def owners(self) -> list[keys.Key]:
        """Return the key of everybody who has an effective ConfigMap."""
        return [owner(name) for name in self._observed if not names.is_ca_config_map(name)]

    async def publish(self, settings: effective.Effective, *, extra: Mapping[str, str]) -> bool:
        """Apply an organization's effective ConfigMap where it differs; return whether it was written.

        Args:
            settings: What the sender is to use.
            extra: Further keys for people, such as the conditions of an organization without an object.
        """
        organization = settings.organization
        name = names.effective_config_map(organization.namespace, organization.name)
        labels = {
            **_labels(names.EFFECTIVE_COMPONENT),
            names.NAMESPACE_LABEL: organization.namespace,
            names.ORGANIZATION_LABEL: organization.name,
        }
        data = {names.EFFECTIVE_KEY: codec.encode(settings), **codec.flat_keys(settings), **extra}
        return await self._apply(name, labels=labels, data=data)

    async def publish_bundle(self, bundle: bundles.Bundle) -> bool:
        """Apply the ConfigMap of a CA bundle where it differs; return whether it was written."""
        name = names.ca_config_map(bundle.digest)
        return await self._apply(name, labels=_labels(names.CA_COMPONENT), data={names.CA_KEY: bundle.pem})

    def has_bundle(self, digest: str) -> bool:
        """Return whether the ConfigMap of a CA bundle was seen, or is being written."""
        name = names.ca_config_map(digest)
        return name in self._observed or name in self._pending

    async def remove_unused(self, used: Collection[str], *, now: float) -> int:
        """Delete the CA bundles that nobody has referred to for a while; return how many.

        Args:
            used: Digests that settings refer to.
            now: Monotonic seconds.
        """
        kept = {names.ca_config_map(digest) for digest in used}
        unused = [name for name in self._observed if names.is_ca_config_map(name) and name not in kept]
        self._unused_since = {name: self._unused_since.get(name, now) for name in unused}
        old = [name for name, since in self._unused_since.items() if now - since >= KEEP_UNUSED_SECONDS]
        for name in old:
            await self._delete(name)
        return len(old)

    async def _apply(self, name: str, *, labels: Mapping[str, str], data: Mapping[str, str]) -> bool:
        digest = store.digest({"labels": labels, "data": data})
        pending = self._pending.get(name)
        # A key that somebody else added stays theirs: then what is there never equals what was applied, and applying
        # it again over the same would change nothing.
        if self._observed.get(name) == digest if not pending else pending[-1] == digest:
            return False
        # Noted before it is sent, because the watch may show it before the answer comes.
        self._pending.setdefault(name, []).append(digest)
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
            self._pending.pop(name, None)
            raise
        return True

    async def withdraw(self, namespace: str, organization: str) -> bool:
        """Delete an organization's effective ConfigMap if there is one; return whether there was."""
        name = names.effective_config_map(namespace, organization)
        if name not in self._observed and name not in self._pending:
            return False
        await self._delete(name)
        return True

    async def _delete(self, name: str) -> None:
        with contextlib.suppress(errors.NotFoundError):
            await self._client.delete(paths.config_maps(self._namespace, name))
        self._observed.pop(name, None)
        self._pending.pop(name, None)
        self._unused_since.pop(name, None)


def _labels(component: str) -> dict[str, str]:
    return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: component}

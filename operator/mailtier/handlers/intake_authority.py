"""The certificates that clients of the intake verify it against, published as a ConfigMap for people and programs.

The sender writes them into the folder that it shares with the operator, because it may not write to the cluster. The
ConfigMap has no label by which the sender watches: it is for clients alone.
"""

import asyncio
import pathlib
from typing import Final

from mailtier.api import feed, names
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths

CHECK_SECONDS: Final = 60.0
"""How often the ConfigMap is looked at, against what somebody else did to it."""

_MAXIMUM_BYTES: Final = 256 * 1024


class IntakeAuthority:
    """Keeps the ConfigMap equal to the file.

    Without a file, what was published stays, by whichever operator: the sender may be starting.

    Args:
        client: For the ConfigMap.
        namespace: The operator's own.
        folder: The one that is shared with the sender.
    """

    def __init__(self, client: kube_client.Client, *, namespace: str, folder: pathlib.Path) -> None:
        self._client = client
        self._namespace = namespace
        self._path = folder / feed.AUTHORITY_NAME
        self._published: str | None = None
        self._check_at = 0.0

    @property
    def pem(self) -> str:
        """The certificates as they were last published; "" before."""
        return self._published or ""

    async def reconcile(self, *, now: float) -> bool:
        """Bring the ConfigMap up to date; return whether it was written.

        Args:
            now: Monotonic seconds.

        Raises:
            ApiError: The apiserver did not take it.
        """
        wanted = await asyncio.to_thread(_read, self._path)
        if now < self._check_at and wanted in {None, self._published}:
            return False
        found = await self._find()
        if wanted is None:
            self._published, self._check_at = found, now + CHECK_SECONDS
            return False
        written = found != wanted
        if written:
            await self._client.apply(
                paths.config_maps(self._namespace, names.INTAKE_CA_CONFIG_MAP),
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {
                        "name": names.INTAKE_CA_CONFIG_MAP,
                        "namespace": self._namespace,
                        "labels": {
                            names.MANAGED_BY_LABEL: names.MANAGED_BY,
                            names.COMPONENT_LABEL: names.INTAKE_CA_COMPONENT,
                        },
                    },
                    "data": {names.CA_KEY: wanted},
                },
                field_manager=names.FIELD_MANAGER,
            )
        self._published, self._check_at = wanted, now + CHECK_SECONDS
        return written

    async def _find(self) -> str | None:
        """Return what the ConfigMap holds; None where there is none."""
        try:
            found = await self._client.get(paths.config_maps(self._namespace, names.INTAKE_CA_CONFIG_MAP))
        except errors.NotFoundError:
            return None
        text = found.get("data", {}).get(names.CA_KEY)
        return text if isinstance(text, str) else None


def _read(path: pathlib.Path) -> str | None:
    """Return the file's text; None where there is none, or what is there is no set of certificates."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAXIMUM_BYTES + 1).decode("ascii")
    except (OSError, UnicodeError):
        return None
    # A mounted file may hold more than it should.
    is_public = "BEGIN CERTIFICATE" in text and "PRIVATE KEY" not in text
    return text if is_public and len(text) <= _MAXIMUM_BYTES else None

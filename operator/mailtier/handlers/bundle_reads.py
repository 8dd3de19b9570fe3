"""CA bundles that settings refer to: read, checked once for each content, and published within a namespace's share.

A bundle may have a mebibyte. It is held while it is read and checked, in a thread; what stays is what came of it.
"""

import asyncio
import collections
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.kube import secrets as kube_secrets
from mailtier.settings import bundles, observed

PER_NAMESPACE: Final = 32
"""Different CA bundles that one namespace may have published within a quarter of an hour."""
BYTES_PER_NAMESPACE: Final = 4 * 1024 * 1024
"""How large they may be together: they lie in the operator's namespace, and in the sender's memory."""
_SECONDS: Final = 900.0
"""What is in use is read again long before: it stays counted."""
_VERDICTS: Final = 20_000

_OVER_SHARE: Final = observed.CaRead(
    outcome=observed.ReadOutcome.FOUND,
    problem=f"the namespace has {PER_NAMESPACE} CA bundles, or {BYTES_PER_NAMESPACE >> 20} MiB of them, in"
    f" use or lately so; wait {_SECONDS / 60:g} minutes, or let its organizations share bundles",
)

Publish = Callable[[bundles.Bundle], Awaitable[object]]


@dataclasses.dataclass(slots=True)
class _Share:
    """A bundle of a namespace: its size, and when it was last read; monotonic seconds."""

    size_bytes: int
    at: float


class BundleReads:
    """Reads CA bundles.

    Args:
        client: For the reads.
        publish: Publishes a bundle; awaited before its digest is given out.
        is_published: Whether the bundle with a digest is published already.
        monotonic: Seconds on a clock that never steps.
    """

    def __init__(
        self,
        client: kube_client.Client,
        *,
        publish: Publish,
        is_published: Callable[[str], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._publish = publish
        self._is_published = is_published
        self._monotonic = monotonic
        # Who was allowed something last stands at the end.
        self._shares: collections.OrderedDict[str, dict[str, _Share]] = collections.OrderedDict()
        # By the hash of what was read: what it holds, without the text.
        self._verdicts: collections.OrderedDict[bytes, tuple[observed.CaRead, int]] = collections.OrderedDict()

    async def fetch(self, need: observed.CaNeed) -> observed.CaRead:
        """Return what is found where a bundle should be."""
        try:
            text = await self._text(need)
        except errors.NotFoundError:
            return observed.CaRead(outcome=observed.ReadOutcome.NOT_FOUND)
        except errors.ForbiddenError:
            return observed.CaRead(outcome=observed.ReadOutcome.FORBIDDEN)
        except errors.ApiError:
            return observed.CaRead(outcome=observed.ReadOutcome.UNAVAILABLE)
        if text is None:
            return observed.CaRead(outcome=observed.ReadOutcome.FOUND, problem=f"it has no key {need.key}")
        content, known = await asyncio.to_thread(_hash, text), None
        if content in self._verdicts:
            self._verdicts.move_to_end(content)
            known, size_bytes = self._verdicts[content]
            if known.problem:
                return known
            if not self.may_publish(need.namespace, known.digest, size_bytes):
                return _OVER_SHARE
            if self._is_published(known.digest):
                return known
        return await self._check(need, content, text)

    async def _check(self, need: observed.CaNeed, content: bytes, text: str) -> observed.CaRead:
        try:
            bundle = await asyncio.to_thread(bundles.parse, text)
        except bundles.BundleError as error:
            return self._remember(content, observed.CaRead(outcome=observed.ReadOutcome.FOUND, problem=str(error)), 0)
        size_bytes = len(bundle.pem)
        # Whoever may have it or not: what it is need not be found out again.
        found = observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest=bundle.digest)
        self._remember(content, found, size_bytes)
        if not self.may_publish(need.namespace, bundle.digest, size_bytes):
            return _OVER_SHARE
        try:
            await self._publish(bundle)
        except errors.ApiError:
            # The digest is not given out before the sender can have the bundle.
            return observed.CaRead(outcome=observed.ReadOutcome.UNAVAILABLE)
        return found

    def _remember(self, content: bytes, found: observed.CaRead, size_bytes: int) -> observed.CaRead:
        self._verdicts[content] = found, size_bytes
        if len(self._verdicts) > _VERDICTS:
            self._verdicts.popitem(last=False)
        return found

    def forget(self, digest: str) -> None:
        """Have a bundle published anew when it is next read: what is published is not what it was."""
        for content in [content for content, (found, _) in self._verdicts.items() if found.digest == digest]:
            del self._verdicts[content]

    def may_publish(self, namespace: str, digest: str, size_bytes: int) -> bool:
        """Return whether a namespace may have this bundle published: what it fills is the operator's namespace."""
        now = self._monotonic()
        recent = {known: share for known, share in self._shares.get(namespace, {}).items() if now - share.at < _SECONDS}
        others = sum(share.size_bytes for known, share in recent.items() if known != digest)
        fits = len(recent) < PER_NAMESPACE and others + size_bytes <= BYTES_PER_NAMESPACE
        allowed = digest in recent or fits
        if allowed:
            recent[digest] = _Share(size_bytes, now)
            self._shares[namespace] = recent
            self._shares.move_to_end(namespace)
        self._forget_old(now)
        return allowed

    def _forget_old(self, now: float) -> None:
        """Remember nothing of namespaces that have had nothing for long."""
        while self._shares:
            namespace, shares = next(iter(self._shares.items()))
            if any(now - share.at < _SECONDS for share in shares.values()):
                return
            del self._shares[namespace]

    async def _text(self, need: observed.CaNeed) -> str | None:
        if need.kind == "Secret":
            held = await kube_secrets.read(self._client, need.namespace, need.name)
            value = held.data.get(need.key)
            return None if value is None else value.reveal
        document = await self._client.get(paths.config_maps(need.namespace, need.name))
        text = (document.get("data") or {}).get(need.key)
        if text is None:
            # There the API server and kubectl put what is not UTF-8.
            found = kube_secrets.Data(document.get("binaryData") or {}).get(need.key)
            return None if found is None else found.reveal
        return text if isinstance(text, str) else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

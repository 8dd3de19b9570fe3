"""The keys that the cluster signs its tokens with, read now and then: what they did not sign is nobody's token."""

import asyncio
from collections.abc import Callable
from typing import Final

from mailtier.kube import client, errors, paths, signatures
from mailtier.telemetry import callers, logs

_FRESH_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 10.0
"""Between two readings. A token that names an unknown key may be of a new one, or of somebody who makes up names."""
_READ_SECONDS: Final = 10.0
# RFC 7517 section 8.5.2; a kube-apiserver answers any other wish with 406.
_KEY_SET: Final = "application/jwk-set+json"

_log = logs.get_logger(__name__)


class ForgedError(Exception):
    """No key of the cluster signed the token; the text may be shown to whoever sent it."""


class SigningKeys:
    """Checks the signatures of tokens.

    Args:
        api: Who publishes the keys.
        monotonic: Returns seconds of a clock that never jumps.
    """

    def __init__(self, api: client.Client, *, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._monotonic = monotonic
        self._keys: dict[str, signatures.PublicKey] | None = None
        self._read_at = float("-inf")
        self._unpublished = False
        self._reading: asyncio.Task[None] | None = None

    async def check(self, token: str) -> None:
        """Return when a key of the cluster signed a token, or when the cluster does not tell us its keys.

        Raises:
            ForgedError: None did.
            UnavailableError: The apiserver did not say what its keys are, and never has.
        """
        signed = signatures.read(token)
        if signed is None:
            callers.count_token_check(outcome="forged")
            raise ForgedError("the token is not one that a cluster signs; use a ServiceAccount's token")
        await self._refresh(signed.key_id)
        if self._unpublished:
            # The review decides, as it does for a good signature; its number is bounded for each address.
            callers.count_token_check(outcome="unchecked")
            return
        key = (self._keys or {}).get(signed.key_id)
        if key is None or not signatures.is_good(signed, key):
            callers.count_token_check(outcome="forged")
            raise ForgedError(
                "no key of this cluster signed the token; request a new one. If the cluster has new keys since a"
                " moment ago, try again in ten seconds"
            )
        callers.count_token_check(outcome="signed")

    async def _refresh(self, key_id: str) -> None:
        """Read the keys if they are old, or if one is not among them and they were not read a moment ago."""
        age = self._monotonic() - self._read_at
        known = self._keys is not None and key_id in self._keys
        if self._reading is None and (age >= _FRESH_SECONDS or (not known and age >= _AGAIN_SECONDS)):
            self._reading = asyncio.create_task(self._read(), name="signing-keys")
            self._reading.add_done_callback(self._done)
        if self._reading is not None and not known:
            await asyncio.shield(self._reading)
        if self._keys is None and not self._unpublished:
            raise errors.UnavailableError("the apiserver did not say which keys it signs tokens with")

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()

    async def _read(self) -> None:
        self._read_at = self._monotonic()
        try:
            found = signatures.keys(
                await self._api.get(paths.SIGNING_KEYS, timeout_seconds=_READ_SECONDS, accept=_KEY_SET)
            )
        except errors.UnavailableError as error:
            # Those that are known stay: a signature that was good is good, and the review has its own answer.
            if self._keys is None:
                self._read_at = float("-inf")
            _log.warning("the cluster's signing keys could not be read", error=str(error))
        except errors.ApiError as error:
            self._unpublished = True
            _log.warning(
                "the cluster does not publish its signing keys to us; the signatures of tokens are left to its reviews",
                error=str(error),
                remedy=f"grant get on {paths.SIGNING_KEYS}, as the chart does",
            )
        else:
            self._keys, self._unpublished = found, False

"""Secrets as the apiserver has them: the adapter between `credentials` and `kube`."""

from collections.abc import Callable
from typing import Final

from mailtier.kube import client, errors, pace, secrets
from mailtier.sender.net import shares
from mailtier.sender.secrets import credentials

_PER_SECOND: Final = 50
_BURST: Final = 100
_AT_ONCE: Final = 16
"""Reads that wait for their turn or are under way: whoever comes next waits for a third of a second."""
_AT_ONCE_PER_NAMESPACE: Final = 4


class KubernetesSecrets:
    """Reads Secrets, one at a time, by name, within a budget of the sender's own, in turns (R9, R15)."""

    def __init__(self, api: client.Client, *, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._pace = pace.Pace(per_second=_PER_SECOND, burst=_BURST, monotonic=monotonic)
        self._shares = shares.Shares("secrets", total=_AT_ONCE, each=_AT_ONCE_PER_NAMESPACE)

    async def read(self, namespace: str, name: str) -> secrets.SecretContents:
        """Return a Secret.

        Raises:
            credentials.CredentialsError: It cannot be had; the class says why.
        """
        label = f"Secret {namespace}/{name}"
        try:
            with await self._shares.take(namespace):
                await self._pace.turn()
                return await secrets.read(self._api, namespace, name)
        except errors.NotFoundError:
            raise credentials.SecretNotFoundError(f"{label} does not exist; create it") from None
        except errors.ForbiddenError:
            raise credentials.SecretForbiddenError(
                f"{label} may not be read; grant the sender's ServiceAccount get on Secrets there"
            ) from None
        except errors.ApiError as error:
            raise credentials.SecretUnavailableError(
                f"{label} could not be read: the apiserver does not answer"
            ) from error

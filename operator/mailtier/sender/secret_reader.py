"""Secrets as the apiserver has them: the adapter between `credentials` and `kube`."""

from mailtier.kube import client, errors, secrets
from mailtier.sender import credentials


class KubernetesSecrets:
    """Reads Secrets, one at a time, by name (R9)."""

    def __init__(self, api: client.Client) -> None:
        self._api = api

    async def read(self, namespace: str, name: str) -> secrets.SecretContents:
        """Return a Secret.

        Raises:
            credentials.CredentialsError: It cannot be had; the class says why.
        """
        label = f"Secret {namespace}/{name}"
        try:
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

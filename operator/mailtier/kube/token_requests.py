"""Tokens of ServiceAccounts, asked of the apiserver (TokenRequest) by whoever may."""

import datetime as dt
from typing import Final

from mailtier.api import secret
from mailtier.kube import client, errors, paths

SHORTEST: Final = dt.timedelta(minutes=10)
"""The apiserver refuses a shorter life (`MinTokenAgeSec` of its TokenRequest validation)."""


async def request(
    api: client.Client, *, namespace: str, account: str, audience: str, lifetime: dt.timedelta = SHORTEST
) -> secret.Hidden:
    """Return a new token of a ServiceAccount.

    Args:
        api: Who asks; it takes the right `create serviceaccounts/token` in the namespace.
        namespace: The account's.
        account: Its name.
        audience: Whom the token is for.
        lifetime: How long it is valid.

    Raises:
        errors.ApiError: The apiserver refuses, or did not answer.
    """
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": int(lifetime.total_seconds())},
    }
    found = await api.create(paths.service_account_token(namespace, account), body)
    token = (found.get("status") or {}).get("token")
    if not isinstance(token, str) or not token:
        raise errors.UnavailableError(f"the apiserver gave no token of {namespace}/{account}")
    return secret.Hidden(token)

"""Whom the intake of the bench believes, and whose settings it has: what else an API server would say."""

import time
import typing

from kit import tenants, tokens
from mailtier.api import names
from mailtier.kube import errors, paths
from mailtier.settings import effective

_KEY = tokens.new_key()
"""Its token is signed anew by each process: what the intake looks at is the review's answer, kept for a minute."""


def tenant(number: int) -> tenants.Tenant:
    """Return an organization with a token of the size that a cluster's have."""
    claims = {
        "aud": [names.TOKEN_AUDIENCE],
        "exp": int(time.time()) + 3600,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {
            "namespace": f"team-{number}",
            "pod": {"name": "application-7d9c6b5f4d-abcde", "uid": "u" * 36},
        },
        "sub": f"system:serviceaccount:team-{number}:application",
    }
    return tenants.Tenant(namespace=f"team-{number}", uid=f"uid-{number}", token=tokens.signed(claims, _KEY))


class Apiserver:
    """Accepts every token, and lets everybody do everything."""

    async def create(self, path: str, body: dict[str, typing.Any], **_options: typing.Any) -> dict[str, typing.Any]:
        """Return a favourable answer to a review."""
        if path == paths.TOKEN_REVIEWS:
            groups = ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]
            user = {"username": "system:serviceaccount:team:application", "uid": "u" * 36, "groups": groups}
            return {"status": {"authenticated": True, "audiences": body["spec"]["audiences"], "user": user}}
        return {"status": {"allowed": True}}

    async def get(self, _path: str, **_options: typing.Any) -> dict[str, typing.Any]:
        """Return no signing keys."""
        raise errors.NotFoundError("there are none", status=404)


class Settings:
    """Settings of whichever organization is asked for."""

    synced = True

    def __init__(self) -> None:
        self._known: dict[effective.OrganizationKey, effective.Effective] = {}

    def get(self, organization: effective.OrganizationKey) -> effective.Effective:
        """Return an organization's settings."""
        found = self._known.get(organization)
        if found is None:
            number = int(organization.namespace.removeprefix("team-"))
            found = self._known[organization] = tenants.settings(tenant(number), port=25)
        return found


class Desk:
    """Where nobody asks for anything."""

    async def drain(self) -> None:
        """Do nothing."""

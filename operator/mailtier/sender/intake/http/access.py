"""Who is let in: a bearer token that the cluster accepts, and RBAC's consent in the namespace (R13)."""

import math
import shlex
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeAlias

from mailtier.kube import allowances, errors, reviews
from mailtier.sender.intake.http import problems
from mailtier.telemetry import logs

_CHALLENGE: Final = 'Bearer realm="mailtier"'
_RETRY_AFTER_SECONDS: Final = 5
_ROLE: Final = "mailtier-notifier"
"""The chart's ClusterRole, for an installation of the name mailtier."""

Verb: TypeAlias = Literal["get", "list", "update"]
_ROLES: Final[dict[Verb, str]] = {"get": "mailtier-view", "list": "mailtier-view", "update": "mailtier-edit"}
"""The chart's, likewise. Those of Kubernetes extend them only where somebody aggregates ClusterRoles."""

_log = logs.get_logger(__name__)


class Gate:
    """Tells callers apart and lets in those that may do what they ask for."""

    def __init__(self, authenticator: reviews.Authenticator, authorizer: reviews.Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def known(self, authorization: str | None, namespace: str) -> reviews.Identity | None:
        """Return who the caller is, where it is known that it may notify in the namespace; None where it is not.

        It asks nobody and refuses nobody: `admit` does.

        Args:
            authorization: The value of the request's Authorization header.
            namespace: Of the request's path.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme != "Bearer":
            return None
        identity = self._authenticator.known(token)
        if identity is None or not self._authorizer.is_known_to_notify(identity, namespace):
            return None
        return identity

    async def admit(self, authorization: str | None, namespace: str, *, client_address: str) -> reviews.Identity:
        """Return who the caller is, once it is known that it may notify in the namespace.

        Args:
            authorization: The value of the request's Authorization header.
            namespace: Of the request's path.
            client_address: Where the request comes from.

        Raises:
            HttpProblem: 401, 403, 429, or 503 while the apiserver does not say.
        """
        caller, allowed = await self._check(
            authorization, client_address, lambda caller: self._authorizer.may_notify(caller, namespace)
        )
        if not allowed:
            raise problems.HttpProblem(
                problems.NOT_ALLOWED,
                f"{caller.username} may not create notifications.mailtier.dev in the namespace {namespace}; have"
                f" whoever administers it run `{_bind_command(caller.username, namespace)}`, which binds the chart's"
                " ClusterRole",
            )
        return caller

    async def admit_people(
        self, authorization: str | None, namespace: str, *, verb: Verb, client_address: str
    ) -> reviews.Identity:
        """Return who the caller is, once it is known that it may look at a namespace's notifications, or act on them.

        Args:
            authorization: The value of the request's Authorization header.
            namespace: Of the request's path.
            verb: What it takes.
            client_address: Where the request comes from.

        Raises:
            HttpProblem: 401, 403, 429, or 503 while the apiserver does not say.
        """
        caller, allowed = await self._check(
            authorization, client_address, lambda caller: self._authorizer.may(caller, verb, namespace)
        )
        if not allowed:
            raise problems.HttpProblem(
                problems.NOT_ALLOWED,
                f"{caller.username} may not {verb} notifications.mailtier.dev in the namespace {namespace}; have"
                f" whoever administers it bind the chart's ClusterRole {_ROLES[verb]}, or a Role that grants it",
            )
        return caller

    async def admit_platform(self, authorization: str | None, *, client_address: str) -> reviews.Identity:
        """Return who the caller is, once it is known that it may change the host's settings.

        Args:
            authorization: The value of the request's Authorization header.
            client_address: Where the request comes from.

        Raises:
            HttpProblem: 401, 403, 429, or 503 while the apiserver does not say.
        """
        caller, allowed = await self._check(authorization, client_address, self._authorizer.may_change_host)
        if not allowed:
            raise problems.HttpProblem(
                problems.NOT_ALLOWED,
                f"{caller.username} may not update hostemailsettings.mailtier.dev; bind a ClusterRole that grants it",
            )
        return caller

    async def _check(
        self, authorization: str | None, client_address: str, ask: Callable[[reviews.Identity], Awaitable[bool]]
    ) -> tuple[reviews.Identity, bool]:
        """Return who the caller is, and what the answer about it is."""
        token = _bearer(authorization)
        try:
            identity = await self._authenticator.authenticate(token, client_address=client_address)
            return identity, await ask(identity)
        except reviews.UnauthenticatedError as error:
            raise problems.HttpProblem(
                problems.NOT_AUTHENTICATED,
                str(error),
                headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
            ) from None
        except allowances.TooManyError as error:
            raise problems.HttpProblem(
                problems.TOO_MANY_REFUSED,
                "too many tokens from this address, or questions of this account, came to nothing; mend what sends"
                " them, and send the request again later",
                headers={"Retry-After": str(math.ceil(error.retry_after_seconds))},
            ) from None
        except errors.UnavailableError as error:
            _log.warning("a caller could not be checked; nobody is let in", error=str(error))
            raise problems.HttpProblem(
                problems.UNAVAILABLE,
                "the Kubernetes API does not answer, so that the caller cannot be checked; send the request again",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            ) from None


def _bind_command(username: str, namespace: str) -> str:
    """Return the command that lets an account notify in a namespace."""
    kind, _, account = username.partition("system:serviceaccount:")
    subject = f"--serviceaccount={account}" if account and not kind else f"--user={username}"
    command = ("kubectl", "create", "rolebinding", "-n", namespace, _ROLE, f"--clusterrole={_ROLE}", subject)
    return shlex.join(command)


def _bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header (RFC 6750 section 2.1)."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise problems.HttpProblem(
            problems.NOT_AUTHENTICATED,
            "send the header `Authorization: Bearer TOKEN` with a ServiceAccount token for the audience mailtier",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    return token.strip()

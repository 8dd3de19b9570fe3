"""Who is let in: a bearer token that the cluster accepts, and RBAC's consent in the namespace (R13)."""

from typing import Final

from mailtier.kube import errors, reviews
from mailtier.sender.intake import problems
from mailtier.telemetry import logs

_CHALLENGE: Final = 'Bearer realm="mailtier"'
_RETRY_AFTER_SECONDS: Final = 5

_log = logs.get_logger(__name__)


class Gate:
    """Tells callers apart and lets in those that may notify in a namespace."""

    def __init__(self, authenticator: reviews.Authenticator, authorizer: reviews.Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def admit(self, authorization: str | None, namespace: str) -> reviews.Identity:
        """Return who the caller is, once it is known to be allowed.

        Args:
            authorization: The value of the request's Authorization header.

        Raises:
            Problem: 401, 403, or 503 while the apiserver does not say.
        """
        token = _bearer(authorization)
        try:
            identity = await self._authenticator.authenticate(token)
            allowed = await self._authorizer.may_notify(identity, namespace)
        except reviews.UnauthenticatedError as error:
            raise problems.Problem(
                problems.NOT_AUTHENTICATED,
                str(error),
                headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
            ) from None
        except errors.UnavailableError as error:
            _log.warning("a caller could not be checked; nobody is let in", error=str(error))
            raise problems.Problem(
                problems.UNAVAILABLE,
                "the Kubernetes API does not answer, so that the caller cannot be checked; send the request again",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            ) from None
        if not allowed:
            raise problems.Problem(
                problems.NOT_ALLOWED,
                f"{identity.username} may not create notifications.mailtier.dev in the namespace {namespace}; bind a"
                " Role that grants it there",
            )
        return identity


def _bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header (RFC 6750 section 2.1)."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise problems.Problem(
            problems.NOT_AUTHENTICATED,
            "send the header `Authorization: Bearer TOKEN` with a ServiceAccount token for the audience mailtier",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    return token.strip()

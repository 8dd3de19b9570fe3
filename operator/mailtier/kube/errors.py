"""What the apiserver said no to, as exceptions whose text may be logged (R1).

An apiserver quotes refused values in its message. The message is kept except where the request or the answer may
hold a Secret, a token or a notification's text; there only the reason remains.
"""

import http
import json
from collections.abc import Mapping
from typing import Any, Final

_PRIVATE_RESOURCES: Final = frozenset({"secrets", "tokenreviews", "notifications"})
_MESSAGE_LENGTH: Final = 1_000


class ApiError(Exception):
    """The apiserver refused a request.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        reason: Kubernetes' machine-readable reason, such as `AlreadyExists`; "" when there was none.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class UnauthorizedError(ApiError):
    """The apiserver does not accept our own credentials (401)."""


class ForbiddenError(ApiError):
    """Our own credentials do not permit the request (403)."""


class NotFoundError(ApiError):
    """The object, its namespace or its kind does not exist (404)."""


class ConflictError(ApiError):
    """The object changed or exists, has another uid, or another field manager owns a field (409)."""


class GoneError(ApiError):
    """The resource version or continue token is too old; list again (410)."""


class InvalidError(ApiError):
    """The object does not fit its schema or rules (400, 422)."""


class UnavailableError(ApiError):
    """The apiserver did not answer in time, or answered that it cannot now (no connection, 429, 5xx)."""


class ConfigurationError(Exception):
    """There is no usable configuration for the Kubernetes API; the text says what is missing."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    http.HTTPStatus.BAD_REQUEST: InvalidError,
    http.HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    http.HTTPStatus.FORBIDDEN: ForbiddenError,
    http.HTTPStatus.NOT_FOUND: NotFoundError,
    http.HTTPStatus.CONFLICT: ConflictError,
    http.HTTPStatus.GONE: GoneError,
    http.HTTPStatus.UNPROCESSABLE_ENTITY: InvalidError,
    http.HTTPStatus.TOO_MANY_REQUESTS: UnavailableError,
}


def from_answer(status: int, body: bytes, *, request: str, resource: str) -> ApiError:
    """Return the exception for a refused request.

    Args:
        status: The answer's HTTP status.
        body: The answer's body, a `Status` object if the apiserver itself answered.
        request: The request in a few words without its body, such as `GET /api/v1/namespaces/a/configmaps/b`.
        resource: The plural of the kind, which decides whether the apiserver's message is kept.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return from_status(answer, status=status, request=request, resource=resource)


def from_status(answer: Any, *, status: int, request: str, resource: str) -> ApiError:
    """Return the exception for a `Status` object, or for whatever else came instead of one."""
    known = answer if isinstance(answer, dict) else {}
    reason = str(known.get("reason") or "")
    kind = _BY_STATUS.get(status, ApiError)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = UnavailableError
    said = "" if resource in _PRIVATE_RESOURCES else str(known.get("message") or "")[:_MESSAGE_LENGTH]
    text = f"{request} was answered with {status}{f' {reason}' if reason else ''}"
    return kind(f"{text}: {said}" if said else text, status=status, reason=reason)

"""What a ServiceAccount token says of itself, unverified: enough to refuse it, never to accept it."""

import base64
import binascii
import datetime as dt
import json
from typing import Any, Final, NoReturn

# Projected tokens have 1 to 2 KiB.
_LENGTH: Final = 16 * 1024
# kube-apiserver's own leeway (go-jose `jwt.DefaultLeeway`); its clock and ours differ a little.
_LEEWAY: Final = dt.timedelta(minutes=1)
# Seconds since 1970 of any time that means something; a number beyond them would overflow.
_EARLIEST: Final = 0.0
_LATEST: Final = 1e11


class UnusableTokenError(Exception):
    """The token cannot be right; the text says what to do and quotes nothing of it (R1)."""


def check(token: str, *, audience: str, now: dt.datetime) -> dt.timedelta:
    """Return how long a token that may be right is still valid, at least zero.

    Args:
        token: A JSON Web Token (RFC 7519) in compact form.
        audience: Whom it must be for.
        now: Aware UTC time.

    Raises:
        UnusableTokenError: It has no such form, is for others, or has expired.
    """
    claims = _claims(token)
    audiences = claims.get("aud")
    # One text or a list of them (RFC 7519 section 4.1.3).
    if audiences != audience and not (isinstance(audiences, list) and audience in audiences):
        raise UnusableTokenError(
            f"the token is not for the audience {audience!r}; mount one with a projected volume whose"
            f" serviceAccountToken has `audience: {audience}`, or use `kubectl create token NAME --audience {audience}`"
        )
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise UnusableTokenError("the token names no time of expiry; use one of a TokenRequest or a projected volume")
    expires_at = min(max(expires, _EARLIEST), _LATEST)
    left = dt.timedelta(seconds=expires_at - now.timestamp())
    if left <= -_LEEWAY:
        raise UnusableTokenError("the token has expired; read the projected token's file again before each request")
    return max(left, dt.timedelta())


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > _LENGTH or len(parts) != 3 or not all(parts):  # noqa: PLR2004  # RFC 7515 section 3.1.
        raise UnusableTokenError("the bearer token is not a JSON Web Token; use a ServiceAccount's token")
    header, claims = _json(parts[0]), _json(parts[1])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise UnusableTokenError("the bearer token is not a JSON Web Token; use a ServiceAccount's token")
    return claims


def _json(part: str) -> Any:
    try:
        return json.loads(
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True), parse_constant=_refuse
        )
    except (binascii.Error, ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    """Refuse what Python takes for a number and JSON does not (RFC 8259 section 6): NaN compares with nothing."""
    raise ValueError(constant)

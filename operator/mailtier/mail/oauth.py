"""What a token server is asked, and what its answer means (RFC 6749, RFC 7523); reads and sends nothing by itself."""

import base64
import dataclasses
import datetime as dt
import json
import math
import re
import urllib.parse
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from mailtier.api import secret, vocabulary
from mailtier.mail import classify, quoting, reasons

MAXIMUM_ANSWER_BYTES: Final = 64 * 1024
"""R6."""

MAXIMUM_TOKEN_LENGTH: Final = 8 * 1024
"""RFC 4954 section 4: a line of AUTH has at most 12,288 octets, three quarters of which base64 leaves to the user's
name and the token."""

SHORTEST_LIFETIME: Final = dt.timedelta(seconds=30)
"""R10: so long a session may take to AUTH. What ends sooner would be asked for again and again, and never used."""

LONGEST_LIFETIME: Final = dt.timedelta(days=1)
_USUAL_LIFETIME: Final = dt.timedelta(minutes=5)
"""RFC 6749 section 5.1 lets a server say nothing of it; then a token is asked for often rather than used for long."""

_ASSERTION_SECONDS: Final = 300
"""RFC 7523 section 3 lets a server refuse what expires unreasonably far in the future."""

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_P256_BYTES: Final = 32
"""RFC 7518 section 3.4: R and S, each as so many octets."""

# RFC 6749 appendix A.12, without the blank, which would end the word in an XOAUTH2 payload.
_TOKEN: Final = re.compile(r"[!-~]+")

# RFC 6749 section 5.2. Any of them says that the same request is not worth repeating.
_REFUSALS: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant"),
        *("unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    }
)

# RFC 6749 section 5.2 gives errors with 400 and 401; 403 and 200 occur.
_ANSWERING: Final = frozenset({200, 400, 401, 403})
_OK: Final = 200

_GRANTS: Final = {
    vocabulary.GrantType.CLIENT_CREDENTIALS: "client_credentials",
    vocabulary.GrantType.REFRESH_TOKEN: "refresh_token",
}
_R: Final = reasons.DeliveryReason


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What a client signs its assertions with.

    Attributes:
        private: RSA, or on the curve P-256.
        key_id: `kid` of the assertion; None for none.
        certificate: Of the key; None where there is none.
    """

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = dataclasses.field(repr=False)
    key_id: str | None
    certificate: x509.Certificate | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """Who asks a token server, for what, and how it proves who it is.

    Attributes:
        url: The token endpoint.
        scopes: Empty for the server's default.
        client_secret: For `ClientSecret`; None otherwise.
        signing_key: For `PrivateKeyJWT`; None otherwise.
        refresh_token: For the grant `RefreshToken`; None otherwise.
    """

    url: str
    client_id: str
    grant_type: vocabulary.GrantType
    scopes: tuple[str, ...]
    client_secret: secret.Hidden | None = None
    signing_key: SigningKey | None = None
    refresh_token: secret.Hidden | None = None

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be quoted from anybody's answer (R7)."""
        return tuple(hidden.reveal for hidden in (self.client_secret, self.refresh_token) if hidden is not None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is posted to the token endpoint.

    Attributes:
        body: A form, `application/x-www-form-urlencoded`.
        secrets: What of it must not be quoted from the answer.
    """

    body: secret.Hidden
    secrets: quoting.KnownSecrets = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """There is a token.

    Attributes:
        lifetime: How long it is good for, counted from the answer; 30 seconds to a day.
    """

    token: secret.Hidden
    lifetime: dt.timedelta


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """The server refuses the client or its grant; the same request is not worth repeating (R12).

    Attributes:
        code: One of RFC 6749 section 5.2.
        said: The server's explanation, fit to be shown to who named the server (R7).
    """

    code: str
    said: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """There is no token this time.

    Attributes:
        problem: Why, as half a sentence of ours that follows "the token server".
    """

    problem: str


Answer = Granted | TokenRefused | Unusable


def certificate_of(pem: bytes, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> x509.Certificate | None:
    """Return the certificate of a key among those that stand beside it; None where none is its own."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return None
    public = private.public_key()
    return next((certificate for certificate in found if certificate.public_key() == public), None)


def request(client: OAuthClient, *, now: dt.datetime, jti: str) -> Request:
    """Return the request for a token.

    Args:
        client: Who asks, and for what.
        now: Aware UTC time.
        jti: A new random text, which makes an assertion one of a kind.

    Source:
        RFC 6749 sections 2.3.1, 4.4.2 and 6; RFC 7523 sections 2.2 and 3.
    """
    form = {"grant_type": _GRANTS[client.grant_type], "client_id": client.client_id}
    secrets = list(client.secrets())
    if client.refresh_token is not None:
        form["refresh_token"] = client.refresh_token.reveal
    if client.scopes:
        form["scope"] = " ".join(client.scopes)
    if client.signing_key is not None:
        assertion = _assertion(client, client.signing_key, issued_at=int(now.timestamp()), jti=jti)
        form |= {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
        secrets.append(assertion)
    elif client.client_secret is not None:
        form["client_secret"] = client.client_secret.reveal
    return Request(body=secret.Hidden(urllib.parse.urlencode(form)), secrets=quoting.KnownSecrets(secrets))


def parse(status: int, body: bytes, *, secrets: quoting.KnownSecrets = quoting.NOTHING_SECRET) -> Answer:
    """Return what a token server's answer means.

    Args:
        status: HTTP status.
        body: At most 64 KiB; more is no answer.
        secrets: What must not be quoted from it.

    Source:
        RFC 6749 sections 5.1 and 5.2.
    """
    if 300 <= status <= 399:  # noqa: PLR2004 - RFC 9110 section 15.4.
        return Unusable(problem=f"answered {status}, and redirects are not followed")
    if status not in _ANSWERING:
        return Unusable(problem=f"answered {status}")
    if len(body) > MAXIMUM_ANSWER_BYTES:
        return Unusable(problem=f"answered with more than {MAXIMUM_ANSWER_BYTES // 1024} KiB")
    document = _object(body)
    if document is None:
        return Unusable(problem=f"answered {status} with something that is not a JSON object")
    code = document.get("error")
    if isinstance(code, str) and code in _REFUSALS:
        described = document.get("error_description")
        return TokenRefused(code=code, said=quoting.quotable(described, secrets) if isinstance(described, str) else "")
    if status != _OK or code is not None:
        return Unusable(problem=f"answered {status} with an error that RFC 6749 does not know")
    return _granted(document)


def judge(answer: TokenRefused | Unusable) -> classify.Failure:
    """Return what it means for a delivery that there is no token.

    Neither concerns the SMTP server: whoever else uses it goes on.
    """
    if isinstance(answer, TokenRefused):
        return classify.Failure(
            scope=classify.Scope.CREDENTIALS,
            permanence=classify.Permanence.PERMANENT,
            phase=classify.Phase.AUTH,
            reason=_R.TOKEN_REFUSED,
            token_error=answer.code,
            text=answer.said,
        )
    return classify.Failure(
        scope=classify.Scope.CREDENTIALS,
        permanence=classify.Permanence.TRANSIENT,
        phase=classify.Phase.AUTH,
        reason=_R.TOKEN_FAILED,
        text=f"{reasons.MEANINGS[_R.TOKEN_FAILED]} It {answer.problem}.",
    )


def _granted(document: dict[str, Any]) -> Granted | Unusable:
    token, kind = document.get("access_token"), document.get("token_type")
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        return Unusable(problem="answered without a token that can be sent")
    if len(token) > MAXIMUM_TOKEN_LENGTH:
        return Unusable(problem=f"answered with a token of more than {MAXIMUM_TOKEN_LENGTH} characters")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return Unusable(problem="answered with a token of another type than Bearer")
    lifetime = _lifetime(document.get("expires_in"))
    if lifetime < SHORTEST_LIFETIME:
        return Unusable(problem=f"answered with a token that ends within {SHORTEST_LIFETIME.seconds} s")
    return Granted(token=secret.Hidden(token), lifetime=lifetime)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _lifetime(value: Any) -> dt.timedelta:
    """Return how long a token is good for; some servers write the number as a text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        # A day has five digits; what has many more is not worth converting.
        value = float(value[:12])
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return _USUAL_LIFETIME
    return dt.timedelta(seconds=max(0.0, min(value, LONGEST_LIFETIME.total_seconds())))


def _assertion(client: OAuthClient, key: SigningKey, *, issued_at: int, jti: str) -> str:
    is_rsa = isinstance(key.private, rsa.RSAPrivateKey)
    header = {"alg": "RS256" if is_rsa else "ES256", "typ": "JWT"}
    if key.key_id is not None:
        header["kid"] = key.key_id
    if key.certificate is not None:
        # RFC 7515 section 4.1.7 defines the thumbprint by SHA-1; it identifies, and proves nothing.
        header["x5t"] = _encoded(key.certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - see above.
        header["x5t#S256"] = _encoded(key.certificate.fingerprint(hashes.SHA256()))
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.url,
        "jti": jti,
        "iat": issued_at,
        "exp": issued_at + _ASSERTION_SECONDS,
    }
    signed = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{signed}.{_encoded(_signature(key.private, signed.encode()))}"


def _signature(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return a signature as RFC 7518 sections 3.3 and 3.4 have it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    numbers = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(_P256_BYTES, "big") for number in numbers)


def _encoded(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

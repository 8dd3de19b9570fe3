"""What a token server is sent, and what becomes of whatever it answers (R6, R7, R12)."""

import base64
import datetime as dt
import json
import string
import typing
import urllib.parse

import hypothesis
import hypothesis.strategies as st
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kit import oauth as kit_oauth
from mailtier.api import secret, vocabulary
from mailtier.mail import classify, oauth, reasons

_NOW = dt.datetime(2026, 11, 24, 9, 30, tzinfo=dt.UTC)
_URL = "https://login.example.com/oauth2/token"
_SECRET = "s3cret & more"
_RSA = kit_oauth.new_key("RSA")
_P256 = kit_oauth.new_key("P-256")
_CERTIFICATES = {key: kit_oauth.certificate_for(key) for key in (_RSA, _P256)}
_GRANT = vocabulary.GrantType


def _client(**changes: typing.Any) -> oauth.OAuthClient:
    usual: dict[str, typing.Any] = {
        "url": _URL,
        "client_id": "app",
        "grant_type": _GRANT.CLIENT_CREDENTIALS,
        "scopes": ("https://mail.example.com/", "offline_access"),
    }
    return oauth.OAuthClient(**{**usual, **changes})


def _form(client: oauth.OAuthClient) -> dict[str, str]:
    body = oauth.request(client, now=_NOW, jti="one").body.reveal
    return dict(urllib.parse.parse_qsl(body, strict_parsing=True))


def _answer(**fields: typing.Any) -> bytes:
    return json.dumps({"access_token": "token", "token_type": "Bearer", **fields}).encode()


def test_a_client_secret_goes_into_the_body() -> None:
    """The client's secret stands in the form, with every character as it was (RFC 6749 section 2.3.1)."""
    assert _form(_client(client_secret=secret.Hidden(_SECRET))) == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": _SECRET,
        "scope": "https://mail.example.com/ offline_access",
    }


def test_a_refresh_token_may_be_all_there_is() -> None:
    """A public client shows its refresh token, and asks for no scope where the settings have none."""
    client = _client(grant_type=_GRANT.REFRESH_TOKEN, refresh_token=secret.Hidden("1//refresh"), scopes=())
    assert _form(client) == {"grant_type": "refresh_token", "client_id": "app", "refresh_token": "1//refresh"}


@pytest.mark.parametrize(("key", "algorithm"), [(_RSA, "RS256"), (_P256, "ES256")])
def test_an_assertion_is_signed(key: kit_oauth.PrivateKey, algorithm: str) -> None:
    """An assertion says who, to whom, since and until when, once; its certificate is named by both thumbprints."""
    certificate = _CERTIFICATES[key]
    signing = oauth.SigningKey(private=key, key_id="2026", certificate=certificate)
    form = _form(_client(signing_key=signing))
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in form
    head, body, signature = form["client_assertion"].split(".")
    header, claims = (json.loads(kit_oauth.decoded(part)) for part in (head, body))
    assert header == {
        "alg": algorithm,
        "typ": "JWT",
        "kid": "2026",
        "x5t": _thumbprint(certificate, hashes.SHA1()),  # noqa: S303 - RFC 7515 section 4.1.7.
        "x5t#S256": _thumbprint(certificate, hashes.SHA256()),
    }
    issued_at = int(_NOW.timestamp())
    assert claims == {
        "iss": "app",
        "sub": "app",
        "aud": _URL,
        "jti": "one",
        "iat": issued_at,
        "exp": issued_at + 300,
    }
    assert kit_oauth.is_signed(certificate, f"{head}.{body}".encode(), kit_oauth.decoded(signature))


def test_without_a_certificate_none_is_named() -> None:
    """A key alone is named by its identifier, or by nothing."""
    signing = oauth.SigningKey(private=_P256, key_id=None, certificate=None)
    header = json.loads(kit_oauth.decoded(_form(_client(signing_key=signing))["client_assertion"].split(".")[0]))
    assert header == {"alg": "ES256", "typ": "JWT"}


def test_a_key_s_own_certificate_is_found() -> None:
    """Among certificates beside the key, such as those of a chain, the key's own is taken; another never."""
    pem = kit_oauth.pem(_RSA, _CERTIFICATES[_P256], _CERTIFICATES[_RSA]).encode()
    assert oauth.certificate_of(pem, _RSA) == _CERTIFICATES[_RSA]
    assert oauth.certificate_of(kit_oauth.pem(_RSA, _CERTIFICATES[_P256]).encode(), _RSA) is None
    assert oauth.certificate_of(kit_oauth.pem(_RSA).encode(), _RSA) is None
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert oauth.certificate_of(kit_oauth.pem(_RSA).encode() + broken, _RSA) is None


def test_nothing_secret_is_shown() -> None:
    """Neither client nor request nor token shows itself (R1)."""
    signing = oauth.SigningKey(private=_RSA, key_id=None, certificate=None)
    client = _client(client_secret=secret.Hidden(_SECRET), signing_key=signing, refresh_token=secret.Hidden("r3fresh"))
    request = oauth.request(client, now=_NOW, jti="one")
    shown = repr((client, request, oauth.parse(200, _answer(access_token="hunter2"))))
    for hidden in (_SECRET, "s3cret", "r3fresh", "eyJ", "hunter2"):
        assert hidden not in shown


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600),
        (3599.5, 3599.5),
        ("3599", 3599),
        (10**30, 86400),
        ("9" * 5000, 86400),
        (float("inf"), 86400),
        (None, 300),
        (True, 300),
        ("soon", 300),
        ("٣٦٠٠", 300),
        ([], 300),
    ],
)
def test_a_lifetime_is_bounded(expires_in: object, seconds: float) -> None:
    """A token counts for a day at most, and for five minutes where its server says nothing of use."""
    granted = oauth.parse(200, _answer(expires_in=expires_in))
    assert isinstance(granted, oauth.Granted)
    assert granted.lifetime == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("expires_in", [0, -1, 29, "0", float("-inf")])
def test_a_token_that_ends_at_once_is_none(expires_in: object) -> None:
    """What ends before a session could use it would be asked for without end."""
    assert isinstance(oauth.parse(200, _answer(expires_in=expires_in)), oauth.Unusable)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_type_is_bearer_in_any_case(token_type: str) -> None:
    """Types are compared without case (RFC 6749 section 5.1)."""
    assert isinstance(oauth.parse(200, _answer(token_type=token_type)), oauth.Granted)


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "two words"},
        {"access_token": "line\r\nbreak"},
        {"access_token": "a\1auth=Bearer b"},
        {"access_token": "pässword"},
        {"access_token": "a" * (8 * 1024 + 1)},
        {"token_type": "mac"},
        {"token_type": None},
        {"token_type": ["Bearer"]},
    ],
)
def test_a_token_that_cannot_be_sent_is_none(fields: dict[str, object]) -> None:
    """A token is printable ASCII without blanks, of type Bearer, and fits a line of AUTH (R5)."""
    assert isinstance(oauth.parse(200, _answer(**fields)), oauth.Unusable)


def test_the_longest_token_fits_a_line_of_auth() -> None:
    """With the longest username its payload stays within 12,288 octets (RFC 4954 section 4)."""
    granted = oauth.parse(200, _answer(access_token="a" * (8 * 1024)))
    assert isinstance(granted, oauth.Granted)
    payload = base64.b64encode(f"user={'u' * 512}\1auth=Bearer {granted.token.reveal}\1\1".encode())
    assert len(b"AUTH XOAUTH2 " + payload + b"\r\n") <= 12_288


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize(
    "code",
    [
        *("invalid_request", "invalid_client", "invalid_grant"),
        *("unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    ],
)
def test_an_error_of_the_rfc_is_a_refusal(status: int, code: str) -> None:
    """The errors of RFC 6749 section 5.2 hold the credentials, whoever else uses the servers goes on (R12)."""
    refused = oauth.parse(status, json.dumps({"error": code, "error_description": "AADSTS7000215: Wrong"}).encode())
    assert refused == oauth.TokenRefused(code=code, said="AADSTS7000215: Wrong")
    failure = oauth.judge(refused)
    assert (failure.scope, failure.reason) == (classify.Scope.CREDENTIALS, reasons.DeliveryReason.TOKEN_REFUSED)
    assert failure.is_permanent
    assert failure.token_error == code


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (302, b""),
        (307, _answer()),
        (404, b'{"error": "invalid_client"}'),
        (429, b""),
        (500, b'{"error": "invalid_client"}'),
        (503, b"<html>"),
        (400, b'{"error": "temporarily_unavailable"}'),
        (400, b'{"error": ["invalid_client"]}'),
        (400, _answer()),
        (200, b'{"error": "slow_down", "access_token": "a", "token_type": "Bearer"}'),
        (200, b"[]"),
        (200, b"\xff"),
        (200, b"[" * 60_000),
        (200, b'{"expires_in": ' + b"9" * 10_000 + b"}"),
        (200, _answer() + b" " * 64 * 1024),
    ],
)
def test_anything_else_may_pass(status: int, body: bytes) -> None:
    """What is neither a token nor a refusal is tried again, and charges nothing to anybody (R12)."""
    answer = oauth.parse(status, body)
    assert isinstance(answer, oauth.Unusable)
    failure = oauth.judge(answer)
    assert (failure.scope, failure.reason) == (classify.Scope.CREDENTIALS, reasons.DeliveryReason.TOKEN_FAILED)
    assert not failure.is_permanent
    assert failure.text.endswith(".")


_JSON: typing.Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
_NAMES: typing.Final = st.sampled_from(["access_token", "token_type", "expires_in", "error", "error_description"])


@hypothesis.given(
    status=st.sampled_from([200, 201, 302, 400, 401, 403, 418, 429, 500]),
    body=st.binary(max_size=200)
    | st.dictionaries(_NAMES | st.text(), _JSON | st.just("Bearer") | st.just("invalid_client"), max_size=6).map(
        lambda document: json.dumps(document).encode()
    ),
)
def test_every_answer_means_something(status: int, body: bytes) -> None:
    """Whatever a server answers, it is a token that can be sent, a known refusal, or a sentence of ours (R5, R7)."""
    answer = oauth.parse(status, body)
    match answer:
        case oauth.Granted():
            assert status == 200
            assert set(answer.token.reveal) <= set(string.printable) - set(string.whitespace)
            assert oauth.SHORTEST_LIFETIME <= answer.lifetime <= oauth.LONGEST_LIFETIME
        case oauth.TokenRefused():
            assert len(answer.said) <= 200
            assert answer.said.isprintable()
            assert answer.said.isascii()
        case oauth.Unusable():
            assert answer.problem.isascii()
            assert answer.problem.startswith("answered")


@hypothesis.given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_an_echo_of_the_request_is_cut_out(before: str, after: str) -> None:
    """A description that quotes secret, refresh token or assertion is shown without them (R1, R7)."""
    signing = oauth.SigningKey(private=_P256, key_id=None, certificate=None)
    client = _client(signing_key=signing, refresh_token=secret.Hidden("refresh-0123456789"))
    request = oauth.request(client, now=_NOW, jti="one")
    assertion = dict(urllib.parse.parse_qsl(request.body.reveal))["client_assertion"]
    for echoed in ("refresh-0123456789", assertion[-40:]):
        body = json.dumps({"error": "invalid_grant", "error_description": f"{before}{echoed}{after}"}).encode()
        refused = oauth.parse(400, body, secrets=request.secrets)
        assert isinstance(refused, oauth.TokenRefused)
        assert echoed[4:12] not in refused.said


def _thumbprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> str:
    return base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).decode().rstrip("=")

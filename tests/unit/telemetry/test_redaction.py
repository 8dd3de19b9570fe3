"""What looks like a credential is cut out of a text, and nothing else is."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.telemetry import redaction

_CREDENTIAL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


@given(_CREDENTIAL, _CREDENTIAL, st.sampled_from(["AUTH PLAIN {}", "C: auth plain {}\r\n", "sent 'AUTH PLAIN {}'"]))
def test_plain_payload_is_cut_out(username: str, password: str, frame: str) -> None:
    """The payload of AUTH PLAIN, whatever the credentials, does not stay."""
    payload = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
    assert payload not in redaction.text(frame.format(payload))


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/", min_size=16))
def test_bearer_token_is_cut_out(token: str) -> None:
    """A bearer token does not stay, in a header or by itself."""
    for frame in ("Authorization: Bearer {}", "{{'authorization': 'Bearer {}'}}", "got Bearer {}", "authorization={}"):
        assert token not in redaction.text(frame.format(token))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("AUTH LOGIN dXNlcm5hbWU=", "AUTH LOGIN (hidden)"),
        ("x eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJtYWlsdGllciJ9.c2lnbmF0dXJl y", "x (hidden) y"),
        ('{"password": "hunter2", "user": "me"}', '{"password": (hidden), "user": "me"}'),
        ("token=abc&user=me", "token=(hidden)"),
        ("client_secret: 'a b'", "client_secret: (hidden)"),
        (
            "grant_type=refresh_token&refresh_token=1%2F%2Fabc&client_id=app",
            "grant_type=refresh_token&refresh_token=(hidden)",
        ),
        ("client_assertion=a.b.c&scope=mail", "client_assertion=(hidden)&scope=mail"),
        ('{"access_token": "abc", "expires_in": 3599}', '{"access_token": (hidden), "expires_in": 3599}'),
        ("334 then dXNlcj1hbm4BYXV0aD1CZWFyZXIgYWJjAQE= end", "334 then (hidden) end"),
        ("smtp://me:hunter2@example.com:25", "smtp://me:(hidden)@example.com:25"),
        ("-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY----- x", "(hidden) x"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "(hidden)"),
        ("x pwd=hunter2 y", "x pwd=(hidden) y"),
        ("secret: hunter2", "secret: (hidden)"),
        ("api_key=abc&api-key=abc&apikey=abc", "api_key=(hidden)&api-key=(hidden)&apikey=(hidden)"),
        ("smtp_password=hunter2", "smtp_password=(hidden)"),
        ("smtpPassword=hunter2 x", "smtpPassword=(hidden) x"),
        ("SMTPPassword: hunter2 x", "SMTPPassword: (hidden) x"),
        ('{"clientSecret": "hunter2"}', '{"clientSecret": (hidden)}'),
        ("pass=hunter2 x", "pass=(hidden) x"),
        ("DB_PASS=hunter2 x", "DB_PASS=(hidden) x"),
        ("{'password': ['hunter2', 'b] c'], 'user': 'me'}", "{'password': (hidden), 'user': 'me'}"),
        ("{'password': ('hunter2', 'b'), 'user': 'me'}", "{'password': (hidden), 'user': 'me'}"),
        ("{'password': {'a': 'hunter2', 'b': 'c'}, 'user': 'me'}", "{'password': (hidden), 'user': 'me'}"),
        ("password=['hunter2', 'b", "password=(hidden)"),
        (r'{"password": "a\" b", "user": "me"}', '{"password": (hidden), "user": "me"}'),
        ("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9cm9wcg==", "AUTH SCRAM-SHA-256 (hidden)"),
        ("auth scram-sha-256 biwsbj11c2VyLHI9cm9wcg==", "auth scram-sha-256 (hidden)"),
        ("AUTH X-NEW_ONE biwsbj11c2VyLHI9cm9wcg==", "AUTH X-NEW_ONE (hidden)"),
        ("AUTH SCRAM-SHA-256\r\nbiwsbj11c2VyLHI9cm9wcg==\r\nQUIT now", "AUTH SCRAM-SHA-256 (hidden)\r\nQUIT now"),
        ("AUTH LOGIN cm9i", "AUTH LOGIN (hidden)"),
        ("AUTH LOGIN\r\ncm9ib3Q=\r\naHVudGVyMg==\r\nMAIL FROM:<a>", "AUTH LOGIN (hidden)\r\nMAIL FROM:<a>"),
        (
            "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: cm9ib3Q=\nS: 334 UGFzc3dvcmQ6\nC: aHVudGVyMg==\nS: 235 ok",
            "C: AUTH LOGIN (hidden)\nS: 235 ok",
        ),
    ],
)
def test_credential_is_cut_out(said: str, kept: str) -> None:
    """Each form of credential goes, and the text round it stays (R1)."""
    assert redaction.text(said).startswith(kept)


@pytest.mark.parametrize(
    "said",
    [
        "The server does not offer AUTH PLAIN.",
        "Basic authentication is off",
        "250 AUTH LOGIN NTLM",
        "250-AUTH SCRAM-SHA-256 KERBEROS_V4 DIGEST-MD5 ANONYMOUS",
        "250-AUTH GSSAPI SCRAM-SHA-256-PLUS OAUTHBEARER",
        "AUTH FAILED and afterwards nothing",
        "passed: 3, compass=north, bypass: yes, spf=pass smtp.mailfrom=a",
        "the password [of a Secret] is read",
        "AUTH LOGIN\nfailed again",
        "SmtpClientAuthentication is disabled for the Tenant",
        "send the header with a Bearer token",
        "Secret a/b has no key password",
        "reconciled a/b in 3 ms at 10:15:00",
        "https://smtp.example.com:587/path@x",
        "-----BEGIN CERTIFICATE-----\nabc",
    ],
)
def test_ordinary_text_stays(said: str) -> None:
    """Words about credentials are not credentials."""
    assert redaction.text(said) == said


def test_cutting_twice_changes_nothing() -> None:
    """A text that was cut stays as it is."""
    said = "AUTH PLAIN AGEAYg== password=x Authorization: Bearer abc https://a:b@c token: d"
    once = redaction.text(said)
    assert redaction.text(once) == once


def test_fields_are_searched_deeply_and_within_reason() -> None:
    """Maps and lists are looked into, and one without end is not followed for ever."""
    endless: dict[str, object] = {"password": "hunter2"}
    endless["self"] = endless
    cut = redaction.fields({"a": [{"api_token": "hunter2"}], "b": endless, "tokens_left": "3", "count": 1})
    assert "hunter2" not in repr(cut)
    assert (cut["tokens_left"], cut["count"]) == ("3", 1)


@pytest.mark.parametrize("key", ["smtpPassword", "SMTPPassword", "clientSecret", "DB_PASS", "pass", "apiKey", "dbPass"])
def test_a_name_that_ends_in_a_word_for_credentials_hides_its_value(key: str) -> None:
    """However the words of a name are joined (R1)."""
    assert redaction.fields({key: "hunter2"}) == {key: "(hidden)"}


@pytest.mark.parametrize("key", ["passed", "compass", "bypass", "trespass", "secretName", "tokens_left", "keypass1"])
def test_other_names_keep_their_values(key: str) -> None:
    """A name that only contains such a word is of something else."""
    assert redaction.fields({key: "seen"}) == {key: "seen"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"passwords": ["hunter2", "hunter3"]}, {"passwords": "(hidden)"}),
        ({"secret": {"a": "hunter2"}}, {"secret": "(hidden)"}),
        (
            {"argv": ["send", "--password", "hunter2", "--to", "me"]},
            {"argv": ["send", "--password", "(hidden)", "--to", "me"]},
        ),
        ({"argv": ("--api-key=hunter2", "x")}, {"argv": ["--api-key=(hidden)", "x"]}),
        (
            {"lines": ["AUTH LOGIN", "334 VXNlcm5hbWU6", "cm9ib3Q=", b"aHVudGVyMg==", "235 2.7.0 ok", "QUIT now"]},
            {"lines": ["AUTH LOGIN", "(hidden)", "(hidden)", "(hidden)", "235 2.7.0 ok", "QUIT now"]},
        ),
        ({"secret": None, "token": 3, "password": False}, {"secret": None, "token": 3, "password": False}),
    ],
)
def test_lists_lose_what_their_neighbours_say_is_a_credential(given: dict[str, object], kept: object) -> None:
    """Several values under one key, command lines, and the lines of a dialogue are no way round (R1)."""
    assert redaction.fields(given) == kept

"""Quotes of a server's words: short, printable, without secrets (R7), and cheap (R10)."""

import base64

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.mail import quoting

_PASSWORD = "Tr0ub4dor&3-horse"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("User unknown", "User unknown"),
        ("Username and Password not accepted", "Username and Password not accepted"),
        ("  a \t b\r\nc\0d  ", "a b c d"),
        ("na\u00efve \u202e", "na ve"),
        ("<4XyZ123abc> queued as 9F3B2C1D00", "<4XyZ123abc> queued as 9F3B2C1D00"),
        ("AUTH PLAIN AGpvZQBodW50ZXIyMTIz refused", "AUTH PLAIN [removed] refused"),
        ("got c2VjcmV0cGFzcw== from you", "got [removed] from you"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3", "[removed].[removed].[removed]"),
        ("0123456789abcdef0123456789abcdef", "[removed]"),
        ("password=letmein failed", "password=[removed] failed"),
        ("pwd: letmein secret=x api_key=y", "pwd: [removed] secret=[removed] api_key=[removed]"),
        ("AUTH LOGIN cm9i refused", "AUTH LOGIN [removed] refused"),
        ("Bearer abc.def expired", "Bearer [removed] expired"),
    ],
)
def test_quotes_keep_words_and_lose_what_looks_encoded(text: str, expected: str) -> None:
    """Printable ASCII remains, in one line; base64, tokens and named secrets do not."""
    assert quoting.quotable(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SmtpClientAuthentication is disabled for the Tenant",
        "STOREDRV.Submission.Exception:MapiExceptionSendAsDenied",
        "SubmissionQuotaExceededException",
        "BasicAuthenticationDisabled for Office365Connector",
        "AUTHENTICATIONREQUIREDFORRELAY",
        "unauthenticatedconnections",
    ],
)
def test_words_stay_however_long_they_are(text: str) -> None:
    """A secret goes because it is known or looks like data, and not because a programmer wrote words in one."""
    assert quoting.quotable(text) == text


@given(st.binary(min_size=18, max_size=60))
def test_data_does_not_read_as_words(data: bytes) -> None:
    """Base64 of what is no text goes: of random bytes not one in a thousand reads as words (R7)."""
    encoded = base64.b64encode(data).decode().rstrip("=")
    hypothesis.assume(len(set(data)) > len(data) * 2 // 3)
    assert encoded not in quoting.quotable(f"got {encoded} from you")


@pytest.mark.parametrize(
    "echo",
    [
        _PASSWORD,
        _PASSWORD.upper(),
        _PASSWORD[3:12],
        base64.b64encode(_PASSWORD.encode()).decode(),
        base64.b64encode(b"\0joe\0" + _PASSWORD.encode()).decode(),
        base64.b64encode(b"\0mary\0" + _PASSWORD.encode()).decode(),
        base64.b64encode(b"\0jo\0" + _PASSWORD.encode()).decode(),
        _PASSWORD.encode().hex(),
        "Tr0ub4dor%263-horse",
    ],
)
def test_known_secrets_are_removed_in_every_form(echo: str) -> None:
    """A server that echoes the password, whole, in part or encoded, is not quoted with it (R7)."""
    quoted = quoting.quotable(f"refused: {echo} (try again)", quoting.KnownSecrets([_PASSWORD]))
    assert quoted.startswith("refused: ")
    assert quoted.endswith(" (try again)")
    for length in range(6, len(echo) + 1):
        assert echo[:length].lower() not in quoted.lower()


@given(
    st.text("abcDE1+", max_size=60),
    st.lists(st.text("abcDE1+", min_size=3, max_size=30), max_size=3),
    st.integers(min_value=0, max_value=20),
)
def test_every_piece_of_a_secret_is_found(text: str, secrets: list[str], at: int) -> None:
    """Six consecutive characters, or a whole secret that is shorter, wherever they stand; and nothing else (R7)."""
    text = text[:at] + "".join(secrets)[at // 2 :] + text[at:]
    folded, expected = text.lower(), bytearray(len(text))
    for secret in secrets:
        length = min(len(secret), 6)
        for start in range(len(secret) - length + 1):
            for place in range(len(text) - length + 1):
                if folded[place : place + length] == secret.lower()[start : start + length]:
                    expected[place : place + length] = b"\1" * length
    found = quoting.KnownSecrets(secrets).find(text)
    # Their encoded forms may stand there by chance.
    assert all(there for there, wanted in zip(found, expected, strict=True) if wanted)
    assert any(expected) or len(secrets) > 0 or not any(found)


@given(st.text(max_size=3000), st.lists(st.text(min_size=3, max_size=40), max_size=3))
def test_quotes_are_short_printable_and_without_secrets(text: str, secrets: list[str]) -> None:
    """At most 200 printable ASCII characters, and no six consecutive characters of a secret (R7)."""
    quoted = quoting.quotable(text, quoting.KnownSecrets(secrets))
    assert len(quoted) <= 200
    assert all(" " <= char <= "~" for char in quoted)
    visible = quoted.replace("[removed]", "\0").lower()
    for secret in secrets:
        for start in range(len(secret) - 5):
            assert secret[start : start + 6].lower() not in visible


def test_a_long_quote_ends_in_dots() -> None:
    """What was cut off is marked."""
    quoted = quoting.quotable("word " * 100)
    assert len(quoted) <= 200
    assert quoted.endswith("...")

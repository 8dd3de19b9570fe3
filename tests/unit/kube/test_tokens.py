"""A token's own words are enough to refuse it."""

import base64
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import tokens as tokens_kit
from mailtier.kube import tokens

_NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
_SOON = _NOW.timestamp() + 600


@pytest.mark.parametrize("audience", ["mailtier", ["mailtier"], ["other", "mailtier"]])
def test_right_token_says_how_long_it_lasts(audience: str | list[str]) -> None:
    """A token for us is worth asking about, for as long as it is valid."""
    left = tokens.check(tokens_kit.unsigned({"aud": audience, "exp": _SOON}), audience="mailtier", now=_NOW)
    assert left == dt.timedelta(minutes=10)


def test_clocks_may_differ_a_little() -> None:
    """A token that has just expired is left to the apiserver, and then not remembered."""
    late = tokens_kit.unsigned({"aud": "mailtier", "exp": _NOW.timestamp() - 30})
    assert tokens.check(late, audience="mailtier", now=_NOW) == dt.timedelta()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "JSON Web Token"),
        ("opaque", "JSON Web Token"),
        ("a.b.c", "JSON Web Token"),
        ("..", "JSON Web Token"),
        (tokens_kit.unsigned([]), "JSON Web Token"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": _SOON}, header=[]), "JSON Web Token"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": _SOON, "pad": "x" * 20_000}), "JSON Web Token"),
        (tokens_kit.unsigned({"exp": _SOON}), "audience"),
        (tokens_kit.unsigned({"aud": "https://kubernetes.default.svc", "exp": _SOON}), "audience"),
        (tokens_kit.unsigned({"aud": ["mailtier2"], "exp": _SOON}), "audience"),
        (tokens_kit.unsigned({"aud": "mail", "exp": _SOON}), "audience"),
        (tokens_kit.unsigned({"aud": {"mailtier": 1}, "exp": _SOON}), "audience"),
        (tokens_kit.unsigned({"aud": 7, "exp": _SOON}), "audience"),
        (tokens_kit.unsigned({"aud": "mailtier"}), "expiry"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": "tomorrow"}), "expiry"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": True}), "expiry"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": float("nan")}), "JSON Web Token"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": float("inf")}), "JSON Web Token"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": -1e300}), "expired"),
        (tokens_kit.unsigned({"aud": "mailtier", "exp": _NOW.timestamp() - 61}), "expired"),
    ],
)
def test_token_that_cannot_be_right_is_refused(text: str, told: str) -> None:
    """Wrong form, audience or time is refused with a sentence that does not quote the token."""
    with pytest.raises(tokens.UnusableTokenError, match=told) as caught:
        tokens.check(text, audience="mailtier", now=_NOW)
    assert text == "" or text not in str(caught.value)


@given(st.text() | st.binary().map(lambda raw: "e30." + base64.urlsafe_b64encode(raw).decode() + ".x"))
def test_any_text_is_borne(text: str) -> None:
    """No text makes anything but a refusal."""
    with pytest.raises(tokens.UnusableTokenError):
        tokens.check(text, audience="mailtier", now=_NOW)


@pytest.mark.parametrize("expires", [1e308, 10**400], ids=["float", "integer"])
def test_huge_expiry_is_borne(expires: float) -> None:
    """A token that claims to last for ever is worth asking about; the answer is remembered for a minute anyway."""
    text = tokens_kit.unsigned({"aud": "mailtier", "exp": expires})
    assert tokens.check(text, audience="mailtier", now=_NOW) > dt.timedelta(days=1)

"""What is said of the mechanisms that a server offers."""

from hypothesis import given
from hypothesis import strategies as st

from mailtier.mail import sasl


def test_what_is_offered_instead_is_named() -> None:
    """Known names only, in any case, each once."""
    told = sasl.not_offered("XOAUTH2", ["login", "PLAIN", "Login", "hunter2", "\x1b[2J"])
    assert told == "The SMTP server does not offer XOAUTH2; it offers PLAIN, LOGIN."


def test_nothing_and_nothing_known_are_told_apart() -> None:
    """A server without AUTH is another case than one with mechanisms of its own."""
    assert sasl.not_offered("PLAIN", []).endswith("it offers no authentication.")
    assert sasl.not_offered("PLAIN", ["X-OURS"]).endswith("it offers none that is known.")


@given(st.lists(st.text()))
def test_no_text_of_a_server_is_repeated(offered: list[str]) -> None:
    """Every word of the list is one of ours, whatever the server says (R7)."""
    words = sasl.not_offered("PLAIN", offered).partition("it offers ")[2].removesuffix(".")
    allowed = {*sasl.REGISTERED, "no authentication", "none that is known"}
    assert set(words.split(", ")) <= allowed

"""Texts that are put together read as sentences."""

import pytest

from mailtier.api import prose


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("one", "Two."), "one. Two."),
        (("One.", "", "Two"), "One. Two."),
        (("Is it?", "No!"), "Is it? No!"),
        (("", "  "), ""),
    ],
)
def test_two_sentences_are_joined_as_sentences(parts: tuple[str, ...], told: str) -> None:
    """Each ends before the next begins, once, and what says nothing leaves no trace."""
    assert prose.sentences(*parts) == told


def test_a_text_is_shortened_to_its_length() -> None:
    """What is too long ends in an ellipsis, which counts."""
    assert [prose.shortened("abcd", length) for length in (4, 3)] == ["abcd", "ab…"]


def test_a_sentence_goes_on() -> None:
    """What follows a colon belongs to the sentence, which ends once."""
    assert prose.continued("It is blocked.", "for a reason.") == "It is blocked: for a reason."
    assert prose.continued("It is blocked", "for a reason") == "It is blocked: for a reason."


def test_a_number_has_its_noun() -> None:
    """One is singular, and everything else plural."""
    assert [prose.counted(number, "info") for number in (0, 1, 2)] == ["0 infos", "1 info", "2 infos"]

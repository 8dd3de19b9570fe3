"""Texts that are put together for people: two sentences are joined as sentences, wherever they come from."""

from typing import Final

_ENDS: Final = (".", "!", "?", "…", ":")


def closed(text: str) -> str:
    """Return a text as a sentence ends: with a full stop, unless something else ends it."""
    text = text.rstrip()
    return text if not text or text.endswith(_ENDS) else f"{text}."


def sentences(*texts: str) -> str:
    """Return texts one after the other, each closed as a sentence is; those that say nothing are left out."""
    return " ".join(closed(text) for text in texts if text.strip())


def continued(sentence: str, more: str) -> str:
    """Return a sentence that goes on after a colon, closed once."""
    return closed(f"{sentence.rstrip().removesuffix('.')}: {more}")


def capitalized(text: str) -> str:
    """Return a text as a sentence begins."""
    return text[:1].upper() + text[1:]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 file` and `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters; what is left out is an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"

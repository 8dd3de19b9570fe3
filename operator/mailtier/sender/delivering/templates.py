"""The templates that come with the program, read once."""

import importlib.resources
import json
from collections.abc import Mapping
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import render

_FOLDER: Final = "templates"
_WORDS: Final = "words.json"
"""In a locale's folder: what it calls severities and names of data; without it they are shown as they are."""


class Templates:
    """Sources by locale and category.

    Raises:
        FileNotFoundError: A locale lacks a category; the package is incomplete.
    """

    def __init__(self) -> None:
        root = importlib.resources.files("mailtier.mail") / _FOLDER
        self._sources: Mapping[tuple[vocabulary.Category, vocabulary.Locale], render.Sources] = {
            (category, locale): _read(root / locale, category)
            for locale in vocabulary.Locale
            for category in vocabulary.Category
        }

    def find(self, category: vocabulary.Category, locale: vocabulary.Locale) -> render.Sources:
        """Return the sources for a category in a locale."""
        return self._sources[category, locale]


def _read(folder: "importlib.resources.abc.Traversable", category: vocabulary.Category) -> render.Sources:
    def text(name: str) -> str:
        return (folder / f"{name}.j2").read_text(encoding="utf-8")

    words: Mapping[str, str] = {}
    if (folder / _WORDS).is_file():
        words = json.loads((folder / _WORDS).read_text(encoding="utf-8"))
    return render.Sources(
        subject=text(f"{category}.subject"),
        text=text(f"{category}.text"),
        html=text(f"{category}.html"),
        layout=text("layout.html"),
        words=tuple(words.items()),
    )

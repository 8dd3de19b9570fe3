"""The templates that come with the program, read once."""

import importlib.resources
from collections.abc import Mapping
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import render

ENGLISH: Final = "en"
_FOLDER: Final = "templates"


class Templates:
    """Sources by locale and category.

    Raises:
        FileNotFoundError: A locale lacks a category; the package is incomplete.
    """

    def __init__(self) -> None:
        root = importlib.resources.files("mailtier.mail") / _FOLDER
        self._sources: Mapping[str, Mapping[vocabulary.Category, render.Sources]] = {
            folder.name: {category: _read(folder, category) for category in vocabulary.Category}
            for folder in root.iterdir()
            if folder.is_dir() and not folder.name.startswith("_")
        }

    @property
    def locales(self) -> frozenset[str]:
        """The locales that there are templates for."""
        return frozenset(self._sources)

    def find(self, category: vocabulary.Category, *, locale: str = ENGLISH) -> render.Sources:
        """Return the sources for a category; English where there are none in the locale."""
        return self._sources.get(locale, self._sources[ENGLISH])[category]


def _read(folder: "importlib.resources.abc.Traversable", category: vocabulary.Category) -> render.Sources:
    def text(name: str) -> str:
        return (folder / f"{name}.j2").read_text(encoding="utf-8")

    return render.Sources(
        subject=text(f"{category}.subject"),
        text=text(f"{category}.text"),
        html=text(f"{category}.html"),
        layout=text("layout.html"),
    )

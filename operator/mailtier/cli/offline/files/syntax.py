"""What is wrong with a text that is no YAML, as a sentence that says what to do and quotes nothing of the text (R1)."""

import re
from typing import Final

_REMEDIES: Final = {
    "found invalid Unicode character escape code": "an escape stands for no character; write the character itself,"
    " or one escape for the whole of it (\\U0001f527): pairs as in \\ud83d\\udd27 are JSON's alone, and JSON has no ---"
    " between objects",
    "found character that cannot start any token": "a value begins with a sign that YAML keeps for itself, such as @, `"
    " or %; put the value in quotation marks",
    "found undefined alias": "an alias (*name) stands without its anchor (&name) before it in the same document; add"
    " the anchor, or put a value that begins with * in quotation marks",
    "found unknown escape character": "a backslash in double quotation marks begins an escape that YAML has not;"
    " write two of them, or put the value in single quotation marks",
}
"""What libyaml says, and what is so and to be done."""

HAS_TEMPLATE: Final = re.compile(r"\{\{|\{%")
"""Finds what Helm and Jinja write into YAML."""


def sentence(problem: str, text: str, *, at: int | None) -> str:
    """Return what is said of a text that cannot be read.

    Args:
        problem: What the reader says of it.
        text: The whole of it.
        at: Where the reader stopped, from 0; None where it cannot say.
    """
    told = _REMEDIES.get(problem, problem)
    if at is not None and _is_tab(text, at):
        told = "a tab stands where YAML indents; put blanks in its place"
    if HAS_TEMPLATE.search(text):
        told += "; this looks like a template, so render it first and pipe the result in"
    return told


def _is_tab(text: str, index: int) -> bool:
    """Return whether a tab is what the reader stumbled over: there, or in what indents the line."""
    start = text.rfind("\n", 0, index) + 1
    indent = text[start : len(text) - len(text[start:].lstrip(" \t"))]
    return text[index : index + 1] == "\t" or "\t" in indent

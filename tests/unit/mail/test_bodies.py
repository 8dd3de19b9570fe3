"""Bodies: what is known of a template changes no byte of what is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import vocabulary
from mailtier.mail import bodies, render
from mailtier.sender.delivering import templates

_RUN = f"<p style='{'x' * 80}'>\n<b>é = mc²</b>   \n.\n"
_OTHER = f"<i>{'=' * 90}</i>\n"
_TEMPLATE = f"{_RUN}{{{{ subject }}}}\n{_OTHER}{{% block body %}}{{% endblock %}}\n{_RUN}"
_PIECES = st.sampled_from(
    [_RUN, _OTHER, _RUN[:-1], _RUN[1:], "\n", "\r\n", "\0", "\0\n", "=00", "=\n", " \n", ".\n", "a line\n", "日本\n"]
)


@given(st.lists(_PIECES | st.text(max_size=80), max_size=12).map("".join))
def test_what_is_known_changes_no_byte(body: str) -> None:
    """Known lines, parts of them, lines that look like ours, and blanks at their ends are sent as without."""
    known = bodies.known_parts(_TEMPLATE)
    assert bodies.part(b"html", body, known) == bodies.part(b"html", body)


def test_only_what_no_value_changes_is_known() -> None:
    """Lines with markup are left out, and so are those that are encoded sooner than found."""
    known = bodies.known_parts(f"{_TEMPLATE}{{{{ a }}}}\nshort\n")
    assert [run for run, _ in known] == [_RUN, _OTHER, _RUN]


@pytest.mark.parametrize("locale", list(vocabulary.Locale))
@pytest.mark.parametrize("category", list(vocabulary.Category))
def test_most_of_a_built_in_page_is_known(category: vocabulary.Category, locale: vocabulary.Locale) -> None:
    """A page is a frame with a few words in it, and its frame is encoded once."""
    renderer = render.Renderer(templates.Templates().find(category, locale))
    known = sum(len(run) for run, _ in renderer.known_parts)
    assert known > 2_000

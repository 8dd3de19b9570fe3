"""The accepted part of the template language."""

import re

import minijinja
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import repository
from mailtier.mail import guard


@pytest.mark.parametrize(
    "source",
    [
        "",
        "Plain text with [brackets], {braces} + signs * and 'quotes",
        "<style>a { color: red; } @media x { b { c: d } }</style>",
        "{{ subject }}",
        "{{- data.link -}}",
        "{% if data.job is defined and severity != 'Info' %}{{ data['job'] }}{% endif %}",
        "{% if a %}1{% elif b %}2{% else %}3{% endif %}",
        "{% for name, value in data|dictsort %}{{ loop.index }}: {{ name|replace('_', ' ')|capitalize }}{% endfor %}",
        "{% set x = (a ~ 'b')|upper %}{% set first, second = x %}",
        "{% with a = 1, b = 2 %}{{ a - b }}{% endwith %}",
        "{% if x is not divisibleby(3) %}{% endif %}",
        "{% if 'a' in text and not (b or c) %}{% endif %}",
        "{{ data.x|default('a, [b]', true)|truncate(length=20, end='...') }}",
        "{# a comment with {{ and [1, 2] and ' #}{{ subject }}",
        "{{ 'it''s' }}{{ \"a \\\" b\" }}",
        "{% block a %}{% endblock %}",
        "{%+ if a +%}{% endif %}",
        "{{ 3.14 if a else 0 }}",
    ],
)
def test_ordinary_templates_are_accepted(source: str) -> None:
    """Values, conditions, loops, filters, tests and blocks are all there."""
    guard.check_source(source)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ [1] }}", "lists"),
        ("{{ [] }}", "lists"),
        ("{{ (1, 2) }}", "lists"),
        ("{{ ((a, a), b) }}", "lists"),
        ("{% set x = 1, 2 %}", "lists"),
        ("{% set x, y = 1, 2 %}", "lists"),
        ("{% with x = (a, a) %}{% endwith %}", "lists"),
        ("{% for x in [1] %}{% endfor %}", "lists"),
        ("{% for x in y if [1] %}{% endfor %}", "lists"),
        ("{% if a %}{% elif [1] %}{% endif %}", "lists"),
        ("{% if not [a] %}{% endif %}", "lists"),
        ("{% if a is sameas [b] %}{% endif %}", "lists"),
        ("{{ a|default([b]) }}", "lists"),
        ("{{ a|default((b, b)) }}", "lists"),
        ("{{ a[b, b] }}", "lists"),
        ("{{ a and [b] }}", "lists"),
        ("{{ a if b else [c] }}", "lists"),
        ("{{ a ~ [b] }}", "lists"),
        ("{{ {} }}", "maps"),
        ("{{ {'a': 1} }}", "maps"),
        ("{{ a + a }}", r"\+ is not offered"),
        ("{{ 'a' * 9 }}", r"\* is not offered"),
        ("{{ 9 ** 9 }}", r"\* is not offered"),
        ("{{ a[0:9] }}", "slices"),
        ("{{ range(9) }}", "calls"),
        ("{{ data.get('a') }}", "calls"),
        ("{{ self.a() }}", "calls"),
        ("{{ super() }}", "calls"),
        ("{{ a()() }}", "calls"),
        ("{{ (a)(1) }}", "calls"),
        ("{{ 'a'(1) }}", "calls"),
        ("{{ not a(1) }}", "calls"),
        ("{% set x = namespace(a=1) %}", "calls"),
        ("{{ a|safe }}", "these filters only"),
        ("{{ a|map('upper') }}", "these filters only"),
        ("{{ a|'upper' }}", "these filters only"),
        ("{% macro m() %}{% endmacro %}", "these blocks only"),
        ("{% include 'a' %}", "these blocks only"),
        ("{% import 'a' as b %}", "these blocks only"),
        ("{% raw %}{{ [1] }}{% endraw %}", "these blocks only"),
        ("{%- raw -%}{% endraw %}", "these blocks only"),
        ("{% filter upper %}{% endfilter %}", "these blocks only"),
        ("{% autoescape false %}{% endautoescape %}", "these blocks only"),
        ("{% call a() %}{% endcall %}", "these blocks only"),
        ("{% do a %}", "these blocks only"),
        ("{% %}", "these blocks only"),
        ("{% extends 'layout.html' %}", "only the HTML template"),
        ("{#}{{ [1] }}#}", "not closed"),
        ("{# {{ a }}", "not closed"),
        ("{{ a", "not closed"),
        ("{{ a %}", "maps"),
        ("{{ 'a }}", "quotation mark"),
        ("{{ a\u00a0}}", "means nothing"),
        ("{{ é }}", "means nothing"),
        ("{{ a ? b }}", "means nothing"),
        ("{{ " + "-" * 200 + "1 }}", "at most 100"),
        ("{{ a" + ".b" * 60 + " }}", "at most 100"),
        ("{{ a }}" * 1001, "at most 1000 tags"),
        ("{% if a %}" + "{% elif b %}" * 51 + "{% endif %}", "at most 50 elif"),
        ("é" * 16_385, "at most 32768 bytes"),
    ],
)
def test_what_could_do_harm_is_refused(source: str, sentence: str) -> None:
    """Each way to make lists, call, unescape, or build long chains is refused with a sentence."""
    with pytest.raises(guard.GuardError, match=sentence):
        guard.check_source(source)


def test_the_html_template_extends_the_layout_and_nothing_else() -> None:
    """One fixed parent: no chain and no circle of templates can be made."""
    guard.check_source("{% extends 'layout.html' %}", may_extend=True)
    for source in (
        "{% extends 'text' %}",
        "{% extends subject %}",
        "{% extends 'layout.html' ~ '' %}",
        "{% extends %}",
    ):
        with pytest.raises(guard.GuardError, match="only the HTML template"):
            guard.check_source(source, may_extend=True)


def test_the_line_is_named() -> None:
    """A person finds the place."""
    with pytest.raises(guard.GuardError, match=r"^line 3: "):
        guard.check_source("a\n{{ b }}\n{{ [1] }}")


# Pieces that open, close and disguise tags; the marker comes out only if a list literal is evaluated.
_PIECES = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "{#", "#}", "{", "}", "-", "+", "'", '"', "\\", " ", "\n", "raw", "endraw", "if a"),
        *("endif", "set b =", "{% raw %}", "{% endraw %}", "{{ '", "' }}", "{#-", "-#}", "{%-", "-%}", "a", "1", "|d("),
        *("[ 'MA' ]|first ~ 'RK'", "('MA', 1)|first ~ 'RK'", "{{ ['MA']|first ~ 'RK' }}", ")", "(", "is", ","),
    ]
)


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_scanner_and_template_engine_agree(source: str) -> None:
    """Whatever hides a list from the scanner hides it from the engine too: none is ever evaluated."""
    try:
        guard.check_source(source)
        output = minijinja.Environment(fuel=1000, pycompat=False).render_str(source, a="x")
    except (guard.GuardError, minijinja.TemplateError):
        return
    assert "MARK" not in output


def test_the_reference_lists_what_is_accepted() -> None:
    """Blocks, filters and bounds of the page are those of the guard."""
    page = repository.read("docs/reference/templates.md")
    parts = {part: set(re.findall(r"`(\w+)`", names)) for part, names in repository.rows(page, "The language")}
    assert parts["Blocks"] == {block for block in guard.BLOCKS if not block.startswith("end")}
    assert parts["Filters"] == guard.FILTERS
    bounds = (
        f"{guard.MAXIMUM_SOURCE_BYTES // 1024} KiB, {guard.MAXIMUM_TAGS:,} tags,"
        f" {guard.MAXIMUM_TAG_TOKENS} words and signs in a tag, {guard.MAXIMUM_ELIFS} `elif`"
    )
    assert ("A source", bounds) in repository.rows(page, "Limits")

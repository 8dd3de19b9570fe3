"""Rendering: what templates see, what stops them, and that data cannot break out."""

import datetime as dt
import html.parser
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import links, text, vocabulary
from mailtier.mail import render

AT = dt.datetime(2026, 11, 24, 18, 30, tzinfo=dt.timezone(dt.timedelta(hours=9)))


def _values(**values: object) -> render.NotificationValues:
    given_ = {
        "organization": "acme",
        "category": vocabulary.Category.JOB_ALERT,
        "severity": vocabulary.Severity.ERROR,
        "at": AT,
    }
    return render.NotificationValues(**(given_ | values))  # type: ignore[arg-type]


def _renderer(
    subject: str = "s", plain: str = "t", html_: str | None = None, layout: str | None = None
) -> render.Renderer:
    return render.Renderer(render.Sources(subject=subject, text=plain, html=html_, layout=layout))


def _html(source: str, **values: object) -> str:
    output = _renderer(html_=source).render(_values(**values)).html
    assert output is not None
    return output


def test_templates_see_the_notification() -> None:
    """Organization, category, severity, data, subject, text, and the time in UTC with its zone named."""
    source = "{{ organization }}|{{ category }}|{{ severity }}|{{ subject }}|{{ text }}|{{ data.job }}|{{ at }}"
    output = _renderer("ignored", source).render(_values(subject="S", text="T", data={"job": "J"}))
    assert output.text == "acme|JobAlert|Error|S|T|J|2026-11-24 09:30 UTC"
    assert output.html is None


def test_the_callers_subject_wins() -> None:
    """The template's subject is for notifications without one, and bodies see whichever it is."""
    renderer = _renderer("from template", "{{ subject }}")
    assert renderer.render(_values()).subject == "from template"
    assert renderer.render(_values()).text == "from template"
    assert renderer.render(_values(subject="mine")).subject == "mine"
    assert renderer.render(_values(subject="mine")).text == "mine"


def test_a_subject_is_one_line() -> None:
    """Line breaks of a template or a value become blanks."""
    assert _renderer("\n  a\n{{ data.x }}  b\n").render(_values(data={"x": "1\n2"})).subject == "a 1 2 b"


@pytest.mark.parametrize(
    ("subject", "sentence"),
    [("{{ '' }}", "writes nothing"), ("x" * 257, "more than 256"), ("\u202e", "right-to-left"), ("\0", "NUL")],
)
def test_a_subject_that_cannot_be_sent_is_an_error(subject: str, sentence: str) -> None:
    """R5 holds for templates too."""
    with pytest.raises(render.RenderError, match=sentence):
        _renderer(subject).render(_values())


def test_a_value_that_is_missing_is_an_error_unless_it_is_tested() -> None:
    """A notification with a hole in it is not sent."""
    with pytest.raises(render.RenderError, match="the text template does not work: line 2: it uses a value"):
        _renderer(plain="\n{{ data.jbo }}").render(_values(data={"job": "J"}))
    with pytest.raises(render.RenderError, match="uses a value"):
        _renderer(plain="{{ text }}").render(_values())
    assert _renderer(plain="{{ 'y' if text is defined else 'n' }}").render(_values()).text == "n"


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        ({"plain": "{% if a %}"}, "the text template does not work: line 1: its syntax is wrong: .+"),
        ({"html_": "{{ [1] }}"}, "the HTML template is not acceptable: line 1: lists"),
        ({"layout": "{{ a|nope }}"}, "the layout template is not acceptable"),
        ({"subject": "{{ a is nope }}"}, "test that does not exist"),
    ],
)
def test_a_template_that_cannot_work_is_found_early(sources: dict[str, str], sentence: str) -> None:
    """Most defects are found when templates are compiled, the rest at the first use, with template and line."""
    with pytest.raises(render.RenderError, match=sentence):
        _renderer(**sources).render(_values())


def test_an_error_holds_nothing_of_the_values() -> None:
    """R1: a reset link does not get into a log by way of a template's error."""
    for source in (
        "{{ data.link - 1 }}",
        "{{ data.link.nope.nope }}",
        "{% set a, b = data.link %}",
        "{{ data.link|round }}",
    ):
        with pytest.raises(render.RenderError) as caught:
            _renderer(plain=source).render(_values(data={"link": "https://x/secret"}))
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_html_extends_its_layout() -> None:
    """The frame is written once, and an error in it is reported as its own."""
    renderer = _renderer(
        html_="{% extends 'layout.html' %}{% block body %}<p>{{ text }}</p>{% endblock %}",
        layout="<html>{% block body %}{% endblock %}{{ data.x }}</html>",
    )
    assert renderer.render(_values(text="<", data={"x": "&"})).html == "<html><p>&lt;</p>&amp;</html>"
    with pytest.raises(render.RenderError, match="the layout template"):
        renderer.render(_values(text="x"))


@pytest.mark.parametrize(
    "source",
    [
        "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
        "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x|replace('a', 'aaaaaaaa') %}" * 20 + "{{ x }}",
        "{% for a in data %}" * 12 + "x" + "{% endfor %}" * 12,
        "{{ 'a\nb'|indent(1000000000) }}",
        "{% set x = data.a %}" + "{% set x = x ~ x %}" * 7 + "{{ x|split('')|join(x) }}",
        "{% set x = data.a %}" + "{% set x = x ~ x %}" * 7 + "{{ x|replace('', x) }}",
        "{% set x = data.a %}" + "{% set x = x|urlencode|urlencode %}" * 200,
        "{% set x = data.a %}" + "{% set x = x|e ~ '&' ~ x|e %}" * 60,
        "{% if data %}" * 400 + "{% endif %}" * 400,
        "{% set x %}" * 300 + "a" + "{% endset %}" * 300,
        "{{ (" + "(" * 90 + "1" + ")" * 1 + " }}",
        "{% set x = data.a %}" + "{% set x = x ~ x %}" * 6 + "{{ x }}",
        "{{ [1] * 100000000 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ range(100000000)|list }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
        "{% set x = [1] %}" + "{% set x = [x, x, x] %}" * 60 + "{{ x }}",
        "{{ " + "-" * 30_000 + "1 }}",
        "{% if 0 %}" + "{% elif 0 %}" * 2700 + "{% endif %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
    ],
)
def test_bombs_are_refused(source: str) -> None:
    """Time and memory bombs end in an error, also on a small stack: none ends the process."""
    failures: list[str] = []

    def _burn() -> None:
        try:
            _renderer(html_=source).render(_values(data={letter: letter * 4096 for letter in "abcdefgh"}))
        except render.RenderError as error:
            failures.append(str(error))

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=_burn)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(failures) == 1


def test_the_largest_notification_the_api_takes_is_rendered() -> None:
    """64 KiB of text and 64 data of some length are within the fuel; twice the output bound is not."""
    source = "{{ text }}{% for name, value in data|dictsort %}{{ name }}: {{ value }}\n{% endfor %}"
    data = {f"k{number}": "<" * 512 for number in range(64)}
    assert _renderer(plain=source).render(_values(text="x" * 65_536, data=data)).text
    with pytest.raises(render.RenderError, match="writes more than 131072 bytes"):
        _renderer(plain="{{ text }}{{ text }}").render(_values(text="é" * 65_536))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://example.com/reset?token=a&b='c'", True),
        ("HTTP://example.com", True),
        ("https://[2001:db8::1]/", True),
        ("https://例え.jp/", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.com", False),
        ("https://", False),
        ("https:// example.com", False),
        (" https://example.com", False),
        ("https://example.com/\n", False),
        ('https://example.com/"onclick="x', False),
        ("https://example.com/<b>", False),
        ("https://example.com/\\x", False),
        ("https://example.com/" + "a" * 2048, False),
        ("https://corp.example@evil.example/", False),
        ("https://corp.example:x@evil.example/", False),
        ("https://corp.example%40evil.example/", False),
        ("https://corp.example\\@evil.example/", False),
        ("https:\\\\evil.example/", False),
        ("https://corp.ex\u0430mple/", False),
        ("https://\u212aorp.example/", False),
        ("https://corp.example\u2215@evil.example/", False),
        ("https://corp\u200b.example/", False),
        ("https://corp.example/a\u200bb", False),
        ("https://corp.example/a\u3000b", False),
        ("https://corp.example:port/", False),
        ("https://xn--mller-kva.example/", True),
        ("https://corp.example/~user@host?mail=a@b.example#c@d", True),
        ("https://corp.example?x=1", True),
        ("https://corp.example:8443", True),
        ("https://[2001:db8::1]:8443/a", True),
        ("https://corp.example/größe", True),
        ("", False),
        (None, False),
        (1, False),
    ],
)
def test_only_http_and_https_are_weblinks(value: object, expected: bool) -> None:
    """Nothing that a client could run, and nothing that ends the address early, becomes a link."""
    assert links.is_weblink(value) is expected
    answer = _renderer(plain="{{ 'y' if data.x is weblink else 'n' }}")
    if isinstance(value, str):
        assert answer.render(_values(data={"x": value})).text == ("y" if expected else "n")


def test_a_subject_of_a_template_hides_nothing() -> None:
    """What nobody sees in a value is left out of the subject, and the notification is delivered (R5)."""
    answer = _renderer(subject="{{ data.x }} failed").render(_values(data={"x": "Pay\u200b\u200d\u200dPal"}))
    assert answer.subject == "PayPal failed"


class _Elements(html.parser.HTMLParser):
    """Collects the elements and attributes that a browser would see."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


@given(st.text(max_size=60) | st.text("<>\"'&/= ax", max_size=60))
def test_data_never_becomes_markup(value: str) -> None:
    """In text and in a quoted attribute, by any filter that is offered, a value stays a value."""
    source = (
        '<p title="{{ data.x }}">{{ data.x }}{{ data.x|upper }}{{ data.x|e|replace("&lt;", "<") }}'
        "{{ data.x|e|lower|trim|truncate(length=9) }}{% set y %}{{ data.x }}{% endset %}{{ y|replace('&lt;', '<') }}"
        "{{ text_html }}</p>"
    )
    elements = _Elements(_html(source, data={"x": value}, text=value)).found
    expected = value.replace("\r\n", "\n").replace("\r", "\n")
    assert [tag for tag, _ in elements if tag != "br"] == ["p"]
    assert [name for name, _ in elements[0][1]] == ["title"]
    assert len(elements) == 1 + expected.count("\n")


def test_the_text_keeps_its_line_breaks_in_html() -> None:
    """`text_html` is the caller's text, escaped, with `<br>` for each line break."""
    assert _html("{{ text_html }}", text="a<b>\r\nc\nd") == "a&lt;b&gt;<br>\nc<br>\nd"


def test_plain_bodies_are_not_escaped() -> None:
    """Text is text."""
    assert _renderer(plain="{{ text }}").render(_values(text="a < b & 'c'")).text == "a < b & 'c'"


def test_a_time_without_a_zone_is_refused() -> None:
    """UTC cannot be told from a naive time."""
    with pytest.raises(ValueError, match="aware"):
        _renderer().render(_values(at=dt.datetime(2026, 1, 1)))  # noqa: DTZ001 - it is what is refused.


def test_values_and_output_are_not_shown() -> None:
    """R1: text, data and bodies stay out of reprs."""
    values = _values(text="secret", data={"link": "secret"})
    assert "secret" not in repr(values)
    assert "secret" not in repr(_renderer(plain="{{ text }}").render(values))


@given(st.text(max_size=100), st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=50)))
def test_the_subject_is_always_fit_for_a_header(caller: str, data: dict[str, str]) -> None:
    """R5: what comes out has passed the check, or nothing comes out."""
    try:
        subject = (
            _renderer("x{{ data.a if data.a is defined }}").render(_values(subject=caller or None, data=data)).subject
        )
    except render.RenderError:
        return
    assert text.find_forbidden(subject) is None

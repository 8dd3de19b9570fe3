"""The built-in templates: complete, coping with little, and safe with much."""

import datetime as dt
import html.parser
import importlib.resources
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import addresses, vocabulary
from mailtier.mail import message, render

C = vocabulary.Category
EN, JA = vocabulary.Locale.ENGLISH, vocabulary.Locale.JAPANESE
EVERYTHING = {
    "link": "https://app.example.com/x?a=1&b=2",
    "expires": "2026-12-01 12:00 UTC",
    "account": "alice",
    "job": "Invoices",
    "robot": "R-07",
    "version": "2.1",
}
_RENDERERS: dict[tuple[vocabulary.Category, vocabulary.Locale], render.Renderer] = {}


def _renderer(category: vocabulary.Category, locale: vocabulary.Locale) -> render.Renderer:
    if (category, locale) not in _RENDERERS:
        folder = importlib.resources.files("mailtier.mail").joinpath("templates", locale)
        read = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
        _RENDERERS[category, locale] = render.Renderer(
            render.Sources(
                subject=read[f"{category.value}.subject.j2"],
                text=read[f"{category.value}.text.j2"],
                html=read[f"{category.value}.html.j2"],
                layout=read["layout.html.j2"],
                words=tuple(json.loads(read.get("words.json", "{}")).items()),
            )
        )
    return _RENDERERS[category, locale]


def _render(
    category: vocabulary.Category, locale: vocabulary.Locale = vocabulary.Locale.ENGLISH, **values: object
) -> render.Rendered:
    given_ = {
        "organization": "Acme & Söhne",
        "category": category,
        "severity": vocabulary.Severity.WARN,
        "at": dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC),
    }
    return _renderer(category, locale).render(render.NotificationValues(**(given_ | values)))  # type: ignore[arg-type]


class _Page(html.parser.HTMLParser):
    """What a reader of the page meets: elements in balance, links, and the words."""

    _VOID = frozenset({"br", "meta", "img", "hr"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        assert not any(name.startswith("on") for name in values)
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag not in self._VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.words += data


def _page(rendered: render.Rendered) -> _Page:
    assert rendered.html is not None
    page = _Page(rendered.html)
    assert not page.stack
    return page


@pytest.mark.parametrize("locale", vocabulary.Locale)
@pytest.mark.parametrize("category", C)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"subject": "Mine"},
        {"text": "First line.\nSecond line."},
        {"subject": "Mine", "text": "First line.\nSecond line.", "data": {"link": "https://x.example/"}},
        {"data": EVERYTHING},
    ],
)
def test_every_category_copes_with_what_a_notification_may_have(
    category: vocabulary.Category, values: dict[str, object], locale: vocabulary.Locale
) -> None:
    """Subject, text and data are all optional, and what is there is shown in text and HTML."""
    rendered = _render(category, locale, **values)
    page = _page(rendered)
    assert rendered.subject == values.get("subject", rendered.subject)
    for body in (rendered.text, page.words):
        assert rendered.subject in body
        assert "Acme & Söhne" in body
        assert "2026-11-24 12:00 UTC" in body
        assert "\n\n\n\n" not in rendered.text
        if "text" in values:
            assert "First line." in body
            assert "Second line." in body
    data = values.get("data")
    links = [data["link"]] if isinstance(data, dict) else []
    assert page.links == links
    assert all(link in rendered.text for link in links)


@pytest.mark.parametrize(
    ("category", "locale", "subject"),
    [
        (C.PASSWORD_RECOVERY, EN, "Reset your password for Acme & Söhne"),
        (C.LICENSE_STATUS, EN, "License of Acme & Söhne expires on 2026-12-01 12:00 UTC"),
        (C.PRODUCT_UPDATE, EN, "Version 2.1 is available"),
        (C.JOB_ALERT, EN, "Warn: job Invoices (Acme & Söhne)"),
        (C.ROBOT_ALERT, EN, "Warn: robot R-07 (Acme & Söhne)"),
        (C.PASSWORD_RECOVERY, JA, "【Acme & Söhne】パスワード再設定のご案内"),
        (C.LICENSE_STATUS, JA, "Acme & Söhne ライセンス有効期限のお知らせ（2026-12-01 12:00 UTC）"),  # noqa: RUF001
        (C.PRODUCT_UPDATE, JA, "バージョン 2.1 提供開始のお知らせ"),
        (C.JOB_ALERT, JA, "【警告】ジョブ「Invoices」（Acme & Söhne）"),  # noqa: RUF001  # Japanese brackets.
        (C.ROBOT_ALERT, JA, "【警告】ロボット「R-07」（Acme & Söhne）"),  # noqa: RUF001
    ],
)
def test_subjects_say_what_happened(category: vocabulary.Category, locale: vocabulary.Locale, subject: str) -> None:
    """Where the data names the thing, the subject does too."""
    assert _render(category, locale, data=EVERYTHING).subject == subject


@pytest.mark.parametrize("category", C)
@pytest.mark.parametrize("values", [{}, {"text": "x"}, {"data": EVERYTHING}, {"data": {"expires": "x", "a_b": "y"}}])
def test_locales_have_the_same_page(category: vocabulary.Category, values: dict[str, object]) -> None:
    """A page in Japanese has the elements, the links and the values of the English one, and other words."""
    english, japanese = (_page(_render(category, locale, subject="Mine", **values)) for locale in (EN, JA))
    assert japanese.tags == english.tags
    assert japanese.links == english.links
    assert japanese.words != english.words


@pytest.mark.parametrize("severity", vocabulary.Severity)
def test_severities_and_names_are_translated(severity: vocabulary.Severity) -> None:
    """A Japanese alert shows neither a severity nor a known name of data in English; other names stay."""
    rendered = _render(C.JOB_ALERT, JA, severity=severity, data={**EVERYTHING, "cost_center": "7"})
    page = _page(rendered)
    for said in (rendered.subject, rendered.text, page.words):
        assert severity.value not in said
    for said in (rendered.text, page.words):
        assert "有効期限" in said
        assert "Expires" not in said
        assert "Cost center" in said


@pytest.mark.parametrize("category", C)
@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", 'https://x/"><script>', "ftp://x/"])
def test_only_web_links_become_links(category: vocabulary.Category, link: str) -> None:
    """Anything else is neither a link nor a button."""
    assert _page(_render(category, data={"link": link})).links == []


@given(
    st.sampled_from(C),
    st.dictionaries(st.sampled_from([*EVERYTHING, "other_key"]), st.text("<>\"'&/= ax\n", max_size=40)),
)
def test_data_adds_no_elements(category: vocabulary.Category, data: dict[str, str]) -> None:
    """Whatever the data holds, the page has the elements that harmless data would give it."""
    harmless = dict.fromkeys(data, "x")
    values = {"text": "x", "subject": "x"}
    assert _page(_render(category, data=data, **values)).tags == _page(_render(category, data=harmless, **values)).tags


@pytest.mark.parametrize("locale", vocabulary.Locale)
def test_a_password_recovery_shows_no_other_data(locale: vocabulary.Locale) -> None:
    """Beside link, expiry and account nothing is put into a mail about a password."""
    rendered = _render(C.PASSWORD_RECOVERY, locale, data={**EVERYTHING, "password": "hunter2"})
    assert "hunter2" not in rendered.text
    assert "hunter2" not in (rendered.html or "")


@pytest.mark.parametrize("locale", vocabulary.Locale)
def test_pages_are_readable_by_people_and_programs(locale: vocabulary.Locale) -> None:
    """The page names its language, follows dark mode, marks layout tables as such, and is small."""
    html_ = _render(C.JOB_ALERT, locale, data=EVERYTHING).html or ""
    assert f'<html lang="{locale}">' in html_
    assert "prefers-color-scheme: dark" in html_
    assert html_.count("<table") == html_.count('role="presentation"') + 1
    assert '<th scope="row"' in html_
    assert len(html_) < 20_000


@pytest.mark.parametrize("locale", vocabulary.Locale)
@pytest.mark.parametrize("category", C)
def test_every_built_in_message_can_be_built(category: vocabulary.Category, locale: vocabulary.Locale) -> None:
    """What the templates write is a message that the serializer takes."""
    rendered = _render(category, locale, data=EVERYTHING)
    raw = message.serialize(
        message.Message(
            from_=addresses.parse("no-reply@example.com"),
            to=addresses.parse("alice@example.org"),
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            date=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
            message_id="1@example.com",
            language=locale,
        )
    )
    assert raw.startswith(b"From: no-reply@example.com\r\n")

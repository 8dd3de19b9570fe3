"""Data and templates: words of a caller that become code, markup or a header."""

import dataclasses
import datetime as dt
import email
import email.policy

import pytest

from kit import arena as arena_kit
from kit import attacks
from mailtier.api import vocabulary
from mailtier.mail import render


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Content(attacks.Attack):
    """A notification whose words are meant to do something.

    Attributes:
        body: Beside category and recipients.
        text: What its plain text holds all the same, word for word.
        not_in_html: What its HTML does not hold.
    """

    body: attacks.Json
    text: str
    not_in_html: str = ""


def _content(
    name: str, story: str, body: attacks.Json, text: str, not_in_html: str = "", *, stopped_by: str
) -> Content:
    return Content(
        name=name,
        rules=("R5",),
        story=story,
        stopped_by=stopped_by,
        body=body,
        text=text,
        not_in_html=not_in_html,
    )


CONTENTS = (
    _content(
        "template-in-the-text",
        "The text holds an expression, for the template to evaluate.",
        {"text": "{{ 7 * 191 }}{% for x in data %}{{ x }}{% endfor %}"},
        "{{ 7 * 191 }}",
        "1337",
        stopped_by="values are data and never templates",
    ),
    _content(
        "template-in-the-data",
        "A value of data holds an expression.",
        {"data": {"job": "{{ 7 * 191 }}"}, "text": "t"},
        "{{ 7 * 191 }}",
        "1337",
        stopped_by="values are data and never templates",
    ),
    _content(
        "markup-in-the-text",
        "The text holds a script and a form.",
        {"text": "<script>alert(1)</script><form action='https://evil.example'>"},
        "<script>alert(1)</script>",
        "<script",
        stopped_by="HTML is escaped",
    ),
    _content(
        "markup-in-the-data",
        "A value of data closes the tag that it stands in.",
        {"data": {"job": '"><img src=x onerror=alert(1)>'}, "text": "t"},
        "onerror=alert(1)",
        "<img src=x",
        stopped_by="HTML is escaped",
    ),
    _content(
        "script-as-a-link",
        "The link is a script, behind a button that the platform made.",
        {"data": {"other": "javascript:alert(1)"}, "text": "t"},
        "javascript:alert(1)",
        'href="javascript',
        stopped_by="only web addresses become links",
    ),
    _content(
        "a-dot-of-its-own",
        "The text ends the message with a dot, and goes on with commands.",
        {"text": "a\n.\nMAIL FROM:<ceo@platform.example>\n.."},
        "MAIL FROM:<ceo@platform.example>",
        stopped_by="content is encoded, and dots are stuffed",
    ),
    _content(
        "a-boundary-of-its-own",
        "The text holds a boundary, to begin a part of its own.",
        {"text": "--=_0123456789abcdef01234567\nContent-Type: text/html\n\n<b>x</b>"},
        "Content-Type: text/html",
        "<b>x</b>",
        stopped_by="no encoded body can hold the boundary",
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unfit(attacks.Attack):
    """A notification that is not taken.

    Attributes:
        body: Beside category and recipients.
        pointer: Of the field at fault.
    """

    body: attacks.Json
    pointer: str


def _unfit(name: str, story: str, body: attacks.Json, pointer: str, stopped_by: str) -> Unfit:
    return Unfit(name=name, rules=("R5",), story=story, stopped_by=stopped_by, body=body, pointer=pointer)


UNFIT = (
    _unfit(
        "header-in-the-subject",
        "The subject goes on with a header.",
        {"subject": "x\r\nBcc: a@b.example"},
        "#/subject",
        "a subject is one line",
    ),
    _unfit(
        "separator-in-the-subject",
        "The subject holds a line separator.",
        {"subject": "x\u2028Bcc: a@b.example"},
        "#/subject",
        "a subject is one line",
    ),
    _unfit(
        "subject-written-backwards",
        "The subject reads differently from what it is.",
        {"subject": "\u202egnp.exe"},
        "#/subject",
        "bidirectional controls are refused",
    ),
    _unfit(
        "controls-in-the-text",
        "The text holds NUL and terminal codes.",
        {"text": "a\x00\x1b[2J"},
        "#/text",
        "controls are refused",
    ),
    _unfit(
        "controls-in-the-data",
        "A value of data holds a bidirectional control.",
        {"text": "x", "data": {"job": "\u2066x"}},
        "#/data/job",
        "bidirectional controls are refused",
    ),
    _unfit(
        "names-of-the-data",
        "A name of data is one that templates see as their own.",
        {"text": "x", "data": {"__class__.x": "y"}},
        "#/data",
        "a name of data is a simple word",
    ),
)

BOMBS = (
    attacks.Story(
        name="time-bomb",
        test="test_a_bomb_is_refused",
        rules=("R10",),
        story="A template loops a billion times, to keep the sender busy.",
        stopped_by="fuel: a template does a bounded amount of work",
    ),
    attacks.Story(
        name="memory-bomb",
        test="test_a_bomb_is_refused",
        rules=("R10",),
        story="A template doubles a text until memory is used up.",
        stopped_by="fuel, and a bound on what it writes",
    ),
)
_SOURCES = {
    "time-bomb": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9) %}x{% endfor %}"
    "{% endfor %}{% endfor %}",
    "memory-bomb": "{% set x = 'a' * 1000 %}{% for a in range(9999) %}{% set x = x ~ x %}{{ x }}{% endfor %}",
}

ATTACKS = (*CONTENTS, *UNFIT, *BOMBS)


@pytest.fixture(scope="module")
def organization(arena: arena_kit.Arena) -> arena_kit.Attacker:
    """Return an organization that inherits everything, whose mail these attacks are."""
    attacker = arena.attacker()
    attacker.settings({})
    return attacker


@pytest.mark.parametrize("attack", CONTENTS, ids=str)
def test_words_stay_words(organization: arena_kit.Attacker, attack: Content) -> None:
    """Whatever a caller writes arrives as text, in one message with its own parts and headers (R5)."""
    recipient = f"{attack}@{organization.namespace}.example"
    body = {"category": "JobAlert", "recipients": [recipient], **attack.body}
    organization.until_complete(organization.post(body))
    (arrived,) = [each for each in organization.arena.relay.messages if recipient in each.rcpt_to]
    parsed = email.message_from_bytes(arrived.data, policy=email.policy.default)
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    plain, page = (part.get_content() for part in parsed.iter_parts())
    assert attack.text in plain
    assert not attack.not_in_html or attack.not_in_html not in page
    assert str(parsed["From"].addresses[0].addr_spec) == "no-reply@platform.example"


@pytest.mark.parametrize("attack", UNFIT, ids=str)
def test_words_that_are_more_than_words_are_refused(organization: arena_kit.Attacker, attack: Unfit) -> None:
    """The answer names the field, and nothing is queued (R5)."""
    answer = organization.post({"category": "JobAlert", "recipients": ["a@tenant.example"], **attack.body})
    assert answer.status == 422
    assert attack.pointer in [error["pointer"] for error in answer.document["errors"]]


@pytest.mark.parametrize("attack", BOMBS, ids=str)
def test_a_bomb_is_refused(attack: attacks.Attack) -> None:
    """A template that would go on for ever is stopped, and the error holds nothing of the values (R10)."""
    values = render.NotificationValues(
        organization="Acme",
        category=vocabulary.Category.JOB_ALERT,
        severity=vocabulary.Severity.INFO,
        at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    )
    with pytest.raises(render.RenderError):
        render.Renderer(render.Sources(subject="x", text=_SOURCES[attack.name])).render(values)

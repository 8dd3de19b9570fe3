"""Templates, rendered: sources and values in, subject and bodies out, within bounds of time and size."""

import dataclasses
import datetime as dt
import html
from collections.abc import Mapping
from typing import Final

import minijinja

from mailtier.api import links, vocabulary
from mailtier.api import text as texts
from mailtier.mail import bodies, guard

MAXIMUM_SUBJECT_LENGTH: Final = 256
MAXIMUM_OUTPUT_BYTES: Final = 128 * 1024
"""Of one body; two of them, encoded, fit into a message of 256 KiB in all but unusual scripts."""

_SURELY_SMALL: Final = MAXIMUM_OUTPUT_BYTES // 4
"""Characters, none of which takes more than four bytes."""

# minijinja charges one unit for an instruction and one for 64 bytes of text. The largest text and data that the
# API takes need about a quarter of this; a source that uses it up has run for some ten milliseconds.
_FUEL: Final = 20_000

_SUBJECT: Final = "subject"
_TEXT: Final = "text"
_HTML: Final = "body.html"
_LAYOUT: Final = guard.LAYOUT
_SPOKEN_NAMES: Final = {_SUBJECT: "subject", _TEXT: "text", _HTML: "HTML", _LAYOUT: "layout"}


_KINDS: Final = {
    "OutOfFuel": "it does more work or writes more text than a template may",
    "UndefinedError": "it uses a value that this notification does not have; test it with `is defined` first",
    "UnknownFilter": "it uses a filter that does not exist",
    "UnknownTest": "it uses a test that does not exist",
    "UnknownFunction": "it calls a function that does not exist",
    "TemplateNotFound": "it extends a template that does not exist; only layout.html does",
    "SyntaxError": "its syntax is wrong",
    "InvalidOperation": "it does something with a value that is not possible",
}


class RenderError(Exception):
    """A template cannot be used, or cannot be rendered with these values.

    The sentence names template and line. It holds nothing of the values, which may be reset links (R1).
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The templates of one category in one locale.

    Attributes:
        subject: Renders the subject, where the caller gives none.
        text: Renders the plain body.
        html: Renders the HTML body; None for a message without.
        layout: What `html` may extend as `layout.html`.
        words: What severities and names of data are called in the locale, as pairs; empty where they are called as
            they are written.
    """

    subject: str
    text: str
    html: str | None = None
    layout: str | None = None
    words: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotificationValues:
    """What a notification says.

    Attributes:
        organization: As it is shown to recipients.
        category: What it is about.
        severity: How much it matters.
        subject: The caller's subject, which wins over the template's; None if there is none.
        text: The caller's text; None if there is none.
        data: Named values for the template.
        at: Aware time of acceptance; shown in UTC.
    """

    organization: str
    category: vocabulary.Category
    severity: vocabulary.Severity
    subject: str | None = None
    text: str | None = dataclasses.field(default=None, repr=False)
    data: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Subject and bodies of one message, for any of its recipients."""

    subject: str = dataclasses.field(repr=False)
    text: str = dataclasses.field(repr=False)
    html: str | None = dataclasses.field(default=None, repr=False)


class Renderer:
    """Compiled templates; keep one for each set of sources, for compiling takes longer than rendering.

    Templates see `organization`, `category`, `severity`, `data`, `at` (such as `2026-11-24 09:30 UTC`), and where
    the notification has them `subject`, `text`, and `text_html`: the text escaped, its line breaks as `<br>`; and
    `words`, a map of what the locale calls severities and names of data. The test `is weblink` tells http and https
    links from everything else.

    Attributes:
        known_parts: Of its HTML: what no value changes.

    Raises:
        RenderError: A template is not acceptable or does not compile.
    """

    __slots__ = ("_environment", "_has_html", "_words", "known_parts")

    def __init__(self, sources: Sources) -> None:
        self._has_html = sources.html is not None
        self._words = dict(sources.words)
        self.known_parts = bodies.known_parts(sources.layout or sources.html or "")
        self._environment = minijinja.Environment(
            fuel=_FUEL,
            undefined_behavior="strict",
            # With it, errors and `debug` quote the values.
            debug=False,
            # Python's methods on strings (`format` above all) are not counted as fuel.
            pycompat=False,
            auto_escape_callback=_is_html,
            tests={"weblink": links.is_weblink},
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name, source in (
            (_SUBJECT, sources.subject),
            (_TEXT, sources.text),
            (_HTML, sources.html),
            (_LAYOUT, sources.layout),
        ):
            if source is not None:
                self._compile(name, source)

    def render(self, values: NotificationValues) -> Rendered:
        """Return subject and bodies.

        Raises:
            RenderError: A template fails with these values, or its output is too large.
            ValueError: The time has no zone.
        """
        context = _context(values)
        context["words"] = self._words
        subject = values.subject
        if subject is None:
            # A line break in a value, or what nobody sees, must not make a valid notification undeliverable.
            subject = " ".join(texts.without_unseen(self._render(_SUBJECT, context)).split())
            context["subject"] = subject
        _check_subject(subject)
        return Rendered(
            subject=subject,
            text=self._render(_TEXT, context),
            html=self._render(_HTML, context) if self._has_html else None,
        )

    def _compile(self, name: str, source: str) -> None:
        try:
            guard.check_source(source, may_extend=name == _HTML)
            self._environment.add_template(name, source)
        except guard.GuardError as error:
            raise RenderError(f"the {_SPOKEN_NAMES[name]} template is not acceptable: {error}") from None
        except minijinja.TemplateError as error:
            raise _explained(name, error) from None

    def _render(self, name: str, context: Mapping[str, object]) -> str:
        try:
            output: str = self._environment.render_template(name, **context)
        except minijinja.TemplateError as error:
            raise _explained(name, error) from None
        if len(output) > _SURELY_SMALL and len(output.encode("utf-8", "surrogatepass")) > MAXIMUM_OUTPUT_BYTES:
            raise RenderError(f"the {_SPOKEN_NAMES[name]} template writes more than {MAXIMUM_OUTPUT_BYTES} bytes")
        return output


def _is_html(name: str) -> bool:
    return name.endswith(".html")


def _context(values: NotificationValues) -> dict[str, object]:
    if values.at.tzinfo is None:
        raise ValueError("the time of a notification is an aware time")
    utc = values.at.astimezone(dt.UTC)
    context: dict[str, object] = {
        "organization": values.organization,
        "category": values.category.value,
        "severity": values.severity.value,
        "data": dict(values.data),
        "at": f"{utc.year:04}-{utc.month:02}-{utc.day:02} {utc.hour:02}:{utc.minute:02} UTC",
    }
    if values.subject is not None:
        context["subject"] = values.subject
    if values.text is not None:
        context["text"] = values.text
        lines = html.escape(values.text).replace("\r\n", "\n").replace("\r", "\n")
        context["text_html"] = minijinja.safe(lines.replace("\n", "<br>\n"))
    return context


def _check_subject(subject: str) -> None:
    if not subject:
        raise RenderError("the subject template writes nothing")
    if len(subject) > MAXIMUM_SUBJECT_LENGTH:
        raise RenderError(f"the subject has more than {MAXIMUM_SUBJECT_LENGTH} characters")
    forbidden = texts.find_forbidden(subject)
    if forbidden is not None:
        raise RenderError(f"the subject holds {forbidden}, which may not stand in a header")


def _explained(name: str, error: minijinja.TemplateError) -> RenderError:
    # An error in the layout is reported with the layout's name and line. What minijinja says of a failed
    # operation is left out: it may quote a value.
    spoken = _SPOKEN_NAMES.get(error.name or name, _SPOKEN_NAMES[name])
    where = f"line {error.line}: " if error.line else ""
    meaning = _KINDS.get(error.kind, "it cannot be rendered")
    if error.kind == "SyntaxError" and error.detail:
        # What a compiler says is about the source alone.
        meaning += f": {error.detail}"
    return RenderError(f"the {spoken} template does not work: {where}{meaning}")

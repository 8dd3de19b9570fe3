"""Messages: round trips through the standard parser, bounds, and no injection."""

import binascii
import datetime as dt
import email
import email.header
import email.message
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import addresses, text
from mailtier.mail import headers, message

FROM = addresses.parse("no-reply@example.com")
TO = addresses.parse("alice@example.org")
DATE = dt.datetime(2026, 11, 24, 9, 5, 7, tzinfo=dt.timezone(dt.timedelta(hours=9)))

# Any line the API lets through, and lines made of what folding, encoding and quoting stumble over.
LINES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300),
    st.text('ab cé日=?_"\\,.<>@ 😀', max_size=200),
    st.text("abcdefgh     ", max_size=300),
).filter(lambda value: text.find_forbidden(value) is None)
# Japanese as it is written: kana, kanji, some beyond the basic plane, full-width forms, with ASCII and blanks between.
JAPANESE = st.text(
    st.one_of(
        st.characters(min_codepoint=0x3041, max_codepoint=0x30FE),
        st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
        st.characters(min_codepoint=0x20000, max_codepoint=0x2A6DF),
        st.characters(min_codepoint=0xFF01, max_codepoint=0xFF5E),
        st.sampled_from("、。「」【】 abcXYZ019-_=?"),
    ),
    min_size=1,
    max_size=256,
)
BODIES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=600),
    st.text("ab \t\r\n.=-_ä日", max_size=600),
)


def _message(**values: object) -> message.Message:
    given_ = {"from_": FROM, "to": TO, "subject": "S", "text": "T", "date": DATE, "message_id": "1@example.com"}
    return message.Message(**(given_ | values))  # type: ignore[arg-type]


def _parsed(raw: bytes) -> email.message.EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, email.message.EmailMessage)
    assert not parsed.defects
    return parsed


def _body(parsed: email.message.EmailMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    assert part is not None
    assert not part.defects
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def _lines_as_sent(body: str) -> str:
    unified = body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return unified if unified.endswith("\r\n") else unified + "\r\n"


def test_a_message_has_every_field_it_should() -> None:
    """Author, one recipient, subject, date in UTC, Message-ID, Auto-Submitted; and a readable plain body."""
    raw = message.serialize(_message(from_name="Example, Inc.", reply_to=addresses.parse("help@example.com")))
    assert raw.decode() == (
        'From: "Example, Inc." <no-reply@example.com>\r\n'
        "To: alice@example.org\r\n"
        "Subject: S\r\n"
        "Date: Tue, 24 Nov 2026 00:05:07 +0000\r\n"
        "Message-ID: <1@example.com>\r\n"
        "Reply-To: help@example.com\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "T\r\n"
    )


@given(LINES, BODIES, st.none() | BODIES)
def test_the_standard_parser_reads_back_what_was_written(subject: str, plain: str, html: str | None) -> None:
    """Subject and bodies come back unchanged but for line breaks, whatever they hold."""
    parsed = _parsed(message.serialize(_message(subject=subject, text=plain, html=html)))
    assert parsed["subject"] == subject
    assert parsed["to"].addresses[0].addr_spec == "alice@example.org"
    assert _body(parsed, "plain") == _lines_as_sent(plain)
    if html is not None:
        assert parsed.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
        assert _body(parsed, "html") == _lines_as_sent(html)


@given(LINES)
def test_a_display_name_comes_back(name: str) -> None:
    """As atoms, quoted or encoded, it stays one address with the same name."""
    field = headers.address("From", FROM, name)
    (address,) = _parsed(f"{field}\r\n\r\n".encode())["from"].addresses
    assert address.addr_spec == "no-reply@example.com"
    phrase = field.removeprefix("From: ").rpartition("<")[0].strip()
    if phrase.startswith("=?"):
        # The standard library's newer parser puts a blank between the encoded words of a phrase, against
        # RFC 2047 section 6.2; its older one does not.
        assert str(email.header.make_header(email.header.decode_header(phrase))) == name
    else:
        assert address.display_name == name


def _encoded_words(field: str) -> list[str]:
    """Return what each encoded word of a field says by itself."""
    said = []
    for encoding, payload in re.findall(r"=\?utf-8\?([bq])\?([^?]*)\?=", field):
        raw = binascii.a2b_base64(payload) if encoding == "b" else binascii.a2b_qp(payload, header=True)
        said.append(raw.decode())
    return said


@given(JAPANESE)
def test_japanese_in_headers_is_read_back(value: str) -> None:
    """Subject and display name come back whole, and no encoded word splits a character (RFC 2047 section 5)."""
    raw = message.serialize(_message(subject=value, from_name=value, text=value))
    parsed = _parsed(raw)
    assert parsed["subject"] == value
    head = raw.split(b"\r\n\r\n")[0].decode("ascii")
    assert all(len(line) <= 76 for line in head.split("\r\n"))
    for name in ("Subject", "From"):
        field = re.search(rf"^{name}: (?:[^\r\n]|\r\n )*", head, re.MULTILINE)
        assert field is not None
        if words := _encoded_words(field.group()):
            assert "".join(words) == value


@given(JAPANESE, JAPANESE)
def test_japanese_bodies_are_read_back(plain: str, html: str) -> None:
    """Bodies come back whole, in whichever encoding is shorter."""
    parsed = _parsed(message.serialize(_message(text=plain, html=html, language="ja")))
    assert _body(parsed, "plain") == _lines_as_sent(plain)
    assert _body(parsed, "html") == _lines_as_sent(html)
    assert parsed["content-language"] == "ja"


@pytest.mark.parametrize("language", ["", "j", "ja\r\nBcc: evil@x.y", "ja JP", "日本語"])
def test_what_is_no_language_tag_is_refused(language: str) -> None:
    """Only a tag reaches the header."""
    with pytest.raises(headers.MessageError, match="language"):
        message.serialize(_message(language=language))


@given(LINES, LINES, BODIES, st.none() | BODIES)
def test_lines_are_short_ascii_and_end_in_crlf(name: str, subject: str, plain: str, html: str | None) -> None:
    """No line has more than 76 characters, no byte is above 127, and no CR or LF stands alone."""
    raw = message.serialize(_message(from_name=name, subject=subject, text=plain, html=html))
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 76


@given(LINES, LINES, BODIES, st.none() | BODIES)
def test_no_field_and_no_part_is_injected(name: str, subject: str, plain: str, html: str | None) -> None:
    """The parser finds the fields and parts that were meant, whatever the values hold (R5)."""
    parsed = _parsed(message.serialize(_message(from_name=name, subject=subject, text=plain, html=html)))
    kinds = ["Content-Type"] if html is not None else ["Content-Type", "Content-Transfer-Encoding"]
    assert parsed.keys() == [
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"),
        *kinds,
    ]
    assert len(list(parsed.walk())) == (1 if html is None else 3)


@given(LINES, BODIES, BODIES)
def test_a_rebuild_is_the_same_to_the_byte(subject: str, plain: str, html: str) -> None:
    """A message in doubt is resent byte for byte."""
    values = _message(subject=subject, text=plain, html=html)
    assert message.serialize(values) == message.serialize(values)


def test_another_message_has_another_boundary() -> None:
    """The boundary comes from the Message-ID."""
    raws = [message.serialize(_message(html="h", message_id=f"{n}@x.y")) for n in (1, 2)]
    first, second = (_parsed(raw).get_boundary() for raw in raws)
    assert first != second


@pytest.mark.parametrize(
    "char", ["\r", "\n", "\r\nBcc: evil@x.y", "\0", "\t", "\x1b", "\x85", "\u2028", "\u202e", "\ud800"]
)
@pytest.mark.parametrize("field", ["from_name", "subject"])
def test_forbidden_characters_never_reach_a_header(field: str, char: str) -> None:
    """R5: the message is refused, and the sentence names the field and not the value."""
    with pytest.raises(headers.MessageError, match=r"From|Subject") as caught:
        message.serialize(_message(**{field: f"secret{char}secret"}))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("message_id", ["", "a", "<a@b>", "a@b\r\nX: y", "a b@c", "a@", "@b", "a@b@c", "ä@b"])
def test_a_message_id_is_checked(message_id: str) -> None:
    """Only `left@right` in plain characters is put between angle brackets."""
    with pytest.raises(headers.MessageError, match="Message-ID"):
        message.serialize(_message(message_id=message_id))


def test_a_lone_surrogate_in_a_body_is_refused() -> None:
    """What is not Unicode text cannot be sent as UTF-8."""
    with pytest.raises(headers.MessageError, match="surrogate"):
        message.serialize(_message(text="\ud800"))


def test_a_message_that_is_too_large_is_refused() -> None:
    """256 KiB are the limit, encoding included."""
    message.serialize(_message(text="x" * 200_000))
    with pytest.raises(headers.MessageError, match="larger"):
        message.serialize(_message(text="x" * 262_144))


def test_a_date_without_a_zone_is_refused() -> None:
    """A naive time would be read in the zone of whatever machine this is."""
    with pytest.raises(ValueError, match="aware"):
        message.serialize(_message(date=dt.datetime(2026, 1, 1)))  # noqa: DTZ001 - it is what is refused.


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        ("plain ASCII = cheap", "quoted-printable"),
        ("Die Größe der Warteschlange", "quoted-printable"),
        ("日本語の本文です。" * 9, "base64"),
    ],
)
def test_the_shorter_encoding_is_taken(body: str, encoding: str) -> None:
    """Latin text stays readable; Japanese is shorter in base64."""
    assert _parsed(message.serialize(_message(text=body)))["content-transfer-encoding"] == encoding


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("", "From: no-reply@example.com"),
        ("Example Robots", "From: Example Robots <no-reply@example.com>"),
        ("Example, Inc.", 'From: "Example, Inc." <no-reply@example.com>'),
        ('The "Best" \\ One', 'From: "The \\"Best\\" \\\\ One" <no-reply@example.com>'),
        ("evil@x.y>", 'From: "evil@x.y>" <no-reply@example.com>'),
        ("Müller Roboter", "From: =?utf-8?q?M=C3=BCller_Roboter?= <no-reply@example.com>"),
        ("=?utf-8?q?fake?=", "From: =?utf-8?b?PT91dGYtOD9xP2Zha2U/PQ==?= <no-reply@example.com>"),
        ("ロボット", "From: =?utf-8?b?44Ot44Oc44OD44OI?= <no-reply@example.com>"),
        ("W" * 60, f"From: {'W' * 60}\r\n <no-reply@example.com>"),
    ],
)
def test_display_names_are_written_in_the_plainest_form_that_is_safe(name: str, field: str) -> None:
    """Atoms as they are, signs in quotes, other scripts in encoded words, long ones folded."""
    assert headers.address("From", FROM, name) == field


def test_a_subject_is_folded_at_blanks_before_it_is_encoded() -> None:
    """A long plain subject stays readable; one long word is encoded, for it cannot be folded."""
    assert headers.unstructured("Subject", "word " * 20 + "end").count("\r\n ") == 1
    assert "=?utf-8?q?" not in headers.unstructured("Subject", "word " * 20 + "end")
    assert "=?utf-8?q?" in headers.unstructured("Subject", "w" * 100)


def test_an_internationalized_domain_stands_as_a_label() -> None:
    """A header is ASCII unless a local part is not."""
    assert headers.address("To", addresses.parse("a@exämple.com")) == "To: a@xn--exmple-cua.com"
    raw = message.serialize(_message(to=addresses.parse("jörg@example.com")))
    assert "To: jörg@example.com\r\n".encode() in raw


def test_bodies_are_not_shown() -> None:
    """R1: neither bodies nor subject stand in a message's repr."""
    shown = repr(_message(subject="reset", text="https://x/reset?token=1", html="<a>"))
    assert "reset" not in shown
    assert "<a>" not in shown

"""Texts are read as kubectl reads them, and every field's place is known."""

import pytest

from mailtier.cli.offline.files import loading

_STREAM = """# what comes first
kind: A
spec:
  "é😀": [1, {deep: true}]
---
  kind: B
  time: 1:30
  day: 2026-01-02
--- {kind: C, yes: on, hex: 0x10, octal: 017, float: 1e3, none: ~}
"""


def test_scalars_are_those_of_kubectl() -> None:
    """A time is no number and a day no date; YAML 1.1's booleans and octals are what the API server gets."""
    values = [value for value, _ in loading.documents("f", _STREAM)]
    assert values[1] == {"kind": "B", "time": "1:30", "day": "2026-01-02"}
    assert values[2] == {"kind": "C", "true": True, "hex": 16, "octal": 15, "float": 1000.0, "none": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("y", "Y", "yes", "On", "TRUE")),
        *((word, False) for word in ("n", "N", "No", "off", "false")),
        *((word, word) for word in ("yEs", "=", "0o8", "0x", "1:30", "2026-01-02", "1e999", "!!str y", "._5")),
        *(("587.0", 587), ("5.87e2", 587), ("1e1", 10), ("1_000", 1000), ("0o17", 15), ("017", 15), ("08", 8)),
        *(("0X1f", 31), ("-0b11", -3), ("+12", 12), (".5", 0.5), ("1.", 1), ("!!float 1", 1), ('!!int "5"', 5)),
    ],
)
def test_a_plain_scalar_is_what_kubectl_sends(text: str, value: object) -> None:
    """YAML 1.1's words are booleans, and a number that is whole is a whole one, however it is written."""
    ((found, _),) = loading.documents("f", f"a: {text}\n")
    expected = value.removeprefix("!!str ") if isinstance(value, str) else value
    assert (found["a"], type(found["a"])) == (expected, type(expected))


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "!!bool x", "!!int 1.5"])
def test_a_value_that_json_has_not_is_no_value(text: str) -> None:
    """What kubectl cannot send, or what is not what its tag says, is told at its place."""
    with pytest.raises(loading.UnreadableError):
        list(loading.documents("f", f"a: {text}\n"))


@pytest.mark.parametrize(
    ("document", "field", "place"),
    [
        (0, "", "f:2:1"),
        (0, "spec", "f:3:1"),
        (0, "spec.é😀[1].deep", "f:4:14"),
        (0, "spec.é😀[7]", "f:4:3"),
        (0, "spec.absent.below", "f:3:1"),
        (1, "day", "f:8:3"),
        (2, "octal", "f:9:35"),
    ],
)
def test_place_of_a_field_is_its_key_or_what_would_hold_it(document: int, field: str, place: str) -> None:
    """Lines and columns count from 1, over several documents and characters of several bytes."""
    origins = [origin for _, origin in loading.documents("f", _STREAM)]
    assert str(loading.locate(origins[document], field)) == place


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "`a` stands twice in the same object; keep one", 3),
        ('{"a": 1, "a": 2}', "`a` stands twice in the same object; keep one", 1),
        ('{"hunter2!": 1, "hunter2!": 2}', "^a key stands twice in the same object", 1),
        ('a: "\\ud83d\\udd27"', "write the character itself", 1),
        ("a: 1\nb: @x", "put the value in quotation marks", 2),
        ("a: *x", "add the anchor", 1),
        ('a: "\\d"', "write two of them", 1),
        ("a: [1,\n", "did not find expected node content", 2),
        ("a: 1\nb: {{ .Values.host }}\n", "render it first", 2),
        ("a: \0", "it cannot be read as YAML", 1),
        ("a:\n\tb: 1\n", "a tab stands where YAML indents", 2),
        ("a:\n  b: 1\n  \tc: 1\n", "a tab stands where YAML indents", 3),
        ("a: 1\n \tb: 2\n", "a tab stands where YAML indents", 2),
        ("[" * 50_000, "nest", 1),
        ("a: !!python/object/apply:os.getpid []", "could not determine a constructor", 1),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text: str, message: str, line: int) -> None:
    """A key that stands twice, a template, or anything that only Python would take is unreadable."""
    with pytest.raises(loading.UnreadableError, match=message) as caught:
        list(loading.documents("f", text))
    assert caught.value.line == line


def test_documents_before_a_fault_are_kept() -> None:
    """What can be read is read."""
    documents = loading.documents("f", "a: 1\n---\nb: [\n")
    assert next(documents)[0] == {"a": 1}
    with pytest.raises(loading.UnreadableError):
        next(documents)


def test_merged_keys_may_be_overridden() -> None:
    """An anchor's key that is set again is no key that stands twice."""
    ((value, _),) = loading.documents("f", "base: &b {v: 1, w: 2}\nall: {<<: *b, v: 3}\n")
    assert value["all"] == {"v": 3, "w": 2}


@pytest.mark.parametrize("text", ["", "---\n", "---\n---\n# nothing\n---\n", "# nothing\n"])
def test_an_empty_document_is_nothing(text: str) -> None:
    """Documents without a value, as generators leave them, are no fault."""
    assert [value for value, _ in loading.documents("f", text) if value is not None] == []


def test_files_that_were_joined_are_read() -> None:
    """A byte order mark at the beginning of a later document is none of its text, and moves none of its places."""
    (first, _), (second, origin) = loading.documents("f", "a: 1\n---\n\ufeffa: 2\n")
    assert [first, second] == [{"a": 1}, {"a": 2}]
    assert str(loading.locate(origin, "a")) == "f:3:1"

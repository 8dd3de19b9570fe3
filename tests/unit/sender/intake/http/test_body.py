"""Bodies of requests, and what is said of those that are not valid."""

import json

import pytest

from mailtier.sender.intake.http import body, decoding, problems

_SECRET = "https://example.com/reset/s3cr3t"


def _refused(content: bytes) -> problems.HttpProblem:
    with pytest.raises(problems.HttpProblem) as caught:
        body.parse(content, decoding.SINGLE)
    return caught.value


def test_each_field_at_fault_is_named_with_what_is_allowed() -> None:
    """Every wrong field has an entry with its JSON pointer and a sentence (R5)."""
    refused = _refused(
        b'{"category": "Party", "recipients": ["me"], "subject": "a\\nb", "data": {"n": 3},'
        b' "from": "x", "attachment": "x"}'
    )
    assert refused.kind is problems.INVALID
    assert {error.pointer for error in refused.errors} == {
        "#/category",
        "#/recipients/0",
        "#/subject",
        "#/data/n",
        "#/from",
        "#/attachment",
    }
    assert all(error.detail for error in refused.errors)


@pytest.mark.parametrize(
    "content",
    [
        {"category": _SECRET},
        {"category": "JobAlert", _SECRET: "x"},
        {"category": "JobAlert", "data": {_SECRET: "x"}},
        {"category": "JobAlert", "data": {"link": [_SECRET]}},
        {"category": "JobAlert", "subject": f"{_SECRET}\n"},
        {"category": "JobAlert", "recipients": [_SECRET]},
        {"category": "PasswordRecovery", "text": _SECRET},
        {"category": "JobAlert", "text": None, "subject": _SECRET},
        [_SECRET],
        _SECRET,
    ],
)
def test_no_value_is_quoted(content: object) -> None:
    """What was sent stands neither in the answer nor in the exception's chain (R1)."""
    refused = _refused(json.dumps(content).encode())
    assert "s3cr3t" not in json.dumps(refused.document())
    assert refused.__suppress_context__


@pytest.mark.parametrize("content", [b"", b"{", b'{"category": "\xff"}', b'{"text": "\\ud800"}', b"[" * 100_000])
def test_what_is_not_json_is_malformed(content: bytes) -> None:
    """A body that is not JSON in UTF-8 is answered with 400."""
    assert _refused(content).kind is problems.MALFORMED


def test_password_recovery_has_exactly_one_recipient() -> None:
    """A password recovery without its one recipient is invalid, at the field recipients."""
    refused = _refused(
        b'{"category": "PasswordRecovery", "recipients": ["a@example.com", "b@example.com"], "text": "x"}'
    )
    assert [error.pointer for error in refused.errors] == ["#/recipients"]


def test_many_errors_are_cut() -> None:
    """At most twenty errors are listed, and the detail tells how many there are."""
    refused = _refused(json.dumps({"category": "JobAlert", **{f"x{n}": n for n in range(50)}}).encode())
    assert len(refused.errors) == 20
    assert "50 things" in refused.detail


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"category": "JobAlert", "text": "a", "text": "b"}', "`text` stands twice"),
        (b'{"category": "JobAlert", "category": "RobotAlert", "text": "a"}', "`category` stands twice"),
        (b'{"category": "JobAlert", "tex\\u0074": "a", "text": "b"}', "`text` stands twice"),
        (b'{"category": "JobAlert", "data": {"s3cr3t": "1", "s3cr3t": "2"}}', "a name in data stands twice"),
    ],
)
def test_a_name_that_stands_twice_is_refused(content: bytes, says: str) -> None:
    """Which of two values counts is not left to chance, however the name is written; it is not repeated (R1)."""
    refused = _refused(content)
    assert refused.kind is problems.MALFORMED
    assert says in refused.detail
    assert "s3cr3t" not in refused.detail


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("text", r"one\ntwo \u001b[31ms3cr3t", "U+001B (escape) is character 5 of line 2"),
        ("subject", r"two \u001b[31ms3cr3t", "U+001B (escape) is character 5"),
        ("subject", r"s3cr3t Pay\u200bPal", "U+200B (zero width space) is character 11"),
    ],
)
def test_a_refused_character_is_named_with_its_place(field: str, value: str, says: str) -> None:
    """Colours of a terminal are refused with the character, its line and column, and what to do."""
    refused = _refused(f'{{"category": "JobAlert", "{field}": "{value}"}}'.encode())
    (error,) = refused.errors
    assert error.pointer == f"#/{field}"
    assert error.detail.endswith(f"; {says}: remove it")
    assert "s3cr3t" not in error.detail

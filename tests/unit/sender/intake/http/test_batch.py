"""Bodies of batches: their parts, and how many of them there may be."""

import json

import pytest

from kit import ways_in
from mailtier.api import notification
from mailtier.sender.intake.http import batch, body, decoding, problems

_SECRET = "https://example.com/reset/s3cr3t"


def _refused(content: bytes) -> problems.HttpProblem:
    with pytest.raises(problems.HttpProblem) as caught:
        batch.split(content)
    return caught.value


def _batch(*parts: object) -> bytes:
    return json.dumps({"notifications": parts}).encode()


def test_whole_characters_in_two_escapes_are_as_they_came() -> None:
    """Only half of one is wrong: pairs of escapes, and what looks like one behind a backslash, are text."""
    parts = [rb'{"category": "JobAlert", "text": "\ud83d\ude00 \\ud800"}', rb'{"text": "\u0020"}', b"{}"]
    assert list(batch.split(b'{"notifications": [' + b",".join(parts) + b"]}")) == parts
    assert body.parse(parts[0], decoding.BATCHED).text == "\N{GRINNING FACE} \\ud800"


@pytest.mark.parametrize("count", [1, 2, batch.MAXIMUM_NOTIFICATIONS])
def test_each_part_is_what_was_sent(count: int) -> None:
    """Blanks and names are as they came, so that each is read as one that comes alone."""
    parts = [b'{ "category":\n"JobAlert", "category" : %d}' % number for number in range(count)]
    assert list(batch.split(b' {\t"notifications"\r\n: [ ' + b" ,\n".join(parts) + b" ]\n}\n ")) == parts


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"notifications": null}',
        b'{"notifications": {"text": "s3cr3t"}}',
        b'{"notifications": "s3cr3t"}',
        b'{"notifications": [1], "s3cr3t": 1}',
        b'{"s3cr3t": 1, "notifications": [1]}',
        b'{"notifications": [1], "notifications": [2]}',
        b'{"notifications": [1]',
        b'{"notifications": [1}',
        b'{"notifications": [1,]}',
        b'{"notifications": [s3cr3t]}',
        b'{"notifications": [1]} s3cr3t',
        b'{"notifications": [{"text": "s3cr3t]}',
        b'{"notifications": ' + b"[" * 100_000 + b"}",
        b'{"notifications": [' + b'{"a":' * 100_000 + b"]}",
        b'\xef\xbb\xbf{"notifications": [1]}',
    ],
)
def test_what_is_no_batch_is_malformed(content: bytes) -> None:
    """Anything but an object with the one list is answered with 400, and nothing of it is quoted (R1)."""
    refused = _refused(content)
    assert refused.kind is problems.MALFORMED
    assert "s3cr3t" not in json.dumps(refused.document())
    assert refused.__context__ is None or refused.__suppress_context__


def test_where_reading_stopped_is_told() -> None:
    """The byte is counted from the beginning of the body."""
    assert "(at byte 23)" in _refused(b'{"notifications": [1, s3]}').detail


def test_an_empty_batch_is_invalid() -> None:
    """There is nothing to answer to."""
    refused = _refused(_batch())
    assert refused.kind is problems.INVALID
    assert [error.pointer for error in refused.errors] == ["#/notifications"]


def test_too_many_notifications_are_too_large() -> None:
    """One more than the limit is 413; the answer says the limit and what to do."""
    refused = _refused(_batch(*range(batch.MAXIMUM_NOTIFICATIONS + 1)))
    assert refused.kind is problems.BATCH_TOO_LARGE
    assert "500 notifications" in refused.detail
    assert "send it in parts" in refused.detail
    assert "same idempotency key" in refused.detail


def test_too_many_notifications_are_not_all_read() -> None:
    """What comes behind the limit is not looked at, be it two million numbers: others wait for the event loop (R15)."""
    most = b"1," * batch.MAXIMUM_NOTIFICATIONS
    assert _refused(b'{"notifications": [' + most + b"1, this is no JSON]}").kind is problems.BATCH_TOO_LARGE


def test_recipients_are_counted_in_all() -> None:
    """A thousand are fine; one more is 413, and those whom the settings name count too."""
    crowd = notification.BatchedNotification.model_validate(
        {"category": "JobAlert", "recipients": ways_in.crowd(20), "text": "x"}
    )
    settings = ways_in.settings()
    batch.require_recipients([crowd] * 50, settings)
    one = notification.BatchedNotification.model_validate({"category": "JobAlert", "text": "x"})
    batch.require_recipients([*[crowd] * 50, one], settings)
    with pytest.raises(problems.HttpProblem) as refused:
        batch.require_recipients([*[crowd] * 50, one], ways_in.settings(recipients=["ops@example.com"]))
    assert refused.value.kind is problems.BATCH_TOO_LARGE
    assert "1001 recipients" in refused.value.detail


@pytest.mark.parametrize(
    ("content", "kind", "pointers"),
    [
        ({"category": "Party"}, problems.INVALID, ["#/category"]),
        ({"category": "JobAlert", "idempotencyKey": f"{_SECRET} x"}, problems.INVALID, ["#/idempotencyKey"]),
        ({"category": "JobAlert", "idempotencyKey": "x" * 256}, problems.INVALID, ["#/idempotencyKey"]),
        ({"category": "JobAlert", "idempotencyKey": ""}, problems.INVALID, ["#/idempotencyKey"]),
        ({"category": "JobAlert", "text": "x" * 262_144}, problems.TOO_LARGE, []),
        (7, problems.INVALID, ["#"]),
    ],
)
def test_a_part_is_read_as_one_that_comes_alone(
    content: object, kind: problems.ProblemKind, pointers: list[str]
) -> None:
    """The same verdicts, with pointers from its own root; its key has the bounds of the header."""
    (part,) = batch.split(_batch(content))
    with pytest.raises(problems.HttpProblem) as refused:
        body.parse(part, decoding.BATCHED)
    assert refused.value.kind is kind
    assert [error.pointer for error in refused.value.errors] == pointers
    assert "s3cr3t" not in json.dumps(refused.value.document())


@pytest.mark.parametrize(
    "part",
    [
        b'{"text": "\xff"}',
        b'{"text": "\\ud800"}',
        b'{"idempotencyKey": "a", "idempotencyKey": "a", "category": "JobAlert"}',
    ],
)
def test_a_part_that_cannot_be_read_spoils_no_other(part: bytes) -> None:
    """What is not UTF-8, has half of a character (a text that was cut), or has a name twice, is malformed by itself."""
    good = b'{"category": "JobAlert", "idempotencyKey": "a"}'
    bad, fine = batch.split(b'{"notifications": [' + part + b", " + good + b"]}")
    with pytest.raises(problems.HttpProblem) as refused:
        body.parse(bad, decoding.BATCHED)
    assert refused.value.kind is problems.MALFORMED
    assert body.parse(fine, decoding.BATCHED).idempotency_key == "a"

"""The quick reading of notifications: it takes nothing that the models refuse, and reads what they read."""

import itertools
import json
import typing

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import corpus
from kit.corpus import bounds, largest
from mailtier.api import names, notification, structural
from mailtier.sender.intake.http import body, decoding, problems

_DECODERS: tuple[decoding.Decoder[typing.Any], ...] = (decoding.SINGLE, decoding.BATCHED)


def _specs(cases: typing.Iterable[corpus.Case]) -> list[dict[str, typing.Any]]:
    """Return what the cases say of Notifications, without the field that a request does not have."""
    specs = [case.document.get("spec") for case in cases if case.kind == names.NOTIFICATION_KIND]
    return [{name: spec[name] for name in spec if name != "organization"} for spec in specs if spec is not None]


def _beyond() -> typing.Iterator[dict[str, typing.Any]]:
    """Yield notifications that exceed one bound by one."""
    schema = structural.schema_of(notification.NotificationRequest)
    for spec in _specs(largest.accepted()):
        for bound, keys in bounds.reached(schema, spec).items():
            yield bounds.beyond(spec, bound, keys)


_ACCEPTED = [
    *_specs([*corpus.accepted(), *largest.accepted()]),
    {"category": "PasswordRecovery", "recipients": ["a@example.com"], "data": {"link": "https://a.example/r"}},
    {"category": "JobAlert", "recipients": ["ops@b\u00fccher.example"]},
]
_REFUSED = [
    *_specs([*corpus.refused(), *largest.refused()]),
    *_beyond(),
    {"category": "PasswordRecovery", "recipients": ["a@example.com"], "text": "x", "data": {"link": "a.example"}},
    {"category": "PasswordRecovery", "recipients": ["a@example.com"]},
    {"category": "PasswordRecovery", "text": "x"},
    {"category": "JobAlert", "text": None},
    {"category": "JobAlert", "recipients": ["a@example.com", "a@example.com"]},
    {"category": "JobAlert", "recipients": ["a@b\u00fccher.example", "a@xn--bcher-kva.example"]},
    {"category": "JobAlert", "idempotency_key": "a"},
    {"category": "JobAlert", "idempotencyKey": "a b"},
    {"category": 1},
    [],
    "JobAlert",
    None,
]
_ODD = [
    b"",
    b" ",
    b"{",
    b'\xef\xbb\xbf{"category": "JobAlert"}',
    b'{"category": "JobAlert"} ',
    b'{"category": "JobAlert"}x',
    b'{"category": "JobAlert",}',
    b'{"category": "JobAlert", "text": "\xff"}',
    b'{"category": "JobAlert", "text": "\xed\xa0\x80"}',
    b'{"category": "JobAlert", "text": "\xc0\xaf"}',
    b'{"category": "JobAlert", "text": "\\ud800"}',
    b'{"category": "JobAlert", "text": "\\ud83d\\ude00"}',
    b'{"category": "JobAlert", "text": "a\tb"}',
    b'{"category": "JobAlert", "text": "a\nb"}',
    b'{"category": "JobAlert", "text": "a\x00b"}',
    b'{"category": "JobAlert", "text": "a\x7fb"}',
    b'{"category": "JobAlert", "text": "\\x41"}',
    b'{"category": "JobAlert", "text": "\\/\\u0041"}',
    b"{'category': 'JobAlert'}",
    b'{"category": "JobAlert", "category": "JobAlert"}',
    b'{"category": "JobAlert", "\\u0063ategory": "JobAlert"}',
    b'{"category": "JobAlert", "text" : "a", "text"\n:\t"b"}',
    b'{"category": "JobAlert", "data": {"a": "1", "a": "1"}}',
    b'{"category": "JobAlert", "data": {"a": "1"}, "data": {}}',
    b'{"category": "JobAlert", "data": {"a": "\\\\", "b": "\\\\", "a": "1"}}',
    b'{"category": "JobAlert", "data": {"a": "\\"", "a": "\\""}}',
    b'{"category": "JobAlert", "recipients": ["a@example.com"], "recipients": []}',
    b'{"category": NaN}',
    b'{"category": "JobAlert", "text": 1e999}',
    b'{"category": "JobAlert", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("decoder", _DECODERS, ids=lambda decoder: decoder.model.__name__)
@pytest.mark.parametrize("escaped", [False, True])
def test_what_is_valid_is_read_at_once(decoder: decoding.Decoder[typing.Any], escaped: bool) -> None:
    """Whatever the models take is read without them, and is equal to what they read, up to every bound."""
    for spec in _ACCEPTED:
        content = json.dumps(spec, ensure_ascii=escaped).encode()
        found = decoder.decode(content)
        assert found == decoder.model.model_validate_json(content)
        assert found.model_dump() == decoder.model.model_validate_json(content).model_dump()


@pytest.mark.parametrize("decoder", _DECODERS, ids=lambda decoder: decoder.model.__name__)
def test_the_verdict_is_the_models(decoder: decoding.Decoder[typing.Any]) -> None:
    """What is refused is refused with the model's words, and nothing passes by being read quickly."""
    everything = [json.dumps(spec, ensure_ascii=False).encode() for spec in [*_ACCEPTED, *_REFUSED]]
    refused = 0
    for content in [*everything, *_ODD]:
        expected = _told(body.judge, content, decoder.model)
        assert _told(body.parse, content, decoder) == expected, content[:200]
        refused += isinstance(expected, dict)
    assert refused > len(_REFUSED)


_TEXTS = st.text(st.sampled_from('ab "\\:,{}\u00e9\U0001f600\t\n\x00\u202e\u200b@.'), max_size=6)
_VALUES = st.one_of(
    _TEXTS, st.none(), st.integers(), st.lists(_TEXTS, max_size=2), st.dictionaries(_TEXTS, _TEXTS, max_size=2)
)
_FIELDS = st.sampled_from([*(field.alias for field in notification.BatchedNotification.model_fields.values()), "x"])
_USUAL = [("category", "JobAlert"), ("text", "It failed."), ("data", {"job": "a"}), ("recipients", ["a@example.com"])]


@given(st.lists(st.one_of(st.sampled_from(_USUAL), st.tuples(_FIELDS, _VALUES)), max_size=5), st.booleans())
def test_no_body_has_two_verdicts(members: list[tuple[str, object]], escaped: bool) -> None:
    """Whatever members stand in whatever order, however often: the verdict is the model's."""
    written = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=escaped)}" for name, value in members)
    content = f"{{{', '.join(written)}}}".encode()
    for decoder in _DECODERS:
        assert _told(body.parse, content, decoder) == _told(body.judge, content, decoder.model)


def test_a_name_that_stands_twice_is_never_read_quickly() -> None:
    """However it is spelled, and whatever quotation marks the texts hold."""
    texts = ["", "a", '"', "\\", '\\"', '"text": "b"', "\\u0022"]
    for one, other in itertools.product(texts, repeat=2):
        first, second = json.dumps(one), json.dumps(other)
        for content in (
            f'{{"category": "JobAlert", "text": {first}, "text": {second}}}',
            f'{{"category": "JobAlert", "text": {first}, "\\u0074ext": {second}}}',
            f'{{"category": "JobAlert", "data": {{"a": {first}, "a": {second}}}}}',
        ):
            assert decoding.BATCHED.decode(content.encode()) is None, content


def test_a_field_of_an_unknown_kind_has_no_decoder() -> None:
    """A model that is extended by what is not read here is noticed when the program starts."""

    class Extended(notification.NotificationRequest):
        extra: typing.Annotated[str, pydantic.Field(pattern="a+")] | None = None

    with pytest.raises(TypeError, match="no decoder"):
        decoding.Decoder(Extended)


def _told(read: typing.Callable[..., notification.NotificationRequest], *arguments: object) -> object:
    """Return the notification, or what is answered."""
    try:
        return read(*arguments)
    except problems.HttpProblem as problem:
        return problem.document()

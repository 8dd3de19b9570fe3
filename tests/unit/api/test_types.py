"""Scalars: durations, addresses of machines, networks."""

import datetime as dt
import re

import hypothesis
import pydantic
import pytest
from hypothesis import strategies

from mailtier.api import types

_LONGEST = dt.timedelta(hours=999_999)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", dt.timedelta(seconds=90)),
        ("5m", dt.timedelta(minutes=5)),
        ("1h30m", dt.timedelta(hours=1, minutes=30)),
        ("168h", dt.timedelta(days=7)),
        ("1h0m1s", dt.timedelta(hours=1, seconds=1)),
        ("0s", dt.timedelta()),
    ],
)
def test_duration_is_read(text: str, length: dt.timedelta) -> None:
    """Hours, minutes and seconds add up."""
    assert types.parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1.5h", "-5m", "5 m", "5m ", "30m1h", "1h1h", "1000000s", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Only what the apiserver's rule takes is read, and the refusal shows how to write it."""
    with pytest.raises(ValueError, match="is not a duration such as 90s, 5m or 1h30m"):
        types.parse_duration(text)


@hypothesis.given(strategies.timedeltas(dt.timedelta(), _LONGEST))
def test_written_duration_reads_back(length: dt.timedelta) -> None:
    """Whole seconds survive being written and read."""
    whole = dt.timedelta(seconds=length // dt.timedelta(seconds=1))
    assert types.parse_duration(types.format_duration(whole)) == whole


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1", "::", "::1", "64:ff9b::192.0.2.1", "2001:0DB8::A"])
def test_address_is_taken(text: str) -> None:
    """The usual forms of both families are addresses."""
    assert types.is_ip(text)


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2", "192.0.2.01", "0x7f.1", "fe80::1%eth0", "::ffff:192.0.2.1", "[::1]", "192.0.2.1\n", "1.2.3.4/32"],
)
def test_other_forms_of_an_address_are_refused(text: str) -> None:
    """Forms that parsers disagree on, or that hide one family in the other, are none."""
    assert not types.is_ip(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", True),
        ("0.0.0.0/0", True),
        ("2001:db8::/32", True),
        ("::1/128", True),
        ("10.0.0.1/8", False),
        ("10.0.0.0", False),
        ("10.0.0.0/33", False),
        ("10.0.0.0/08", False),
        ("10.0.0.0/255.0.0.0", False),
        ("10.0.0.0/", False),
        ("::ffff:10.0.0.0/104", False),
    ],
)
def test_network_has_no_host_bits(text: str, *, expected: bool) -> None:
    """A network is an address and a prefix in decimal, and names itself."""
    assert types.is_cidr(text) is expected


@pytest.mark.parametrize("value", ["true", 1, 0, "yes", None])
def test_flag_is_true_or_false_alone(value: object) -> None:
    """What merely looks like a truth value is refused, as in the apiserver."""
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(types.Flag).validate_python(value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("No-Reply@müller.example", "No-Reply@xn--mller-kva.example"),
        ("a@例え.jp", "a@xn--r8jz45g.jp"),
        ("No-Reply@Example.com", "No-Reply@Example.com"),
    ],
)
def test_a_domain_of_other_letters_is_read_as_its_a_labels(written: str, read: str) -> None:
    """Settings, policies and notifications hold addresses as servers get them, however somebody wrote them (R3)."""
    assert pydantic.TypeAdapter(types.Address).validate_python(written) == read
    for entry, said in ((written, read), (written[written.index("@") :], read[read.index("@") :])):
        assert pydantic.TypeAdapter(types.FromEntry).validate_python(entry) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" * 65 + "@b.example", "has more than 64 characters before its @"),
        ("a@" + "b" * 64 + ".example", "has a part of more than 63 characters in its domain"),
        ("a@b.example\n", "has a line break, as YAML's | leaves one"),
        ("a\tb@c.example", "has a tab"),
        ("a\x1bb@c.example", "has a control character"),
        ("a\0b@c.example", "U+0000 (NUL) is character 2: remove it"),
        ("a\u200bb@c.example", "has a character that nobody sees"),
        ("a@c\u200bd.example", "U+200B (zero width space) is character 4: remove it"),
        ("a\u00a0b@c.example", "has a blank beyond ASCII"),
        ("é@c.example", "has a character beyond ASCII before its @"),
    ],
)
def test_what_is_wrong_with_an_address_is_told(text: str, said: str) -> None:
    """The sentence says what is in this address, and where it is where nobody sees it."""
    with pytest.raises(pydantic.ValidationError, match=re.escape(said)):
        pydantic.TypeAdapter(types.Address).validate_python(text)


def test_a_character_that_nobody_sees_is_in_no_list_of_senders() -> None:
    """An entry of a policy with one would be read as another domain than people see (R3)."""
    with pytest.raises(pydantic.ValidationError, match="zero width space"):
        pydantic.TypeAdapter(types.FromEntry).validate_python("@c\u200bd.example")

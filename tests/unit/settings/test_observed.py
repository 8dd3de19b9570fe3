"""What comes in: specs that may not fit, and bytes that may not be a password (R1)."""

from typing import Any

import pytest
from hypothesis import given

from kit import specs
from mailtier.api import settings
from mailtier.settings import observed, passwords


@pytest.mark.parametrize(
    ("spec", "field", "part"),
    [
        ({"smtp": {}}, "spec.smtp.host", "required"),
        ({"smtp": {"host": "a b"}}, "spec.smtp.host", "DNS name"),
        ({"notifications": {"jobAlert": {"recipients": ["a@b", "not-an-address"]}}}, "recipients[1]", "address"),
        ({"smtp": {"host": "a", "port": 0}, "from": {}}, "spec.smtp.port", "(and 1 more)"),
        ("hunter2", "spec", ""),
        ({"auth": {"password": "hunter2"}}, "spec.auth.password", ""),
        ({"auth": {"username": "hunter2\n"}}, "spec.auth.username", ""),
    ],
)
def test_an_object_that_does_not_fit_is_told_by_its_field(spec: Any, field: str, part: str) -> None:
    """The first problem is named with its path, others are counted, and no value is repeated."""
    for found in (observed.parse_org(spec), observed.parse_host(spec)):
        assert isinstance(found, observed.Invalid)
        assert field in found.field
        assert part in found.message
        assert "hunter2" not in repr(found)


def test_an_object_without_a_spec_overrides_nothing() -> None:
    """No spec is an empty spec."""
    assert observed.parse_org(None) == settings.OrgSpec()
    assert observed.parse_host(None) == settings.HostSpec()


@given(host=specs.host_documents(), org=specs.org_documents())
def test_the_strategies_make_what_fits(host: dict[str, Any], org: dict[str, Any]) -> None:
    """Every generated spec is valid, so that other tests test what they say."""
    assert isinstance(observed.parse_host(host), settings.HostSpec)
    assert isinstance(observed.parse_org(org), settings.OrgSpec)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "does not exist"),
        (b"", "empty"),
        (b"x" * 4097, "longer than 4096 bytes"),
        (b"hunter2\xff", "not UTF-8 text: byte 8"),
        (b"\xef\xbb\xbfhunter2", "byte order mark"),
        ("hunter2".encode("utf-16"), "UTF-16"),
        ("hunter2".encode("utf-16-le"), "UTF-16"),
        ("hunter2".encode("utf-16-be"), "UTF-16"),
        ("hunter2".encode("utf-32"), "UTF-32"),
        ("hunter2\u00a0".encode(), "no-break space"),
        ("\u200bhunter2".encode(), "invisible character"),
        ("hunter2\ufeff".encode(), "invisible character"),
        (b"hunter2\n", "ends in a line break"),
        (b"hunter2\r\n", "ends in a line break"),
        (b"hunter2\x00x", "control character"),
        (b"hunt\ner2", "control character"),
        ("hunter2\u202e".encode(), "control character"),
    ],
)
def test_what_cannot_be_a_password_is_refused(value: bytes | None, sentence: str) -> None:
    """The reason is said, and nothing of the value is, in the error or in what it was raised from (R1)."""
    with pytest.raises(passwords.PasswordError, match=sentence) as caught:
        passwords.parse(value)
    assert "hunt" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_is_taken_as_it_is() -> None:
    """Blanks and letters of any script belong to it, and it does not show itself."""
    password = passwords.parse(" pä ss=wörd ".encode())
    assert password.reveal == " pä ss=wörd "
    assert "pä" not in repr(password)

"""Consent: which Secret is made or changed so that its value may be sent to a server, and nothing more."""

import base64
import typing

import pytest

from mailtier.api import secret
from mailtier.cli.offline import consent
from mailtier.settings import binding, observed

_PASSWORD = secret.Hidden("correct horse")
_ENCODED = base64.b64encode(b"correct horse").decode()
_TOKENS = ("smtp.acme.example:587", "https://login.acme.example")


def _consent(*endpoints: str, **changes: typing.Any) -> consent.Consent:
    servers = consent.parse_servers(endpoints or ("smtp.acme.example:587",))
    usual = {"namespace": "acme", "name": "smtp", "key": "password", "servers": servers}
    return consent.Consent(**{**usual, **changes})


def _present(annotation: str | None, **data: str) -> consent.Object:
    annotations = {} if annotation is None else {"mailtier.dev/endpoint": annotation}
    metadata = {"name": "smtp", "namespace": "acme", "uid": "1f0c", "resourceVersion": "7", "annotations": annotations}
    return {"metadata": metadata, "type": "Opaque", "data": data}


def test_a_new_secret_is_bound_and_holds_its_value() -> None:
    """What is created is what the operator would find bound and fit."""
    made = consent.new_secret(_consent("SMTP.acme.example.:587", "smtp.acme.example:587"), _PASSWORD)
    assert made["metadata"]["annotations"] == {"mailtier.dev/endpoint": "smtp.acme.example:587"}
    assert made["data"] == {"password": _ENCODED}
    assert binding.unbound(made["metadata"]["annotations"]["mailtier.dev/endpoint"], _consent().servers) == ()


@pytest.mark.parametrize(
    ("before", "alone", "after"),
    [
        (None, False, "smtp.acme.example:587"),
        ("smtp.acme.example:587", False, "smtp.acme.example:587"),
        ("relay.example", False, "relay.example,smtp.acme.example:587"),
        ("relay.example, $(reboot)", False, "relay.example,smtp.acme.example:587"),
        ("relay.example", True, "smtp.acme.example:587"),
    ],
)
def test_servers_are_added_or_replaced(before: str | None, alone: bool, after: str) -> None:
    """Those from before stay, but for what is no server, or where they are replaced."""
    assert consent.annotation(_consent(alone=alone), _present(before)) == after


def test_only_what_differs_is_changed() -> None:
    """Nothing is patched where all is as it should be; a patch is for the very object that was looked at."""
    same = _present("smtp.acme.example:587", password=_ENCODED)
    assert consent.changes(_consent(), same, None) == {}
    assert consent.changes(_consent(), same, _PASSWORD) == {}
    seen = {"uid": "1f0c", "resourceVersion": "7"}
    new = consent.changes(_consent(), same, secret.Hidden("battery staple"))
    assert new == {"metadata": seen, "data": {"password": base64.b64encode(b"battery staple").decode()}}
    unbound = consent.changes(_consent(), _present(None, password=_ENCODED), None)
    assert unbound == {"metadata": {**seen, "annotations": {"mailtier.dev/endpoint": "smtp.acme.example:587"}}}


@pytest.mark.parametrize(
    ("before", "endpoints", "said"),
    [
        (",".join(_TOKENS), ("smtp.acme.example:587",), "is for access tokens"),
        ("smtp.acme.example:587", _TOKENS, "is for passwords"),
    ],
)
def test_passwords_and_what_tokens_are_had_with_do_not_come_together(
    before: str, endpoints: tuple[str, ...], said: str
) -> None:
    """Whoever may write the settings could have the one sent as the other (R3), also where servers are replaced."""
    for alone in (False, True):
        with pytest.raises(consent.ConsentError, match=said):
            consent.changes(_consent(*endpoints, alone=alone), _present(before), _PASSWORD)


def test_an_annotation_that_would_count_for_nothing_is_not_written() -> None:
    """Beyond its bound an annotation binds nothing, and would unbind what it lists."""
    before = ",".join(f"smtp-{number:03}.example:587" for number in range(390))
    assert not binding.is_too_long(before)
    with pytest.raises(consent.ConsentError, match="--replace"):
        consent.annotation(_consent(f"{'x' * 60}.{'y' * 60}"), _present(before))


@pytest.mark.parametrize(
    ("present", "lacks"),
    [
        (None, True),
        (_present(None), True),
        (_present(None, other="eA=="), True),
        (_present(None, password=""), True),
        (_present(None, password=_ENCODED), False),
        ({**_present(None), "type": "kubernetes.io/tls"}, False),
    ],
)
def test_a_value_is_asked_for_where_there_is_none(present: consent.Object | None, lacks: bool) -> None:
    """What is there stays, and a certificate comes from what issues it."""
    assert consent.lacks_value(_consent(), present) is lacks


@pytest.mark.parametrize(
    "text",
    ["", "smtp.acme.example:0", "a,b", "a b", "::1", "[::1", "http://a", "https://https://a", "bücher.example", "*"],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    """An annotation would leave it out without a word."""
    with pytest.raises(consent.ConsentError, match="is not HOST"):
        consent.parse_servers([text])


@pytest.mark.parametrize("text", ["smtp.acme.example", "[2001:db8::1]:587", "192.0.2.1:25", "https://login.example"])
def test_a_server_is_read_as_the_operator_reads_it(text: str) -> None:
    """Each form that an annotation may have can be named."""
    assert consent.parse_servers([text]) == binding.parse(text)


@pytest.mark.parametrize(
    ("raw", "key", "said"),
    [
        (b"", "password", "empty"),
        (b"\n", "password", "empty"),
        (b"x\n\n", "password", "line break"),
        (b"\xff\xfex\x00", "password", "UTF-16"),
        (b"x", "private-key", "PEM"),
    ],
)
def test_an_unfit_value_is_refused_before_it_is_written(raw: bytes, key: str, said: str) -> None:
    """What the operator would call unfit is told at once, and shows nothing of itself (R1)."""
    with pytest.raises(consent.ConsentError, match=said):
        consent.parse_value(_consent(key=key), raw)


@pytest.mark.parametrize("raw", [b"correct horse", b"correct horse\n", b"correct horse\r\n"])
def test_the_line_break_of_a_pipe_is_no_part_of_the_password(raw: bytes) -> None:
    """`pass show` and `echo` end with one."""
    assert consent.parse_value(_consent(), raw) == _PASSWORD


@pytest.mark.parametrize("changes", [{"name": "../x"}, {"namespace": "a/b"}, {"name": ""}, {"key": "a b"}, {"key": ""}])
def test_names_are_names(changes: dict[str, str]) -> None:
    """Nothing that was typed leads to another path."""
    with pytest.raises(consent.ConsentError, match="can be called"):
        _consent(**changes)


@pytest.mark.parametrize(
    ("key", "purpose"),
    [
        ("password", observed.Purpose.PASSWORD),
        ("smtp-pass", observed.Purpose.PASSWORD),
        ("client-secret", observed.Purpose.CLIENT_SECRET),
        ("private-key", observed.Purpose.PRIVATE_KEY),
        ("refresh-token", observed.Purpose.REFRESH_TOKEN),
    ],
)
def test_a_key_says_what_its_value_is_for(key: str, purpose: observed.Purpose) -> None:
    """Unless it is one of those that tokens are had with, it is a password's."""
    assert _consent(key=key).purpose == purpose


def test_a_grant_is_recognized_among_others() -> None:
    """A RoleBinding that gives the same to somebody else too is left alone; another role, or nobody of ours, is not."""
    grant = consent.ReferencesGrant(namespace="acme", role="mailtier-references", account="mailtier-system:mailtier")
    wanted = consent.role_binding(grant)
    (ours,) = wanted["subjects"]
    other = {"kind": "User", "name": "someone", "apiGroup": "rbac.authorization.k8s.io"}
    assert consent.is_same_grant({**wanted, "subjects": [other, {**ours, "apiGroup": ""}]}, wanted)
    assert not consent.is_same_grant({**wanted, "subjects": [other]}, wanted)
    assert not consent.is_same_grant({**wanted, "subjects": None}, wanted)
    assert not consent.is_same_grant({**wanted, "roleRef": {**wanted["roleRef"], "name": "view"}}, wanted)

"""Every value that the sender goes by is shown to people: in status, by `explain`, and in the effective ConfigMap."""

import dataclasses
import datetime as dt
import enum
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from kit import tiers
from mailtier.api import vocabulary
from mailtier.cli.offline import values
from mailtier.settings import codec, effective, view

_Path = tuple[str, ...]

_FULL: typing.Final[tiers.Json] = {
    "smtp": {
        "host": "relay.example.com",
        "tls": {
            "serverName": "mail.example.com",
            "caRef": {"kind": "Secret", "name": "ca"},
            "clientCertificateRef": {"name": "client"},
        },
        "fallback": {
            "host": "spare.example.com",
            "tls": {
                "serverName": "mail.example.com",
                "caRef": {"kind": "Secret", "name": "ca"},
                "clientCertificateRef": {"name": "client"},
            },
            "auth": {"username": "spare", "passwordSecretRef": {"name": "spare"}},
        },
    },
    "auth": {"username": "relay", "passwordSecretRef": {"name": "relay"}},
    "from": {"address": "no-reply@example.com", "displayName": "Relay", "replyTo": "help@example.com"},
    "delivery": {
        "heloName": "x.example.com",
        "ratePerMinute": 60,
        "maxAge": "1h",
        "endpointRatePerMinute": 600,
        "ehloIgnore": ["SIZE"],
        "replies": [{"code": 554, "action": "Hold"}],
    },
    "policy": {
        "recipients": {"domains": ["example.com"]},
        "quota": {"queuedMessages": 10, "queuedBytes": "1Mi", "ratePerMinute": 30},
    },
}
_TOKENS: typing.Final[tiers.Json] = {
    **tiers.OAUTH2,
    "auth": {
        "username": "team@example.org",
        "oauth2": {**tiers.OAUTH2["auth"]["oauth2"], "clientAuthentication": "PrivateKeyJWT", "keyID": "k1"},
    },
}

_OF_FIRST: typing.Final = {
    "organization.namespace": "the name of the object",
    "organization.name": "the name of the object",
    "namespace_uid": "for the sender's rows",
    "state": "beside the values",
    "source": "beside the values",
    "findings": "beside the values",
    "audited": "beside the values",
    "by_address.findings": "beside the values",
    "provenance": "beside the values, an entry a field",
    "endpoint.origin": "in provenance",
    "auth.origin": "in provenance",
    "auth.secret.version": "changes without anybody's edit; Verified names it",
    "auth.certificate.version": "changes without anybody's edit; Verified names it",
    "auth.oauth2.server.host": "a part of the URL",
    "auth.oauth2.server.port": "a part of the URL",
    "notifications.PasswordRecovery.recipients": "always empty: the notification names the recipient",
}
_OF_NO_FIELD: typing.Final = {
    **_OF_FIRST,
    **{f"fallback.{path}": why for path, why in _OF_FIRST.items()},
    "fallback.delivery": "the same as of the first server, or as the host's settings show it",
}
"""What is not shown as a value, and why."""

_FIRST_NOT_IN_STATUS: typing.Final = {
    "endpoint.tls.ca": "a digest, where the owner wrote a reference",
    "endpoint.addresses": "of the host's policy",
    "endpoint.is_host_s": "told by a lint",
    "by_address.is_trusted": "of the host's policy",
    "recipients": "of the host's policy",
    "auth.secret.namespace": "the organization's own",
    "auth.secret.key": "as the spec says",
    "auth.certificate.namespace": "the organization's own",
    "auth.oauth2.key_id": "as the spec says",
    "auth.oauth2.client_secret_key": "as the spec says",
    "auth.oauth2.private_key_key": "as the spec says",
    "auth.oauth2.refresh_token_key": "as the spec says",
    "auth.oauth2.server.addresses": "of the host's policy",
}
_NOT_IN_STATUS: typing.Final = {
    **_FIRST_NOT_IN_STATUS,
    **{f"fallback.{path}": why for path, why in _FIRST_NOT_IN_STATUS.items() if path != "recipients"},
}
"""What an organization's status leaves out, and why."""


def _settings() -> Iterator[effective.Effective]:
    """Yield settings in which together no value is absent."""
    yield tiers.settle(_FULL, {})
    yield tiers.settle(tiers.RELAY, {**tiers.OWN, "smtp": {"host": "relay.example.com"}})
    tokens = tiers.settle(tiers.RELAY, _TOKENS)
    assert tokens.auth is not None
    assert tokens.auth.oauth2 is not None
    keys = dataclasses.replace(tokens.auth.oauth2, client_secret_key="a", private_key_key="b", refresh_token_key="c")
    auth = dataclasses.replace(tokens.auth, oauth2=keys)
    yield dataclasses.replace(tokens, auth=auth)
    fallback = {**_TOKENS["smtp"], "host": "relay.example.com", "auth": _TOKENS["auth"]}
    both = tiers.settle(tiers.RELAY, {**_TOKENS, "smtp": {**_TOKENS["smtp"], "fallback": fallback}})
    assert both.fallback is not None
    yield dataclasses.replace(both, fallback=dataclasses.replace(both.fallback, auth=auth))


def _leaves(value: typing.Any, path: _Path = ()) -> Iterator[tuple[_Path, typing.Any]]:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _leaves(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, Mapping) and path != ("provenance",):
        for key in value:
            yield from _leaves(value[key], (*path, key))
    else:
        yield path, value


def _put(value: typing.Any, path: _Path, new: typing.Any) -> typing.Any:
    if not path:
        return new
    head, *rest = path
    if isinstance(value, Mapping):
        return {**value, head: _put(value[head], tuple(rest), new)}
    return dataclasses.replace(value, **{head: _put(getattr(value, head), tuple(rest), new)})


def _another(value: typing.Any) -> typing.Any:
    match value:
        case enum.Enum():
            return next(member for member in type(value) if member is not value)
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case dt.timedelta():
            return value + dt.timedelta(minutes=1)
        case tuple():
            return (*value, "x.example")
    raise TypeError(value)


def _excused(path: str, table: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{known}.") for known in table)


def _in_status(settings: effective.Effective) -> object:
    return view.nest(settings, viewer=vocabulary.Origin.HOST)


def _values() -> dict[str, list[tuple[effective.Effective, effective.Effective]]]:
    """Return pairs of settings that differ in one value alone, by its path."""
    pairs: dict[str, list[tuple[effective.Effective, effective.Effective]]] = {}
    for settings in _settings():
        for path, value in _leaves(settings):
            name = ".".join(path)
            if value is not None and not _excused(name, _OF_NO_FIELD):
                pairs.setdefault(name, []).append((settings, _put(settings, path, _another(value))))
    return pairs


def _all_paths(kind: typing.Any, path: _Path = ()) -> Iterator[str]:
    """Yield the path of every value that settings can have, by their types."""
    if kind == Mapping[vocabulary.Category, effective.CategorySettings]:
        for category in vocabulary.Category:
            yield from _all_paths(effective.CategorySettings, (*path, category))
        return
    for hint in (kind, *typing.get_args(kind)):
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            for name, below in typing.get_type_hints(hint).items():
                yield from _all_paths(below, (*path, name))
            return
    yield ".".join(path)


def test_the_samples_have_every_value() -> None:
    """A new field of the settings that no sample has is noticed here."""
    known = {*_values(), *_OF_NO_FIELD}
    for path in _all_paths(effective.Effective):
        assert _excused(path, known) or any(name.startswith(f"{path}.") for name in known), path


@pytest.mark.parametrize(
    ("show", "left_out"),
    [(_in_status, _NOT_IN_STATUS), (values.of, {}), (codec.flat_keys, {})],
    ids=["status", "explain", "ConfigMap"],
)
def test_every_value_is_shown(show: Callable[[effective.Effective], object], left_out: Mapping[str, str]) -> None:
    """Settings that differ in one value look different, wherever people look."""
    hidden = {
        path
        for path, pairs in _values().items()
        if not _excused(path, left_out) and all(show(before) == show(after) for before, after in pairs)
    }
    assert hidden == set()


def test_what_is_left_out_is_left_out() -> None:
    """The list of what a status does not show holds nothing that it shows."""
    shown = {
        name
        for name in _NOT_IN_STATUS
        for path, pairs in _values().items()
        if _excused(path, {name: ""}) and any(_in_status(before) != _in_status(after) for before, after in pairs)
    }
    assert shown == set()

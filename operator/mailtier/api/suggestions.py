"""What somebody may have meant who wrote a field that there is not; pure, and without the value that was given (R1)."""

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import pydantic

_Path = tuple[str, ...]

_NEAR: Final = 0.75
"""How like a field a name is that may mean it, from 0 to 1."""
_LONGEST: Final = 64
"""Characters of a name that is worth comparing."""
_DEEPEST: Final = 5
_SECRETS: Final = frozenset(
    {"apikey", "pass", "passphrase", "passwd", "password", "pwd", "secret", "smtppass", "smtppassword", "token"}
)
_REFERENCES: Final = frozenset({"passwordsecretref", "clientsecretref"})

_INNER: Final = ("address", "host", "mode", "allow", "domains", "recipients", "name")
"""The field that is meant by a value in place of the object that holds it, as in `from: sales@example.com`."""
_REFERENCE: Final = "passwordSecretRef"
_MODE: Final = "smtp.tls.mode"
_CLIENT_CERTIFICATE: Final = "smtp.tls.clientCertificateRef"
_USUAL: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "server": "smtp.host",
        "hostname": "smtp.host",
        "ssl": _MODE,
        "starttls": _MODE,
        "encryption": _MODE,
        "security": _MODE,
        "user": "auth.username",
        "login": "auth.username",
        "sender": "from.address",
        "email": "from.address",
        "to": "recipients",
        "recipient": "recipients",
        "title": "subject",
        "body": "text",
        "content": "text",
        "message": "text",
    },
    "smtp": {
        **dict.fromkeys(("hostname", "server", "address", "name", "url"), "smtp.host"),
        **dict.fromkeys(("ssl", "encryption", "secure", "security", "starttls", "usetls", "usessl"), _MODE),
        **dict.fromkeys(("enabletls", "enablessl", "requiretls"), _MODE),
        **dict.fromkeys(("username", "user", "login", "account"), "auth.username"),
        **dict.fromkeys(("auth", "authentication"), "auth"),
        **dict.fromkeys(("from", "sender", "email"), "from.address"),
        **dict.fromkeys(("timeout", "timeouts"), "delivery.timeouts"),
        **dict.fromkeys(("ca", "cacert", "cabundle"), "smtp.tls.caRef"),
    },
    "smtp.tls": {
        **dict.fromkeys(("enabled", "enable", "type", "encryption", "starttls", "ssl", "implicit"), _MODE),
        **dict.fromkeys(("ca", "cacert", "cabundle", "certificate", "secretref"), "smtp.tls.caRef"),
        **dict.fromkeys(("clientcertificate", "clientcert", "cert", "keypair", "tlssecret"), _CLIENT_CERTIFICATE),
        **dict.fromkeys(("sni", "hostname", "host", "name"), "smtp.tls.serverName"),
        **dict.fromkeys(("version", "minimumversion"), "smtp.tls.minVersion"),
    },
    "auth": {
        **dict.fromkeys(("user", "login", "account", "name", "email"), "auth.username"),
        **dict.fromkeys(("type", "method", "mode"), "auth.mechanism"),
        **dict.fromkeys(("secretref", "passwordref", "existingsecret", "credentialsref"), "auth.passwordSecretRef"),
        **dict.fromkeys(("secretname", "passwordsecretname"), "auth.passwordSecretRef.name"),
    },
    "from": {
        **dict.fromkeys(("email", "mail", "mailaddress", "emailaddress", "sender"), "from.address"),
        **dict.fromkeys(("name", "sendername", "label"), "from.displayName"),
        **dict.fromkeys(("returnpath", "bounce", "bounces", "bounceaddress", "mailfrom"), "from.envelope"),
    },
}
"""What is usually meant by names that other programs have, by the group in which they are written."""
_PREFIXES: Final = {"smtp": "smtp", "mail": "smtp", "email": "smtp", "sender": "from", "tls": "smtp.tls"}
"""Where the rest of a flat name is at home, as in `smtp_host`; beside the names of the groups themselves."""
_UNVERIFIED: Final = frozenset(
    {"verify", "verifycertificate", "insecure", "insecureskipverify", "skipverify", "rejectunauthorized"}
)
VERIFIED: Final = (
    "the server's certificate is always verified; that of a CA of your own is put into a bundle, and named in"
    " smtp.tls.caRef"
)
"""What is said to whoever would switch the check of a certificate off."""
LITERAL: Final = (
    "a password never stands in settings, where everybody reads it: put it into a Secret, name that in"
    " auth.passwordSecretRef, and change the password if this was applied anywhere"
)
"""What is said of a password in the settings themselves."""
_NEEDED: Final[Mapping[tuple[int | str, ...], str]] = {
    ("smtp", "host"): "port, tls and fallback only go with a host: set it, or remove smtp",
}
"""What is said of a field that was left out, by the group and its name."""


def for_unknown(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> str:
    """Return what to say of a field that there is not; "" where nothing is like it.

    Args:
        model: Of the whole document.
        location: Of the field, as pydantic gives it.
    """
    wanted = _plain(str(location[-1]))
    if not wanted or len(wanted) > _LONGEST:
        return ""
    paths = list(_paths(model))
    if wanted in _SECRETS and any(path[-1] == _REFERENCE for path in paths):
        return LITERAL
    if wanted in _UNVERIFIED and any(path[-1] == "caRef" for path in paths):
        return VERIFIED
    here = tuple(part for part in location[:-1] if isinstance(part, str))
    beside = {_plain(path[-1]): path for path in paths if path[:-1] == here}
    near = difflib.get_close_matches(wanted, beside, n=1, cutoff=_NEAR)
    meant = (
        beside.get(wanted)
        or _usual(wanted, here, paths)
        # A name that is right and stands in the wrong place says more than one that is like another.
        or _in_place_near(wanted, here, paths)
        or (beside[near[0]] if near else None)
    )
    return "" if meant is None else f"did you mean {_told(meant, here)}?"


def for_missing(location: Sequence[int | str]) -> str:
    """Return what goes with a required field that was left out; "" where its name says that.

    Args:
        location: Of the field, as pydantic gives it.
    """
    return _NEEDED.get(tuple(location)[-2:], "")


def _usual(wanted: str, here: _Path, paths: Sequence[_Path]) -> _Path | None:
    """Return the field that is usually meant by a name, alone or with the name of a group before it."""
    if here[:1] not in {(), ("spec",)}:
        return None
    root, group = here[:1], ".".join(here[1:])
    groups = {_plain(path[-1]): ".".join(path[len(root) :]) for path in paths if path[:-1] == here}
    homes = {**_PREFIXES, **groups, **({_plain(here[-1]): group} if group else {})}
    tried = [(group, wanted)]
    tried += [(home, wanted.removeprefix(name)) for name, home in homes.items() if wanted.startswith(name)]
    for home, rest in tried:
        usual = _USUAL.get(home, {}).get(rest)
        at = (*root, *home.split(".")) if home else root
        candidates = [(*root, *usual.split("."))] if usual else []
        candidates += [path for path in paths if path[:-1] == at and _plain(path[-1]) == rest]
        found = next((path for path in candidates if path in paths), None)
        if found is not None:
            return found
    return None


def _in_place_near(wanted: str, here: _Path, paths: Sequence[_Path]) -> _Path | None:
    """Return the one field of that name in a group of this one, or in the group around it; None of several."""
    around = here[:-1] if here else None
    found = [
        path for path in paths if _plain(path[-1]) == wanted and (path[:-1] == around or path[:-2] == here != path[:-1])
    ]
    return found[0] if len(found) == 1 else None


def _told(path: _Path, here: _Path) -> str:
    """Return a path as it is told to somebody who is at a place: the name alone where that is the place."""
    if path[:-1] == here:
        return path[-1]
    return ".".join(path[1:] if here[:1] == path[:1] == ("spec",) else path)


def for_no_object(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> str:
    """Return what to say of a value that stands where an object has to; "" where nothing is to be said.

    Args:
        model: Of the whole document.
        location: Of the value, as pydantic gives it.
    """
    if not location:
        return ""
    if _plain(str(location[-1])) in _REFERENCES:
        return LITERAL
    inner = _model_at(model, location)
    fields = {} if inner is None else dict(_fields(inner))
    meant = next((name for name in _INNER if name in fields), None)
    path = [part for part in location if isinstance(part, str) and part != "spec"]
    return f"did you mean {'.'.join((*path, meant))}?" if meant else ""


def type_at(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> Any:
    """Return the type of a field, with what else is asked of it; None where there is no such field.

    Args:
        model: Of the whole document.
        location: Of the field, as pydantic gives it.
    """
    *above, name = [part for part in location if isinstance(part, str)] or [""]
    inner = _model_at(model, above)
    for field in () if inner is None else inner.model_fields.values():
        if field.alias == name:
            return Annotated[field.annotation, field]
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _fields(model: type[pydantic.BaseModel]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a model as YAML names them, with their types."""
    for name, field in model.model_fields.items():
        yield field.alias or name, field.annotation


def _paths(model: type[pydantic.BaseModel], above: _Path = ()) -> Iterator[_Path]:
    for name, annotation in _fields(model):
        path = (*above, name)
        yield path
        inner = _model_in(annotation)
        if inner is not None and len(path) < _DEEPEST:
            yield from _paths(inner, path)


def _model_at(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> type[pydantic.BaseModel] | None:
    """Return the model of what stands at a location; None where there is none."""
    found: type[pydantic.BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and found is not None:
            found = _model_in(dict(_fields(found)).get(part))
    return found


def _model_in(annotation: Any) -> type[pydantic.BaseModel] | None:
    """Return the model in a type, such as `Smtp | None` or a list of it."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)

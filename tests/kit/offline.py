"""Worlds out of objects, as the offline commands read them from files."""

import dataclasses
import io
import pathlib
import re
import typing

import yaml

from kit import specs, worlds
from mailtier.cli.offline import judging
from mailtier.cli.offline.files import sources, world
from mailtier.settings import effective

Json = dict[str, typing.Any]

HOST: typing.Final[Json] = {
    "smtp": {"host": "relay.example.com"},
    "auth": {"username": "relay", "passwordSecretRef": {"name": "relay"}},
    "from": {"address": "no-reply@example.com"},
}
"""A host's complete spec."""


def host(**spec: typing.Any) -> Json:
    """Return a HostEmailSettings; complete, but for what is given otherwise."""
    return worlds.document("HostEmailSettings", "default", **{**HOST, **spec})


def org(namespace: str, name: str = "default", **spec: typing.Any) -> Json:
    """Return an OrgEmailSettings."""
    return worlds.document("OrgEmailSettings", name, namespace, **spec)


def namespace(name: str, **labels: str) -> Json:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret(namespace: str, name: str, *, endpoint: str | None = None, **values: str) -> Json:
    """Return a Secret as it stands in a repository, with the annotation that binds it."""
    annotations = {} if endpoint is None else {"mailtier.dev/endpoint": endpoint}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
        "stringData": values,
    }


def text(*documents: Json) -> str:
    """Return objects as a YAML stream."""
    # Escaped, because a raw control such as NEL is a line break to YAML.
    return str(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=False))


class _Dumper(yaml.CSafeDumper):
    """Quotes what PyYAML would not, and kubectl, and so we, read as a boolean or a number."""


def _represent(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _AMBIGUOUS.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_AMBIGUOUS: typing.Final = re.compile(r"[yYnN]$|[-+.]?[0-9]")
_Dumper.add_representer(str, _represent)


def read(*documents: Json) -> world.World:
    """Return the world that objects make, by way of their YAML."""
    return world.build(sources.parse("input.yaml", text(*documents)))


def judge(*documents: Json, strict: bool = False) -> judging.Judge:
    """Return the judge of objects."""
    return judging.Judge(read(*documents), operator_namespace=specs.OPERATOR_NAMESPACE, now=specs.NOW, strict=strict)


def write(path: pathlib.Path, *documents: Json) -> pathlib.Path:
    """Write objects into a file, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(*documents), encoding="utf-8")
    return path


def without_versions(settings: effective.Effective) -> effective.Effective:
    """Return effective settings without what only a cluster knows: uid of the namespace, versions of Secrets."""
    auth = settings.auth
    if auth is not None and auth.secret is not None:
        auth = dataclasses.replace(auth, secret=dataclasses.replace(auth.secret, version=""))
    if auth is not None and auth.certificate is not None:
        auth = dataclasses.replace(auth, certificate=dataclasses.replace(auth.certificate, version=""))
    return dataclasses.replace(settings, auth=auth, namespace_uid="")


class Input:
    """Standard input with a text in it, for `sys.stdin`."""

    def __init__(self, content: str) -> None:
        self.buffer = io.BytesIO(content.encode())

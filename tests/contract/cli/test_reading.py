"""What kubectl reads, Mailtier reads, and finds the same in it: the real kubectl is the judge."""

import json
import pathlib
import typing

import pytest

from kit import cluster as cluster_kit
from kit import offline
from mailtier.cli.offline.files import sources

_DOCUMENTS = (
    offline.org("acme", **{"from": {"address": "a@acme.example", "displayName": "Größe"}}),
    offline.org("birch", suspend=True),
)
_YAML = offline.text(*_DOCUMENTS)
_LIST = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(_DOCUMENTS)})
_ANCHORED = """
apiVersion: mailtier.dev/v1alpha1
kind: OrgEmailSettings
metadata: {name: default, namespace: acme}
spec:
  notifications:
    jobAlert: &alert {recipients: [x@acme.example], enabled: on}
    robotAlert: {<<: *alert, enabled: no}
"""
_SCALARS = """
apiVersion: mailtier.dev/v1alpha1
kind: OrgEmailSettings
metadata: {name: default, namespace: acme}
spec:
  words: [y, Y, n, N, yes, No, ON, off, True, yEs, ~, Null, "n", !!str y, =]
  numbers: [587.0, 5.87e2, 1e1, 1_000, 1_, 0o17, 0O17, 0o8, 017, 08, 0x1F, 0X1f, 0b11, -0b11, +12, -0.0, .5, -.5, 1.]
  more: [1.e3, 1e-7, 1_000.5, 1e999, 0x, 1:30, 2026-01-02, 2026-01-02T03:04:05Z, !!float 1, !!int "5", ._5]
  n: {yes: 1, 10: 2, 1.5: 3}
"""
_FILES = {
    "utf-8": _YAML.encode(),
    "byte-order-mark": _YAML.encode("utf-8-sig"),
    "utf-16": _YAML.encode("utf-16"),
    "utf-16-big-endian": b"\xfe\xff" + _YAML.encode("utf-16-be"),
    "crlf": _YAML.replace("\n", "\r\n").encode(),
    "empty-documents": b"---\n---\n# nothing\n---\n" + _YAML.encode() + b"---\n",
    "joined": b"---\n".join(document.encode("utf-8-sig") for document in map(offline.text, _DOCUMENTS)),
    "list": _LIST.encode(),
    "list-in-utf-16": _LIST.encode("utf-16"),
    "stream-of-json": "\n".join(map(json.dumps, _DOCUMENTS)).encode(),
    "json-with-mark": _LIST.encode("utf-8-sig"),
    "json-after-blank-lines": b"\n \t\n" + _LIST.encode(),
    "json-after-dashes": f"---\n{_LIST}\n---\n{_LIST}\n".encode(),
    "comment-in-latin-1": b"# Gr\xf6\xdfe\n" + _YAML.encode(),
    "name-in-latin-1": _YAML.encode().replace(b'"Gr\\xF6\\xDFe"', b"Gr\xf6\xdfe"),
    "anchors": _ANCHORED.encode(),
    "scalars": _SCALARS.encode(),
}


@pytest.mark.parametrize("name", list(_FILES))
def test_a_file_holds_what_kubectl_finds_in_it(
    name: str, cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path
) -> None:
    """In every encoding and form that kubectl takes, the same objects are found."""
    file = tmp_path / "settings.yml"
    file.write_bytes(_FILES[name])
    printed = cluster.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", str(file)).stdout
    expected = list(_objects(printed))
    assert expected
    assert [document.body for document in sources.read([str(file)]).documents] == expected


_OBJECT = json.dumps(_DOCUMENTS[1])
_LENIENT = {
    "comma": _OBJECT[:-1] + ",}",
    "note": _OBJECT[:-1] + ", # note\n}",
    "single-quotes": _OBJECT.replace('"', "'"),
    "names": "{apiVersion: mailtier.dev/v1alpha1, kind: OrgEmailSettings, metadata: {name: default}, spec: {}}",
    "not-a-number": _OBJECT[:-1] + ', "more": NaN}',
    "between": f"{_OBJECT}\n---\n{_OBJECT}\n",
    "after": f"{_OBJECT}\n# end\n",
}
"""What begins with `{` and is YAML alone: kubectl reads it from 1.33 on, and before refuses it."""


@pytest.mark.parametrize("name", list(_LENIENT))
def test_what_only_later_releases_of_kubectl_read_is_read_and_told(
    name: str, cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path
) -> None:
    """The objects are those of kubectl, with an error; a file that begins with --- is YAML to every kubectl."""
    file = tmp_path / "settings.json"
    for start, is_told in (("", True), ("---\n", False), ("# note\n", False)):
        file.write_text(start + _LENIENT[name])
        printed = cluster.kubectl("label", "--local", "-o", "json", "-f", str(file), "x=y").stdout
        labelled = [{**body, "metadata": {**body["metadata"], "labels": {"x": "y"}}} for body in _bodies(file)]
        assert list(_objects(printed)) == labelled
        assert labelled
        assert bool(sources.read([str(file)]).unreadable) == is_told


def _bodies(file: pathlib.Path) -> list[dict[str, typing.Any]]:
    return [document.body for document in sources.read([str(file)]).documents]


@pytest.mark.parametrize(
    "data",
    [
        _YAML.encode("utf-16-le"),
        b"kind: [\n",
        b"spec:\n\thost: x\n",
        b"a: .inf\n",
        b"a: !!bool x\n",
        f"{_OBJECT}\n{_OBJECT}\n---\n".encode(),
        _OBJECT[:-1].encode(),
        b'{"kind": "A", "n": 1e999}',
    ],
)
def test_what_kubectl_cannot_read_is_a_fault(
    data: bytes, cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path
) -> None:
    """UTF-16 without its mark, and what is neither YAML nor JSON, is refused by both."""
    file = tmp_path / "settings.yml"
    file.write_bytes(data)
    done = cluster.kubectl("create", "--dry-run=client", "--validate=false", "-f", str(file), check=False)
    assert done.returncode != 0
    assert [each.why for each in sources.read([str(file)]).unreadable] == [sources.Unread.FAULT]


def _objects(text: str) -> typing.Iterator[typing.Any]:
    """Yield the objects that kubectl prints, one after another or as a list."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        found, end = decoder.raw_decode(text, position)
        yield from found["items"] if found["kind"] == "List" else [found]
        position = end + len(text[end:]) - len(text[end:].lstrip())

"""Objects are found in files, folders and standard input."""

import json
import pathlib

import pytest

from kit import offline
from mailtier.cli import failures
from mailtier.cli.offline.files import sources


def test_folder_is_read_with_all_below_it(tmp_path: pathlib.Path) -> None:
    """YAML and JSON count whatever lies deeper; what begins with a dot and other files do not."""
    for name in ("a.yaml", "deep/er/b.yml", "deep/c.json", ".git/d.yaml", ".e.yaml", "f.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"kind": "Thing", "metadata": {"name": name}}), encoding="utf-8")
    found = sources.read([str(tmp_path)])
    assert [document.name for document in found.documents] == ["a.yaml", "deep/c.json", "deep/er/b.yml"]


def test_file_is_read_once(tmp_path: pathlib.Path) -> None:
    """A file that its folder brings too is no duplicate, by whatever name it is given."""
    file = offline.write(tmp_path / "a.yaml", offline.host())
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    assert len(sources.read([str(file), str(tmp_path), str(link), str(file)]).documents) == 1


def test_lists_are_flattened() -> None:
    """`kind: List` and lists of one kind are their items, each with its own place."""
    listed = {"apiVersion": "v1", "kind": "List", "items": [offline.host(), offline.org("a")]}
    own = {
        "apiVersion": "mailtier.dev/v1alpha1",
        "kind": "OrgEmailSettingsList",
        "items": [{"metadata": {"name": "x", "namespace": "b"}, "spec": {}}],
    }
    found = sources.parse("f", offline.text(listed, own)).documents
    assert [document.kind for document in found] == ["HostEmailSettings", "OrgEmailSettings", "OrgEmailSettings"]
    assert found[2].group_version == "mailtier.dev/v1alpha1"
    assert str(found[1].place("spec")).startswith("f:")
    assert found[1].place().line > found[0].place("spec.from.address").line


def test_other_yaml_is_left_alone() -> None:
    """A chart's values, a list of words and an empty document are no objects and no fault."""
    found = sources.parse("f", "replicas: 3\n---\n- a\n- b\n---\n---\nkind: [x]\n")
    assert (found.documents, found.unreadable) == ((), ())


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is what a pipe brings, and is read once."""
    monkeypatch.setattr("sys.stdin", offline.Input(offline.text(offline.host())))
    found = sources.read(["-", "-"])
    assert [document.kind for document in found.documents] == ["HostEmailSettings"]
    assert found.files == ("<stdin>",)


def test_path_that_cannot_be_read_is_a_usage_error(tmp_path: pathlib.Path) -> None:
    """The error names the path and what -f takes."""
    with pytest.raises(failures.CommandError, match=r"cannot read .*absent: No such file") as caught:
        sources.read([str(tmp_path / "absent")])
    assert caught.value.status == failures.Status.USAGE


_ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le-bom",
    "utf-16-be-bom",
    "crlf",
    "json",
    "json-list",
    "stream",
    "stream-sig",
)


@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_what_kubectl_reads_is_read(encoding: str, tmp_path: pathlib.Path) -> None:
    """Byte order marks, UTF-16 as Windows writes it, CRLF, JSON, lists and streams of JSON hold the same objects."""
    documents = [offline.host(**{"from": {"address": "a@example.com", "displayName": "Größe"}}), offline.org("acme")]
    text = offline.text(*documents)
    data = {
        "utf-8": text.encode(),
        "utf-8-sig": text.encode("utf-8-sig"),
        "utf-16": text.encode("utf-16"),
        "utf-16-le-bom": b"\xff\xfe" + text.encode("utf-16-le"),
        "utf-16-be-bom": b"\xfe\xff" + text.encode("utf-16-be"),
        "crlf": text.replace("\n", "\r\n").encode(),
        "json": json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}).encode("utf-8-sig"),
        "json-list": json.dumps(
            {"kind": "List", "items": [{"kind": "List", "items": documents[:1]}, documents[1]]}, indent=2
        ).encode(),
        "stream": "\n\n".join(json.dumps(document) for document in documents).encode("utf-16"),
        "stream-sig": "\n\n".join(json.dumps(document) for document in documents).encode("utf-8-sig"),
    }[encoding]
    (tmp_path / "a.yml").write_bytes(data)
    found = sources.read([str(tmp_path)])
    assert [document.body for document in found.documents] == documents
    assert (found.unreadable, found.replaced) == ((), ())


def test_places_are_right_in_a_stream_of_json() -> None:
    """Each object of a stream has its own lines."""
    found = sources.parse("f", '{"kind": "A"}\n\n{"kind": "B",\n "spec": 1}\n').documents
    assert [str(document.place()) for document in found] == ["f:1:1", "f:3:1"]
    assert str(found[1].place("spec")) == "f:4:2"


@pytest.mark.parametrize("written", [r"\ud83d\udd27", r"\\ud83d", "\x7f", r"\uD83D", r"\/"])
def test_what_json_alone_has_moves_no_place(written: str) -> None:
    """A character that JSON escapes in two halves, as `json.dumps` does, or holds as it is, hides no field."""
    text = f'{{"kind": "A", "name": "{written}",\n "spec": {{"x": "{written}", "y": 1}}}}'
    (document,) = sources.parse("f", text).documents
    column = text.splitlines()[1].index('"y"') + 1
    assert str(document.place("spec.y")) == f"f:2:{column}"


def test_bytes_that_are_no_text_are_told_and_read_as_kubectl_does(tmp_path: pathlib.Path) -> None:
    """Kubectl puts U+FFFD where a byte is not UTF-8: so do we, with the line; the others are read."""
    (tmp_path / "a.yaml").write_bytes(b"# Gr\xf6\xdfe\nkind: A\nname: \xe4\n")
    offline.write(tmp_path / "b.yaml", offline.host())
    found = sources.read([str(tmp_path)])
    assert [document.kind for document in found.documents] == ["A", "HostEmailSettings"]
    assert found.documents[0].body["name"] == "\ufffd"
    assert [place.line for place in found.replaced] == [1]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.yaml", offline.text(offline.host()).encode("utf-16-le"), sources.Unread.FAULT),
        ("a.yaml", offline.text(offline.host()).encode("utf-32"), sources.Unread.FAULT),
        ("a.yaml", b"kind: [\n", sources.Unread.FAULT),
        ("a.json", b'{"a": [1, // one: two\n}', sources.Unread.FOREIGN),
        ("a.json", b'{"a": [1, // mailtier.dev\n}', sources.Unread.FAULT),
        ("a.yaml", b"{{- if .Values.on }}\na: [", sources.Unread.FOREIGN),
        ("a.yaml", b"{{- if .Values.on }}\napiVersion: mailtier.dev/v1alpha1\n", sources.Unread.TEMPLATE),
    ],
)
def test_what_cannot_be_read_is_a_fault(name: str, data: bytes, why: sources.Unread, tmp_path: pathlib.Path) -> None:
    """Only a template, and JSON that says nothing of Mailtier, may be left out."""
    (tmp_path / name).write_bytes(data)
    assert [unreadable.why for unreadable in sources.read([str(tmp_path)]).unreadable] == [why]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_what_kubectl_takes_for_nul_is_told_as_another_encoding(encoding: str) -> None:
    """Whoever saved a file without a byte order mark, or as UTF-32, reads what to do."""
    (told,) = sources.decode("a.yaml", offline.text(offline.host()).encode(encoding)).unreadable
    assert told.message.endswith("save it as UTF-8")


def test_a_kustomization_that_was_not_built_is_noticed(tmp_path: pathlib.Path) -> None:
    """Every name that kustomize looks for counts."""
    for number, name in enumerate(("kustomization.yaml", "kustomization.yml", "Kustomization")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / name).write_text("resources: [a.yaml]\n", encoding="utf-8")
    assert sources.read([str(tmp_path)]).unbuilt == tuple(str(tmp_path / str(number)) for number in range(3))


_HEAD = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}'


@pytest.mark.parametrize(
    ("text", "cause", "place"),
    [
        (_HEAD + ",\n}", "a comma stands before }", "1:68"),
        (_HEAD + ',\n "a": [1,]}', "a comma stands before ]", "2:9"),
        (_HEAD + ', # hunter2\n"a": 1}', "a comment stands here", "1:70"),
        (_HEAD + "}\n# hunter2\n", "a comment stands here", "2:1"),
        ("\n{'kind': 'A'}", "single quotation marks", "2:2"),
        ("{kind: A}", "a name stands without double quotation marks", "1:2"),
        (_HEAD + ', "a": hunter2}', "no value of JSON", "1:75"),
        (_HEAD + ', "NaN": [-Infinity]}', "JSON has no such number", "1:78"),
        (_HEAD + ', "a": "x\ny"}', "write \\n or \\t", "1:77"),
        (_HEAD + ', "a": "\\x41"}', "a backslash begins an escape", "1:76"),
        (_HEAD + ', "a": 017}', "a number is written", "1:76"),
        (_HEAD + ', "a": &a 1}', "an anchor", "1:75"),
        (_HEAD + "}\n---\n" + _HEAD + "}", "without ---", "2:1"),
    ],
)
def test_what_begins_as_json_and_is_yaml_is_read_and_told(text: str, cause: str, place: str) -> None:
    """A fault at its place, as kubectl before 1.33 refuses it, that quotes nothing; behind --- it is none."""
    found = sources.parse("a.yaml", text)
    (told,) = found.unreadable
    assert found.documents
    assert (str(told.place), told.why) == (f"a.yaml:{place}", sources.Unread.FAULT)
    assert cause in told.message
    assert "kubectl before 1.33" in told.message
    assert "hunter2" not in told.message
    assert sources.parse("a.yaml", f"---\n{text}").unreadable == ()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (_HEAD + ', // note\n"a": 1}', "a comment stands here"),
        (_HEAD + ' "a": 1}', "a comma is missing"),
        (_HEAD + ', "a" {}}', "a colon is missing"),
        (_HEAD + ', "a": "x}', "a text has no end"),
        (_HEAD + ', "a": "\\u00"}', "without four digits"),
        (_HEAD, "it ends before its last }"),
        (_HEAD + "} hunter2", "something stands after the last }"),
        (_HEAD + ', "a": 1e999}', "larger than kubectl can send"),
    ],
)
def test_what_is_neither_json_nor_yaml_is_told_as_json(text: str, cause: str) -> None:
    """No kubectl reads it, so that there is nothing to say of releases."""
    (told,) = sources.parse("a.yaml", text).unreadable
    assert cause in told.message
    assert "kubectl before" not in told.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"kind": "A", /* note */ "a": 1,}'),
        ("a.json", '{"kind": "A",}'),
        ("values.yaml", "{} # none"),
        ("values.yaml", "{a: b}"),
    ],
)
def test_what_nobody_applies_may_begin_as_json(name: str, text: str) -> None:
    """JSON of other programs, and a chart's values, are no faults."""
    assert [each for each in sources.parse(name, text).unreadable if each.why is sources.Unread.FAULT] == []


def test_a_placeholder_in_a_text_excuses_nothing() -> None:
    """What holds `{{` and can be read is no template."""
    (told,) = sources.parse(
        "a.yaml", '{"apiVersion": "mailtier.dev/v1alpha1", "kind": "A", "a": "{{ x }}",}'
    ).unreadable
    assert told.why is sources.Unread.FAULT

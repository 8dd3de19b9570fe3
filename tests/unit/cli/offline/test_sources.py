"""Objects are found in files, folders and standard input."""

import json
import pathlib

import pytest

from kit import offline
from mailtier.cli import failures
from mailtier.cli.offline import sources


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


def test_file_that_is_no_text_is_told(tmp_path: pathlib.Path) -> None:
    """Bytes that are not UTF-8 are a finding of that file, and the others are read."""
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    offline.write(tmp_path / "b.yaml", offline.host())
    found = sources.read([str(tmp_path)])
    assert [unreadable.message for unreadable in found.unreadable] == ["it is not UTF-8 text"]
    assert len(found.documents) == 1

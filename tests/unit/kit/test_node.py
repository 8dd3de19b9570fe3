"""What the run on a real node takes from pages, charts and archives is there, without a node."""

import json
import pathlib
import tarfile

import pytest
import yaml

from kit import repository
from node import pages, release, timetable
from node.ground import archive


def test_readme_has_what_a_run_applies() -> None:
    """The README begins with one object of each kind, and says by a command where the password may be sent."""
    version = release.Version.of(repository.ROOT, "new")
    kinds = [document["kind"] for document in yaml.safe_load_all(version.first_yaml)]
    assert kinds == ["HostEmailSettings", "OrgEmailSettings", "Notification"]
    assert version.annotation[:2] == ["annotate", "secret"]
    assert version.annotation[-1].startswith("mailtier.dev/endpoint=")


def test_pages_have_the_commands_that_a_run_types() -> None:
    """Each block that is typed is under its heading, and another one is asked for in vain."""
    page = "docs/how-to/backup.md"
    assert "mailtier sender backup" in pages.block(page, "Back up")
    assert "mailtier sender restore" in pages.block(page, "Restore")
    assert yaml.safe_load(pages.block(page, "Restore", "yaml"))["kind"] == "Pod"
    moving = pages.block("docs/how-to/postgres.md", "Move a volume's queue", "yaml")
    assert yaml.safe_load(moving)["kind"] == "Job"
    policy = pages.block("docs/how-to/install.md", "Network policies", "yaml", containing="kind: NetworkPolicy")
    assert yaml.safe_load(policy)["kind"] == "NetworkPolicy"
    with pytest.raises(LookupError, match="no block"):
        pages.block(page, "Restore", containing="kubectl drain")


def test_image_of_programs_is_what_a_runtime_imports(tmp_path: pathlib.Path) -> None:
    """The archive has one layer with the programs and their further names, and says by what it is called."""
    program = tmp_path / "program"
    program.write_bytes(b"#!")
    archive.write(tmp_path / "a.tar", name="x/y:1", programs={"program": program}, links={"sh": "program"})
    with tarfile.open(tmp_path / "a.tar") as image:
        (manifest,) = json.load(image.extractfile("manifest.json") or pytest.fail("no manifest"))
        assert manifest["RepoTags"] == ["x/y:1"]
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][0])) as layer:
            assert layer.getmember("bin/program").mode == 0o755
            assert layer.getmember("bin/sh").linkname == "program"


def test_steps_of_both_halves_stand_in_one_table(tmp_path: pathlib.Path) -> None:
    """A timetable goes on where the one before it ended, and a step that fails is told."""
    path = tmp_path / "steps.json"
    with timetable.Timetable(path).step("build"):
        pass
    second = timetable.Timetable(path)
    with pytest.raises(ZeroDivisionError), second.step("deliver"):
        raise ZeroDivisionError
    lines = second.table().splitlines()
    assert [line.split()[0] for line in lines] == ["step", "build", "deliver", "all"]
    assert lines[2].endswith("failed")

"""`mailtier explain` tells where values come from, as a table, in detail, or for programs."""

import json
import pathlib

import pytest
import yaml

from kit import offline
from mailtier.cli import main


@pytest.fixture(name="file")
def some_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a file with a host and an organization that overrides its sender."""
    org = offline.org("acme", **{"from": {"address": "ceo@example.com", "displayName": "Acme"}})
    return offline.write(tmp_path / "a.yaml", offline.host(), org)


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main.run(["explain", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_table_tells_every_value(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Value, origin, who may change it, and what would be without the override."""
    status, out, _ = _run(capsys, "acme", "-f", file)
    assert status == 0
    assert out.startswith("acme/default: Blocked\n  FromNotAllowed: ")
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line and line[0] != " "}
    assert lines["from.address"] == "from.address ceo@example.com Org organization no-reply@example.com (Host)"
    assert lines["delivery.maxConnections"] == "delivery.maxConnections 3 Default platform team"


def test_one_field_is_told_in_full(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is written, by which rule it is blocked, and all that changes without it."""
    status, out, _ = _run(capsys, "acme/default", "from.address", "-f", file)
    assert status == 0
    assert f"set by the organization: spec.from.address, {file}:" in out
    assert "blocked: FromNotAllowed: spec.from.address: ceo@example.com may not be used" in out
    assert "Without spec.from.address: Blocked -> Active\n" in out
    assert "~ from.envelope: ceo@example.com (Default) -> no-reply@example.com (Default)" in out


def test_programs_get_the_same(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON and YAML hold values, origins, rules and consequences."""
    found = json.loads(_run(capsys, "acme/default", "from", "-f", file, "-o", "json")[1])
    assert found == yaml.safe_load(_run(capsys, "acme/default", "from", "-f", file, "-o", "yaml")[1])
    assert found["fields"]["from.address"]["origin"] == "Org"
    assert found["fields"]["from.address"]["place"].startswith(f"{file}:")
    without = found["withoutOverride"]["spec.from.address"]
    assert (without["state"], without["removed"]) == ("Active", ["spec.from.address"])


def test_host_is_explained_too(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`host` stands for the host's own settings."""
    status, out, _ = _run(capsys, "host", "smtp.host", "-f", file)
    assert status == 0
    assert "smtp.host: relay.example.com (Host)\n  changed by: platform team\n" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["acme", "from.postbox"], 2, "acme/default has no field 'from.postbox'; the fields are auth, auth.mechanism"),
        (["nobody"], 1, "there is no organization nobody/default in the input; there are acme/default"),
        (["a/b/c"], 2, "'a/b/c' is not NAMESPACE/NAME"),
        ([], 2, "Missing argument 'ORGANIZATION'"),
    ],
)
def test_mistake_is_one_line_that_helps(
    arguments: list[str], status: int, said: str, file: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown field lists the fields, an unknown organization those that there are."""
    found, out, err = _run(capsys, *arguments, "-f", file)
    assert (found, out) == (status, "")
    assert said in err.splitlines()[-1]


def test_host_that_is_missing_is_told(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to explain of a host that is not in the input."""
    file = offline.write(tmp_path / "a.yaml", offline.org("acme"))
    assert _run(capsys, "host", "-f", file) == (1, "", "mailtier: there is no HostEmailSettings default in the input\n")

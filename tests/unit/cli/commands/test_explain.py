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


def test_table_tells_every_value(
    file: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Value, origin, who may change it, and what would be without the override."""
    monkeypatch.setenv("COLUMNS", "200")
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
    assert "  blocked: FromNotAllowed: " in out
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
        (
            ["acme", "from.postbox"],
            2,
            "no field 'from.postbox'; the groups are smtp, auth, from, delivery, notifications, quota, suspend",
        ),
        (["acme", "from.addr"], 2, "acme/default has no field 'from.addr'; nearest are from.address"),
        (["acme", "policy.quota"], 2, "policy is the host's alone; `mailtier explain host policy.quota` shows it"),
        (["acme", "-o", "html"], 2, "Invalid value for '--output' / '-o': 'html' is not one of 'text', 'yaml', 'json'"),
        (["nobody"], 1, "there is no organization nobody/default in the input; there is acme/default"),
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


def test_quota_is_explained_whether_it_is_set_or_not(
    tmp_path: pathlib.Path, file: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the host's policy that says it, and where that says none the sender's own limit holds."""
    status, out, _ = _run(capsys, "acme", "quota", "-f", file)
    assert status == 0
    assert "quota.queuedMessages: 5000 (Default)\n  changed by: platform team\n" in out
    assert "says none; the sender's own limit holds, which its --quota-messages may set otherwise" in out
    set_ = offline.write(tmp_path / "q.yaml", offline.host(policy={"quota": {"queuedMessages": 5}}), offline.org("b"))
    out = _run(capsys, "b", "quota", "-f", set_)[1]
    assert "quota.queuedMessages: 5 (Host)\n  changed by: platform team\n  rule: it follows from spec.policy" in out
    assert "quota.ratePerMinute: (unlimited) (Default)" in out
    assert "says none; the rate is not limited" in out


def test_policy_is_explained_as_the_hosts_alone(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of the policy has its present value, and nobody but the platform team changes it."""
    policy = {
        "locked": ["suspend", "smtp"],
        "endpoints": {"allow": [{"host": "*.example.com", "ports": [25, 587]}, {"cidr": "10.0.0.0/8"}]},
        "recipients": {"domains": []},
    }
    file = offline.write(tmp_path / "a.yaml", offline.host(policy=policy))
    status, out, _ = _run(capsys, "host", "policy", "-f", file)
    assert status == 0
    assert "policy.locked: suspend smtp (Host)\n  changed by: platform team\n  rule: it is the host's alone" in out
    assert "policy.endpoints.allow: host *.example.com, ports 25 587; cidr 10.0.0.0/8 (Host)" in out
    assert "policy.recipients.domains: nobody (Host)" in out
    assert "policy.mode: Enforce (Default)" in out
    assert "policy.organizations.mode: Listed (Default)" in out
    assert "policy.endpoints.anonymous: false (Default)" in out
    assert "policy.from.allow: (none) (Default)" in out


def test_what_acts_in_place_of_an_absent_value_is_told(
    file: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`(none)` stands only where there is nothing; a default that acts is named, and without TLS none acts for it."""
    monkeypatch.setenv("COLUMNS", "200")
    out = _run(capsys, "host", "-f", file)[1]
    told = {line.split()[0]: line.split("  ")[1:] for line in out.splitlines() if "  " in line}
    acting = {path: next(filter(None, cells)).strip() for path, cells in told.items()}
    assert acting["smtp.tls.caRef"] == "(the system's CAs)"
    assert acting["smtp.tls.serverName"] == "(smtp.host)"
    assert acting["delivery.maxAge"] == "(by category)"
    assert acting["delivery.heloName"] == "(the sender's own)"
    assert acting["from.replyTo"] == "(none)"
    assert "PasswordRecovery 1h, JobAlert 24h" in _run(capsys, "acme", "delivery.maxAge", "-f", file)[1]
    plain = offline.host(
        smtp={"host": "relay.example.com", "tls": {"mode": "Disabled"}}, auth={"mechanism": "Anonymous"}
    )
    out = _run(capsys, "host", "smtp.tls", "-f", offline.write(file.with_name("plain.yaml"), plain))[1]
    assert "the system's CAs" not in out


def test_authority_is_named_as_in_the_spec(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody wrote the digest of a bundle, and of one that is not in the input there is none."""
    reference = {"kind": "ConfigMap", "name": "ca"}
    smtp = {"host": "smtp.acme.example", "tls": {"caRef": reference}}
    file = offline.write(tmp_path / "a.yaml", offline.host(), offline.org("acme", smtp=smtp))
    out = _run(capsys, "acme", "smtp.tls.caRef", "-f", file)[1]
    assert "smtp.tls.caRef: ConfigMap ca, key ca.crt (Org)\n" in out


def test_overrides_are_what_differs_from_the_host_alone(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of what the organization's own settings alter, and nothing that it inherits."""
    status, out, _ = _run(capsys, "acme", "-f", file, "--overrides")
    assert status == 0
    fields = [line.split()[0] for line in out.splitlines() if line and line[0] != " "][1:]
    assert fields == ["FIELD", "from.address", "from.displayName", "from.envelope"]


def test_overrides_are_those_that_render_shows(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both commands list the same fields with the same values of the host, what follows from an override among them."""
    monkeypatch.setenv("COLUMNS", "300")
    own = offline.org(
        "acme",
        smtp={"host": "smtp.acme.example"},
        auth={"username": "u", "passwordSecretRef": {"name": "s"}},
        **{"from": {"address": "a@acme.example"}},
    )
    anonymous = offline.org("birch", auth={"mechanism": "Anonymous"}, smtp={"host": "smtp.birch.example"})
    file = offline.write(tmp_path / "a.yaml", offline.host(), own, anonymous)
    main.run(["render", "-f", str(file), "--overrides", "-o", "json"])
    rendered = json.loads(capsys.readouterr().out)["organizations"]
    for name in ("acme/default", "birch/default"):
        lines = [line.split() for line in _run(capsys, name, "-f", file, "--overrides")[1].splitlines()]
        rows = {line[0]: " ".join(line[4:]) for line in lines[lines.index([]) + 2 :] if line}
        assert set(rows) == set(rendered[name]["values"])
        assert rows["smtp.host"].endswith("relay.example.com (Host)")
        assert rows["auth.username"].endswith("relay (Host)")
        assert "auth.passwordSecretRef.key" not in rows or name == "birch/default"
    assert "from.envelope" in rendered["acme/default"]["values"]


def test_the_host_overrides_nothing(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks what the host overrides is told that the option is for organizations."""
    status, out, err = _run(capsys, "host", "--overrides", "-f", file)
    assert (status, out) == (2, "")
    assert "goes with an organization" in err


def test_a_narrow_table_stays_one(
    file: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where 80 columns have no room for what few rows have, it stands below these."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = _run(capsys, "acme", "-f", file)[1].splitlines()
    assert [line.split() for line in lines if line.startswith("FIELD ")] == [
        ["FIELD", "VALUE", "FROM", "CHANGED", "BY"]
    ]
    assert lines.count("    WITHOUT THE OVERRIDE no-reply@example.com (Host)") == 1
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("field", "said"), [([], "nothing is overridden by b/default"), (["smtp"], "nothing of smtp is overridden by")]
)
def test_an_organization_that_overrides_nothing_is_told(
    field: list[str], said: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a word on stderr instead of a table without rows; programs get a document without fields."""
    file = offline.write(tmp_path / "b.yaml", offline.host(), offline.org("b"))
    status, out, err = _run(capsys, "b", *field, "-f", file, "--overrides")
    assert (status, out) == (0, "b/default: Active\n")
    assert said in err
    status, out, err = _run(capsys, "b", *field, "-f", file, "--overrides", "-o", "json", "-q")
    assert (status, json.loads(out)["fields"], err) == (0, {}, "")


def test_lines_fit_the_screen(
    file: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules, findings and consequences are wrapped where there is a width, and each stays a line in a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = _run(capsys, "acme", "from", "-f", file)[1]
    assert max(map(len, whole.splitlines())) > 80
    monkeypatch.setenv("COLUMNS", "60")
    wrapped = _run(capsys, "acme", "from", "-f", file)[1]
    place = str(file)
    assert all(len(line) <= 60 for line in wrapped.splitlines() if place not in line)
    assert "".join(wrapped.split()) == "".join(whole.split())

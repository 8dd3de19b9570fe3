"""`mailtier render` prints effective settings from files, and what a change alters."""

import json
import pathlib
import re
import subprocess
import sys

import hypothesis
import pytest
import yaml

from kit import offline, specs
from mailtier.api import canonical
from mailtier.cli import main
from mailtier.cli.offline import rendering
from mailtier.settings import codec, effective

_ACME = offline.org("acme", **{"from": {"displayName": "Acme"}})


@pytest.fixture(name="folder")
def some_folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a folder with a host and two organizations."""
    offline.write(tmp_path / "host.yaml", offline.host())
    offline.write(tmp_path / "teams" / "acme.yaml", _ACME, offline.org("sales"))
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main.run(["render", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_table_has_a_line_for_each(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """People see the host and every organization, and on stderr what was assumed."""
    monkeypatch.setenv("COLUMNS", "200")
    status, out, err = _run(capsys, "-f", folder)
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["ORGANIZATION", "STATE", "SOURCE"],
        ["host", "Active", "Host"],
        ["acme/default", "Active", "Mixed"],
        ["sales/default", "Active", "Host"],
    ]
    assert err.startswith("mailtier: assumed ")
    assert err.count("\n") == 1


def test_json_is_what_the_operator_publishes(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each value is a whole effective.json, hash and all, which the sender's decoder takes."""
    status, out, _ = _run(capsys, "-f", folder, "-o", "json")
    assert status == 0
    rendered = json.loads(out)
    assert list(rendered) == ["host", "acme/default", "sales/default"]
    decoded = codec.decode(canonical.encode(rendered["acme/default"]))
    judge = offline.judge(offline.host(), _ACME)
    key = effective.OrganizationKey(namespace="acme", name="default")
    # The host's Secret stands in another namespace than the test equipment has it.
    expected = codec.encode(judge.organization(key).effective).replace('"namespace":"mailtier"', "")
    assert codec.encode(decoded).replace('"namespace":"mailtier-system"', "")[80:] == expected[80:]


def test_yaml_shows_values_and_origins(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every organization is a document with the shape of a spec and the origin of each value."""
    _, out, _ = _run(capsys, "-f", folder, "-o", "yaml")
    documents = {document["organization"]: document for document in yaml.safe_load_all(out)}
    acme = documents["acme/default"]
    assert acme["effective"]["from"]["displayName"] == "Acme"
    assert acme["provenance"]["from.displayName"] == "Org"
    assert acme["provenance"]["from.address"] == "Host"


def test_blocked_settings_say_why(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is blocked is no failure of rendering; its findings stand below the table."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), offline.org("acme", smtp={"host": "smtp.acme.example"}))
    status, out, _ = _run(capsys, "-f", file)
    assert status == 0
    assert "acme/default: CredentialsRequired: spec.auth: is absent" in out


def test_what_the_api_refuses_is_told_and_fails(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An object that does not fit is told with file, line and field, and the rest is rendered."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), offline.org("a", smtp={"host": "x", "prot": 1}), _ACME)
    status, out, err = _run(capsys, "-f", file)
    assert status == 1
    assert "acme/default" in out
    assert f"mailtier: {file}:" in err
    assert "OrgEmailSettings a/default: spec.smtp.prot: is not a field" in err


def test_what_is_wrong_with_a_file_is_told_by_lines(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors stand in the order of the file, as `lint` has them, and not in that of the fields."""
    file = tmp_path / "a.yaml"
    text = offline.text({**offline.org("a"), "spec": {"suspend": "yes", "other": 1, "smtp": {"host": "x", "port": 0}}})
    file.write_text(text, encoding="utf-8")
    _, _, err = _run(capsys, "-f", file)
    lines = [int(found) for found in re.findall(rf"{re.escape(str(file))}:(\d+):", err)]
    assert len(lines) == 3
    assert lines == sorted(lines)


def test_nothing_to_read_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without -f there is nothing to render, and the error says what to name."""
    assert _run(capsys) == (
        2,
        "",
        "mailtier: there is nothing to read: name a file or folder, or - for standard input\n",
    )
    assert _run(capsys, "-f", "x", "--exit-code")[0] == 2


def test_what_is_missing_is_said(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An input without the host's tier is no riddle."""
    orgs = offline.write(tmp_path / "b.yaml", offline.org("a"))
    status, out, err = _run(capsys, "-f", orgs)
    assert (status, "There is no HostEmailSettings named default" in out) == (0, True)
    assert "there is no HostEmailSettings in the input" in err


@hypothesis.given(host=specs.host_documents(), org=specs.org_documents())
def test_rendering_is_read_again_in_full(host: offline.Json, org: offline.Json) -> None:
    """What either form prints holds all that is compared: servers, CAs, tokens, addresses, quotas and findings."""
    document = offline.host()
    document["spec"] = host
    judge = offline.judge(document, offline.org("acme", **org))
    rendered = {str(key): resolution.effective for key, resolution in judge.resolutions()}
    for form in (rendering.as_json, rendering.as_yaml):
        assert rendering.parse("".join(form(rendered))) == rendered


@pytest.mark.parametrize("text", ["", "no: rendering\n", "[1, 2]\n", "a: [\n", '{"a": 1}', "\x00"])
def test_past_that_is_nothing_is_refused(text: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is neither objects nor a rendering is no empty past, in which everything would be new."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), _ACME)
    old = tmp_path / "old"
    old.write_text(text, encoding="utf-8")
    assert _run(capsys, file, "--diff", old) == (
        2,
        "",
        f"mailtier: {old} holds neither Kubernetes objects nor what `render -o json` or `render -o yaml` printed\n",
    )


def test_past_without_objects_of_ours_is_said(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first settings of a repository are new, and so they seem where somebody names another folder."""
    file = offline.write(tmp_path / "a.yaml", offline.host())
    old = offline.write(tmp_path / "old" / "b.yaml", offline.namespace("a")).parent
    status, out, err = _run(capsys, file, "--diff", old)
    assert (status, out.splitlines()[-1]) == (0, "1 added, 0 unchanged")
    assert f"in {old}, so that everything is new" in err


@pytest.mark.parametrize("old", ["folder", "json", "yaml"])
def test_difference_is_shown_against_files_and_renderings(
    old: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pull request is compared with the branch that it is for, or with what was printed of it."""
    before = offline.write(tmp_path / "before" / "a.yaml", offline.host(), _ACME).parent
    after = offline.write(tmp_path / "after.yaml", offline.host(), offline.org("acme", suspend=True))
    if old != "folder":
        _, out, _ = _run(capsys, before, "-o", old)
        before = tmp_path / "before.txt"
        before.write_text(out, encoding="utf-8")
    status, out, _ = _run(capsys, "-f", after, "--diff", before)
    assert status == 0
    assert out == (
        "acme/default: Active -> Suspended\n"
        "  ~ from.displayName: Acme (Org) -> (none) (Default)\n"
        "  ~ suspend: false (Default) -> true (Org)\n"
        "1 changed, 1 unchanged\n"
    )
    assert _run(capsys, "-f", after, "--diff", before, "--exit-code")[0] == 1
    assert _run(capsys, "-f", before if old == "folder" else after, "--diff", after, "--exit-code")[0] == (
        1 if old == "folder" else 0
    )


def test_difference_is_there_for_programs(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON and YAML hold every change by organization and path."""
    before = offline.write(tmp_path / "before.yaml", offline.host(), offline.org("acme"))
    after = offline.write(tmp_path / "after.yaml", offline.host(), _ACME)
    found = json.loads(_run(capsys, "-f", after, "--diff", before, "-o", "json")[1])
    assert found == yaml.safe_load(_run(capsys, "-f", after, "--diff", before, "-o", "yaml")[1])
    assert found["summary"] == {"added": 0, "removed": 0, "changed": 1, "unchanged": 1}
    assert found["organizations"]["acme/default"]["values"]["from.displayName"] == {
        "before": {"value": "", "origin": "Default"},
        "after": {"value": "Acme", "origin": "Org"},
    }


@pytest.mark.parametrize(
    ("form", "edit", "said"),
    [
        ("json", ("Acme", "Acne"), "does not match its hash"),
        ("yaml", ("displayName: Acme", "displayName: Acne"), "does not match its effective.json"),
        ("yaml", ("effective.json:", "whole:"), "it has no effective.json"),
    ],
)
def test_edited_rendering_is_refused(
    form: str, edit: tuple[str, str], said: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A comparison with something that no release printed would be a lie."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), _ACME)
    old = tmp_path / "old"
    old.write_text(_run(capsys, "-f", file, "-o", form)[1].replace(*edit), encoding="utf-8")
    status, _, err = _run(capsys, "-f", file, "--diff", old)
    assert (status, said in err, err.count("\n")) == (2, True, 1)


def test_status_says_whether_everything_was_judged(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocked is content (0); a broken file is not, in what is rendered or in what it is compared with (1)."""
    well = offline.write(tmp_path / "a.yaml", offline.host(), offline.org("a", **{"from": {"address": "x@b.example"}}))
    ill = tmp_path / "b.yaml"
    ill.write_text(well.read_text(encoding="utf-8") + "---\nspec: [\n", encoding="utf-8")
    assert _run(capsys, well)[0] == 0
    assert _run(capsys, well, ill)[0] == 1
    assert _run(capsys, well, "--diff", ill)[0] == 1
    assert _run(capsys, tmp_path / "absent")[0] == 2


def test_offline_commands_import_nothing_of_a_cluster(folder: pathlib.Path) -> None:
    """No command on files pays for the Kubernetes libraries, nor do their help texts."""
    path = str(folder)
    commands = [[command, "--help"] for command in ("render", "lint", "explain")]
    commands += [["render", "-f", path], ["lint", path], ["explain", "acme", "-f", path]]
    code = (
        "import sys; from mailtier.cli import main\n"
        f"for command in {commands!r}:\n"
        "    assert main.run(command) in (0, 1), command\n"
        "heavy = {'kubernetes', 'aiohttp', 'kopf', 'aiosmtplib', 'rich'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_nothing_to_render_is_a_failure(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt path does not look like a cluster without organizations, unless somebody says that it may be one."""
    other = offline.write(tmp_path / "a.yaml", offline.namespace("acme"))
    status, _, err = _run(capsys, "-f", other)
    assert (status, "--allow-empty" in err) == (1, True)
    assert _run(capsys, "-f", other, "--allow-empty") == (0, "", "")


def test_overrides_are_what_differs_from_the_host_alone(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who overrides nothing is not listed, and a value that is the host's anyway changes nothing but its origin."""
    own = offline.org("acme", **{"from": {"displayName": "Acme"}})
    file = offline.write(tmp_path / "a.yaml", offline.host(), own, offline.org("plain"))
    status, out, _ = _run(capsys, "-f", file, "--overrides")
    assert status == 0
    assert out.splitlines()[0] == "acme/default: Active"
    assert "  ~ from.displayName: (none) (Default) -> Acme (Org)" in out
    assert "plain/default" not in out
    document = json.loads(_run(capsys, "-f", file, "--overrides", "-o", "json")[1])
    assert list(document["organizations"]) == ["acme/default"]
    assert _run(capsys, "-f", file, "--overrides", "--diff", file)[0] == 2


def test_an_override_that_says_what_the_host_says_is_no_difference(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port, a key or a name of its own that is the host's too is not listed, and who has only those is unchanged."""
    smtp, secret = {"host": "smtp.acme.example", "port": 587}, {"name": "s"}
    own = offline.org("acme", smtp=smtp, auth={"username": "u", "passwordSecretRef": secret})
    same = offline.org("birch", **{"from": {"address": "no-reply@example.com"}})
    file = offline.write(tmp_path / "a.yaml", offline.host(), own, same)
    out = _run(capsys, "-f", file, "--overrides")[1]
    assert "~ smtp.host: relay.example.com (Host) -> smtp.acme.example (Org)\n" in out
    for path in ("smtp.port", "auth.passwordSecretRef.key", "birch/default"):
        assert path not in out
    assert out.endswith(" 1 unchanged\n")


def test_a_server_that_a_secret_out_of_sight_has_to_list_is_told(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mail would be held where its annotation lags behind: the Secret is not in the input, so nobody sees it."""

    def settings(host: str) -> offline.Json:
        auth = {"username": "a", "passwordSecretRef": {"name": "s"}}
        return offline.org("acme", smtp={"host": host}, auth=auth, **{"from": {"address": "a@acme.example"}})

    old = offline.write(tmp_path / "old.yaml", offline.host(), settings("smtp.acme.example"))
    new = offline.write(tmp_path / "new.yaml", offline.host(), settings("mx.acme.example"))
    told = [line for line in _run(capsys, "-f", new, "--diff", old)[2].splitlines() if "annotation" in line]
    assert len(told) == 1
    for part in ("acme/default: the server becomes mx.acme.example:587", "Secret acme/s", "mailtier.dev/endpoint"):
        assert part in told[0]
    assert "annotation" not in _run(capsys, "-f", old, "--diff", old)[2]
    assert _run(capsys, "-f", new, "--diff", old, "-q")[2] == ""
    secret = offline.secret("acme", "s", endpoint="mx.acme.example", password="x")
    whole = offline.write(tmp_path / "whole.yaml", offline.host(), settings("mx.acme.example"), secret)
    assert "annotation" not in _run(capsys, "-f", whole, "--diff", old)[2]


def test_a_table_fits_the_screen(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe a row is one line, unless COLUMNS says how long a line is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = _run(capsys, "-f", folder)[1].splitlines()
    assert len({row.split()[0] for row in rows}) == len(rows)
    for columns, width in (("60", 60), ("200", 200)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = _run(capsys, "-f", folder)[1].splitlines()
        assert max(map(len, lines)) <= width
        words = " ".join(lines).split()
        assert {"relay.example.", "com:587"} <= set(words) or "relay.example.com:587" in " ".join(words)


def test_findings_and_differences_fit_the_screen(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands below the table, and what a change alters, is wrapped where there is a width, and not in a pipe."""
    org = offline.org("acme", **{"from": {"address": "ceo@example.com"}})
    file = offline.write(tmp_path / "a.yaml", offline.host(), org)
    for arguments in (["-f", file], ["-f", file, "--overrides"]):
        monkeypatch.delenv("COLUMNS", raising=False)
        assert max(map(len, _run(capsys, *arguments)[1].splitlines())) > 100
        monkeypatch.setenv("COLUMNS", "60")
        assert max(map(len, _run(capsys, *arguments)[1].splitlines())) <= 60


def test_overriding_nothing_is_told(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every organization inherits everything, a word on stderr says so."""
    file = offline.write(tmp_path / "a.yaml", offline.host(), offline.org("acme"))
    status, out, err = _run(capsys, "-f", file, "--overrides", "-q")
    assert (status, out, err) == (0, "1 unchanged\n", "mailtier: nothing is overridden\n")

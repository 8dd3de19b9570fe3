"""The program's frame: version, help, usage errors, and what a failure looks like."""

import importlib
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import mailtier
from kit import offline, repository
from mailtier.cli import failures, main


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main.run(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version alone, for scripts."""
    assert _run(capsys, "--version") == (0, f"{mailtier.__version__}\n", "")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command stands in the help with one sentence."""
    status, out, _ = _run(capsys, "--help")
    assert status == 0
    for name, sentence in main.COMMANDS.items():
        assert name in out
        assert " ".join(out.split()).count(sentence) == 1
        assert sentence.endswith(".")


def test_nothing_to_do_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help is printed, and the status is that of a wrong command line."""
    status, out, _ = _run(capsys)
    assert (status, "Commands:" in out) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["crd"], "mailtier: No such command 'crd'; did you mean crds; see"),
        (["frobnicate"], "mailtier: No such command 'frobnicate'; see"),
        (["operator", "--log-level", "loud"], "mailtier: Invalid value for '--log-level' (env var"),
        (["--verbose"], "mailtier: No such option: --verbose"),
        (["crds", "--verbose"], "mailtier: No such option: --verbose"),
        (["crds", "Secret"], "mailtier: Invalid value for KIND: there is no kind 'Secret'; the kinds are"),
        (["crds", "ntf", "oes"], "mailtier: Got unexpected extra argument"),
    ],
)
def test_usage_error_is_one_line_with_a_hint(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A wrong command line ends with status 2 and one line that says where help is."""
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(said)
    assert err.count("\n") == 1
    assert "; see mailtier" in err
    assert err.endswith(" --help\n")
    assert "Value error" not in err


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_its_module(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the list can be imported and explains itself."""
    assert importlib.import_module(f"mailtier.cli.commands.{name}").app
    status, out, _ = _run(capsys, name, "--help")
    assert status == 0
    assert f"mailtier {name}" in out


def test_failure_of_a_command_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    """What cannot be done ends with status 1 and says what is in the way."""
    taken = tmp_path / "taken"
    taken.write_text("", encoding="utf-8")
    status, out, err = _run(capsys, "crds", "--output-dir", str(taken))
    assert (status, out) == (failures.Status.FAILED, "")
    assert err == f"mailtier: cannot write into {taken}: File exists\n"


@pytest.mark.parametrize("arguments", [["-h"], ["lint", "-h"]])
def test_short_option_helps_too(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """-h is --help, for the program and for every command."""
    status, out, _ = _run(capsys, *arguments)
    assert (status, "-h, --help" in out) == (0, True)


@pytest.mark.parametrize("arguments", [["crds"], ["--help"], ["lint", "--help"], ["completion", "bash"], ["--version"]])
def test_full_disk_is_one_line(arguments: list[str]) -> None:
    """What cannot be written ends with status 1 and one line, and no traceback."""
    with pathlib.Path("/dev/full").open("w", encoding="utf-8") as full:
        result = subprocess.run(
            [sys.executable, "-m", "mailtier", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (result.returncode, result.stderr) == (
        1,
        "mailtier: cannot write to standard output: No space left on device\n",
    )


def test_reader_that_is_gone_is_no_failure() -> None:
    """`mailtier ... | head` is quiet and keeps its status, however much there is to print."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "mailtier", "crds"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


def test_help_imports_nothing_heavy() -> None:
    """The list of commands is there at once, because no command is imported for it."""
    code = (
        "import sys; from mailtier.cli import main; main.run(['--help']);"
        "heavy = {'pydantic', 'kopf', 'kubernetes', 'aiohttp', 'rich'} & sys.modules.keys();"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


_BLOCKED = (
    "import importlib.abc, sys\n"
    "class Absent(importlib.abc.MetaPathFinder):\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.partition('.')[0] in {absent!r}:\n"
    "            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
    "sys.meta_path.insert(0, Absent())\n"
    "from mailtier.cli import main\n"
    "sys.exit(main.run({arguments!r}))\n"
)
_MODULES = {"prometheus-client": "prometheus_client", "uvloop": "uvloop"}


def _run_without_extras(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program where what the extras bring is not installed."""
    extras = tomllib.loads(repository.read("pyproject.toml"))["project"]["optional-dependencies"]
    names = {re.split(r"[<>=!~\[; ]", each)[0] for brought in extras.values() for each in brought} - {"mailtier"}
    absent = sorted(_MODULES.get(name, name) for name in names)
    code = _BLOCKED.format(absent=absent, arguments=[*arguments])
    return subprocess.run([sys.executable, "-c", code], input=answer, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["lint", "render", "explain"])
def test_files_need_the_smallest_installation(command: str, tmp_path: pathlib.Path) -> None:
    """What looks at files works where no extra is installed, for a pipeline that asks no cluster."""
    files = tmp_path / "settings.yaml"
    files.write_text(offline.text(offline.host(), offline.org("acme", **{"from": {"displayName": "Acme"}})))
    arguments = ["acme/default"] if command == "explain" else []
    result = _run_without_extras(command, *arguments, "-f", str(files))
    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr
    assert "acme/default" in result.stdout or command == "lint"


def test_first_settings_need_the_smallest_installation() -> None:
    """`init` works where no extra is installed."""
    result = _run_without_extras("init", "--provider", "gmail", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert "kind: HostEmailSettings" in result.stdout


def test_objects_for_git_need_the_smallest_installation() -> None:
    """`bind --dry-run=client` asks no cluster, and works where no extra is installed."""
    arguments = ("-n", "acme", "--endpoint=smtp.acme.example", "--password-stdin", "--dry-run=client", "-o", "yaml")
    result = _run_without_extras("bind", "smtp", *arguments, answer="correct horse")
    assert (result.returncode, result.stderr) == (0, "")
    assert "mailtier.dev/endpoint: smtp.acme.example" in result.stdout


@pytest.mark.parametrize("command", main.EXTRAS)
def test_missing_extra_is_named(command: str) -> None:
    """A command that needs what is not installed says in one line how to get it."""
    run = {
        "bind": ("smtp", "-n", "acme", "--endpoint=smtp.acme.example"),
        "explain": ("acme/default",),
        "verify": ("acme/default",),
        "send": ("acme/default", "--to", "a@b.example"),
        "queue": ("list",),
    }
    result = _run_without_extras(command, *run.get(command, ()))
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith(f"mailtier: {command} needs more than is installed (")
    assert result.stderr.endswith(f"get it with pip install 'mailtier[{main.EXTRAS[command]}]'\n")


def test_help_of_the_operator_imports_nothing_heavy() -> None:
    """The operator explains itself without the framework that it runs on."""
    result = _run_without_extras("operator", "--help")
    assert (result.returncode, result.stderr) == (0, "")


def test_traceback_shows_no_local_variable() -> None:
    """A defect ends in Python's own traceback, which holds no values (R1)."""
    code = (
        "from mailtier.cli import apps, main\n"
        "import sys, types\n"
        "module = types.ModuleType('mailtier.cli.commands.broken')\n"
        "module.app = apps.new()\n"
        "@module.app.command()\n"
        "def command() -> None:\n"
        "    '''Break.'''\n"
        "    password = ''.join(['hun', 'ter2'])\n"
        "    raise RuntimeError('broken')\n"
        "sys.modules['mailtier.cli.commands.broken'] = module\n"
        "main.COMMANDS['broken'] = 'Break.'\n"
        "main.run(['broken'])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "RuntimeError: broken" in result.stderr
    assert "hunter2" not in result.stderr

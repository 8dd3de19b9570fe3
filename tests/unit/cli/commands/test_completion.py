"""`mailtier completion` prints scripts with which a shell completes commands, options and their values."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from mailtier.cli import main

_COMPLETE = """
source "$1"
COMP_LINE="$2"
read -r -a COMP_WORDS <<< "$2"
[[ "$2" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
function=$(complete -p mailtier | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function" mailtier "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""What bash does when somebody presses the tabulator key."""


def _script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.run(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("mailtier re", ["render"]),
        ("mailtier ex", ["explain"]),
        ("mailtier lint --out", ["--output"]),
        ("mailtier lint -o ", ["text", "json", "sarif", "github", "junit"]),
        ("mailtier render -o y", ["yaml"]),
        ("mailtier init --provider post", ["postmark", "postfix-dovecot"]),
        ("mailtier completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(
    line: str, found: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script, sourced by bash, asks the program and offers what fits."""
    script = tmp_path / "mailtier.bash"
    script.write_text(_script("bash", capsys), encoding="utf-8")
    bash = shutil.which("bash")
    assert bash is not None
    program = pathlib.Path(sys.executable).parent
    done = subprocess.run(
        [bash, "--norc", "--noprofile", "-c", _COMPLETE, "bash", str(script), line],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{program}:/usr/bin:/bin"},
    )
    assert done.stdout.split() == found, done.stderr


def test_every_command_is_offered(tmp_path: pathlib.Path) -> None:
    """The list of commands is complete, and none of them is imported for it."""
    code = (
        "import os, sys\n"
        "os.environ |= {'_MAILTIER_COMPLETE': 'complete_bash', 'COMP_WORDS': 'mailtier ', 'COMP_CWORD': '1'}\n"
        "from mailtier.cli import main\n"
        "try:\n"
        "    main.run([])\n"
        "finally:\n"
        "    assert not {'pydantic', 'kubernetes', 'aiohttp'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.split() == list(main.COMMANDS), done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_their_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each script asks the program in its own dialect."""
    assert f"_MAILTIER_COMPLETE=complete_{shell}" in _script(shell, capsys)


def test_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the shells that there are."""
    assert main.run(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err

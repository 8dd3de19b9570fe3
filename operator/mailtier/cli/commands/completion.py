"""`mailtier completion`: the script that completes commands, options and their values in a shell."""

import enum
from typing import Annotated

import typer
from typer import completion as scripts

from mailtier.cli import apps, printing

app = apps.new()

_EXAMPLES = """\b
Examples:
  mailtier completion bash > /etc/bash_completion.d/mailtier
  mailtier completion zsh > "${fpath[1]}/_mailtier"
  mailtier completion fish > ~/.config/fish/completions/mailtier.fish
  source <(mailtier completion bash)
"""


class Shell(enum.StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command(epilog=_EXAMPLES)
def command(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> None:
    """Print the script that completes mailtier's commands, options and their values in a shell."""
    script = scripts.get_completion_script(  # type: ignore[attr-defined]  # Typer re-exports it without saying so.
        prog_name=apps.PROGRAM, complete_var=apps.COMPLETION_VARIABLE, shell=shell.value
    )
    printing.write([f"{script}\n"])

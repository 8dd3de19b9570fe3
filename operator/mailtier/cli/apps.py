"""What the Typer application of every command has in common."""

import pathlib
from typing import Final

import typer

PROGRAM: Final = "mailtier"
COMPLETION_VARIABLE: Final = "_MAILTIER_COMPLETE"
"""What a shell sets to have completions printed instead of a command run."""

PLUGIN: Final = "kubectl-mailtier"
"""The program's name where kubectl is to find it."""

CONTEXT: Final = {"help_option_names": ["-h", "--help"]}
"""What every command's context is made with."""


def called(program: str) -> str:
    """Return what a person types to run the program.

    Args:
        program: The file that was started.
    """
    return "kubectl mailtier" if pathlib.PurePath(program).name == PLUGIN else PROGRAM


def new() -> typer.Typer:
    """Return an application for one command, or for a group of them.

    Rich tracebacks can print local variables, and a local variable may be a password (R1); Python's own do not.
    """
    return typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, context_settings={**CONTEXT}
    )

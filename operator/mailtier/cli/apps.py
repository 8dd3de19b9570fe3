"""What the Typer application of every command has in common."""

from typing import Final

import typer

PROGRAM: Final = "mailtier"
COMPLETION_VARIABLE: Final = "_MAILTIER_COMPLETE"
"""What a shell sets to have completions printed instead of a command run."""


CONTEXT: Final = {"help_option_names": ["-h", "--help"]}
"""What every command's context is made with."""


def new() -> typer.Typer:
    """Return an application for one command, or for a group of them.

    Rich tracebacks can print local variables, and a local variable may be a password (R1); Python's own do not.
    """
    return typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, context_settings={**CONTEXT}
    )

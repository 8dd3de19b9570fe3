"""What the Typer application of every command has in common."""

import typer


def new() -> typer.Typer:
    """Return an application for one command, or for a group of them.

    Rich tracebacks can print local variables, and a local variable may be a password (R1); Python's own do not.
    """
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

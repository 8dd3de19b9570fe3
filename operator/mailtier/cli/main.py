"""The program: its commands, and how an error becomes one line and an exit status.

Each command is a module of its own, `mailtier.cli.commands.<command>`, with a Typer application called `app`. It is
imported when the command is run and not before, so that `mailtier --help` is quick whatever the commands import.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer import completion, core

import mailtier
from mailtier.cli import apps, failures, printing

COMMANDS: Final = {
    "operator": "Watch the settings, publish the effective ones, and write status.",
    "sender": "Take notifications in, queue them, and deliver them.",
    "crds": "Print the CustomResourceDefinitions.",
    "init": "Write the first settings for a mail provider, and say what to do there.",
    "bind": "Put a password into a Secret, for the servers that it may be sent to.",
    "render": "Print the effective settings of every organization, from files.",
    "lint": "Find what is wrong with settings, in files.",
    "explain": "Show where each effective value comes from, and what would change it.",
    "status": "Show what is broken in a cluster, worst first, with what to do.",
    "top": "Show what is queued and delivered, and how fast, live.",
    "check": "Look at a cluster from end to end, and say what to do about what is wrong.",
    "verify": "Have the sender probe an SMTP server now, and follow its stages.",
    "send": "Send a test notification, and follow it to its end.",
    "queue": "List what is queued and what failed, send it again, drop and release it.",
    "completion": "Print the script that completes commands in a shell.",
}
"""Each command's name and one sentence for the list of commands."""

EXTRAS: Final = {
    "operator": "operator",
    "sender": "sender",
    "bind": "cluster",
    "explain": "cluster",
    "status": "cluster",
    "top": "cluster",
    "check": "cluster",
    "verify": "cluster",
    "send": "cluster",
    "queue": "cluster",
}
"""What to install with Mailtier for commands that need more than its smallest form, which works on files alone."""


_PREFIX: Final = "Value error, "
"""What Typer's validation puts before the sentence that says what is wrong."""


class _Commands(core.TyperGroup):
    """The group of all commands, which imports the one that is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"mailtier.cli.commands.{cmd_name}")
        except ModuleNotFoundError as error:
            raise _incomplete(error, cmd_name) from error
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command; it imports what --help has no need of only now."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise _incomplete(error, ctx.invoked_subcommand) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named, or say which one may have been meant."""
        name = args[0]
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        if near and name not in COMMANDS:
            ctx.fail(f"No such command {name!r}; did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the commands that begin so, without importing any of them."""
        found = [
            core.CompletionItem(name, help=sentence)  # type: ignore[attr-defined]  # Typer re-exports it without saying so.
            for name, sentence in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *super(core.TyperGroup, self).shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


# Rich tracebacks print local variables when asked to, and a local variable may be a password (R1).
app = typer.Typer(
    cls=_Commands,
    help=mailtier.__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    invoke_without_command=True,
    context_settings={**apps.CONTEXT},
)


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),  # noqa: FBT003 - The default's place in Typer.
) -> None:
    if version:
        print(mailtier.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(failures.Status.USAGE)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        arguments: What follows `mailtier`; the process's own by default.
    """
    command = typer.main.get_command(app)
    if apps.COMPLETION_VARIABLE in os.environ:
        completion.completion_init()  # type: ignore[attr-defined]  # Typer re-exports it without saying so.
    try:
        status = command(arguments, prog_name=apps.called(sys.argv[0]), standalone_mode=False)
        printing.flush()
    except typer.TyperException as error:
        message = error.format_message().replace(_PREFIX, "").rstrip(".?")
        return _say(f"{message}; see {_path(error)} --help", error.exit_code)
    except failures.CommandError as error:
        return _say(str(error), error.status)
    except OSError as error:
        # Help is printed where no command can catch what becomes of it.
        if not printing.is_ours(error):
            raise
        return _say(f"cannot write to standard output: {error.strerror}", failures.Status.FAILED)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", failures.Status.INTERRUPTED)
    return int(status or failures.Status.OK)


def _incomplete(error: ModuleNotFoundError, command: str | None) -> Exception:
    """Return what is said where a command needs what was not installed; the error itself where it is a defect."""
    if command not in EXTRAS or not error.name or error.name.partition(".")[0] == apps.PROGRAM:
        return error
    return failures.CommandError(
        f"{command} needs more than is installed ({error.name} is missing); get it with"
        f" pip install 'mailtier[{EXTRAS[command]}]'"
    )


def _path(error: typer.TyperException) -> str:
    """Return the command whose help helps."""
    context = getattr(error, "ctx", None)
    return apps.called(sys.argv[0]) if context is None else str(context.command_path)


def _say(message: str, status: int) -> int:
    print(f"mailtier: {' '.join(message.split())}", file=sys.stderr)
    return int(status)

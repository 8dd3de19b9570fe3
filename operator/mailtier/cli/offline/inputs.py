"""The options that the offline commands share, and what they say of their input on stderr."""

import enum
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mailtier.api import names
from mailtier.cli import failures
from mailtier.cli.offline import file_reads, judging, sources, world
from mailtier.cli.online import terminal
from mailtier.settings.lints import terms

Files = Annotated[
    list[str] | None,
    typer.Option(
        "--filename",
        "-f",
        metavar="PATH",
        help="A file, a folder with all that is below it, or - for standard input; may be repeated.",
    ),
]
Paths = Annotated[
    list[str] | None, typer.Argument(metavar="PATH", help="The same as -f, for pre-commit.", show_default=False)
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict-references",
        help="Take Secrets, CA bundles and labels of Namespaces that are not in the input for missing. By default they"
        " are assumed to be there and right.",
    ),
]


class SettingsFormat(enum.StrEnum):
    """How settings are printed."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


def load(paths: Sequence[str]) -> world.World:
    """Return the world of some files.

    Raises:
        CommandError: There are none, or one cannot be read.
    """
    if not paths:
        raise failures.CommandError(
            "there is nothing to read: name a file or folder, or - for standard input",
            status=failures.Status.USAGE,
        )
    return world.build(sources.read(paths))


def judge(objects: world.World, *, namespace: str, strict: bool) -> judging.Judge:
    """Return the judge of a world."""
    return judging.Judge(objects, operator_namespace=namespace, strict=strict)


def say(text: str) -> None:
    """Say something of the input, on stderr and in one line."""
    print(f"mailtier: {terminal.plain(text)}", file=sys.stderr)


def say_noted(judge: judging.Judge) -> bool:
    """Say what is wrong with files and objects, and return whether any of it is an error."""
    noted = judge.noted
    for issue in noted:
        say(f"{issue.place}: {issue.text}")
    say_skipped(judge.world)
    return any(issue.severity == terms.LintSeverity.ERROR for issue in noted)


def say_skipped(objects: world.World) -> None:
    """Say how many files were left out because they are templates, or not Mailtier's and no YAML."""
    parts = []
    if objects.skipped:
        do = "does" if objects.skipped == 1 else "do"
        parts.append(f"{_files(objects.skipped)} that cannot be read and {do} not mention {names.GROUP}")
    if objects.templates:
        parts.append(f"{_files(objects.templates)} to be rendered first (helm template ... | mailtier ... -f -)")
    if parts:
        say(f"left out {' and '.join(parts)}")


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def say_assumed(assumed: file_reads.Assumed) -> None:
    """Say what was taken for granted; once, and nothing where nothing was."""
    if text := str(assumed):
        say(f"assumed {text}; add them to the input, or judge what is there with --strict-references")


def say_if_empty(objects: world.World) -> None:
    """Say that there was nothing to look at."""
    if not objects.ours:
        say(f"there are no objects of {names.GROUP} in the input")


def say_if_no_host(objects: world.World) -> None:
    """Say that one tier is missing."""
    if objects.ours and objects.host is None:
        say(
            "there is no HostEmailSettings in the input, so that what organizations inherit is missing; add it, as in"
            " `kubectl get hes default -o yaml | mailtier ... -f - -f PATH`"
        )

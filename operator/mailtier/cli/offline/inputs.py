"""The options that the offline commands share, and what they say of their input on stderr."""

import datetime as dt
import enum
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mailtier.api import names, prose
from mailtier.cli import failures, terminal
from mailtier.cli.offline import judging
from mailtier.cli.offline.files import file_reads, issues, sources, world
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
        help="Take Secrets, CA bundles and labels of Namespaces that are not in the input for missing, and a Secret"
        " without any value for empty. By default they are assumed to be there and right.",
    ),
]


AllowEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="Succeed without any object of Mailtier in the input. By default that is a failure: a"
        " misspelt path must not look like good settings.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say nothing on stderr of what was assumed, left out or missing; errors are told."
    ),
]
Overrides = Annotated[
    bool,
    typer.Option("--overrides", help="Show only what differs from what the host's settings alone would come to."),
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
    now = dt.datetime.now(dt.UTC)  # noqa: TID251  # Here the program is wired up.
    return judging.Judge(objects, operator_namespace=namespace, now=now, strict=strict)


def say(text: str) -> None:
    """Say something of the input, on stderr and in one line."""
    print(f"mailtier: {terminal.plain(text)}", file=sys.stderr)


def say_noted(judge: judging.Judge) -> bool:
    """Say what is wrong with files and objects, and return whether any of it is an error."""
    noted = issues.in_order(judge.noted)
    for issue in noted:
        say(f"{issue.place}: {issue.text}")
    return any(issue.severity == terms.LintSeverity.ERROR for issue in noted)


def say_all(judge: judging.Judge, *, quiet: bool) -> None:
    """Say what somebody has to know of the input who reads what was made of it; nothing that is an error."""
    if quiet:
        return
    _say_skipped(judge.world)
    _say_unbuilt(judge.world)
    _say_if_no_host(judge.world)
    _say_assumed(judge.assumed)


def is_empty(objects: world.World, *, allowed: bool, is_explained: bool) -> bool:
    """Return whether there is nothing to look at where there has to be something, and say so.

    Args:
        objects: What there is.
        allowed: Whether that is as it should be.
        is_explained: Whether something that could not be read was told: what it holds, nobody knows.
    """
    if objects.ours or allowed:
        return False
    if is_explained:
        return True
    say(
        f"there are no objects of {names.GROUP} in the input; look whether the path is right, or say --allow-empty"
        " where that is as it should be"
    )
    return True


def _say_unbuilt(objects: world.World) -> None:
    """Say where kustomize would have made something else of the files."""
    if not objects.unbuilt:
        return
    first, count = objects.unbuilt[0], len(objects.unbuilt)
    more = f" and {prose.counted(count - 1, 'other folder')}" if count > 1 else ""
    have = "have" if more else "has"
    say(
        f"{first}{more} {have} a kustomization that was not built: patches and generators are not seen; pipe in what"
        f" is applied, as in `kustomize build {shlex.quote(first)} | mailtier ... -f -`"
    )


def _say_skipped(objects: world.World) -> None:
    """Say how many files were left out because they are templates, or not Mailtier's and no YAML."""
    parts = []
    if objects.skipped:
        do = "does" if objects.skipped == 1 else "do"
        parts.append(f"{prose.counted(objects.skipped, 'file')} that cannot be read and {do} not mention {names.GROUP}")
    if objects.templates:
        parts.append(
            f"{prose.counted(objects.templates, 'file')} to be rendered first (helm template ... | mailtier ... -f -)"
        )
    if parts:
        say(f"left out {' and '.join(parts)}")


def _say_assumed(assumed: file_reads.Assumed) -> None:
    """Say what was taken for granted; once, and nothing where nothing was."""
    if text := str(assumed):
        say(f"assumed {text}; add them to the input, or judge what is there with --strict-references")


def _say_if_no_host(objects: world.World) -> None:
    """Say that one tier is missing."""
    if objects.ours and objects.host is None:
        say(
            "there is no HostEmailSettings in the input, so that what organizations inherit is missing; add it, as in"
            " `kubectl get hes default -o yaml | mailtier ... -f - -f PATH`"
        )

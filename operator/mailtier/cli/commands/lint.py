"""`mailtier lint`: what is wrong with settings in files, for people, pre-commit and pipelines."""

import datetime as dt
import enum
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.offline import inputs, linting
from mailtier.cli.offline.files import issues, world
from mailtier.cli.offline.reports import content as reports
from mailtier.cli.offline.reports import github, junit, machine, sarif, text
from mailtier.settings.lints import terms

app = apps.new()

_EXAMPLES = """\b
Examples:
  mailtier lint -f clusters/production
  helm template mail charts/mail | mailtier lint -f -
  mailtier lint -f . -o sarif > mailtier.sarif
  mailtier lint -f . --severity error --ignore DuplicateObject

\b
Exit status: 0 without findings, 1 with findings of --severity or worse (a file with a fault is one) or without an
object of Mailtier, 2 for a wrong command line or a path that cannot be opened.
"""


class ReportFormat(enum.StrEnum):
    """How issues are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    JUNIT = "junit"


class Threshold(enum.StrEnum):
    """The least that counts."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@app.command(epilog=_EXAMPLES)
def command(
    *,
    paths: inputs.Paths = None,
    filename: inputs.Files = None,
    output: Annotated[
        ReportFormat,
        typer.Option(
            "--output",
            "-o",
            help="text for people; json; sarif for code scanning; github for annotations of a pull request; junit for"
            " other pipelines.",
            case_sensitive=False,
        ),
    ] = ReportFormat.TEXT,
    severity: Annotated[
        Threshold, typer.Option(help="The least severe finding that is told and that fails.", case_sensitive=False)
    ] = Threshold.WARNING,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Leave out the findings of a rule, by its name; may be repeated."),
    ] = None,
    allow_empty: inputs.AllowEmpty = False,
    quiet: inputs.Quiet = False,
    strict_references: inputs.Strict = False,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
) -> int:
    """Find what is wrong with settings in files, without a cluster.

    It finds what the API server would refuse, what the host's policy would block, references that do not fit, and
    what a mail administrator would say of settings that work. Objects of other kinds are left alone.
    """
    rules = linting.rules()
    ignored = _known(ignore or [], rules)
    objects = inputs.load([*(filename or []), *(paths or [])])
    judge = inputs.judge(objects, namespace=operator_namespace, strict=strict_references)
    found = linting.find(judge, now=dt.datetime.now(dt.UTC))  # noqa: TID251  # Here the program is wired up.
    least = terms.LintSeverity(severity.value.capitalize())
    told = [issue for issue in found if issue.severity.rank <= least.rank and issue.rule.identifier not in ignored]
    report = reports.Report(
        told=told, objects=_checked(objects), read=objects.objects, files=objects.files, rules=rules
    )
    if told or not quiet or output is not ReportFormat.TEXT:
        printing.write(_lines(report, output))
    inputs.say_all(judge, quiet=quiet)
    unread = any(issue.rule is issues.NOT_READABLE for issue in told) or (objects.templates > 0 and not quiet)
    is_empty = inputs.is_empty(objects, allowed=allow_empty, is_explained=unread)
    return failures.Status.FAILED if told or is_empty else failures.Status.OK


def _known(ignore: list[str], rules: tuple[issues.IssueRule, ...]) -> set[str]:
    unknown = set(ignore) - {rule.identifier for rule in rules}
    if unknown:
        raise typer.BadParameter(
            f"there is no rule {', '.join(sorted(unknown))}; a finding names its rule in brackets",
            param_hint="--ignore",
        )
    return set(ignore)


def _checked(objects: world.World) -> list[reports.CheckedObject]:
    checked = []
    for document in objects.ours:
        place = document.place()
        checked.append(reports.CheckedObject(file=place.file, line=place.line, subject=world.subject_of(document)))
    return checked


def _lines(report: reports.Report, output: ReportFormat) -> Iterator[str]:
    match output:
        case ReportFormat.TEXT:
            return text.lines(report, terminal.painter(sys.stdout))
        case ReportFormat.JSON:
            return machine.lines(report)
        case ReportFormat.SARIF:
            return sarif.lines(report)
        case ReportFormat.GITHUB:
            return github.lines(report)
        case ReportFormat.JUNIT:
            return junit.lines(report)

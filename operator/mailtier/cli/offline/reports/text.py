"""Issues for people: a line each, as compilers print them."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import prose
from mailtier.cli import terminal
from mailtier.cli.offline.reports import content as reports
from mailtier.settings.lints import terms

_COLOURS: Final = {
    terms.LintSeverity.ERROR: terminal.Colour.BAD,
    terms.LintSeverity.WARNING: terminal.Colour.WAITING,
    terms.LintSeverity.INFO: terminal.Colour.DIM,
}


def lines(report: reports.Report, painter: terminal.Painter) -> Iterator[str]:
    """Yield the lines of a report; the last sums it up."""
    for issue in report.told:
        severity = painter.paint(issue.severity.value.lower(), _COLOURS[issue.severity])
        rule = painter.paint(f"[{issue.rule.identifier}]", terminal.Colour.DIM)
        yield f"{terminal.plain(str(issue.place))}: {severity}: {terminal.plain(issue.text)} {rule}\n"
    pages = dict.fromkeys(issue.rule.page for issue in report.told)
    if pages:
        yield "\n" + "".join(f"{painter.paint(page, terminal.Colour.DIM)}\n" for page in pages)
    counts = [prose.counted(number, severity.value.lower()) for severity, number in report.counts().items() if number]
    yield (
        f"{', '.join(counts) or 'no findings'} in {prose.counted(report.read, 'object')} of"
        f" {prose.counted(report.files, 'file')}\n"
    )

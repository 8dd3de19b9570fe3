"""Issues as workflow commands, which GitHub shows beside the lines of a pull request.

Source:
    docs.github.com, "Workflow commands for GitHub Actions"; the escapes are those of actions/toolkit's command.ts.
"""

from collections.abc import Iterator
from typing import Final

from mailtier.cli import terminal
from mailtier.cli.offline.reports import content as reports
from mailtier.settings.lints import terms

_COMMANDS: Final = {
    terms.LintSeverity.ERROR: "error",
    terms.LintSeverity.WARNING: "warning",
    terms.LintSeverity.INFO: "notice",
}


def lines(report: reports.Report) -> Iterator[str]:
    """Yield a command an issue."""
    for issue in report.told:
        place = issue.place
        properties = {
            "file": place.file,
            "line": str(place.line),
            "col": str(place.column),
            "title": issue.rule.identifier,
        }
        listed = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
        yield f"::{_COMMANDS[issue.severity]} {listed}::{_escape(f'{issue.text} ({issue.rule.page})')}\n"


def _escape(text: str) -> str:
    # What a file holds must not become a command of its own.
    return terminal.plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")

"""Issues as JSON of our own."""

import json
from collections.abc import Iterator

from mailtier.cli.offline.reports import content as reports


def lines(report: reports.Report) -> Iterator[str]:
    """Yield one JSON object: the issues, and how many there are of each severity."""
    document = {
        "issues": [
            {
                "rule": issue.rule.identifier,
                "severity": issue.severity.value,
                "file": issue.place.file,
                "line": issue.place.line,
                "column": issue.place.column,
                "object": issue.subject,
                "field": issue.field,
                "message": issue.message,
                "page": issue.rule.page,
            }
            for issue in report.told
        ],
        "summary": {
            "objects": report.read,
            "files": report.files,
            **{severity.value: number for severity, number in report.counts().items()},
        },
    }
    yield json.dumps(document, indent=2)
    yield "\n"

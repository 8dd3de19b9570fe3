"""Issues as SARIF 2.1.0, which GitHub's code scanning, GitLab and editors read.

Source:
    OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; docs.github.com, "SARIF support for code
    scanning".
"""

import hashlib
import json
import pathlib
import urllib.parse
from collections.abc import Iterator
from typing import Any, Final

import mailtier
from mailtier.api import names
from mailtier.cli.offline.files import issues
from mailtier.cli.offline.reports import content as reports
from mailtier.settings.lints import terms

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {
    terms.LintSeverity.ERROR: "error",
    terms.LintSeverity.WARNING: "warning",
    terms.LintSeverity.INFO: "note",
}


def lines(report: reports.Report) -> Iterator[str]:
    """Yield one SARIF log with one run."""
    index = {rule.identifier: number for number, rule in enumerate(report.rules)}
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "mailtier",
                        "version": mailtier.__version__,
                        "informationUri": f"https://{names.GROUP}/docs/reference/cli#lint",
                        "rules": [_rule(rule) for rule in report.rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(issue, index) for issue in report.told],
            }
        ],
    }
    yield json.dumps(log, indent=2)
    yield "\n"


def _rule(rule: issues.IssueRule) -> dict[str, Any]:
    help_text = f"{rule.title} {rule.remedy}".strip()
    return {
        "id": rule.identifier,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": help_text},
        "help": {"text": help_text},
        "helpUri": rule.page,
    }


def _result(issue: issues.Issue, index: dict[str, int]) -> dict[str, Any]:
    place = issue.place
    return {
        "ruleId": issue.rule.identifier,
        "ruleIndex": index[issue.rule.identifier],
        "level": _LEVELS[issue.severity],
        "message": {"text": issue.text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(place.file)},
                    "region": {"startLine": place.line, "startColumn": place.column},
                },
                "logicalLocations": [{"fullyQualifiedName": f"{issue.subject}: {issue.field}", "kind": "member"}],
            }
        ],
        # Without the line, so that an issue stays the same one when something is added above it.
        "partialFingerprints": {"mailtier/v1": _fingerprint(issue)},
    }


def _uri(file: str) -> str:
    """Return a path as a URI, relative where it is, so that it is found in the repository."""
    path = pathlib.PurePath(file)
    quoted = urllib.parse.quote(path.as_posix(), errors="replace")
    return f"file://{quoted}" if path.is_absolute() else quoted


def _fingerprint(issue: issues.Issue) -> str:
    parts = (issue.rule.identifier, issue.place.file, issue.subject, issue.field, issue.message)
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()

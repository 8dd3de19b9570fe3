"""What a report is made of."""

import collections
import dataclasses
from collections.abc import Sequence

from mailtier.cli.offline.files import issues
from mailtier.settings.lints import terms


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckedObject:
    """One object that was looked at.

    Attributes:
        subject: As issues name it.
        line: Where it stands, counted from 1.
    """

    file: str
    line: int
    subject: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The issues that are told, and what they were looked for in.

    Attributes:
        told: In the order of their places.
        objects: Every object of our kinds.
        read: How many objects were read, of whatever kind.
        files: How many files were read.
        rules: Every rule that there is.
    """

    told: Sequence[issues.Issue]
    objects: Sequence[CheckedObject]
    read: int
    files: int
    rules: Sequence[issues.IssueRule]

    def counts(self) -> dict[terms.LintSeverity, int]:
        """Return how many issues there are of each severity, worst first."""
        found = collections.Counter(issue.severity for issue in self.told)
        return {severity: found[severity] for severity in terms.LintSeverity}

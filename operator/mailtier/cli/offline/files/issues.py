"""What is wrong with objects in files: one shape for whatever found it, with the rule behind it and its page."""

import dataclasses
from collections.abc import Iterable
from typing import Final

from mailtier.api import names, reasons
from mailtier.cli.offline.files import loading
from mailtier.settings.lints import terms

_PAGES: Final = f"https://{names.GROUP}/docs/reference"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IssueRule:
    """What an issue is an instance of.

    Attributes:
        identifier: Stable; a reason's and a file's are CamelCase, a lint's kebab-case.
        title: One sentence.
        remedy: What to do; "" where each message says it.
        page: Where it is explained.
    """

    identifier: str
    title: str
    remedy: str
    page: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing that is wrong, at one place.

    Attributes:
        subject: The object, as in `OrgEmailSettings acme/default`; "" for a file as a whole.
        field: Path of the field below the object; "" for the object as a whole.
        message: What is so and what to do, without a final full stop; holds no secret value.
    """

    rule: IssueRule
    severity: terms.LintSeverity
    place: loading.Place
    subject: str
    field: str
    message: str

    @property
    def text(self) -> str:
        """The sentence with object and field before it."""
        return ": ".join(part for part in (self.subject, self.field, self.message) if part)


def in_order(found: Iterable[Issue]) -> list[Issue]:
    """Return issues in the order of their places; of those at one, the most severe first."""
    return sorted(found, key=lambda issue: (issue.place, issue.severity.rank, issue.rule.identifier))


def _file_rule(identifier: str, title: str, remedy: str) -> IssueRule:
    return IssueRule(identifier=identifier, title=title, remedy=remedy, page=f"{_PAGES}/cli#{identifier.lower()}")


NOT_READABLE: Final = _file_rule(
    "NotReadable",
    "The file is not YAML or JSON, or begins with { and is no JSON. That kubectl before 1.33 refuses; later ones read"
    " it as YAML, and so does Mailtier, with this error.",
    "Correct the syntax; render a template first (`helm template`, `kustomize build`) and pipe the result in. It is an"
    " info for what looks like a template; templates, and JSON files, that do not mention mailtier.dev are left out.",
)
NOT_UTF8: Final = _file_rule(
    "NotUtf8",
    "Bytes of the file are not text in its encoding; kubectl puts U+FFFD in their place, and so does Mailtier.",
    "Save the file as UTF-8.",
)
DUPLICATE_OBJECT: Final = _file_rule(
    "DuplicateObject",
    "Two objects have the same kind, namespace and name, and the one that is applied last wins. It is told of"
    " Mailtier's own objects, and of the Secrets, ConfigMaps and Namespaces that settings need; each one is judged.",
    "Remove one of them, or lint each environment by itself.",
)
UNKNOWN_VERSION: Final = _file_rule(
    "UnknownVersion",
    "The apiVersion is not the one that this release knows.",
    f"Write apiVersion: {names.API_VERSION}.",
)
UNKNOWN_KIND: Final = _file_rule(
    "UnknownKind",
    f"There is no such kind in {names.GROUP}.",
    "Correct the kind; `mailtier crds` prints those that there are.",
)
FILE_RULES: Final = (NOT_READABLE, NOT_UTF8, DUPLICATE_OBJECT, UNKNOWN_VERSION, UNKNOWN_KIND)
"""What is found in files before anything is resolved; the reference of the command line describes them."""


def of_lint(lint: terms.Lint) -> IssueRule:
    """Return the rule that a lint is."""
    return IssueRule(
        identifier=lint.identifier,
        title=f"{lint.title.rstrip('.')}.",
        remedy=lint.remedy,
        page=f"{_PAGES}/lints#{lint.identifier}",
    )


def of_reason(reason: reasons.Reason) -> IssueRule:
    """Return the rule that a reason of a condition stands for."""
    return IssueRule(
        identifier=reason.name,
        title=reason.meaning,
        remedy=reason.remedy,
        page=f"{_PAGES}/reasons#{reason.name.lower()}",
    )

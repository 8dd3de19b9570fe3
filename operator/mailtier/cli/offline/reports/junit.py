"""Issues as JUnit XML, which most pipelines show: an object is a test, an issue its failure.

Source:
    The schema that Jenkins and GitLab read (`testsuites`, `testsuite`, `testcase`, `failure`).
"""

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from mailtier.cli import terminal
from mailtier.cli.offline.files import issues
from mailtier.cli.offline.reports import content as reports

# XML 1.0 section 2.2: what no document may hold, not even as a reference, and what is left of it after `plain`.
_NO_CHARACTER: Final = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def lines(report: reports.Report) -> Iterator[str]:
    """Yield the lines of one XML document."""
    cases = _cases(report)
    failures = sum(1 for _, _, found in cases if found)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites name="mailtier lint" tests="{len(cases)}" failures="{failures}">\n'
    for file in dict.fromkeys(case[0] for case in cases):
        own = [case for case in cases if case[0] == file]
        yield (f'  <testsuite name={_quote(file)} tests="{len(own)}" failures="{sum(1 for case in own if case[2])}">\n')
        for _, name, found in own:
            yield from _case(file, name, found)
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _cases(report: reports.Report) -> list[tuple[str, str, list[issues.Issue]]]:
    """Return file, name and issues of every object, and of every other subject that has issues."""
    cases: dict[tuple[str, str], list[issues.Issue]] = {
        (checked.file, checked.subject): [] for checked in report.objects
    }
    for issue in report.told:
        cases.setdefault((issue.place.file, issue.subject or issue.place.file), []).append(issue)
    return [(file, name, found) for (file, name), found in cases.items()]


def _case(file: str, name: str, found: Sequence[issues.Issue]) -> Iterator[str]:
    line = f' line="{found[0].place.line}"' if found else ""
    opening = f"    <testcase classname={_quote(file)} name={_quote(name)} file={_quote(file)}{line}"
    if not found:
        yield f"{opening}/>\n"
        return
    yield f"{opening}>\n"
    # Jenkins shows one failure a test, so that all of them stand in its text.
    text = "\n".join(
        f"{_clean(str(issue.place))}: {_clean(issue.text)} [{issue.rule.identifier}] {issue.rule.page}"
        for issue in found
    )
    yield f"      <failure type={_quote(found[0].rule.identifier)} message={_quote(found[0].text)}>"
    yield f"{html.escape(text, quote=False)}</failure>\n    </testcase>\n"


def _clean(text: str) -> str:
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", terminal.plain(text))


def _quote(text: str) -> str:
    return f'"{html.escape(_clean(text))}"'

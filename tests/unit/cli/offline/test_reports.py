"""Each form of a report holds every issue, and what a file holds becomes nothing but text in it."""

import dataclasses
import datetime as dt
import json
import re
from xml.etree import ElementTree as ET

import pytest

from kit import offline
from mailtier.cli import terminal
from mailtier.cli.offline import linting
from mailtier.cli.offline.files import issues
from mailtier.cli.offline.reports import content as reports
from mailtier.cli.offline.reports import github, junit, machine, sarif, text
from mailtier.settings.lints import terms

_HOSTILE = "x\n::error file=a::owned\x1b[31m]]>\x00<b>&\u202e\ud800"


def _report(*documents: offline.Json) -> reports.Report:
    judge = offline.judge(*documents)
    objects = [
        reports.CheckedObject(file="input.yaml", line=document.place().line, subject=document.kind)
        for document in judge.world.ours
    ]
    found = linting.find(judge, now=dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    return reports.Report(
        told=found,
        objects=objects,
        read=judge.world.objects,
        files=judge.world.files,
        rules=linting.rules(),
    )


@pytest.fixture(name="report")
def some_report() -> reports.Report:
    """Return a report with an error and a warning."""
    return _report(
        offline.host(policy={"mode": "Audit", "locked": ["suspend"]}),
        offline.org("acme", suspend=True),
        offline.org("acme", "own", smtp={"host": "smtp.acme.example"}),
    )


@pytest.fixture(name="hostile")
def hostile_report() -> reports.Report:
    """Return a report about a file that tries to be more than text."""
    issue = _report(offline.org("acme", smtp={})).told[0]
    place = type(issue.place)(file=_HOSTILE, line=1, column=1)
    told = [
        issues.Issue(
            rule=issue.rule,
            severity=terms.LintSeverity.ERROR,
            place=place,
            subject=_HOSTILE,
            field=_HOSTILE,
            message=_HOSTILE,
        )
    ]
    return reports.Report(told=told, objects=(), read=0, files=0, rules=linting.rules())


def test_text_is_a_line_an_issue(report: reports.Report) -> None:
    """A line begins with file, line and column, and ends with the rule; the last line counts."""
    lines = "".join(text.lines(report, terminal.Painter(on=False))).splitlines()
    for issue, line in zip(report.told, lines, strict=False):
        assert line.startswith(f"{issue.place}: ")
        assert line.endswith(f"[{issue.rule.identifier}]")
    assert re.fullmatch(r"\d+ errors?, \d+ warnings?.* in 3 objects of 1 file", lines[-1])


def test_text_of_nothing_says_so() -> None:
    """Without issues the report still says what was looked at."""
    empty = reports.Report(told=(), objects=(), read=0, files=0, rules=())
    assert list(text.lines(empty, terminal.Painter(on=False))) == ["no findings in 0 objects of 0 files\n"]


@pytest.mark.parametrize("severity", terms.LintSeverity)
def test_text_names_severities_as_the_option_does(severity: terms.LintSeverity) -> None:
    """What --severity takes is what a line says, and what the last line counts."""
    issue = dataclasses.replace(_report(offline.org("acme", smtp={})).told[0], severity=severity)
    report = reports.Report(told=(issue,), objects=(), read=7, files=3, rules=())
    lines = list(text.lines(report, terminal.Painter(on=False)))
    word = severity.value.lower()
    assert f": {word}: " in lines[0]
    assert lines[-1] == f"1 {word} in 7 objects of 3 files\n"


def test_json_holds_every_issue(report: reports.Report) -> None:
    """Programs get what people get."""
    document = json.loads("".join(machine.lines(report)))
    assert [entry["rule"] for entry in document["issues"]] == [issue.rule.identifier for issue in report.told]
    assert document["summary"]["objects"] == 3
    assert document["summary"]["Error"] == sum(entry["severity"] == "Error" for entry in document["issues"])


def test_sarif_has_the_shape_that_code_scanning_asks_for(report: reports.Report) -> None:
    """Version, tool with rules and their pages, results with places, levels and fingerprints."""
    log = json.loads("".join(sarif.lines(report)))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["helpUri"].startswith("https://mailtier.dev/docs/reference/")
        assert rule["shortDescription"]["text"].endswith(".")
        assert rule["help"]["text"]
    assert len(run["results"]) == len(report.told)
    fingerprints = set()
    for issue, result in zip(report.told, run["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == issue.rule.identifier
        assert result["level"] in {"error", "warning", "note"}
        assert issue.message in result["message"]["text"]
        physical = result["locations"][0]["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == "input.yaml"
        assert physical["region"] == {"startLine": issue.place.line, "startColumn": issue.place.column}
        fingerprints.add(result["partialFingerprints"]["mailtier/v1"])
    assert len(fingerprints) == len(report.told)


def test_junit_is_a_test_an_object(report: reports.Report) -> None:
    """An object without issues passes, another one fails, and the numbers add up."""
    root = ET.fromstring("".join(junit.lines(report)))  # noqa: S314  # The XML is our own.
    suites = root.findall("testsuite")
    cases = root.findall("testsuite/testcase")
    failures = root.findall("testsuite/testcase/failure")
    assert [int(root.attrib["tests"]), int(root.attrib["failures"])] == [len(cases), len(failures)]
    assert sum(int(suite.attrib["tests"]) for suite in suites) == len(cases)
    told = "\n".join(failure.text or "" for failure in failures)
    for issue in report.told:
        assert issue.message in told


def test_github_annotations_name_file_line_and_rule(report: reports.Report) -> None:
    """Each issue is one workflow command."""
    lines = list(github.lines(report))
    for issue, line in zip(report.told, lines, strict=True):
        assert re.match(rf"::(error|warning|notice) file=input\.yaml,line={issue.place.line},col=", line)
        assert f"title={issue.rule.identifier}::" in line


def test_hostile_file_is_but_text(hostile: reports.Report) -> None:
    """No control character, line or markup of a file reaches a terminal, a pipeline or a document (R5)."""
    painted = "".join(text.lines(hostile, terminal.Painter(on=False)))
    commands = "".join(github.lines(hostile))
    for shown in (painted, commands):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert not any(line.startswith("::error file=a") for line in shown.splitlines())
    assert commands.count("\n") == 1
    xml = "".join(junit.lines(hostile))
    root = ET.fromstring(xml)  # noqa: S314  # The XML is our own.
    assert root.find("testsuite/testcase/failure") is not None
    json.loads("".join(machine.lines(hostile)).encode("utf-8", errors="surrogatepass"))
    json.loads("".join(sarif.lines(hostile)).encode("utf-8", errors="surrogatepass"))

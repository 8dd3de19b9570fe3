"""What a check comes to."""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any


class Verdict(enum.StrEnum):
    """What is thought of what was looked at."""

    OK = "Ok"
    WARNING = "Warning"
    """It works, and somebody should look at it."""
    FAILED = "Failed"
    UNKNOWN = "Unknown"
    """It could not be looked at."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinding:
    """One thing that was looked at.

    Attributes:
        check: What, in a word or two.
        message: What was found.
        remedy: What to do; "" where there is nothing to do.
    """

    check: str
    verdict: Verdict
    message: str
    remedy: str = ""


def ok(check: str, message: str) -> CheckFinding:
    """Return that all is well."""
    return CheckFinding(check=check, verdict=Verdict.OK, message=message)


def warning(check: str, message: str, remedy: str) -> CheckFinding:
    """Return that somebody should look at something."""
    return CheckFinding(check=check, verdict=Verdict.WARNING, message=message, remedy=remedy)


def failed(check: str, message: str, remedy: str) -> CheckFinding:
    """Return that something is broken."""
    return CheckFinding(check=check, verdict=Verdict.FAILED, message=message, remedy=remedy)


def unknown(check: str, message: str, remedy: str = "") -> CheckFinding:
    """Return that something could not be looked at."""
    return CheckFinding(check=check, verdict=Verdict.UNKNOWN, message=message, remedy=remedy)


def is_broken(found: Sequence[CheckFinding]) -> bool:
    """Return whether anything failed."""
    return any(each.verdict is Verdict.FAILED for each in found)


def document(found: Sequence[CheckFinding]) -> dict[str, Any]:
    """Return findings for programs."""
    return {
        "broken": is_broken(found),
        "findings": [
            {
                "check": each.check,
                "verdict": each.verdict.value,
                "message": each.message,
                **({"remedy": each.remedy} if each.remedy else {}),
            }
            for each in found
        ],
    }

"""What is answered where a notification was not taken, and counted."""

import math
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.intake import taking
from mailtier.sender.intake.http import body, problems
from mailtier.settings import effective
from mailtier.telemetry import metrics

_AGAIN_SECONDS: Final = 2
_QUOTA_SECONDS: Final = 60
_FULL_SECONDS: Final = 300


def problem_of(
    verdict: taking.NotTaken, category: vocabulary.Category, organization: effective.OrganizationKey
) -> problems.HttpProblem:
    """Return the answer to a notification that was not taken.

    Args:
        verdict: Why not.
        category: Of the notification.
        organization: Whose settings it speaks of.
    """
    match verdict:
        case taking.NotLetThroughError(refusal=refusal):
            metrics.count_refused(category=category, reason=str(refusal.reason))
            return problems.HttpProblem(
                problems.NOT_TAKEN,
                f"{organization} does not let it through: {refusal.message}",
                errors=[
                    problems.FieldError(pointer=body.pointer(field), detail=refusal.message) for field in refusal.fields
                ],
            )
        case taking.RecoveriesExceededError(wait_seconds=wait_seconds):
            metrics.count_refused(category=category, reason=problems.TOO_MANY.slug)
            return _later(problems.TOO_MANY, str(verdict), wait_seconds)
        case ports.QuotaExceededError():
            metrics.count_refused(category=category, reason=problems.TOO_MANY.slug)
            return _later(problems.TOO_MANY, str(verdict), _QUOTA_SECONDS)
        case ports.StorageFullError():
            metrics.count_refused(category=category, reason=problems.FULL.slug)
            return _later(problems.FULL, str(verdict), _FULL_SECONDS)
        case ports.IdempotencyConflictError():
            return problems.HttpProblem(problems.KEY_REUSED, str(verdict))
        case taking.UnansweredError():
            return _later(
                problems.UNAVAILABLE,
                "the queue did not answer in time, so that nobody knows whether the notification was stored; send it"
                " again with the same idempotency key",
                _AGAIN_SECONDS,
            )


def _later(kind: problems.ProblemKind, detail: str, seconds: float) -> problems.HttpProblem:
    return problems.HttpProblem(kind, detail, headers={"Retry-After": str(math.ceil(seconds))})

"""What is answered where a notification was not taken, and counted."""

import math
import traceback
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.intake import taking
from mailtier.sender.intake.http import body, problems
from mailtier.sender.queueing import recoveries
from mailtier.settings import effective
from mailtier.telemetry import intake_metrics, logs

_AGAIN_SECONDS: Final = 2
_QUOTA_SECONDS: Final = 60
_FULL_SECONDS: Final = 300

_log = logs.get_logger(__name__)


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
            intake_metrics.count_refused(category=category, reason=str(refusal.reason))
            return problems.HttpProblem(
                problems.NOT_TAKEN,
                f"{organization} does not let it through: {refusal.message}",
                errors=[
                    problems.FieldError(pointer=body.pointer(field), detail=refusal.message) for field in refusal.fields
                ],
            )
        case recoveries.RecoveriesExceededError(wait_seconds=wait_seconds):
            intake_metrics.count_refused(category=category, reason=problems.TOO_MANY.slug)
            return _later(problems.TOO_MANY, str(verdict), wait_seconds)
        case ports.QuotaExceededError():
            intake_metrics.count_refused(category=category, reason=problems.TOO_MANY.slug)
            return _later(problems.TOO_MANY, str(verdict), _QUOTA_SECONDS)
        case ports.StorageFullError():
            intake_metrics.count_refused(category=category, reason=problems.FULL.slug)
            return _later(problems.FULL, str(verdict), _FULL_SECONDS)
        case ports.IdempotencyConflictError():
            return problems.HttpProblem(problems.KEY_REUSED, str(verdict))
        case taking.StalledError():
            return _later(
                problems.QUEUE_AWAY,
                "the queue does not answer at present, and the notification was not stored; send it again",
                _AGAIN_SECONDS,
            )
        case taking.UnansweredError():
            return _later(
                problems.QUEUE_AWAY,
                "the queue did not answer in time, so that nobody knows whether the notification was stored; send it"
                " again with the same idempotency key",
                _AGAIN_SECONDS,
            )


def of_defect(error: object, *, route: str) -> problems.HttpProblem:
    """Return the answer to a request that failed by our own fault, which is logged.

    Without the exception's text, which may quote the body (R1).
    """
    where = traceback.format_tb(error.__traceback__ if isinstance(error, BaseException) else None)
    _log.error("a request failed", route=route, error=type(error).__name__, where="".join(where))
    detail = "the sender failed; send the request again with the same idempotency key"
    return problems.HttpProblem(problems.BROKEN, detail)


def _later(kind: problems.ProblemKind, detail: str, seconds: float) -> problems.HttpProblem:
    return problems.HttpProblem(kind, detail, headers={"Retry-After": str(math.ceil(seconds))})

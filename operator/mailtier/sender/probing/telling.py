"""A probe's stages as JSON: delivery probes, and the intake tells whoever asked (`between.requests`)."""

import datetime as dt
import json
from typing import Any

from mailtier.api import feed, reasons, vocabulary
from mailtier.sender.probing import budget, targets, trace


def encode(told: trace.Trace) -> str:
    """Return what a trace says up to now."""
    return json.dumps(
        {
            "steps": [[step.stage.value, step.ok, step.message] for step in told.steps],
            "result": None if told.result is None else told.result.model_dump(mode="json"),
            "problem": None if told.problem is None else told.problem.name,
            "explanation": told.explanation,
            "readAt": None if told.read_at is None else told.read_at.isoformat(),
            "remembered": told.is_remembered,
            "loginsLeft": told.logins_left,
        }
    )


def encode_refusal(error: targets.StartingError | targets.NotProbeableError | budget.TooSoonError) -> str:
    """Return why there is no probe."""
    match error:
        case targets.StartingError():
            return json.dumps({"refused": "starting"})
        case targets.NotProbeableError():
            return json.dumps({"refused": "not probeable", "message": str(error)})
        case budget.TooSoonError():
            return json.dumps({"refused": "too soon", "seconds": error.retry_after_seconds})


def decode_into(told: trace.Trace, text: str) -> None:
    """Have a trace say what the encoded one does; steps that it has been told are not told again.

    Raises:
        StartingError, NotProbeableError, TooSoonError: There is no probe.
    """
    said: dict[str, Any] = json.loads(text)
    match said.get("refused"):
        case "starting":
            raise targets.StartingError
        case "not probeable":
            raise targets.NotProbeableError(said["message"])
        case "too soon":
            raise budget.TooSoonError(said["seconds"])
    result, problem, read_at = said["result"], said["problem"], said["readAt"]
    told.result = None if result is None else feed.Probe.model_validate(result)
    told.problem = None if problem is None else reasons.BY_NAME[problem]
    told.explanation = said["explanation"]
    told.read_at = None if read_at is None else dt.datetime.fromisoformat(read_at)
    told.is_remembered = said["remembered"]
    # A delivery of an earlier version does not tell it.
    told.logins_left = said.get("loginsLeft")
    for stage, ok, message in said["steps"][len(told.steps) :]:
        told.tell(trace.Step(stage=vocabulary.ProbeStage(stage), ok=ok, message=message))

"""Following a probe: its stages as they come, and what it comes to."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

from mailtier.cli import failures, terminal
from mailtier.cli.online import intake, target

_WIDTH = 6
_Json = dict[str, Any]


@dataclasses.dataclass(slots=True)
class ProbeReport:
    """What a probe told.

    Attributes:
        stages: One line each.
        result: The last line; None until it came.
    """

    stages: list[_Json] = dataclasses.field(default_factory=list)
    result: _Json | None = None

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.result is not None and self.result.get("ok") is True


async def follow(
    asked: intake.IntakeClient,
    organization: target.OrganizationName | None,
    *,
    seconds: float,
    show: Callable[[_Json], None],
    wait: Callable[[str, float], None],
) -> ProbeReport:
    """Return what a fresh probe told; wait for leave to begin it if that fits into the time.

    Args:
        asked: The intake.
        organization: Whose endpoint; None for the host's own.
        seconds: How long it may take.
        show: Gets each line as it comes.
        wait: Told why nothing happens yet, and for how many seconds.

    Raises:
        CommandError: There was no probe, or no end of it in time.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                try:
                    return await _once(asked, organization, show)
                except intake.RefusedError as error:
                    pause = error.retry_after_seconds
                    if pause is None:
                        raise
                    if asyncio.get_running_loop().time() + pause >= deadline:
                        raise failures.CommandError(
                            f"{error}; wait for it with a longer --timeout", status=failures.Status.TIMED_OUT
                        ) from error
                    wait(str(error), pause)
                    await asyncio.sleep(pause)
    except TimeoutError as error:
        raise failures.CommandError(
            f"no result within {seconds:g} s; the probe goes on, and the condition Verified will say what it found",
            status=failures.Status.TIMED_OUT,
        ) from error


async def _once(
    asked: intake.IntakeClient, organization: target.OrganizationName | None, show: Callable[[_Json], None]
) -> ProbeReport:
    report = ProbeReport()
    async with contextlib.aclosing(asked.probe(organization)) as lines:
        async for line in lines:
            show(line)
            if "stage" in line:
                report.stages.append(line)
            else:
                report.result = line
    if report.result is None:
        raise intake.UnreachableError("the sender ended in the middle of the probe; ask again")
    return report


def line(told: _Json, painter: terminal.Painter) -> str:
    """Return a line of a probe for people."""
    ok = told.get("ok") is True
    message = terminal.plain(str(told.get("message", "")))
    if "stage" in told:
        mark = painter.paint("ok    " if ok else "FAILED", terminal.Colour.GOOD if ok else terminal.Colour.BAD)
        # Why it failed, the result says, which comes next.
        return f"  {terminal.plain(str(told['stage'])):<{_WIDTH}}{mark}  {message if ok else ''}".rstrip()
    reason = painter.paint(
        terminal.plain(str(told.get("reason", ""))), terminal.Colour.GOOD if ok else terminal.Colour.BAD
    )
    told_also = [f"{reason}: {message}"]
    told_also += [f"  {text}" for text in _when(told)]
    if told.get("certificateExpiresAt"):
        expires_on = terminal.plain(str(told["certificateExpiresAt"]))[:10]
        told_also.append(f"  The server's certificate is valid until {expires_on}.")
    if told.get("remedy"):
        told_also.append(f"  {terminal.plain(str(told['remedy']))}")
    return "\n".join(told_also)


def _when(told: _Json) -> Iterator[str]:
    """Yield what a result is based on, and when the next may be had."""
    at, read_at, version, next_at = (
        terminal.plain(str(told.get(name) or ""))
        for name in ("probedAt", "secretReadAt", "secretVersion", "nextProbeAt")
    )
    if read_at:
        which = f"version {version} of the Secret" if version else "the Secret"
        yield f"Probed at {at} with {which}, read at {read_at}."
    elif at:
        yield f"Probed at {at}."
    if next_at:
        yield f"The namespace's next probe may begin at {next_at}."


def as_json(name: str, report: ProbeReport) -> str:
    """Return a probe as a document for programs."""
    return json.dumps({"name": name, "stages": report.stages, "result": report.result}, indent=2, ensure_ascii=False)

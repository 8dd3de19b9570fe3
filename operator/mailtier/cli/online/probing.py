"""Following a probe: its stages as they come, and what it comes to."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from mailtier.cli import failures, tables, terminal
from mailtier.cli.online import intake, target

_WIDTH = 6
_MARK = len("FAILED")
_AGAIN = "`mailtier verify --again`"
"""As the reasons' texts have it, which do not know whose they are."""
_Json = dict[str, Any]


@dataclasses.dataclass(slots=True)
class ProbeReport:
    """What a probe told.

    Attributes:
        stages: One line each.
        result: The last line; None until it came.
        fallback: What that of the second server told; None where there is none.
    """

    stages: list[_Json] = dataclasses.field(default_factory=list)
    result: _Json | None = None
    fallback: "ProbeReport | None" = None

    @property
    def ok(self) -> bool:
        """Whether all went well, at both servers where there are two."""
        is_well = self.result is not None and self.result.get("ok") is True
        return is_well and (self.fallback is None or self.fallback.ok)


async def follow(
    asked: intake.IntakeClient,
    organization: target.OrganizationName | None,
    *,
    seconds: float,
    show: Callable[[_Json], None],
    wait: Callable[[str, float], None],
    turn: Callable[[str], None] = lambda _address: None,
    again: bool = False,
) -> ProbeReport:
    """Return what a fresh probe told, of both servers where there are two; wait for leave to begin it if that fits.

    Args:
        asked: The intake.
        organization: Whose endpoint; None for the host's own.
        seconds: How long it may take.
        show: Gets each line as it comes.
        wait: Told why nothing happens yet, and for how many seconds.
        turn: Told the fallback's address before it is probed.
        again: Whether a login that was refused is to be tried once more.

    Raises:
        CommandError: There was no probe, or no end of it in time.
    """
    deadline = asyncio.get_running_loop().time() + seconds

    async def probe(*, at_fallback: bool) -> ProbeReport:
        while True:
            try:
                return await _once(asked, organization, show, again=again, at_fallback=at_fallback)
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

    try:
        async with asyncio.timeout_at(deadline):
            report = await probe(at_fallback=False)
            if report.result is not None and (fallback := report.result.get("fallback")):
                turn(terminal.plain(str(fallback)))
                report.fallback = await _second(probe(at_fallback=True), first=report)
            return report
    except TimeoutError as error:
        raise failures.CommandError(
            f"no result within {seconds:g} s; the probe goes on, and the condition Verified will say what it found",
            status=failures.Status.TIMED_OUT,
        ) from error


async def _second(probing: Coroutine[Any, Any, ProbeReport], *, first: ProbeReport) -> ProbeReport:
    """Return what the probe of the second server told.

    Raises:
        CommandError: There was none in time; where the first server failed, that is what counts.
    """
    try:
        return await probing
    except failures.CommandError as error:
        if error.status is not failures.Status.TIMED_OUT or first.ok:
            raise
        raise failures.CommandError(f"the fallback was not probed: {error}") from error


async def _once(
    asked: intake.IntakeClient,
    organization: target.OrganizationName | None,
    show: Callable[[_Json], None],
    *,
    again: bool,
    at_fallback: bool,
) -> ProbeReport:
    report = ProbeReport()
    async with contextlib.aclosing(asked.probe(organization, again=again, at_fallback=at_fallback)) as lines:
        async for line in lines:
            show(line)
            if "stage" in line:
                report.stages.append(line)
            else:
                report.result = line
    if report.result is None:
        raise intake.UnreachableError("the sender ended in the middle of the probe; ask again")
    return report


def lines(told: _Json, painter: terminal.Painter, *, width: int | None, asked: str) -> list[str]:
    """Return what a line of a probe says to people.

    Args:
        told: As the sender told it.
        asked: The arguments by which it was asked for, for commands that are to be run as they stand.
        painter: Colours, or does not.
        width: Characters of a line; None to wrap nothing.
    """
    ok = told.get("ok") is True
    colour = terminal.Colour.GOOD if ok else terminal.Colour.BAD
    message = _runnable(str(told.get("message", "")), asked)
    if "stage" in told:
        name = f"{terminal.plain(str(told['stage'])):<{_WIDTH}}"
        # Why it failed, the result says, which comes next.
        parts = ((name, None), ("ok    ", colour), (f"  {message}", None)) if ok else ((name, None), ("FAILED", colour))
        return tables.line(parts, painter, width=width, indent="  ", following=" " * (len(name) + _MARK + 4))
    reason = terminal.plain(str(told.get("reason", "")))
    found = tables.line(((reason, colour), (f": {message}", None)), painter, width=width, following="  ")
    for text in _beside(told, asked):
        found += tables.line(((text, None),), painter, width=width, indent="  ", following="  ")
    return found


def _runnable(text: str, asked: str) -> str:
    """Return a sentence for the terminal, with the command to try again as it is to be run."""
    return terminal.plain(text).replace(_AGAIN, f"`mailtier verify {terminal.plain(asked)} --again`")


def _beside(told: _Json, asked: str) -> Iterator[str]:
    """Yield what a result is based on, when the next may be had, how long its certificate lasts, and what to do."""
    at, read_at, version, next_at = (
        terminal.plain(str(told.get(name) or ""))
        for name in ("probedAt", "secretReadAt", "secretVersion", "nextProbeAt")
    )
    if read_at:
        which = f"version {version} of the Secret" if version else "the host's Secret"
        yield f"Probed at {at} with {which}, read at {read_at}."
    elif at:
        yield f"Probed at {at}."
    if next_at:
        yield f"The namespace's next probe may begin at {next_at}."
    if (left := told.get("refusedLoginsLeft")) is not None:
        yield f"Refused logins left to the namespace at this server, within an hour: {terminal.plain(str(left))}."
    if told.get("certificateExpiresAt"):
        yield f"The server's certificate is valid until {terminal.plain(str(told['certificateExpiresAt']))[:10]}."
    if told.get("remedy"):
        yield _runnable(str(told["remedy"]), asked)


def as_json(name: str, report: ProbeReport) -> str:
    """Return a probe as a document for programs."""
    document: _Json = {"name": name, "stages": report.stages, "result": report.result}
    if report.fallback is not None:
        document["fallback"] = {"stages": report.fallback.stages, "result": report.fallback.result}
    return json.dumps(document, indent=2, ensure_ascii=False)

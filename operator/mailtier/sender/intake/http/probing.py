"""Probes on request: each stage is a line of JSON as soon as it is over, and the last line says what it comes to."""

import asyncio
import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from mailtier.api import prose, reasons, vocabulary
from mailtier.sender.intake import far_delivery
from mailtier.sender.intake.http import entrance, open_answers, problems
from mailtier.sender.probing import budget, targets, trace
from mailtier.serving import protocol
from mailtier.settings import effective
from mailtier.settings.providers import catalogue
from mailtier.telemetry import logs

MEDIA_TYPE: Final = "application/x-ndjson"
AGAIN: Final = "again"
"""The parameter by which a login that was refused is tried once more."""
SERVER: Final = "server"
"""The parameter by which the fallback is probed in place of the first server."""
_LONGEST_SECONDS: Final = 150.0
"""R10: thirty seconds to AUTH, sixty for the sender address, and time to wait for a connection."""

_LATE: Final = "The probe did not end in time; it goes on, and the condition Verified will say what it found."
REMEMBERED: Final = (
    "That was its answer to an earlier try: a password that was refused is not sent again unless you say --again."
)
"""R12: what is not fresh in a result says so."""
_PLATFORM: Final = "Ask the platform team: the endpoint is the host's."

_ROUNDED_UP: Final = dt.timedelta(microseconds=999_999)
"""What makes a whole second of a fraction, as the condition Verified has it: later rather than too early."""

_log = logs.get_logger(__name__)


class Probing:
    """The handlers of the routes of probes."""

    def __init__(self, enter: entrance.Entrance, delivery: far_delivery.FarDelivery) -> None:
        self._enter = enter
        self._delivery = delivery
        self._answers = open_answers.OpenAnswers()

    async def organization(self, request: web.Request) -> web.StreamResponse:
        """Probe an organization's endpoint."""
        caller, settings = await self._enter.organization(request)
        return await self._probe(request, settings, caller=caller.username)

    async def host(self, request: web.Request) -> web.StreamResponse:
        """Probe the host's own endpoint."""
        caller, settings = await self._enter.host(request)
        return await self._probe(request, settings, caller=caller.username)

    async def _probe(self, request: web.Request, settings: effective.Effective, *, caller: str) -> web.StreamResponse:
        again, settings = _is_again(request.query), _chosen(request.query, settings)
        with self._answers.take(settings.organization.namespace):
            return await self._follow(request, settings, caller=caller, again=again)

    async def _follow(
        self, request: web.Request, settings: effective.Effective, *, caller: str, again: bool
    ) -> web.StreamResponse:
        try:
            with open_answers.answered():
                told = await self._delivery.demand(settings, again=again)
        except targets.StartingError:
            raise entrance.starting() from None
        except targets.NotProbeableError as error:
            raise problems.HttpProblem(problems.NOT_PROBEABLE, str(error)) from None
        except budget.TooSoonError as error:
            seconds = math.ceil(error.retry_after_seconds)
            raise problems.HttpProblem(
                problems.PROBED_LATELY,
                f"a namespace has three probes at once, then one a minute; the next in {seconds} s",
                headers={"Retry-After": str(seconds)},
            ) from None
        _log.info("a probe was asked for", organization=str(settings.organization), caller=caller, again=again)
        answer = web.StreamResponse(
            headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **protocol.IDENTITY}
        )
        await answer.prepare(request)
        reader = ProbeReader(settings)
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                async for step in told.follow():
                    await answer.write(_line(reader.step(step, told)))
        except TimeoutError:
            await answer.write(_line({"reason": reasons.PROBE_PENDING.name, "ok": False, "message": _LATE}))
        else:
            await answer.write(_line(reader.result(told)))
        await answer.write_eof()
        return answer


class ProbeReader:
    """What may be told to whoever reads an organization's probe (R7).

    Args:
        settings: The organization's, or the host's own.
    """

    def __init__(self, settings: effective.Effective) -> None:
        is_host = not settings.organization.namespace
        self._owns = is_host or _is_own(settings.endpoint)
        self._owns_credentials = is_host or _is_own(settings.auth)
        self._servers = _servers(settings)

    def step(self, step: trace.Step, told: trace.Trace) -> dict[str, Any]:
        """Return the line of a stage; where it failed, what the result says of it."""
        message = step.message if step.ok else self._message(told)
        if not step.ok and told.is_remembered:
            message = prose.sentences(message, REMEMBERED)
        return {"stage": step.stage.value, "ok": step.ok, "message": message}

    def result(self, told: trace.Trace) -> dict[str, Any]:
        """Return the last line; where there are two servers, it says which one it speaks of."""
        return self._result(told) | self._servers

    def _result(self, told: trace.Trace) -> dict[str, Any]:
        found = told.result
        if found is None:
            reason = told.problem or reasons.PROBE_PENDING
            explained = self._owns_credentials and told.explanation
            message = prose.closed(told.explanation) if explained else reason.meaning
            return {"reason": reason.name, "ok": False, "message": message, "remedy": reason.remedy}
        reason = reasons.BY_NAME[found.reason]
        message = self._message(told)
        line: dict[str, Any] = {
            "reason": reason.name,
            "ok": reason is reasons.VERIFIED,
            "message": prose.sentences(message, REMEMBERED) if told.is_remembered else message,
            "probedAt": _moment(found.probed_at),
        }
        if told.read_at is not None:
            line["secretReadAt"] = _moment(told.read_at)
            if self._owns_credentials:
                # The uids before them tell a person nothing.
                line["secretVersion"] = " ".join(each.rpartition("/")[2] for each in found.secret_version.split())
        if reason is not reasons.VERIFIED:
            # A password of one's own can be mended by oneself, wherever it is sent to.
            mine = self._owns or (self._owns_credentials and found.stage is vocabulary.ProbeStage.AUTH)
            if remedy := catalogue.further_remedy(reason, message) if mine else _PLATFORM:
                line["remedy"] = remedy
        if told.logins_left is not None and self._owns_credentials:
            line["refusedLoginsLeft"] = told.logins_left
        if found.certificate_expires_at is not None and self._owns:
            line["certificateExpiresAt"] = _moment(found.certificate_expires_at)
        if found.next_at is not None:
            line["nextProbeAt"] = _moment(found.next_at + _ROUNDED_UP)
        return line

    def _message(self, told: trace.Trace) -> str:
        assert told.result is not None
        return told.result.owner_message if self._owns else told.result.tenant_message


def _is_again(query: Mapping[str, str]) -> bool:
    """Return whether a login that was refused is to be tried once more.

    Raises:
        HttpProblem: The parameter is neither `true` nor `false`.
    """
    match query.get(AGAIN, "false"):
        case "true":
            return True
        case "false":
            return False
        case _:
            raise problems.HttpProblem(problems.MALFORMED, f"the parameter {AGAIN} is true or false")


def _chosen(query: Mapping[str, str], settings: effective.Effective) -> effective.Effective:
    """Return settings with the server that is to be probed.

    Raises:
        HttpProblem: The parameter is neither `first` nor `fallback`, or there is no fallback.
    """
    match query.get(SERVER, "first"):
        case "first":
            return settings
        case "fallback":
            there = settings.at_fallback()
            if there is None:
                raise problems.HttpProblem(problems.NOT_PROBEABLE, "the settings name no fallback")
            return there
        case _:
            raise problems.HttpProblem(problems.MALFORMED, f"the parameter {SERVER} is first or fallback")


def _servers(settings: effective.Effective) -> dict[str, str]:
    """Return which server is probed, and which other one there is, where there are two."""
    if settings.fallback is not None:
        return {"server": str(settings.endpoint), "fallback": str(settings.fallback.endpoint)}
    return {"server": str(settings.endpoint)} if isinstance(settings.organization, effective.FallbackKey) else {}


def _is_own(part: effective.Endpoint | effective.Auth | None) -> bool:
    return part is not None and part.origin is vocabulary.Origin.ORG


def _moment(at: dt.datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"

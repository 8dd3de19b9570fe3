"""The stages of a probe, as whoever follows it hears of them."""

import asyncio

import pytest

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender.probing import trace

_P, _S, _TLS = classify.Phase, vocabulary.ProbeStage, vocabulary.TlsMode
_ALL = ["dns", "tcp", "tls", "ehlo", "auth", "mail"]
_STARTTLS = (_P.CONNECT, _P.GREETING, _P.EHLO, _P.TLS, _P.EHLO, _P.AUTH, _P.MAIL)
_IMPLICIT = (_P.CONNECT, _P.TLS, _P.EHLO, _P.AUTH, _P.MAIL)
_PLAIN = (_P.CONNECT, _P.GREETING, _P.EHLO, _P.AUTH, _P.MAIL)


def _told(
    phases: tuple[classify.Phase, ...],
    failed: vocabulary.ProbeStage | None = None,
    *,
    mode: vocabulary.TlsMode = _TLS.STARTTLS,
    mechanism: vocabulary.Mechanism = vocabulary.Mechanism.PLAIN,
) -> list[trace.Step]:
    """Return what a trace tells after these phases."""
    told = trace.Trace()
    following = trace.Phases(told.tell, mode=mode, mechanism=mechanism)
    for phase in phases:
        following.begin(phase)
    following.finish(failed)
    told.end()
    return asyncio.run(_collect(told))


async def _collect(told: trace.Trace) -> list[trace.Step]:
    return [step async for step in told.follow()]


@pytest.mark.parametrize(
    ("mode", "phases", "stages"),
    [
        (_TLS.STARTTLS, _STARTTLS, _ALL),
        (_TLS.IMPLICIT, _IMPLICIT, _ALL),
        (_TLS.DISABLED, _PLAIN, [stage for stage in _ALL if stage != "tls"]),
    ],
)
def test_every_stage_is_told_once_and_in_order(
    mode: vocabulary.TlsMode, phases: tuple[classify.Phase, ...], stages: list[str]
) -> None:
    """However the connection is protected, the stages end in their order, and there is no tls without TLS."""
    found = _told(phases, mode=mode)
    assert [step.stage.value for step in found] == stages
    assert all(step.ok and step.message for step in found)


@pytest.mark.parametrize(
    ("phases", "failed", "stages"),
    [
        ((), _S.DNS, ["dns"]),
        (_STARTTLS[:1], _S.TCP, ["dns", "tcp"]),
        (_STARTTLS[:3], _S.EHLO, ["dns", "tcp", "ehlo"]),
        (_STARTTLS[:4], _S.TLS, ["dns", "tcp", "tls"]),
        (_STARTTLS[:6], _S.AUTH, ["dns", "tcp", "tls", "ehlo", "auth"]),
        (_STARTTLS, _S.MAIL, _ALL),
    ],
)
def test_the_failed_stage_is_the_last(
    phases: tuple[classify.Phase, ...], failed: vocabulary.ProbeStage, stages: list[str]
) -> None:
    """What went before went well, and nothing comes after what failed."""
    found = _told(phases, failed)
    assert [step.stage.value for step in found] == stages
    assert [step.ok for step in found] == [True] * (len(stages) - 1) + [False]


def test_nothing_is_said_to_be_taken_that_was_not_sent() -> None:
    """Without credentials the stage auth says that there are none."""
    found = _told(_PLAIN, mode=_TLS.DISABLED, mechanism=vocabulary.Mechanism.ANONYMOUS)
    assert "Anonymous" in found[-2].message


def test_a_connection_that_was_open_is_not_said_to_be_new() -> None:
    """Who joins a probe over an idle session reads that its stages were gone through before."""
    found = _told((_P.MAIL,))
    assert [step.stage.value for step in found] == _ALL
    assert len({step.message for step in found[:-1]}) == 1


def test_a_lost_idle_session_does_not_hide_the_failure() -> None:
    """A stage that an earlier session had passed may still fail over the new one."""
    found = _told((_P.MAIL, _P.CONNECT), _S.TCP)
    assert (found[-1].stage, found[-1].ok) == (_S.TCP, False)


async def test_stages_are_told_as_they_come_and_again_to_who_is_late() -> None:
    """One who follows from the beginning waits for each stage, and one who comes later misses none."""
    told = trace.Trace()
    early = asyncio.create_task(_collect(told))
    step = trace.Step(stage=_S.DNS, ok=True, message="It resolves.")
    await asyncio.sleep(0)
    told.tell(step)
    async for first in told.follow():
        assert first == step
        break
    assert not early.done()
    told.end()
    assert await early == await _collect(told) == [step]

"""Answers to probes that are open at the intake: few namespaces cannot have all of them (R15)."""

import contextlib

import pytest

from mailtier.sender.intake.http import open_answers, problems
from mailtier.sender.net import shares


def _filled(answers: open_answers.OpenAnswers, namespace: str) -> list[shares.ShareSlot]:
    """Return all that a namespace gets."""
    held: list[shares.ShareSlot] = []
    with contextlib.suppress(problems.HttpProblem):
        while True:
            held.append(answers.take(namespace))
    return held


async def test_a_namespace_has_eight() -> None:
    """Whoever asks for more is told how many are open, and gets another when one has ended."""
    answers = open_answers.OpenAnswers()
    held = _filled(answers, "team-a")
    assert len(held) == open_answers.PER_NAMESPACE
    with pytest.raises(problems.HttpProblem, match="8 of this namespace") as refused:
        answers.take("team-a")
    assert (refused.value.kind, refused.value.headers) == (problems.TOO_MANY_PROBES, {"Retry-After": "10"})
    held[0].give_back()
    answers.take("team-a")


async def test_few_namespaces_leave_half_to_those_who_have_none() -> None:
    """Eight namespaces of one tenant that take what they can get leave one to each of twenty-eight others."""
    answers = open_answers.OpenAnswers()
    counts = [len(_filled(answers, f"loud-{number}")) for number in range(8)]
    assert counts == [8, 8, 8, 8, 1, 1, 1, 1]
    for number in range(28):
        answers.take(f"team-{number}")
    with pytest.raises(problems.HttpProblem, match="64 of all namespaces"):
        answers.take("too-late")
    answers.take("")

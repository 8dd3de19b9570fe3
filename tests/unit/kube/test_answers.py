"""Answers are remembered as long as they should be, and questions are not asked twice at once."""

import asyncio
import collections
import dataclasses

import pytest

from mailtier.kube import answers


@dataclasses.dataclass
class Oracle:
    """Something to ask, with a clock, whose answers a test decides."""

    now: float = 0.0
    favourable: bool = True
    asked: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    may_answer: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()
        self.answers: answers.Answers[str, str] = answers.Answers(limit=2, monotonic=lambda: self.now)

    async def get(self, question: str) -> str:
        """Return the answer to a question, remembered or new."""

        async def ask() -> answers.Answer[str]:
            self.asked[question] += 1
            await self.may_answer.wait()
            if question == "broken":
                raise ValueError("no answer")
            return answers.Answer(value=question.upper(), favourable=self.favourable, seconds=10)

        return await self.answers.get(question, ask)


async def test_answer_is_kept_for_its_time() -> None:
    """An answer is given again until its seconds are over, counted from when it came."""
    oracle = Oracle()
    for oracle.now, asked in ((0, 1), (9.9, 1), (10, 2), (15, 2), (20, 3)):
        assert await oracle.get("a") == "A"
        assert oracle.asked["a"] == asked


async def test_same_question_is_asked_once_at_a_time() -> None:
    """Those who ask while the question is on its way share the answer."""
    oracle = Oracle()
    oracle.may_answer.clear()
    waiting = [asyncio.create_task(oracle.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    oracle.may_answer.set()
    assert await asyncio.gather(*waiting) == ["A"] * 5
    assert oracle.asked["a"] == 1


async def test_first_asker_may_leave() -> None:
    """Whoever asked first is cancelled without harm to the others."""
    oracle = Oracle()
    oracle.may_answer.clear()
    first, second = (asyncio.create_task(oracle.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    oracle.may_answer.set()
    assert await second == "A"
    assert (first.cancelled(), oracle.asked["a"]) == (True, 1)


async def test_failure_reaches_all_and_is_not_kept() -> None:
    """An exception is everybody's who waits, and the next one asks anew."""
    oracle = Oracle()
    results = await asyncio.gather(*(oracle.get("broken") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3
    assert oracle.asked["broken"] == 1
    with pytest.raises(ValueError, match="no answer"):
        await oracle.get("broken")
    assert oracle.asked["broken"] == 2


async def test_failure_that_nobody_waits_for_is_silent() -> None:
    """When all who waited are gone, the exception is dropped, not reported as never retrieved."""
    oracle = Oracle()
    oracle.may_answer.clear()
    only = asyncio.create_task(oracle.get("broken"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.wait({only})
    oracle.may_answer.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})  # type: ignore[type-var]


async def test_refusals_push_out_refusals_only() -> None:
    """However many questions are refused, a favourable answer stays; the oldest of its sort goes first."""
    oracle = Oracle()
    await oracle.get("good")
    oracle.favourable = False
    for question in ("x", "y", "z"):
        await oracle.get(question)
    for question in ("good", "z", "y", "x"):
        await oracle.get(question)
    assert oracle.asked == {"good": 1, "z": 1, "y": 1, "x": 2}


async def test_what_is_known_is_favourable_and_in_time() -> None:
    """Without asking, an answer is had that was favourable, until its seconds are over; no other is."""
    oracle = Oracle()
    assert oracle.answers.favourable("a") is None
    await oracle.get("a")
    for oracle.now, known in ((0, "A"), (9.9, "A"), (10, None)):
        assert oracle.answers.favourable("a") == known
    oracle.now, oracle.favourable = 20, False
    await oracle.get("a")
    assert oracle.answers.favourable("a") is None
    assert oracle.asked["a"] == 2

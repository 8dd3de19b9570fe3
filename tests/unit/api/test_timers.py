"""Timers do what a dictionary of times does, in the order of a heap and within its memory."""

from hypothesis import stateful, strategies

from mailtier.api import timers

_KEYS = strategies.sampled_from("abcdef")
_TIMES = strategies.integers(0, 20).map(float)


class _AgainstADictionary(stateful.RuleBasedStateMachine):
    """Timers beside the dictionary that says what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.timers = timers.Timers[str]()
        self.model: dict[str, float] = {}

    @stateful.rule(key=_KEYS, at=_TIMES)
    def set(self, key: str, at: float) -> None:
        self.timers.set(key, at)
        self.model.pop(key, None)
        self.model[key] = at

    @stateful.rule(key=_KEYS, at=_TIMES)
    def set_often(self, key: str, at: float) -> None:
        """Have stale entries be dropped."""
        for _ in range(600):
            self.set(key, at)

    @stateful.rule(key=_KEYS)
    def remove(self, key: str) -> None:
        self.timers.remove(key)
        self.model.pop(key, None)

    @stateful.rule(now=_TIMES)
    def due(self, now: float) -> None:
        # Sorting is stable, so that equal times stay in the order in which they were set.
        expected = [key for key, at in sorted(self.model.items(), key=lambda item: item[1]) if at <= now]
        assert list(self.timers.due(now)) == expected
        for key in expected:
            del self.model[key]

    @stateful.invariant()
    def agrees(self) -> None:
        assert len(self.timers) == len(self.model)
        assert {key: self.timers.at(key) for key in "abcdef" if key in self.timers} == self.model
        assert self.timers.next_at() == min(self.model.values(), default=None)


TestTimers = _AgainstADictionary.TestCase


def test_keys_wait_again_and_go_while_others_are_looked_at() -> None:
    """What is due is asked for one by one, so that what is done about a key counts for the next."""
    waiting = timers.Timers[str]()
    for key in "abc":
        waiting.set(key, 1.0)
    seen = []
    for key in waiting.due(2.0):
        seen.append(key)
        if seen == ["a"]:
            waiting.remove("b")
            waiting.set("a", 2.0)
            waiting.set("d", 3.0)
    assert seen == ["a", "c", "a"]
    assert waiting.next_at() == 3.0


def test_what_nobody_waits_for_costs_no_memory() -> None:
    """An hour of replaced and removed times does not stay until these have come."""
    waiting = timers.Timers[int]()
    waiting.set(-1, 1e9)
    for number in range(10_000):
        waiting.set(0, 1e6 + number)
        assert waiting.entries <= 2 * len(waiting) + 1_001
    for number in range(10_000):
        waiting.set(number, 1e6)
    for number in range(10_000):
        waiting.remove(number)
        assert waiting.entries <= 2 * len(waiting) + 1_001
    assert list(waiting.due(1e9)) == [-1]

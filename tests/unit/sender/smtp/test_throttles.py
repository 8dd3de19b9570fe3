"""Who is held to what a server refuses, and who is not."""

import contextlib

from kit import sending
from mailtier.sender.smtp import throttles


class _Rig:
    """Throttles at a server, and how many connections all together may use."""

    def __init__(self, cap: int = 8) -> None:
        self.clock = sending.Clock()
        self.together = cap
        self.known = throttles.Throttles("smtp.example.com", self.clock.as_clock(), cap=lambda: cap, on_all=self._note)

    def _note(self, connections: int) -> None:
        self.together = connections

    def begin(self, by: str, count: int) -> list[throttles.Use]:
        """Use so many connections, or as many as there may be."""
        begun = [self.known.begin(by) for _ in range(count)]
        return [use for use in begun if use is not None]

    def refuse(self, use: throttles.Use, namespace: str | None = "ns", *, is_for_all: bool = False) -> None:
        """Refuse what is on a connection, and end it."""
        with use:
            self.known.note_refused(use, namespace=namespace, is_for_all=is_for_all, is_paced=True)


def test_refusals_of_what_was_under_way_are_one() -> None:
    """Eight that are refused together halve the connections once, and not down to one."""
    rig = _Rig()
    for use in rig.begin("a", 8):
        rig.refuse(use)
    assert len(rig.begin("a", 8)) == 4
    assert rig.together == 8


def test_others_are_not_held_to_it() -> None:
    """Each login, and each namespace where logins are shared, learns for itself (R15)."""
    rig = _Rig()
    for use in rig.begin("a", 8):
        rig.refuse(use)
    assert len(rig.begin("b", 8)) == 8


def test_two_namespaces_within_a_minute_hold_all_to_it() -> None:
    """Never to fewer than a quarter of what the settings allow (R15)."""
    rig = _Rig()
    (alone, _) = rig.begin("x", 2)
    rig.refuse(alone, "x")
    assert rig.together == 8
    for number in range(4):
        uses = [*rig.begin(f"x{number}", 2), *rig.begin(f"y{number}", 2)]
        rig.refuse(uses[0], "x")
        rig.refuse(uses[2], "y")
        for use in uses[1::2]:
            use.give_back()
    assert rig.together == 2


def test_what_is_refused_before_it_is_known_who_connects_is_for_all() -> None:
    """A greeting with 421 to the second connection holds all to one; to the only one it says nothing of how many."""
    rig = _Rig(cap=2)
    (only,) = rig.begin("a", 1)
    rig.refuse(only, is_for_all=True)
    assert rig.together == 2
    first, second = rig.begin("a", 2)
    rig.refuse(second, is_for_all=True)
    first.give_back()
    assert rig.together == 1
    assert rig.known.sweep() == 1
    rig.clock.skipped_seconds += 61
    assert rig.known.sweep() == 0
    assert rig.together == 2


def test_one_connection_that_is_refused_slows_down() -> None:
    """With nothing left to lessen, fewer messages go; whoever waits is told when a limit is over."""
    rig = _Rig()
    (use,) = rig.begin("a", 1)
    rig.refuse(use)
    now = rig.clock.monotonic()
    assert 5 < rig.known.allowed_at("a") - now < 11
    assert rig.known.allowed_at("b") <= rig.clock.monotonic()
    told: list[str] = []
    rig.known.when_free("a", lambda: told.append("a"))
    rig.clock.skipped_seconds += 3600
    assert rig.known.sweep() == 0
    assert told == ["a"]


def test_whoever_waits_is_told_when_a_connection_is_free() -> None:
    """Once, and of no other's connections."""
    rig = _Rig()
    told: list[str] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(*rig.begin("a", 1))
        rig.known.when_free("a", lambda: told.append("a"))
        rig.known.when_free("b", lambda: told.append("b"))
        assert told == []
    assert told == ["a"]


def test_no_more_sessions_stay_open_than_may_be_used() -> None:
    """A server that counts connections counts idle ones too."""
    rig = _Rig()
    assert rig.known.may_keep("a", idle=100)
    for use in rig.begin("a", 2):
        rig.refuse(use)
    assert rig.known.may_keep("a", idle=0)
    assert not rig.known.may_keep("a", idle=1)
    rig.begin("a", 1)
    assert not rig.known.may_keep("a", idle=0)

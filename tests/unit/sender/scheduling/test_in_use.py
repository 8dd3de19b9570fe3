"""Nobody has more than half of a destination's connections while others want some."""

import collections

from hypothesis import given
from hypothesis import strategies as st

from kit import mailbags
from mailtier.sender.scheduling import in_use, lanes

_NAMES = ("uid-a", "uid-b", "uid-c")


def _holding(limit: int, **held: int) -> in_use.ConnectionsInUse:
    found = in_use.ConnectionsInUse(lambda _destination: limit)
    for namespace, number in held.items():
        for _ in range(number):
            found.take("relay", namespace)
    return found


def test_whoever_has_half_waits_for_those_who_have_less() -> None:
    """It is passed over while they have something ready; alone, or where all have as much, nobody is (R15)."""
    found = _holding(4, a=2, b=1)
    assert found.sated("relay", {"a", "b"}) == {"a"}
    assert found.sated("relay", {"a", "c"}) == {"a"}
    assert found.sated("relay", {"a"}) == frozenset()
    assert found.sated("relay", {"b", "c"}) == frozenset()
    assert _holding(3, a=1, b=1).sated("relay", {"a", "b"}) == frozenset()
    assert found.sated("another", {"a", "b"}) == frozenset()


def test_what_is_given_back_counts_no_more() -> None:
    """Who has less than half again has a turn again."""
    found = _holding(4, a=2)
    found.give_back("relay", "a")
    assert found.sated("relay", {"a", "b"}) == frozenset()


@given(st.integers(1, 8), st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=80))
def test_nobody_takes_more_than_half_while_others_have_less(connections: int, ends: list[int]) -> None:
    """Whatever hangs and whatever ends: who takes one over half takes it from nobody who waits with less (R15)."""
    mail = mailbags.Mail(connections=connections)
    for name in _NAMES:
        mail.add(mailbags.lane(name.removeprefix("uid-")), count=30)
    under_way: list[lanes.LaneEntry] = []
    for end in ends:
        while len(under_way) < connections and (entry := mail.take(0.0)) is not None:
            held = collections.Counter(each.pending.lane.namespace_uid for each in under_way)
            half = max(1, connections // 2)
            if held[entry.pending.lane.namespace_uid] >= half:
                waiting = mail.schedule.rounds.ready_namespaces(mailbags.DESTINATION) - {
                    entry.pending.lane.namespace_uid
                }
                assert all(held[namespace] >= half for namespace in waiting)
            under_way.append(entry)
        if end < len(under_way):
            done = under_way.pop(end)
            mail.schedule.charge(done, 0.1, at=mailbags.DESTINATION)
            mail.schedule.remove(done)

"""Who comes next over a slot is known when a dot leaves, and a defect in finding that out keeps no dot back."""

import pytest

from kit import mailbags, sending
from mailtier.sender.delivering.attempting import announcing
from mailtier.sender.scheduling import lanes
from mailtier.sender.smtp.sessions import exchange


def _entries(count: int) -> list[lanes.LaneEntry]:
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=count)
    return mail.drain()


def _defect(*_arguments: object) -> None:
    raise RuntimeError("a defect")


def test_one_is_chosen_for_each_message() -> None:
    """Whoever was chosen stays so until its turn, however often a dot leaves before."""
    first, *others = _entries(3)
    behind: list[lanes.LaneEntry] = []

    def choose(entry: lanes.LaneEntry) -> lanes.LaneEntry:
        behind.append(entry)
        return others[len(behind) - 1]

    follower = announcing.Follower(first, choose=choose, prepare=lambda _entry: None, time=sending.Clock().as_clock())
    assert follower.announce() is None
    assert follower.announce() is None
    assert behind == [first]
    assert follower.take() is others[0]
    assert follower.entry is None
    follower.behind = others[0]
    follower.announce()
    assert behind == [first, others[0]]
    assert follower.withdraw() is others[1]
    assert follower.take() is None


@pytest.mark.parametrize("where", ["choose", "prepare"])
def test_a_defect_keeps_no_dot_back(where: str) -> None:
    """Nothing is announced then; who was chosen already has its turn all the same (R4)."""
    first, other = _entries(2)
    follower = announcing.Follower(
        first,
        choose=_defect if where == "choose" else lambda _entry: other,
        prepare=_defect,
        time=sending.Clock().as_clock(),
    )
    said: exchange.Letter | None = follower.announce()
    assert said is None
    assert follower.take() is (None if where == "choose" else other)
    assert follower.prepared is None

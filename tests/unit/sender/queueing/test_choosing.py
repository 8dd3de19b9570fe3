"""What is claimed of a backlog: what is due, in its order, as much of it as fits."""

import dataclasses

import pytest

from kit import attempts
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import choosing

_MEBIBYTE = 1024 * 1024


def _choice(
    *, limit: int = 10, limit_bytes: int = 1_000, due_by: int | None = 100, due_from: int | None = None
) -> choosing.BacklogChoice:
    demand = ports.Demand(
        backlog=ports.BacklogKey(lane=attempts.JOB.lane, category=vocabulary.Category.JOB_ALERT),
        due_by=None,
        states=frozenset(),
        limit=limit,
        limit_bytes=limit_bytes,
    )
    return choosing.BacklogChoice(demand, {7}, due_by=due_by, due_from=due_from)


def _claimed(number: int, payload_bytes: int) -> ports.Claimed:
    job = dataclasses.replace(attempts.JOB, recipient_number=number)
    pending = ports.Pending(
        recipient_number=number,
        lane=job.lane,
        category=job.category,
        state=vocabulary.RecipientState.QUEUED,
        due_at=job.accepted_at,
        expires_at=job.expires_at,
        attempts=0,
    )
    return ports.Claimed(pending=pending, job=job, payload_bytes=payload_bytes)


def test_what_is_due_and_free_is_chosen_in_its_order() -> None:
    """What is claimed is passed over; the first that has to wait ends it, and it is told when that is due."""
    choice = _choice()
    choice.look([(7, 10), (2, 20), (1, 30), (3, 101), (4, 102)])
    assert (choice.numbers(), choice.next_due, choice.beyond) == ([2, 1], 20, None)
    for number in (2, 1):
        choice.offer(_claimed(number, 1))
    assert choice.next_due == 101


@pytest.mark.parametrize("due_by", [100, None])
def test_no_more_is_chosen_than_is_wanted(due_by: int | None) -> None:
    """One row more than could be chosen tells when the first is due that is left."""
    choice = _choice(limit=2, due_by=due_by)
    assert choice.rows == 4
    choice.look([(7, 1), (1, 2), (2, 3), (3, 4)])
    for number in choice.fitting({}):
        choice.offer(_claimed(number, 1))
    assert (choice.numbers(), choice.next_due, choice.beyond) == ([1, 2], 4, None)


def test_what_no_wait_explains_is_looked_for_behind_what_waits() -> None:
    """It is due at once: it is chosen where there is room, and what of it is left is due before what waits."""
    choice = _choice(limit=2, due_from=1_000)
    choice.look([(1, 50), (2, 200), (3, 1_000)])
    assert choice.beyond == 1_000
    choice.look([(3, 1_000), (7, 1_001), (4, 1_002)])
    for number in choice.fitting({}):
        choice.offer(_claimed(number, 1))
    assert (choice.numbers(), choice.next_due, choice.beyond) == ([1, 3], 1_002, None)


def test_what_no_wait_explains_is_due_where_nothing_waits() -> None:
    """Where everything before it was chosen nothing has to be looked for."""
    choice = _choice(due_from=1_000)
    choice.look([(1, 50), (3, 1_000)])
    assert (choice.numbers(), choice.beyond) == ([1, 3], None)


@pytest.mark.parametrize(
    ("weights", "fitting"),
    [
        ({1: 400, 2: 600, 3: 1}, [1, 2]),
        ({1: 5_000, 2: 1, 3: 1}, [1]),
        ({1: 1, 2: 5_000, 3: 1}, [1]),
        ({1: 1, 2: 1, 3: 1}, [1, 2, 3]),
        ({}, [1, 2, 3]),
    ],
)
def test_what_fits_is_read_and_the_first_in_any_case(weights: dict[int, int], fitting: list[int]) -> None:
    """Nothing behind what does not fit; of what was not looked at it is seen when it is there."""
    choice = _choice()
    choice.look([(1, 1), (2, 2), (3, 3)])
    assert choice.fitting(weights) == fitting
    for number in fitting:
        choice.offer(_claimed(number, weights.get(number, 600)))
    taken = [each.job.recipient_number for each in choice.taken]
    assert taken == (fitting if weights else [1])
    assert choice.next_due == (None if len(taken) == 3 else len(taken) + 1)


def test_many_are_weighed_first() -> None:
    """A few are read unseen, as their weights take a look of their own."""
    few, many = _choice(), _choice()
    few.look([(number, 1) for number in range(20, 27)])
    many.look([(number, 1) for number in range(30, 38)])
    assert choosing.to_weigh([few, many]) == [*range(30, 38)]


def test_parts_are_bounded() -> None:
    """However much fits together, an answer has 16 MiB of it, or one payload; what was not weighed counts in full."""
    weights = dict.fromkeys(range(40), _MEBIBYTE) | {100: 50 * _MEBIBYTE}
    parts = list(choosing.parts([*range(40), 100, *range(200, 300)], weights))
    assert [len(part) for part in parts] == [16, 16, 8, 1, 64, 36]
    assert [number for part in parts for number in part] == [*range(40), 100, *range(200, 300)]
    assert list(choosing.parts([], {})) == []


@pytest.mark.parametrize(("due_from", "first"), [(None, 1), (51, 1), (50, 50), (2, 50)])
def test_a_backlog_has_first_what_no_wait_explains(due_from: int | None, first: int) -> None:
    """Else what is due first comes first."""
    assert choosing.first_due(1, 50, due_from) == first

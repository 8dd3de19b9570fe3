"""What is kept how long, and what goes first."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from kit import queues
from mailtier.sender.queueing import retention

_DAY = dt.timedelta(days=1)
_MINUTE = dt.timedelta(minutes=1)

_FINISHED = st.builds(
    retention.FinishedNotification,
    number=st.integers(1, 1_000),
    key_bytes=st.integers(1, 1_000),
    stored_bytes=st.integers(1_001, 5_000),
    is_known=st.booleans(),
)


def test_what_is_finished_is_kept_for_seven_days() -> None:
    """A repeat is known for seven days after the end."""
    assert retention.keep_until(queues.START) == queues.START + 7 * _DAY


def test_an_object_that_is_seen_is_kept_for_seven_days_more() -> None:
    """Seven days count from when it was last seen, in steps of an hour, and never end sooner than they did."""
    kept = queues.START + 7 * _DAY
    assert retention.prolong(kept, seen_at=queues.START + _DAY) == kept + _DAY
    assert retention.prolong(kept, seen_at=queues.START + 61 * _MINUTE) == kept + 61 * _MINUTE
    assert retention.prolong(kept, seen_at=queues.START + 60 * _MINUTE) is None
    assert retention.prolong(kept, seen_at=queues.START - _DAY) is None


def test_an_object_that_is_not_finished_has_no_end_to_prolong() -> None:
    """What waits is kept for as long as it waits."""
    assert retention.prolong(None, seen_at=queues.START + 100 * _DAY) is None


def test_where_a_repeat_has_to_be_known_its_key_stays() -> None:
    """A key or an object's hash is not freed with the record; what has neither goes whole."""
    known = retention.FinishedNotification(number=1, stored_bytes=5_000, key_bytes=700, is_known=True)
    plain = retention.FinishedNotification(number=1, stored_bytes=5_000, key_bytes=700, is_known=False)
    assert (known.freed_bytes, plain.freed_bytes) == (4_300, 5_000)


@given(finished=st.lists(_FINISHED, max_size=20), wanted_bytes=st.integers(0, 60_000))
def test_the_oldest_go_and_no_more_than_it_takes(
    finished: list[retention.FinishedNotification], wanted_bytes: int
) -> None:
    """What is forgotten is a beginning of what there is, and without its last one it would not do."""
    chosen = retention.choose(iter(finished), wanted_bytes=wanted_bytes)
    assert chosen == finished[: len(chosen)]
    assert sum(each.freed_bytes for each in chosen) >= wanted_bytes or len(chosen) == len(finished)
    assert sum(each.freed_bytes for each in chosen[:-1]) < max(wanted_bytes, 1)

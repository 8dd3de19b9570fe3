"""What status says of a backlog."""

import datetime as dt
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import feed
from mailtier.settings import magnitudes

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)


def _backlog(*, queued: int = 0, deferred: int = 0, held: int = 0, age: float = 600) -> feed.QueueShare:
    return feed.QueueShare(
        namespace="shop",
        namespace_uid="uid",
        organization="default",
        queued=queued,
        deferred=deferred,
        held=held,
        oldest_at=NOW - dt.timedelta(seconds=age),
    )


def _told(
    backlog: feed.QueueShare | None, before: typing.Mapping[str, typing.Any] | None = None
) -> dict[str, typing.Any]:
    return magnitudes.told(backlog, before=before or {}, now=NOW)


@pytest.mark.parametrize(
    ("count", "told"),
    [(-3, 0), (0, 0), (1, 1), (2, 2), (4, 2), (5, 5), (9, 5), (10, 10), (199, 100), (4_999, 2_000), (10**9, 10**9)],
)
def test_a_number_is_told_by_its_magnitude(count: int, told: int) -> None:
    """It is rounded down to 1, 2 or 5 times a power of ten."""
    assert magnitudes.magnitude(count) == told


@given(st.integers(min_value=0, max_value=10**12))
def test_a_magnitude_is_never_more_and_hardly_less(count: int) -> None:
    """What is told is at most the number, and more than two fifths of it; told again it is the same."""
    told = magnitudes.magnitude(count)
    assert told <= count < max(told * 5 / 2, 1)
    assert magnitudes.magnitude(told) == told


def test_a_backlog_is_told_with_the_time_of_the_oldest() -> None:
    """All three numbers are there, so that nobody takes one that is absent for unknown."""
    assert _told(_backlog(queued=1234, held=7)) == {
        "queued": 1000,
        "deferred": 0,
        "held": 5,
        "oldest": "2026-11-24T09:50:00Z",
    }


def test_mail_on_its_way_is_not_told() -> None:
    """What came within half a minute is no backlog, however much it is; and nothing is none."""
    assert _told(None) == {}
    assert _told(_backlog(queued=100_000, age=29.9)) == {}
    assert _told(_backlog(queued=1, age=30)) != {}


def test_a_queue_that_flows_is_told_the_same() -> None:
    """While the oldest is about as old as what was told of it, and there is about as much, nothing changes."""
    told = _told(_backlog(queued=1234, age=600))
    assert _told(_backlog(queued=1999, age=500), told) == told
    assert _told(_backlog(queued=1999, age=499), told) == told | {"oldest": "2026-11-24T09:51:41Z"}
    assert _told(_backlog(queued=1001, age=999), told) == told
    assert _told(_backlog(queued=1001, age=1000), told)["oldest"] == "2026-11-24T09:43:20Z"
    assert _told(_backlog(queued=2000, age=600), told)["queued"] == 2000


@pytest.mark.parametrize("before", ["yesterday", "2026-11-24T09:50:00", 5])
def test_a_time_that_nobody_can_read_is_told_anew(before: object) -> None:
    """What another version, or somebody else, wrote there keeps no status from being written."""
    assert _told(_backlog(queued=1), {"oldest": before})["oldest"] == "2026-11-24T09:50:00Z"


def test_the_sum_of_all_is_told_of_the_host() -> None:
    """Numbers are summed before they are rounded, and the oldest of all counts."""
    total = magnitudes.total([_backlog(queued=4, age=60), _backlog(queued=4, deferred=1, age=600)])
    assert _told(total) == {"queued": 5, "deferred": 1, "held": 0, "oldest": "2026-11-24T09:50:00Z"}
    assert magnitudes.total([]) is None

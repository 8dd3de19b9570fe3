"""Identifiers that sort by time."""

import datetime as dt
import uuid

import hypothesis
from hypothesis import strategies as st

from mailtier.sender.intake import ids

_EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@hypothesis.given(
    steps=st.lists(st.integers(-5_000, 5_000), min_size=2, max_size=60), entropy=st.binary(min_size=10, max_size=10)
)
def test_ids_grow_whatever_the_clock_does(steps: list[int], entropy: bytes) -> None:
    """Each identifier is greater than the one before, as text too, also where the clock steps back or stands still."""
    moments = iter(_EPOCH + dt.timedelta(milliseconds=step) for step in steps)
    made = ids.TimeSortedIds(now=lambda: next(moments), entropy=lambda _: entropy)
    found = [made.new() for _ in steps]
    assert found == sorted(set(found))


def test_id_is_a_version_7_uuid_with_its_time_in_front() -> None:
    """An identifier is a UUID of version 7 and variant 1 that begins with the milliseconds since 1970."""
    made = ids.TimeSortedIds(now=lambda: _EPOCH, entropy=lambda count: b"\xff" * count)
    found = uuid.UUID(made.new())
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert found.int >> 80 == int(_EPOCH.timestamp() * 1000)


def test_full_counter_runs_ahead_of_the_clock() -> None:
    """More identifiers than one millisecond holds go on into the next."""
    made = ids.TimeSortedIds(now=lambda: _EPOCH, entropy=lambda count: b"\xff" * count)
    found = [made.new() for _ in range(5_000)]
    assert found == sorted(set(found))
    assert uuid.UUID(found[-1]).int >> 80 > int(_EPOCH.timestamp() * 1000)

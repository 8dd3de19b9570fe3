"""However two contenders' tries fall together, at most one leads."""

import asyncio
import collections.abc
import copy
import dataclasses
import datetime as dt
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.kube import client, errors, lease

_NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
_TIMING = lease.Timing(duration_seconds=15, renew_deadline_seconds=10, retry_seconds=2)
_CONTENDERS = ("a", "b", "c")


@dataclasses.dataclass
class Store:
    """A place for one Lease with optimistic concurrency, whose answers may get lost."""

    found: client.Object | None = None
    version: int = 0
    fault: str = ""
    written: collections.abc.Callable[[], None] = lambda: None

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> client.Object:
        """Return the Lease."""
        self._fail("before")
        if self.found is None:
            raise errors.NotFoundError(path)
        return copy.deepcopy(self.found)

    async def create(self, _path: str, body: client.Object, *, timeout_seconds: float | None = None) -> client.Object:
        """Create the Lease."""
        if self.found is not None:
            raise errors.ConflictError("it exists")
        return self._write(body)

    async def replace(self, _path: str, body: client.Object, *, timeout_seconds: float | None = None) -> client.Object:
        """Update the Lease if the version is the current one."""
        if self.found is None:
            raise errors.NotFoundError("it is gone")
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise errors.ConflictError("it changed")
        return self._write(body)

    def _write(self, body: client.Object) -> client.Object:
        self._fail("before")
        self.version += 1
        self.found = copy.deepcopy(body)
        self.found["metadata"]["resourceVersion"] = str(self.version)
        self.written()
        self._fail("after")
        return copy.deepcopy(self.found)

    def _fail(self, where: str) -> None:
        if self.fault == where:
            raise errors.UnavailableError("no answer")


class Clock:
    """A monotonic clock that a test moves."""

    seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


def contender(store: Store, identity: str, clock: Clock) -> lease.Lease:
    """Return a contender for the store's Lease."""
    return lease.Lease(
        typing.cast("client.Client", store),
        namespace="a",
        name="leader",
        identity=identity,
        timing=_TIMING,
        now=lambda: _NOW,
        jitter=lambda: 0.0,
        monotonic=clock,
    )


steps = st.lists(
    st.tuples(
        st.sampled_from(_CONTENDERS),
        st.sampled_from(["try", "try", "try", "release"]),
        st.sampled_from(["", "", "", "before", "after"]),
        st.floats(0, 16),
    ),
    max_size=60,
)


@given(steps)
def test_at_most_one_leads(story: list[tuple[str, str, str, float]]) -> None:
    """With lost requests, lost answers and any pauses, two never lead at once."""
    store, clock = Store(), Clock()
    contenders = {name: contender(store, name, clock) for name in _CONTENDERS}

    async def play() -> None:
        for name, action, store.fault, pause in story:
            if action == "release":
                await contenders[name].release()
            elif action == "try":
                await contenders[name]._try()
            leading = [who for who, contending in contenders.items() if contending.leading]
            assert len(leading) <= 1, leading
            clock.seconds += pause

    asyncio.run(play())


async def test_wrong_wall_clock_means_nothing() -> None:
    """A Lease expires when it was not seen to change for its duration, whatever times are written in it."""
    for written in ("1999-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"):
        store, clock = Store(), Clock()
        first, second = contender(store, "a", clock), contender(store, "b", clock)
        assert await first._try()
        assert store.found is not None
        store.found["spec"]["renewTime"] = written
        assert not await second._try()
        clock.seconds += 14.9
        assert not await second._try()
        clock.seconds += 0.1
        assert await second._try()


async def test_duration_written_by_the_holder_counts() -> None:
    """A contender waits as long as the holder asked for, whatever its own setting is."""
    store, clock = Store(), Clock()
    assert await contender(store, "a", clock)._try()
    assert store.found is not None
    store.found["spec"]["leaseDurationSeconds"] = 60
    second = contender(store, "b", clock)
    assert not await second._try()
    clock.seconds += 59
    assert not await second._try()
    clock.seconds += 1
    assert await second._try()


async def test_restart_under_the_same_identity_leads_at_once() -> None:
    """The same identity is taken for an earlier life: the Lease goes on, with the time it was acquired."""
    store, clock = Store(), Clock()
    assert await contender(store, "a", clock)._try()
    assert store.found is not None
    before = copy.deepcopy(store.found["spec"])
    assert await contender(store, "a", clock)._try()
    assert store.found["spec"] == before


async def test_leader_counts_from_before_the_request() -> None:
    """A renewal that took long lasts no longer than others wait from when it may have been written."""
    store, clock = Store(), Clock()
    leading = contender(store, "a", clock)

    def take_long() -> None:
        clock.seconds += 4

    store.written = take_long
    assert await leading._try()
    clock.seconds += 5.9
    assert leading.leading
    clock.seconds += 0.1
    assert not leading.leading


async def test_standby_out_of_touch_says_so() -> None:
    """A contender that the apiserver does not answer knows that it would not notice a change."""
    store, clock = Store(), Clock()
    standby = contender(store, "b", clock)
    assert not standby.in_touch
    assert await contender(store, "a", clock)._try()
    await standby._try()
    assert (standby.in_touch, standby.holder) == (True, "a")
    clock.seconds += 15
    store.fault = "before"
    await standby._try()
    assert not standby.in_touch


@pytest.mark.parametrize("seconds", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_timing_that_could_not_work_is_refused(seconds: tuple[float, float, float]) -> None:
    """The deadline lies before the expiry, and a retry before the deadline."""
    with pytest.raises(ValueError, match="exceeds"):
        lease.Timing(duration_seconds=seconds[0], renew_deadline_seconds=seconds[1], retry_seconds=seconds[2])

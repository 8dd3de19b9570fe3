"""What arrives while a commit is under way is stored together in the next."""

import asyncio
import collections.abc

import pytest

from mailtier.sender.intake import gathering


class Store:
    """Stores numbers when it is let, and fails of those below zero.

    Attributes:
        commits: What was asked for at once.
    """

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.open = asyncio.Event()
        self.error: Exception = ValueError("below zero")

    async def __call__(self, numbers: collections.abc.Sequence[int]) -> list[str]:
        """Return what became of each."""
        self.commits.append(list(numbers))
        await self.open.wait()
        if min(numbers) < 0:
            raise self.error
        return [f"stored {number}" for number in numbers]


async def test_what_arrives_meanwhile_goes_together() -> None:
    """The first is stored at once, all that come during its commit in the next, each with its own verdict."""
    store = Store()
    gathered = gathering.Gathering(store)
    first = gathered.offer(0, namespace="team-a", weight_bytes=1)
    await asyncio.sleep(0)
    more = [gathered.offer(number, namespace="team-a", weight_bytes=1) for number in range(1, 10)]
    store.open.set()
    assert await asyncio.gather(first, *more) == [f"stored {number}" for number in range(10)]
    assert store.commits == [[0], list(range(1, 10))]


async def test_a_commit_holds_so_many_and_so_much() -> None:
    """Whoever comes waits for no more than a commit's worth, by number and by size."""
    store = Store()
    store.open.set()
    gathered = gathering.Gathering(store)
    few = [gathered.offer(number, namespace="team-a", weight_bytes=1) for number in range(gathering.AT_ONCE + 1)]
    large = [gathered.offer(number, namespace="team-a", weight_bytes=gathering.AT_ONCE_BYTES) for number in range(2)]
    await asyncio.gather(*few, *large)
    assert [len(commit) for commit in store.commits] == [gathering.AT_ONCE, 2, 1]


async def test_who_gave_up_is_stored_all_the_same() -> None:
    """What nobody waits for any more is stored, and keeps nobody else waiting."""
    store = Store()
    gathered = gathering.Gathering(store)
    given_up, patient = (
        gathered.offer(1, namespace="team-a", weight_bytes=1),
        gathered.offer(2, namespace="team-a", weight_bytes=1),
    )
    await asyncio.sleep(0)
    given_up.cancel()
    store.open.set()
    assert await patient == "stored 2"
    await gathered.drain()
    assert store.commits == [[1, 2]]
    assert not gathered


async def test_what_cannot_be_stored_fails_alone() -> None:
    """One that the queue cannot store at all fails by itself, and those beside it are stored (R15)."""
    store = Store()
    store.open.set()
    gathered = gathering.Gathering(store)
    good, bad, other = (gathered.offer(number, namespace="team-a", weight_bytes=1) for number in (1, -1, 2))
    assert (await good, await other) == ("stored 1", "stored 2")
    with pytest.raises(ValueError, match="below zero"):
        await bad


async def test_what_may_have_been_stored_is_not_stored_again() -> None:
    """A lost connection says nothing of what was stored: all are told, and nothing is stored twice (R4)."""
    store = Store()
    store.open.set()
    store.error = ConnectionResetError("gone")
    gathered = gathering.Gathering(store)
    told = [gathered.offer(number, namespace="team-a", weight_bytes=1) for number in (1, -1)]
    for each in told:
        with pytest.raises(ConnectionResetError):
            await each
    assert store.commits == [[1, -1]]

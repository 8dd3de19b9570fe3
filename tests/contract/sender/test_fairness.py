"""What the mail of others costs an organization: ratios, measured beside rounds without them in the same sender.

It is the servers that take the time here, and what this machine does else it does within that. Rounds without others
and with them take turns, until the best of each are as they have to be: what the machine does else makes a round worse,
and never better, and no number of rounds makes up for what others cost in all of them.
"""

import collections.abc
import pathlib

from kit import backends, fairness
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

_MOST_ROUNDS = 8
_HEALTHY, _LOST, _QUEUED = 40, 20, 10_000
_SECONDS = 0.4
"""For the reply to a message."""
_RATE, _PACED, _BURST = 40.0, 120, 6 * _HEALTHY
_LONGER, _SLOWER = 1.2, 0.95
"""What others may cost at most: so many times the wait, and that part of the rate."""


pytestmark = backends.BOTH


class _Rounds:
    """Rounds without others and with them.

    Args:
        field: Where they are played.
        teams: Whose mail is measured.
    """

    def __init__(self, field: fairness.Field, teams: collections.abc.Sequence[effective.Effective]) -> None:
        self._field = field
        self._teams = teams
        self._alone: list[fairness.Felt] = []
        self._beside: list[fairness.Felt] = []

    async def play(
        self,
        begin: collections.abc.Callable[[], collections.abc.Awaitable[object]],
        end: collections.abc.Callable[[], None],
        *,
        parts: collections.abc.Sequence[float],
        slower: float = _SLOWER,
    ) -> None:
        """Play until others cost no more than they may.

        Args:
            begin: Has others do what they do.
            end: Has them do it no more.
            parts: Of all messages, by how long they wait.
            slower: The part of the rate that is left at least.
        """
        # The first opens connections.
        await self._field.feel(self._teams, rate=_RATE, paced=1, burst=len(self._teams))
        while not self._are_within(parts, slower):
            assert len(self._beside) < _MOST_ROUNDS, self
            self._alone.append(await self._feel())
            await begin()
            self._beside.append(await self._feel())
            end()
        print(f"\n{self}")

    def __repr__(self) -> str:
        waits = (
            f"p{part * 100:.0f} {self._wait(self._alone, part) * 1000:.0f} and"
            f" {self._wait(self._beside, part) * 1000:.0f} ms"
            for part in (0.5, 0.9, 0.99)
        )
        rates = f"{self._rate(self._alone):.0f} and {self._rate(self._beside):.0f} a second"
        return f"without others and with them, {len(self._beside)} rounds: {', '.join(waits)}, {rates}"

    def _are_within(self, parts: collections.abc.Sequence[float], slower: float) -> bool:
        if not self._beside:
            return False
        waits = [self._wait(self._beside, part) <= _LONGER * self._wait(self._alone, part) for part in parts]
        return all(waits) and self._rate(self._beside) >= slower * self._rate(self._alone)

    async def _feel(self) -> fairness.Felt:
        return await self._field.feel(self._teams, rate=_RATE, paced=_PACED, burst=_BURST)

    @staticmethod
    def _wait(felt: collections.abc.Sequence[fairness.Felt], part: float) -> float:
        return min(each.quantile(part) for each in felt)

    @staticmethod
    def _rate(felt: collections.abc.Sequence[fairness.Felt]) -> float:
        return max(each.per_second for each in felt)


def _names(count: int) -> list[str]:
    return [f"team-{number}" for number in range(count)]


async def test_dead_servers_cost_the_healthy_nothing(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None
) -> None:
    """Of sixty organizations twenty have servers that are dead in five ways: others wait 1.2 times as long at most."""
    async with fairness.Field(tmp_path, shared=shared, delay_seconds=_SECONDS) as field:
        lost: list[effective.Effective] = []

        async def die() -> None:
            # Others each time: what is known to be dead is left alone for longer and longer.
            lost[:] = [field.lost(number) for number in range(len(lost), len(lost) + _LOST)]
            await field.queue(lost, 10 * _LOST)

        teams = [field.healthy(number, max_connections=1) for number in range(_HEALTHY)]
        await _Rounds(field, teams).play(die, lambda: field.leave(*lost), parts=(0.5, 0.9, 0.99))


async def test_a_long_queue_costs_the_others_nothing(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None
) -> None:
    """One organization has a long queue at the relay that all share; others wait hardly longer."""
    async with fairness.Field(tmp_path, shared=shared, delay_seconds=_SECONDS, varies=0.5) as field:
        limits = {"max_connections": 40}
        host, *teams = [field.sharing(name, **limits) for name in ("", *_names(_HEALTHY))]
        assert host.organization == effective.HOST
        loud = field.sharing("loud", **limits)
        numbers = await field.queue([loud], _QUEUED)
        field.leave(loud)

        async def come() -> None:
            field.sharing("loud", **limits)

        # The last hundredth waits for turns, of which virtual time says it all (`test_waits.py` of the schedule). And
        # at the beginning of a burst what is on the wire is the loud one's.
        await _Rounds(field, teams).play(come, lambda: field.leave(loud), parts=(0.5, 0.9), slower=0.7)
        # Else it was not beside them.
        assert numbers[-1] not in field.alive.answered()


async def test_all_who_share_a_relay_keep_its_limits_together(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None
) -> None:
    """Sixty namespaces have three connections together, and thirty messages in any minute."""
    async with fairness.Field(tmp_path, shared=shared, delay_seconds=0.02) as field:
        limits = {"max_connections": 3, "endpoint_rate_per_minute": 30}
        host, *teams = [field.sharing(name, **limits) for name in ("", *_names(_HEALTHY + _LOST))]
        assert host.organization == effective.HOST
        minutes = fairness.Minutes(field)
        await field.queue(teams, 4 * len(teams))
        await minutes.pass_by(4)
        assert minutes.most_in_any() <= 30
        assert len(minutes.times) >= 100
        assert minutes.most_connections() <= 3

"""What the mail of others costs an organization: ratios, measured beside a run without them in the same sender.

The exact bounds are those of the bench (`make bench-fairness`); here they have room for a machine that is busy.
"""

import collections.abc
import pathlib
import statistics

from kit import fairness
from mailtier.settings import effective

_ROUNDS = 3
_HEALTHY, _LOST, _QUEUED = 40, 20, 2_000


async def _felt(
    field: fairness.Field, teams: collections.abc.Sequence[effective.Effective], *, rate: float, burst: int
) -> fairness.Felt:
    """Return the best of some rounds: what else the machine does makes them worse, never better."""
    felt = [await field.feel(teams, rate=rate, paced=int(3 * rate), burst=burst) for _ in range(_ROUNDS)]
    return fairness.Felt(
        waits=min((each.waits for each in felt), key=statistics.fmean),
        per_second=max(each.per_second for each in felt),
        cpu_seconds=min(each.cpu_seconds for each in felt),
    )


def _require(alone: fairness.Felt, beside: fairness.Felt) -> None:
    """Fail where others cost the healthy more than they may: the bench's bounds are 1.2 and 0.95."""
    assert beside.quantile(0.5) <= 2 * alone.quantile(0.5), (alone, beside)
    assert beside.quantile(0.9) <= 3 * alone.quantile(0.9), (alone, beside)
    assert beside.per_second >= 0.5 * alone.per_second, (alone, beside)


def _names(count: int) -> list[str]:
    return [f"team-{number}" for number in range(count)]


async def test_dead_servers_cost_the_healthy_nothing(tmp_path: pathlib.Path) -> None:
    """Of sixty organizations twenty have servers that are dead in five ways; the mail of the others leaves as soon."""
    async with fairness.Field(tmp_path) as field:
        teams = [field.healthy(number) for number in range(_HEALTHY)]
        # The first opens connections.
        await field.feel(teams, rate=_HEALTHY, paced=_HEALTHY, burst=_HEALTHY)
        alone = await _felt(field, teams, rate=20, burst=120)
        await field.queue([field.lost(number) for number in range(_LOST)], 10 * _LOST)
        _require(alone, await _felt(field, teams, rate=20, burst=120))


async def test_a_long_queue_costs_the_others_nothing(tmp_path: pathlib.Path) -> None:
    """One organization has a long queue at the relay that all share; the mail of the others leaves as soon."""
    # What the relay takes bounds it, and not this machine.
    async with fairness.Field(tmp_path, delay_seconds=0.1) as field:
        host, *teams = [field.sharing(name, max_connections=4) for name in ("", *_names(_HEALTHY))]
        assert host.organization == effective.HOST
        alone = await _felt(field, teams, rate=10, burst=_HEALTHY)
        numbers = await field.queue([field.sharing("loud", max_connections=4)], _QUEUED)
        beside = await _felt(field, teams, rate=10, burst=_HEALTHY)
        # Else it was not beside them.
        assert numbers[-1] not in field.alive.answered()
        _require(alone, beside)


async def test_all_who_share_a_relay_keep_its_limits_together(tmp_path: pathlib.Path) -> None:
    """Sixty namespaces have three connections together, and thirty messages in any minute."""
    async with fairness.Field(tmp_path, delay_seconds=0.02) as field:
        limits = {"max_connections": 3, "endpoint_rate_per_minute": 30}
        host, *teams = [field.sharing(name, **limits) for name in ("", *_names(_HEALTHY + _LOST))]
        assert host.organization == effective.HOST
        minutes = fairness.Minutes(field)
        await field.queue(teams, 4 * len(teams))
        await minutes.pass_by(4)
        assert minutes.most_in_any() <= 30
        assert len(minutes.times) >= 100
        assert minutes.most_connections() <= 3

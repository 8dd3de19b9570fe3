"""How a namespace's organizations share the rate of the host's quota, in virtual time."""

import collections

import hypothesis
from hypothesis import strategies

from kit import mailbags
from mailtier.api import vocabulary
from mailtier.sender.scheduling import lanes, limiter

_PASSWORD = vocabulary.Category.PASSWORD_RECOVERY
_UPDATE = vocabulary.Category.PRODUCT_UPDATE


def test_a_namespace_s_rate_is_shared_by_its_organizations() -> None:
    """Three organizations together send what their namespace may, in turns, and nobody is asked in between."""
    mail = mailbags.Mail()
    for name in "abc":
        mail.add(mailbags.lane("ns", name), count=5, namespace_rate=2)
    taken = []
    now = 0.0
    while len(taken) < 6:
        taken += [(now, entry.pending.lane.organization) for entry in mail.drain(now)]
        assert not mail.schedule.rounds.has_ready("relay")
        assert mail.schedule.rounds.waiting_for_rate() == 3
        following = mail.schedule.next_event()
        assert following is not None
        assert following > now
        now = following
    assert taken == [(0.0, "a"), (30.0, "b"), (60.0, "c"), (90.0, "a"), (120.0, "b"), (150.0, "c")]


def test_a_namespace_at_its_rate_delays_nobody_else() -> None:
    """What another namespace has goes out at once, before, between and after what the rate lets through."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("loud", "a"), count=100, namespace_rate=60)
    mail.add(mailbags.lane("loud", "b"), count=100, namespace_rate=60)
    mail.add(mailbags.lane("quiet"), count=20)
    order = collections.Counter(entry.pending.lane.namespace for entry in mail.drain(now=0.0))
    assert order == {"loud": 6, "quiet": 20}
    mail.add(mailbags.lane("quiet"), count=3, due_at=0.5)
    assert [entry.pending.lane.namespace for entry in mail.drain(now=0.5)] == ["quiet"] * 3


def test_a_password_recovery_is_first_when_the_namespace_may_send() -> None:
    """It is bound by its namespace's rate, and passes what its organization has waiting."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), _UPDATE, count=3, namespace_rate=1)
    assert len(mail.drain(now=0.0)) == 1
    mail.add(mailbags.lane("ns"), _PASSWORD, namespace_rate=1)
    assert mail.drain(now=59.0) == []
    assert [entry.pending.category for entry in mail.drain(now=60.0)] == [_PASSWORD]


def test_an_endpoint_of_its_own_is_not_bound_by_the_namespace_s_rate() -> None:
    """Only those who use the host's endpoint share its rate."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns", "inherits"), count=5, namespace_rate=1)
    mail.add(mailbags.lane("ns", "own"), count=5, destination="other")
    assert len(mail.drain()) == 1
    assert len(mail.drain(destination="other")) == 5


def test_a_higher_rate_acts_at_once_and_gives_no_fresh_minute() -> None:
    """Settings that change let messages go as soon as the new rate does, counted from what was sent before."""
    mail = mailbags.Mail()
    key = mailbags.lane("ns")
    mail.add(key, count=5, namespace_rate=1)
    assert len(mail.drain(now=0.0)) == 1
    for _ in range(3):
        mail.schedule.direct(key, "relay", rates=lanes.Rates(organization=5, namespace=2))
        mail.schedule.direct(key, "relay", rates=lanes.Rates(organization=6, namespace=1))
        assert mail.drain(now=1.0) == []
    mail.schedule.direct(key, "relay")
    assert len(mail.drain(now=1.0)) == 4


def test_what_was_not_attempted_leaves_the_namespace_s_rate_to_another() -> None:
    """An entry that is put first again costs its namespace nothing, also where its organization is held then."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns", "a"), namespace_rate=1)
    mail.add(mailbags.lane("ns", "b"), namespace_rate=1)
    entry = mail.take()
    assert entry is not None
    assert mail.take() is None
    mail.schedule.put_back(entry)
    mail.schedule.halt(entry.pending.lane)
    other = mail.take()
    assert other is not None
    assert other.organization is not entry.organization


@hypothesis.given(strategies.none() | strategies.integers(1, 120), strategies.none() | strategies.integers(1, 120))
def test_what_is_given_back_is_what_was_charged(before: int | None, after: int | None) -> None:
    """Rates that change while a message is under way neither forgive nor cost anything when it did not go."""
    mail = mailbags.Mail()
    key = mailbags.lane("ns")
    mail.add(key, rate=before, namespace_rate=before)
    entry = mail.take()
    assert entry is not None
    mail.schedule.direct(key, "relay", rates=lanes.Rates(organization=after, namespace=after))
    mail.schedule.put_back(entry)
    mail.schedule.direct(key, "relay", rates=lanes.Rates(organization=1, namespace=1))
    mail.add(key, rate=1, namespace_rate=1)
    assert len(mail.drain(now=0.0)) == 1
    assert mail.drain(now=59.0) == []
    assert len(mail.drain(now=60.0)) == 1


def test_a_held_organization_leaves_those_that_wait_for_the_rate() -> None:
    """What waits for something else meanwhile is not asked when the time of the rate has come."""
    mail = mailbags.Mail()
    for name in "ab":
        mail.add(mailbags.lane("ns", name), count=2, namespace_rate=1)
    assert len(mail.drain()) == 1
    mail.schedule.halt(mailbags.lane("ns", "a"))
    assert mail.schedule.rounds.waiting_for_rate() == 1
    mail.schedule.halt(mailbags.lane("ns", "b"))
    assert mail.schedule.rounds.waiting_for_rate() == 0
    assert mail.drain(now=60.0) == []
    mail.schedule.direct(mailbags.lane("ns", "b"), "relay", rates=lanes.Rates(namespace=1))
    assert [entry.pending.lane.organization for entry in mail.drain(now=60.0)] == ["b"]


@hypothesis.given(
    strategies.lists(
        strategies.tuples(strategies.integers(0, 2), strategies.integers(0, 3), strategies.integers(0, 120)),
        min_size=1,
        max_size=60,
    ),
    strategies.integers(1, 40),
)
def test_no_window_holds_more_than_the_namespace_s_rate(offers: list[tuple[int, int, int]], rate: int) -> None:
    """Whatever comes when, each namespace has at most its rate in any minute, loses nothing, and waits for no other.

    Namespace 0 is not limited: each of its messages goes at the moment in which it is due.
    """
    mail = mailbags.Mail()
    for namespace, organization, due_at in offers:
        limit = rate if namespace else None
        mail.add(mailbags.lane(str(namespace), str(organization)), due_at=due_at, namespace_rate=limit)
    taken: dict[str, list[float]] = collections.defaultdict(list)
    at: float | None = 0.0
    while at is not None:
        for entry in mail.drain(at):
            taken[entry.pending.lane.namespace].append(at)
            mail.schedule.remove(entry)
        following = mail.schedule.next_event()
        # Only expiries are left of what was taken.
        at = following if following is not None and len(mail.schedule) else None
    assert sum(map(len, taken.values())) == len(offers)
    assert taken["0"] == sorted(float(due_at) for namespace, _, due_at in offers if namespace == 0)
    for name in ("1", "2"):
        times = taken[name]
        for earlier, later in zip(times, times[rate:], strict=False):
            assert later - earlier >= 60 - 1e-6
        assert times == _greedy(sorted(due_at for each, _, due_at in offers if str(each) == name), rate)


def _greedy(due: list[int], rate: int) -> list[float]:
    """Return when messages go that nothing but the rate delays."""
    alone = limiter.RateLimiter(rate)
    times: list[float] = []
    for due_at in due:
        at = alone.allowed_at(max(float(due_at), times[-1] if times else 0.0))
        alone.take(at)
        times.append(at)
    return times

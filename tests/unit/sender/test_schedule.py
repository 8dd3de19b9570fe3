"""Whose turn it is, in virtual time."""

import collections
import datetime as dt

import hypothesis
from hypothesis import strategies

from mailtier.api import vocabulary
from mailtier.sender import lanes, limiter, ports, schedule

_NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
_ALERT = vocabulary.Category.JOB_ALERT
_PASSWORD = vocabulary.Category.PASSWORD_RECOVERY
_UPDATE = vocabulary.Category.PRODUCT_UPDATE


def _lane(namespace: str, organization: str = "default") -> ports.LaneKey:
    return ports.LaneKey(namespace_uid=f"uid-{namespace}", namespace=namespace, organization=organization)


class _Mail:
    """A schedule with a shorter way to fill and empty it."""

    def __init__(self) -> None:
        self.schedule = schedule.Schedule()
        self._number = 0

    def add(
        self,
        lane: ports.LaneKey,
        category: vocabulary.Category = _ALERT,
        *,
        count: int = 1,
        due_at: float = 0.0,
        destination: str | None = "relay",
        rate: int | None = None,
        namespace_rate: int | None = None,
    ) -> None:
        for _ in range(count):
            self._number += 1
            pending = ports.Pending(
                recipient=self._number,
                lane=lane,
                category=category,
                state=vocabulary.RecipientState.QUEUED,
                due_at=_NOW,
                expires_at=_NOW,
                attempts=0,
            )
            self.schedule.offer(pending, due_at=due_at, expires_at=1e9)
        if destination:
            self.schedule.attach(lane, destination, rates=lanes.Rates(organization=rate, namespace=namespace_rate))

    def take(self, now: float = 0.0, destination: str = "relay") -> lanes.Entry | None:
        self.schedule.advance(now)
        return self.schedule.take(destination, now)

    def drain(self, now: float = 0.0, destination: str = "relay", limit: int = 10_000) -> list[lanes.Entry]:
        taken: list[lanes.Entry] = []
        while len(taken) < limit and (entry := self.take(now, destination)) is not None:
            taken.append(entry)
        return taken


def test_namespaces_share_a_destination_evenly() -> None:
    """A namespace with many organizations and messages gets no more turns than one with a single message each."""
    mail = _Mail()
    for number in range(10):
        mail.add(_lane("crowd", f"org-{number}"), count=10)
    mail.add(_lane("quiet"), count=5)
    first = collections.Counter(entry.pending.lane.namespace for entry in mail.drain(limit=10))
    assert first == {"crowd": 5, "quiet": 5}


def test_organizations_of_a_namespace_take_turns() -> None:
    """Within a namespace no organization is served twice before another that waits."""
    mail = _Mail()
    mail.add(_lane("ns", "many"), count=10)
    mail.add(_lane("ns", "few"), count=2)
    order = [entry.pending.lane.organization for entry in mail.drain(limit=4)]
    assert sorted(order[:2]) == sorted(order[2:]) == ["few", "many"]


def test_the_class_orders_within_an_organization_only() -> None:
    """A password recovery passes its own organization's alerts and updates, and nobody else's."""
    mail = _Mail()
    mail.add(_lane("a"), _UPDATE)
    mail.add(_lane("a"), _ALERT)
    mail.add(_lane("a"), _PASSWORD)
    mail.add(_lane("b"), _UPDATE, count=3)
    order = [(entry.pending.lane.namespace, entry.pending.category) for entry in mail.drain()]
    assert [category for namespace, category in order if namespace == "a"] == [_PASSWORD, _ALERT, _UPDATE]
    assert [namespace for namespace, _ in order] == ["a", "b"] * 3


def test_a_dead_destination_delays_only_its_users() -> None:
    """What waits for one destination is not in the way of another."""
    mail = _Mail()
    mail.add(_lane("unlucky"), count=1000, destination="dead")
    mail.add(_lane("lucky"), count=3, destination="alive")
    assert len(mail.drain(destination="alive")) == 3


def test_a_lane_keeps_the_order_in_which_messages_became_due() -> None:
    """First due, first served."""
    mail = _Mail()
    for due_at in (3.0, 1.0, 2.0):
        mail.add(_lane("ns"), due_at=due_at)
    assert [entry.pending.recipient for entry in mail.drain(now=5.0)] == [2, 3, 1]


def test_nothing_goes_before_it_is_due() -> None:
    """A deferred message waits for its time, and the schedule says when that is."""
    mail = _Mail()
    mail.add(_lane("ns"), due_at=10.0)
    assert mail.take(9.9) is None
    assert mail.schedule.next_event() == 10.0
    assert mail.take(10.0) is not None


def test_messages_of_a_held_organization_keep_their_places() -> None:
    """Held messages do not go; attached again they go in their order."""
    mail = _Mail()
    mail.add(_lane("ns"), count=3)
    mail.schedule.advance(0.0)
    mail.schedule.detach(_lane("ns"))
    assert mail.take() is None
    mail.schedule.attach(_lane("ns"), "relay")
    assert [entry.pending.recipient for entry in mail.drain()] == [1, 2, 3]


def test_what_becomes_ready_in_a_held_organization_is_told_once() -> None:
    """Entries that only the hold keeps back can be marked as held."""
    mail = _Mail()
    mail.add(_lane("ns"), count=2, destination=None)
    mail.schedule.advance(0.0)
    assert [entry.pending.recipient for entry in mail.schedule.take_stranded()] == [1, 2]
    assert mail.schedule.take_stranded() == []


def test_another_destination_takes_over() -> None:
    """When the settings name another endpoint, the messages go there and no longer to the former."""
    mail = _Mail()
    mail.add(_lane("ns"), count=2)
    mail.schedule.advance(0.0)
    mail.schedule.attach(_lane("ns"), "other")
    assert mail.take(destination="relay") is None
    assert len(mail.drain(destination="other")) == 2


def test_a_rate_spreads_an_organizations_messages() -> None:
    """With ratePerMinute 2, two go in the first minute and the next half a minute after the second."""
    mail = _Mail()
    mail.add(_lane("ns"), count=4, rate=2)
    assert len(mail.drain(now=0.0)) == 1
    assert mail.schedule.next_event() == 30.0
    assert len(mail.drain(now=30.0)) == 1
    assert len(mail.drain(now=59.0)) == 0
    assert len(mail.drain(now=60.0)) == 1


def test_a_namespace_s_rate_is_shared_by_its_organizations() -> None:
    """Three organizations together send what their namespace may, in turns, and nobody is asked in between."""
    mail = _Mail()
    for name in "abc":
        mail.add(_lane("ns", name), count=5, namespace_rate=2)
    taken = []
    now = 0.0
    while len(taken) < 6:
        taken += [(now, entry.pending.lane.organization) for entry in mail.drain(now)]
        assert not mail.schedule.has_ready("relay")
        assert mail.schedule.waiting_for_rate() == 3
        following = mail.schedule.next_event()
        assert following is not None
        assert following > now
        now = following
    assert taken == [(0.0, "a"), (30.0, "b"), (60.0, "c"), (90.0, "a"), (120.0, "b"), (150.0, "c")]


def test_a_namespace_at_its_rate_delays_nobody_else() -> None:
    """What another namespace has goes out at once, before, between and after what the rate lets through."""
    mail = _Mail()
    mail.add(_lane("loud", "a"), count=100, namespace_rate=60)
    mail.add(_lane("loud", "b"), count=100, namespace_rate=60)
    mail.add(_lane("quiet"), count=20)
    order = collections.Counter(entry.pending.lane.namespace for entry in mail.drain(now=0.0))
    assert order == {"loud": 6, "quiet": 20}
    mail.add(_lane("quiet"), count=3, due_at=0.5)
    assert [entry.pending.lane.namespace for entry in mail.drain(now=0.5)] == ["quiet"] * 3


def test_a_password_recovery_is_first_when_the_namespace_may_send() -> None:
    """It is bound by its namespace's rate, and passes what its organization has waiting."""
    mail = _Mail()
    mail.add(_lane("ns"), _UPDATE, count=3, namespace_rate=1)
    assert len(mail.drain(now=0.0)) == 1
    mail.add(_lane("ns"), _PASSWORD, namespace_rate=1)
    assert mail.drain(now=59.0) == []
    assert [entry.pending.category for entry in mail.drain(now=60.0)] == [_PASSWORD]


def test_an_endpoint_of_its_own_is_not_bound_by_the_namespace_s_rate() -> None:
    """Only those who use the host's endpoint share its rate."""
    mail = _Mail()
    mail.add(_lane("ns", "inherits"), count=5, namespace_rate=1)
    mail.add(_lane("ns", "own"), count=5, destination="other")
    assert len(mail.drain()) == 1
    assert len(mail.drain(destination="other")) == 5


def test_a_higher_rate_acts_at_once_and_gives_no_fresh_minute() -> None:
    """Settings that change let messages go as soon as the new rate does, counted from what was sent before."""
    mail = _Mail()
    key = _lane("ns")
    mail.add(key, count=5, namespace_rate=1)
    assert len(mail.drain(now=0.0)) == 1
    for _ in range(3):
        mail.schedule.attach(key, "relay", rates=lanes.Rates(organization=5, namespace=2))
        mail.schedule.attach(key, "relay", rates=lanes.Rates(organization=6, namespace=1))
        assert mail.drain(now=1.0) == []
    mail.schedule.attach(key, "relay")
    assert len(mail.drain(now=1.0)) == 4


def test_what_was_not_attempted_leaves_the_namespace_s_rate_to_another() -> None:
    """An entry that is put first again costs its namespace nothing, also where its organization is held then."""
    mail = _Mail()
    mail.add(_lane("ns", "a"), namespace_rate=1)
    mail.add(_lane("ns", "b"), namespace_rate=1)
    entry = mail.take()
    assert entry is not None
    assert mail.take() is None
    mail.schedule.put_first(entry)
    mail.schedule.detach(entry.pending.lane)
    other = mail.take()
    assert other is not None
    assert other.organization is not entry.organization


def test_a_held_organization_leaves_those_that_wait_for_the_rate() -> None:
    """Detached while its namespace waits, it is not asked when the time has come."""
    mail = _Mail()
    for name in "ab":
        mail.add(_lane("ns", name), count=2, namespace_rate=1)
    assert len(mail.drain()) == 1
    mail.schedule.detach(_lane("ns", "a"))
    assert mail.schedule.waiting_for_rate() == 1
    mail.schedule.detach(_lane("ns", "b"))
    assert mail.schedule.waiting_for_rate() == 0
    assert mail.drain(now=60.0) == []
    mail.schedule.attach(_lane("ns", "b"), "relay", rates=lanes.Rates(namespace=1))
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
    mail = _Mail()
    for namespace, organization, due_at in offers:
        limit = rate if namespace else None
        mail.add(_lane(str(namespace), str(organization)), due_at=due_at, namespace_rate=limit)
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
    for namespace in ("1", "2"):
        times = taken[namespace]
        for earlier, later in zip(times, times[rate:], strict=False):
            assert later - earlier >= 60 - 1e-6
        assert times == _greedy(sorted(due_at for each, _, due_at in offers if str(each) == namespace), rate)


def _greedy(due: list[int], rate: int) -> list[float]:
    """Return when messages go that nothing but the rate delays."""
    alone, times = limiter.RateLimiter(rate), []
    for due_at in due:
        at = alone.allowed_at(max(float(due_at), times[-1] if times else 0.0))
        alone.take(at)
        times.append(at)
    return times


def test_password_recovery_has_a_rate_of_its_own() -> None:
    """Thirty a minute and organization, whatever the settings say, and alerts are not held back by it."""
    mail = _Mail()
    mail.add(_lane("ns"), _PASSWORD, count=100)
    mail.add(_lane("ns"), _ALERT, count=5)
    taken = [entry.pending.category for second in range(60) for entry in mail.drain(now=second)]
    assert taken.count(_PASSWORD) == 30
    assert taken.count(_ALERT) == 5


def test_an_urgent_message_does_not_wait_for_a_held_lane() -> None:
    """A lane that is held keeps back its own messages alone, also those that come while it is."""
    mail = _Mail()
    mail.add(_lane("ns"), _UPDATE, count=2)
    entry = mail.take()
    assert entry is not None
    mail.schedule.hold(entry.lane, until=900.0)
    assert mail.take(1.0) is None
    mail.add(_lane("ns"), _PASSWORD)
    urgent = mail.take(2.0)
    assert urgent is not None
    assert urgent.pending.category is _PASSWORD
    assert mail.take(899.0) is None
    assert mail.take(900.0) is not None


def test_what_was_not_attempted_is_next_and_costs_no_rate() -> None:
    """An entry that is put first again goes next, as if it had not been taken."""
    mail = _Mail()
    mail.add(_lane("ns"), count=3, rate=1)
    entry = mail.take()
    assert entry is not None
    mail.schedule.put_first(entry)
    assert mail.take() is entry


def test_expiry_is_told_once_and_not_for_what_is_gone() -> None:
    """Entries reach their expiry unless they were finished before."""
    mail = _Mail()
    mail.add(_lane("ns"), count=3)
    entries = mail.drain()
    mail.schedule.remove(entries[0])
    for entry in entries:
        mail.schedule.watch_expiry(entry, at=5.0)
    assert list(mail.schedule.expired(4.9)) == []
    assert list(mail.schedule.expired(5.0)) == entries[1:]
    assert list(mail.schedule.expired(5.0)) == []


def test_a_recipient_is_taken_in_once() -> None:
    """Offering a recipient again changes nothing."""
    mail = _Mail()
    mail.add(_lane("ns"))
    (entry,) = mail.drain()
    assert mail.schedule.offer(entry.pending, due_at=0.0, expires_at=0.0) is None


def test_finished_organizations_are_forgotten() -> None:
    """An organization without messages takes no memory, once its rates do not count any more."""
    mail = _Mail()
    mail.add(_lane("ns"))
    (entry,) = mail.drain(now=1000.0)
    assert mail.schedule.prune(2000.0) == []
    mail.schedule.remove(entry)
    assert mail.schedule.prune(1060.0) == []
    assert mail.schedule.prune(1120.0) == [_lane("ns")]
    assert mail.schedule.organization(_lane("ns")) is None


@hypothesis.given(
    strategies.lists(
        strategies.tuples(
            strategies.integers(0, 4),
            strategies.integers(0, 3),
            strategies.sampled_from(list(vocabulary.Category)),
            strategies.floats(0, 100),
            strategies.sampled_from(["one", "two"]),
        ),
        max_size=60,
    )
)
def test_everything_is_taken_exactly_once(
    offers: list[tuple[int, int, vocabulary.Category, float, str]],
) -> None:
    """Whatever is offered, each recipient is taken once, by the destination its organization has in the end."""
    mail = _Mail()
    for namespace, organization, category, due_at, destination in offers:
        mail.add(_lane(str(namespace), str(organization)), category, due_at=due_at, destination=destination)
    final = {
        _lane(str(namespace), str(organization)): destination for namespace, organization, _, _, destination in offers
    }
    taken: list[tuple[int, str]] = []
    for now in range(0, 400, 1):
        for destination in ("one", "two"):
            for entry in mail.drain(now, destination):
                assert final[entry.pending.lane] == destination
                taken.append((entry.pending.recipient, destination))
    assert sorted(recipient for recipient, _ in taken) == list(range(1, len(offers) + 1))


def test_finished_recipients_cost_no_memory() -> None:
    """What is final is not kept until its max age would have been reached, and what is not final still expires."""
    mail = _Mail()
    mail.add(_lane("team-a", "kept"), count=1, due_at=1e6)
    for _ in range(20):
        mail.add(_lane("team-a"), count=500)
        for entry in mail.drain():
            mail.schedule.remove(entry)
    assert len(mail.schedule) == 1
    assert len(mail.schedule._expiring) <= 1_001
    assert [entry.pending.lane.organization for entry in mail.schedule.expired(2e9)] == ["kept"]

"""Connections are shared by time, whatever a message takes of them; in virtual time."""

import collections
import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import mailbags
from mailtier.sender.scheduling import lanes, rotation

_CONNECTIONS = 3


class _Server:
    """Connections to one server, each with one message after the other."""

    def __init__(self, mail: mailbags.Mail, seconds: dict[str, float], *, connections: int = _CONNECTIONS) -> None:
        self._mail = mail
        self._seconds = seconds
        self._free = [(0.0, number) for number in range(connections)]
        self._carried: dict[int, lanes.LaneEntry] = {}
        self.used: collections.Counter[str] = collections.Counter()
        self.finished: dict[str, list[float]] = collections.defaultdict(list)

    def run(self, *, until: float) -> None:
        """Deliver what is there, until a time."""
        while self._free and self._free[0][0] <= until:
            now, number = heapq.heappop(self._free)
            done = self._carried.pop(number, None)
            if done is not None:
                name = done.pending.lane.namespace
                self._mail.schedule.charge(done, self._seconds[name])
                self._mail.schedule.remove(done)
                self.used[name] += self._seconds[name]
                self.finished[name].append(now)
            entry = self._mail.take(now)
            if entry is None:
                continue
            self._carried[number] = entry
            heapq.heappush(self._free, (now + self._seconds[entry.pending.lane.namespace], number))


def test_who_is_served_at_once_does_not_wait_for_who_is_slow() -> None:
    """A's messages take 0.3 s each; B's hundred, which take none to speak of, are gone within a second of theirs."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("slow"), count=1000)
    mail.add(mailbags.lane("quick"), count=100)
    server = _Server(mail, {"slow": 0.3, "quick": 0.005})
    server.run(until=30.0)
    assert len(server.finished["quick"]) == 100
    assert server.finished["quick"][-1] < 1.5


def test_of_a_server_s_time_each_has_as_much() -> None:
    """However long their messages take, three namespaces with work have had the same time after a while."""
    mail = mailbags.Mail()
    seconds = {"a": 0.3, "b": 0.1, "c": 0.04}
    for namespace in seconds:
        mail.add(mailbags.lane(namespace), count=5000)
    server = _Server(mail, seconds)
    server.run(until=30.0)
    shares = [server.used[namespace] / sum(server.used.values()) for namespace in seconds]
    assert shares == pytest.approx([1 / 3] * 3, rel=0.05)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(rotation.QUANTUM_SECONDS, 2.0), min_size=2), st.integers(1, 5)
)
def test_nobody_is_ahead_by_more_than_what_is_under_way(seconds: dict[str, float], connections: int) -> None:
    """Two namespaces with work differ by a turn, and by what each had under way when its time was not known yet."""
    mail = mailbags.Mail()
    longest = max(seconds.values())
    for namespace in seconds:
        mail.add(mailbags.lane(namespace), count=300)
    server = _Server(mail, seconds, connections=connections)
    # Until the first of them may have nothing left.
    server.run(until=100 * min(seconds.values()))
    used = [server.used[namespace] for namespace in seconds]
    assert max(used) - min(used) <= (connections + 1) * longest + rotation.QUANTUM_SECONDS


def test_time_that_was_expected_and_not_used_is_given_back() -> None:
    """Who was slow once is not charged for it again when the next message is quick."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=2)
    first, second = mail.take(), mail.take()
    assert first is not None
    assert second is not None
    mail.schedule.charge(first, 600.0)
    assert first.organization.usual_seconds == 1.0
    for _ in range(20):
        mail.schedule.charge(second, 0.05)
    assert second.organization.usual_seconds == pytest.approx(0.05, rel=0.01)


def test_whose_messages_are_quick_take_turns_one_by_one() -> None:
    """A message that took a third of another's time is no reason to have two: noise of the clock is not fairness."""
    mail = mailbags.Mail()
    order = []
    for namespace in ("a", "b"):
        mail.add(mailbags.lane(namespace), count=10)
    for _ in range(10):
        entry = mail.take()
        assert entry is not None
        order.append(entry.pending.lane.namespace)
        mail.schedule.charge(entry, 0.003 if order[-1] == "a" else 0.009)
    assert order == ["a", "b"] * 5


def test_a_session_may_carry_more_of_the_same() -> None:
    """An organization's next message goes although it is another's turn; it is charged, and the other catches up."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("a"), count=10)
    mail.add(mailbags.lane("b"), count=10)
    entry = mail.take()
    assert entry is not None
    for _ in range(4):
        entry = mail.schedule.take_another(entry, "relay", 0.0)
        assert entry is not None
        assert entry.pending.lane.namespace == "a"
    assert [each.pending.lane.namespace for each in mail.drain(limit=7)] == [*"bbbbb", *"ab"]


def test_more_of_the_same_goes_no_sooner_than_it_may() -> None:
    """Neither past a rate, nor past a hold, nor to a destination that is not the organization's any more."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("rated"), count=2, rate=1)
    mail.add(mailbags.lane("quota"), count=2, namespace_rate=1)
    mail.add(mailbags.lane("held"), count=2)
    mail.add(mailbags.lane("moved"), count=2)
    for entry in [mail.take() for _ in range(4)]:
        assert entry is not None
        if entry.pending.lane.namespace == "held":
            mail.schedule.hold_lane(entry.lane, mailbags.refused(until=900.0))
        if entry.pending.lane.namespace == "moved":
            mail.schedule.direct(entry.organization.key, "elsewhere")
        assert mail.schedule.take_another(entry, "relay", 1.0) is None


def test_who_shares_a_rate_takes_turns_of_messages() -> None:
    """Where a namespace or a server gets a message each two seconds, one that takes a tenth of that is no cheaper."""
    for namespaces, pace_seconds in ((("ns", "ns"), 0.0), (("a", "b"), 2.0)):
        mail = mailbags.Mail()
        keys = [mailbags.lane(namespace, f"org-{number}") for number, namespace in enumerate(namespaces)]
        for key in keys:
            mail.add(key, count=10, namespace_rate=None if pace_seconds else 1)
        order = []
        for minute in range(10):
            entry = mail.take(60.0 * minute)
            assert entry is not None
            order.append(entry.pending.lane.organization)
            seconds = 0.2 if order[-1] == "org-0" else 1.9
            # The rate keeps the namespace back before it is known how long the message took.
            assert pace_seconds or mail.take(60.0 * minute) is None
            mail.schedule.charge(entry, seconds, pace_seconds=pace_seconds)
        assert order == ["org-0", "org-1"] * 5


def test_only_others_that_have_something_ready_are_others() -> None:
    """An organization that has nothing left does not count, though its turn was not looked at since."""
    mail = mailbags.Mail()
    for namespace, count in (("a", 2), ("b", 1)):
        mail.add(mailbags.lane(namespace), count=count)
    first, second = mail.take(), mail.take()
    assert first is not None
    assert second is not None
    assert not mail.schedule.rounds.has_others(first, "relay")
    assert mail.schedule.rounds.has_others(second, "relay")

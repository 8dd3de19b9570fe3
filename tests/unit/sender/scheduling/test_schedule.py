"""Whose turn it is, in virtual time."""

import collections

import hypothesis
from hypothesis import strategies

from kit import mailbags
from mailtier.api import vocabulary
from mailtier.sender.queueing import recoveries

_ALERT = vocabulary.Category.JOB_ALERT
_PASSWORD = vocabulary.Category.PASSWORD_RECOVERY
_UPDATE = vocabulary.Category.PRODUCT_UPDATE


def test_namespaces_share_a_destination_evenly() -> None:
    """A namespace with many organizations and messages gets no more turns than one with a single message each."""
    mail = mailbags.Mail()
    for number in range(10):
        mail.add(mailbags.lane("crowd", f"org-{number}"), count=10)
    mail.add(mailbags.lane("quiet"), count=5)
    first = collections.Counter(entry.pending.lane.namespace for entry in mail.drain(limit=10))
    assert first == {"crowd": 5, "quiet": 5}


def test_organizations_of_a_namespace_take_turns() -> None:
    """Within a namespace no organization is served twice before another that waits."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns", "many"), count=10)
    mail.add(mailbags.lane("ns", "few"), count=2)
    order = [entry.pending.lane.organization for entry in mail.drain(limit=4)]
    assert sorted(order[:2]) == sorted(order[2:]) == ["few", "many"]


def test_the_class_orders_within_an_organization_only() -> None:
    """A password recovery passes its own organization's alerts and updates, and nobody else's."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("a"), _UPDATE)
    mail.add(mailbags.lane("a"), _ALERT)
    mail.add(mailbags.lane("a"), _PASSWORD)
    mail.add(mailbags.lane("b"), _UPDATE, count=3)
    order = [(entry.pending.lane.namespace, entry.pending.category) for entry in mail.drain()]
    assert [category for namespace, category in order if namespace == "a"] == [_PASSWORD, _ALERT, _UPDATE]
    assert [namespace for namespace, _ in order] == ["a", "b"] * 3


def test_a_dead_destination_delays_only_its_users() -> None:
    """What waits for one destination is not in the way of another."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("unlucky"), count=1000, destination="dead")
    mail.add(mailbags.lane("lucky"), count=3, destination="alive")
    assert len(mail.drain(destination="alive")) == 3


def test_a_lane_keeps_the_order_in_which_messages_became_due() -> None:
    """First due, first served."""
    mail = mailbags.Mail()
    for due_at in (3.0, 1.0, 2.0):
        mail.add(mailbags.lane("ns"), due_at=due_at)
    assert [entry.pending.recipient_number for entry in mail.drain(now=5.0)] == [2, 3, 1]


def test_nothing_goes_before_it_is_due() -> None:
    """A deferred message waits for its time, and the schedule says when that is."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), due_at=10.0)
    assert mail.take(9.9) is None
    assert mail.schedule.next_event() == 10.0
    assert mail.take(10.0) is not None


def test_messages_of_a_held_organization_keep_their_places() -> None:
    """Held messages do not go; attached again they go in their order."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=3)
    mail.schedule.advance(0.0)
    mail.schedule.halt(mailbags.lane("ns"))
    assert mail.take() is None
    mail.schedule.direct(mailbags.lane("ns"), "relay")
    assert [entry.pending.recipient_number for entry in mail.drain()] == [1, 2, 3]


def test_another_destination_takes_over() -> None:
    """When the settings name another endpoint, the messages go there and no longer to the former."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=2)
    mail.schedule.advance(0.0)
    mail.schedule.direct(mailbags.lane("ns"), "other")
    assert mail.take(destination="relay") is None
    assert len(mail.drain(destination="other")) == 2


def test_a_rate_spreads_an_organizations_messages() -> None:
    """With ratePerMinute 2, two go in the first minute and the next half a minute after the second."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=4, rate=2)
    assert len(mail.drain(now=0.0)) == 1
    assert mail.schedule.next_event() == 30.0
    assert len(mail.drain(now=30.0)) == 1
    assert len(mail.drain(now=59.0)) == 0
    assert len(mail.drain(now=60.0)) == 1


def test_password_recoveries_are_paced_by_nothing_of_their_own() -> None:
    """What the intake's window let in at once goes at once: people wait for it, who are all locked out together."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), _PASSWORD, count=recoveries.PER_MINUTE)
    assert len(mail.drain(now=0.0)) == recoveries.PER_MINUTE


def test_an_urgent_message_does_not_wait_for_a_held_lane() -> None:
    """A lane that is held keeps back its own messages alone, also those that come while it is."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), _UPDATE, count=2)
    entry = mail.take()
    assert entry is not None
    mail.schedule.hold_lane(entry.lane, mailbags.refused(until=900.0))
    assert mail.take(1.0) is None
    mail.add(mailbags.lane("ns"), _PASSWORD)
    urgent = mail.take(2.0)
    assert urgent is not None
    assert urgent.pending.category is _PASSWORD
    assert mail.take(899.0) is None
    assert mail.take(900.0) is not None


def test_a_lane_that_is_freed_goes_on_at_once() -> None:
    """An acceptance ends the hold of its lane, whose next message goes then and not a quarter of an hour later."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=3)
    held, accepted = mail.take(), mail.take()
    assert held is not None
    assert accepted is not None
    mail.schedule.hold_lane(held.lane, mailbags.refused(until=900.0))
    assert mail.take(1.0) is None
    mail.schedule.end_hold(accepted)
    assert mail.take(1.0) is not None


def test_what_was_not_attempted_is_next_and_costs_no_rate() -> None:
    """An entry that is put first again goes next, as if it had not been taken."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=3, rate=1)
    entry = mail.take()
    assert entry is not None
    mail.schedule.put_back(entry)
    assert mail.take() is entry


def test_a_turn_that_was_taken_early_and_not_used_costs_nothing() -> None:
    """Who was chosen and does not go after all is the next of its lane, and owes no time for it."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("one"), count=2)
    # Its messages have lately kept a connection for so long, and so its turn is charged.
    mail.schedule.open(mailbags.lane("one")).usual_seconds = 1.0
    entry = mail.take()
    assert entry is not None
    mail.schedule.undo_turn(entry, at=mailbags.DESTINATION)
    mail.add(mailbags.lane("two"), count=4)
    assert entry in mail.drain()[:2]


def test_expiry_is_told_once_and_not_for_what_is_gone() -> None:
    """Entries reach their expiry unless they were finished before."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"), count=3)
    entries = mail.drain()
    mail.schedule.remove(entries[0])
    for entry in entries:
        mail.schedule.watch_expiry(entry, at=5.0)
    assert list(mail.schedule.expired(4.9)) == []
    assert list(mail.schedule.expired(5.0)) == entries[1:]
    assert list(mail.schedule.expired(5.0)) == []


def test_a_recipient_is_taken_in_once() -> None:
    """Offering a recipient again changes nothing."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"))
    (entry,) = mail.drain()
    assert mail.schedule.add(mailbags.claimed(entry.pending), due_at=0.0, expires_at=0.0) is None


def test_finished_organizations_are_forgotten() -> None:
    """An organization without messages takes no memory, once its rates do not count any more."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("ns"))
    (entry,) = mail.drain(now=1000.0)
    assert mail.schedule.prune(2000.0) == []
    mail.schedule.remove(entry)
    assert mail.schedule.prune(1060.0) == []
    assert mail.schedule.prune(1120.0) == [mailbags.lane("ns")]
    assert mail.schedule.organization(mailbags.lane("ns")) is None


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
    mail = mailbags.Mail()
    for namespace, organization, category, due_at, destination in offers:
        mail.add(mailbags.lane(str(namespace), str(organization)), category, due_at=due_at, destination=destination)
    final = {
        mailbags.lane(str(namespace), str(organization)): destination
        for namespace, organization, _, _, destination in offers
    }
    taken: list[tuple[int, str]] = []
    for now in range(0, 400, 1):
        for destination in ("one", "two"):
            for entry in mail.drain(now, destination):
                assert final[entry.pending.lane] == destination
                taken.append((entry.pending.recipient_number, destination))
    assert sorted(recipient_number for recipient_number, _ in taken) == list(range(1, len(offers) + 1))


def test_finished_recipients_cost_no_memory() -> None:
    """What is final is not kept until its max age would have been reached, and what is not final still expires."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("team-a", "kept"), count=1, due_at=1e6)
    for _ in range(20):
        mail.add(mailbags.lane("team-a"), count=500)
        for entry in mail.drain():
            mail.schedule.remove(entry)
    assert len(mail.schedule) == 1
    assert mail.schedule._expiring.entries <= 1_002
    assert [entry.pending.lane.organization for entry in mail.schedule.expired(2e9)] == ["kept"]


def test_what_ended_before_it_was_due_costs_no_memory() -> None:
    """Deferred recipients of an organization that is deleted leave no times behind."""
    mail = mailbags.Mail()
    gone = mailbags.lane("team-a", "gone")
    for _ in range(20):
        mail.add(gone, count=500, due_at=1e6)
        organization = mail.schedule.organization(gone)
        assert organization is not None
        for entry in list(organization.entries.values()):
            mail.schedule.remove(entry)
    assert mail.schedule._due.entries <= 1_002


def test_asking_again_for_a_rate_costs_no_memory() -> None:
    """Whoever sends on while its rate holds it back waits for one time, not for one for each message."""
    mail = mailbags.Mail()
    mail.add(mailbags.lane("team-b"), count=2, rate=1)
    assert len(mail.drain()) == 1
    for _ in range(2_000):
        mail.add(mailbags.lane("team-a"), rate=1)
        mail.take()
    assert len(mail.schedule.rounds._waiting) == 2
    assert mail.schedule.rounds._waiting.entries <= 1_004

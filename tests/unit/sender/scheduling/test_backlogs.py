"""How much of what is queued may be in memory, in virtual time."""

import math

import hypothesis
from hypothesis import strategies as st

from kit import mailbags
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.scheduling import backlogs

_ALERT = vocabulary.Category.JOB_ALERT
_UPDATE = vocabulary.Category.PRODUCT_UPDATE


def _key(namespace: str, organization: str = "default", category: vocabulary.Category = _ALERT) -> ports.BacklogKey:
    return ports.BacklogKey(lane=mailbags.lane(namespace, organization), category=category)


def _everybody(_lane: ports.LaneKey) -> bool:
    return True


class _Disk:
    """Backlogs in the queue, and the books of what of them is in memory; every recipient weighs the least."""

    def __init__(self, *, recipients: int = 640) -> None:
        self.books = backlogs.Backlogs(recipients=recipients, memory_bytes=recipients * 100)
        self.queued: dict[ports.BacklogKey, int] = {}
        self.active: dict[ports.BacklogKey, int] = {}

    def put(self, key: ports.BacklogKey, count: int) -> None:
        """Queue recipients that are due, and say so."""
        self.queued[key] = self.queued.get(key, 0) + count
        self.books.ring(key, 0.0)

    def claim(self) -> list[ports.BacklogKey]:
        """Have what is due claimed that there is room for, once; return from which backlogs."""
        if (excess := self.books.excess()) is not None:
            self._shed(*excess)
        turns = self.books.turns(0.0, may=_everybody)
        for turn in turns:
            key = turn.backlog.key
            count = min(self.books.room(turn), self.queued[key])
            self.queued[key] -= count
            self.books.answered(turn, 0.0 if self.queued[key] else None, is_whole=True)
            if count:
                self.books.ring(key, math.inf)
            for _ in range(count):
                self.books.enter(key, 100)
            self.active[key] = self.active.get(key, 0) + count
        return [turn.backlog.key for turn in turns]

    def finish(self, key: ports.BacklogKey, count: int) -> None:
        """Let recipients in memory reach their end."""
        for _ in range(count):
            self.active[key] -= 1
            self.books.leave(key, 100, now=0.0)

    def _shed(self, uid: str, weight_bytes: int) -> None:
        for key, count in self.active.items():
            if key.lane.namespace_uid == uid:
                given = min(count, weight_bytes // 100)
                weight_bytes -= given * 100
                self.queued[key] += given
                self.finish(key, given)
                if given:
                    self.books.ring(key, 0.0)

    def in_memory(self, namespace: str) -> int:
        """Return how many recipients of a namespace are in memory."""
        return sum(count for key, count in self.active.items() if key.lane.namespace == namespace)


def test_a_backlog_has_a_share_of_the_active_set() -> None:
    """An organization with a million queued has no more in memory than one with a few, and is filled as it drains."""
    disk = _Disk()
    many = _key("team-a")
    disk.put(many, 1_000_000)
    disk.claim()
    assert disk.active[many] == 10
    assert disk.claim() == []
    disk.finish(many, 4)
    assert disk.claim() == []
    disk.finish(many, 1)
    assert disk.claim() == [many]
    assert disk.active[many] == 10


def test_what_is_not_due_stays_in_the_queue() -> None:
    """Only when something is due of a backlog its turn comes, and the books say when that is."""
    disk = _Disk()
    disk.books.ring(_key("team-a"), 30.0)
    disk.books.ring(_key("team-b"), 20.0)
    assert disk.books.next_event(0.0) == 20.0
    assert disk.books.turns(19.9, may=_everybody) == []
    (turn,) = disk.books.turns(20.0, may=_everybody)
    assert turn.backlog.key == _key("team-b")
    assert disk.books.next_event(20.0) == 30.0


def test_what_may_not_go_is_passed_over_until_it_may() -> None:
    """A held organization is not asked about again and again, and goes on where it was."""
    disk = _Disk()
    disk.put(_key("team-a"), 5)
    assert disk.books.turns(0.0, may=lambda _lane: False) == []
    assert disk.books.next_event(0.0) is None
    assert disk.claim() == []
    disk.books.reopen(_key("team-a").lane, now=0.0, anew=False)
    assert disk.claim() == [_key("team-a")]


def test_what_is_rung_while_it_is_claimed_is_not_missed() -> None:
    """An answer from before says nothing of what came meanwhile."""
    disk = _Disk()
    key = _key("team-a")
    disk.put(key, 1)
    (turn,) = disk.books.turns(0.0, may=_everybody)
    disk.books.ring(key, 0.0)
    disk.books.answered(turn, None, is_whole=True)
    (again,) = disk.books.turns(0.0, may=_everybody)
    disk.books.answered(again, None, is_whole=True)
    assert disk.books.turns(0.0, may=_everybody) == []
    assert key.lane not in disk.books


def test_what_is_held_is_remembered_though_nothing_is_to_be_told() -> None:
    """Where only some states were asked for, others may be left; anew, everything is asked for."""
    disk = _Disk()
    key = _key("team-a")
    disk.put(key, 1)
    (turn,) = disk.books.turns(0.0, may=_everybody)
    disk.books.answered(turn, None, is_whole=False)
    assert key.lane in disk.books
    assert disk.books.turns(0.0, may=_everybody) == []
    disk.books.reopen(key.lane, now=0.0, anew=True)
    assert [turn.backlog.key for turn in disk.books.turns(0.0, may=_everybody)] == [key]


def test_who_comes_to_a_full_set_is_let_in() -> None:
    """A namespace with many organizations and a dead server fills the set, and keeps nobody else out of it (R15)."""
    disk = _Disk()
    for number in range(200):
        disk.put(_key("crowd", f"org-{number}"), 1_000)
    for _ in range(10):
        disk.claim()
    assert disk.books.used_bytes == 64_000
    disk.put(_key("quiet"), 3)
    for _ in range(3):
        disk.claim()
    assert disk.in_memory("quiet") == 3
    assert disk.books.used_bytes <= 64_000


def test_in_a_full_set_namespaces_have_even_shares() -> None:
    """Whoever has most gives back what waits until all who want it have as much; then nothing moves any more (R15)."""
    disk = _Disk()
    for namespace in ("a", "b", "c", "d"):
        for number in range(40):
            disk.put(_key(namespace, f"org-{number}"), 1_000)
        for _ in range(10):
            disk.claim()
    for _ in range(200):
        disk.claim()
    assert all(120 <= disk.in_memory(namespace) <= 200 for namespace in ("a", "b", "c", "d"))


def test_a_lost_bell_is_made_up_for() -> None:
    """What the queue has and nobody told of is found when it is looked, and what it has no more is forgotten."""
    disk = _Disk()
    gone, unheard = _key("team-a"), _key("team-b")
    disk.books.ring(gone, 5.0)
    since = {backlog: backlog.rung for backlog in disk.books}
    disk.books.correct({unheard: 0.0}, since=since)
    assert gone.lane not in disk.books
    assert [turn.backlog.key for turn in disk.books.turns(0.0, may=_everybody)] == [unheard]


def test_a_lost_bell_of_what_is_at_work_is_made_up_for() -> None:
    """Where something of it is in memory, and more came of which nobody told, that is claimed once it is looked."""
    disk = _Disk()
    key = _key("team-a")
    disk.put(key, 1)
    disk.claim()
    disk.queued[key] += 1
    assert disk.claim() == []
    disk.books.correct({key: 0.0}, since={backlog: backlog.rung for backlog in disk.books})
    assert disk.claim() == [key]
    assert disk.active[key] == 2


def test_what_is_rung_while_it_is_looked_is_not_forgotten() -> None:
    """The queue was read before it was there."""
    disk = _Disk()
    disk.books.ring(_key("team-a"), 5.0)
    since = {backlog: backlog.rung for backlog in disk.books}
    disk.books.ring(_key("team-a"), 5.0)
    disk.books.correct({}, since=since)
    assert _key("team-a").lane in disk.books


def test_a_claim_that_failed_is_made_again() -> None:
    """Where the queue did not answer, it is asked again later."""
    disk = _Disk()
    disk.put(_key("team-a"), 1)
    (turn,) = disk.books.turns(0.0, may=_everybody)
    disk.books.gave_up(turn, until=1.0)
    assert disk.books.turns(0.9, may=_everybody) == []
    assert len(disk.books.turns(1.0, may=_everybody)) == 1


@hypothesis.given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "claim", "finish"]), st.integers(0, 3), st.integers(0, 3), st.integers(1, 40)
        ),
        max_size=60,
    )
)
def test_the_set_is_never_larger_than_it_may_be_and_everything_is_claimed_in_the_end(
    steps: list[tuple[str, int, int, int]],
) -> None:
    """Whatever comes and goes: the bound holds, and who drains what is in memory has seen all (R4, R15)."""
    disk = _Disk(recipients=128)
    for step, namespace, organization, count in steps:
        key = _key(f"ns-{namespace}", f"org-{organization}")
        match step:
            case "put":
                disk.put(key, count)
            case "claim":
                disk.claim()
            case _:
                disk.finish(key, min(count, disk.active.get(key, 0)))
        assert disk.books.used_bytes == 100 * sum(disk.active.values()) <= 12_800
    for _ in range(2_000):
        if not any(disk.queued.values()):
            break
        disk.claim()
        for key, count in list(disk.active.items()):
            disk.finish(key, count)
    assert not any(disk.queued.values())
    for key, count in list(disk.active.items()):
        disk.finish(key, count)
    assert list(disk.books) == []
    assert disk.books.used_bytes == 0

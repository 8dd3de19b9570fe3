"""How long mail waits beside a queue that is much longer; in virtual time."""

import collections.abc
import heapq
import random

from kit import mailbags
from mailtier.sender.scheduling import lanes

_CONNECTIONS = 20
"""What is on the wire is not broken off, so that whoever comes waits until one of them is free."""
_SECONDS = 0.1
"""That a server takes for a message, give or take half of it."""
_TEAMS = 300
_RATE = 140.0
"""Messages a second of all teams together: seven tenths of what the connections carry."""
_FOR_SECONDS = 20.0


class _Relay:
    """Connections to one server, which are idle where nothing waits."""

    def __init__(self, mail: mailbags.Mail, chance: random.Random) -> None:
        self._mail = mail
        self._chance = chance
        self._idle = _CONNECTIONS
        self._busy: list[tuple[float, int, lanes.LaneEntry, float]] = []
        self.ended: dict[int, float] = {}

    def go_on(self, until: float) -> None:
        """Let messages be answered up to a time, and others take their places."""
        while self._busy and self._busy[0][0] <= until:
            now, number, entry, seconds = heapq.heappop(self._busy)
            self._mail.schedule.charge(entry, seconds, at=mailbags.DESTINATION)
            self._mail.schedule.remove(entry)
            self.ended[number] = now
            self._idle += 1
            self.take(now)

    def take(self, now: float) -> None:
        """Have idle connections carry what may go."""
        while self._idle and (entry := self._mail.take(now)) is not None:
            seconds = _SECONDS * self._chance.uniform(0.5, 1.5)
            heapq.heappush(self._busy, (now + seconds, entry.pending.recipient_number, entry, seconds))
            self._idle -= 1


def _waits(mail: mailbags.Mail) -> collections.abc.Sequence[float]:
    """Return how long each message of the teams took, the shortest first."""
    chance = random.Random(7)  # noqa: S311 - The same in each run.
    relay = _Relay(mail, random.Random(8))  # noqa: S311 - As above.
    relay.take(0.0)
    now, arrived = 1.0, dict[int, float]()
    while now < _FOR_SECONDS:
        relay.go_on(now)
        arrived[mail.add(mailbags.lane(f"team-{chance.randrange(_TEAMS)}"), due_at=now)] = now
        relay.take(now)
        now += chance.expovariate(_RATE)
    relay.go_on(now + 60 * _SECONDS)
    return sorted(relay.ended[number] - at for number, at in arrived.items())


def _p99(waits: collections.abc.Sequence[float]) -> float:
    return waits[int(0.99 * len(waits))]


def test_behind_a_long_queue_of_another_mail_leaves_nearly_as_soon() -> None:
    """While thousands of one namespace wait, the p99 of others is at most 1.2 times that without them (R15)."""
    alone = _waits(mailbags.Mail(connections=_CONNECTIONS))
    loud = mailbags.Mail(connections=_CONNECTIONS)
    loud.add(mailbags.lane("loud"), count=5_000)
    beside = _waits(loud)
    assert len(loud.schedule) > 1_000
    assert _p99(beside) <= 1.2 * _p99(alone), (_p99(alone), _p99(beside))

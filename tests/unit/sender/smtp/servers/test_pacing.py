"""A message counts at its turn, and again when it goes."""

import datetime as dt

from mailtier.sender import clock
from mailtier.sender.scheduling import limiter
from mailtier.sender.smtp.servers import pacing


class _Slots:
    """Slots of one server with a rate, and a clock that stands still until it is moved."""

    def __init__(self, per_minute: int | None) -> None:
        self.now = 1000.0
        self.per_minute = per_minute
        self._meter = limiter.Meter()
        self._clock = clock.Clock(
            wall=lambda: dt.datetime.max.replace(tzinfo=dt.UTC), monotonic=lambda: self.now, random=lambda: 0.0
        )

    def slot(self) -> pacing.SlotPace:
        """Return another slot."""
        return pacing.SlotPace(self.rate, self._clock)

    def rate(self) -> limiter.RateLimiter | None:
        """Return the rate as it is now."""
        return None if self.per_minute is None else limiter.RateLimiter(self.per_minute, self._meter)

    def next_in(self) -> float:
        """Return in how many seconds the next message may go."""
        rate = self.rate()
        return 0.0 if rate is None else rate.allowed_at(self.now) - self.now


def test_a_message_that_went_stays_counted() -> None:
    """Once it went nothing is given back, and the next one waits."""
    server = _Slots(1)
    slot = server.slot()
    slot.count()
    assert slot.may_go()
    slot.refund()
    assert server.next_in() == 60


def test_a_message_that_did_not_go_is_not_counted() -> None:
    """What was counted at its turn is given back when it comes to nothing, once."""
    server = _Slots(1)
    slot = server.slot()
    slot.count()
    assert server.next_in() == 60
    slot.refund()
    slot.refund()
    assert server.next_in() == 0


def test_a_message_that_was_held_up_counts_from_when_it_goes() -> None:
    """The next one waits for a whole minute after it went, not after it was its turn."""
    server = _Slots(1)
    slot = server.slot()
    slot.count()
    server.now += 45
    assert slot.may_go()
    assert server.next_in() == 60


def test_of_two_that_were_held_up_one_goes() -> None:
    """What waited for longer than the meter remembers goes at the rate all the same."""
    server = _Slots(1)
    first, second = server.slot(), server.slot()
    first.count()
    server.now += 60
    second.count()
    server.now += 60
    assert first.may_go()
    assert not second.may_go()
    second.refund()
    assert server.next_in() == 60


def test_a_message_that_is_sent_again_counts_again() -> None:
    """The second try over another session counts like another message."""
    server = _Slots(1)
    slot = server.slot()
    slot.count()
    assert slot.may_go()
    assert not slot.may_go()
    server.now += 60
    assert slot.may_go()
    assert server.next_in() == 60


def test_a_rate_that_is_set_meanwhile_holds() -> None:
    """Without a rate everything goes; with one from then on, what goes counts."""
    server = _Slots(None)
    slot = server.slot()
    slot.count()
    assert slot.may_go()
    server.per_minute = 1
    assert slot.may_go()
    assert not slot.may_go()

"""What is shown of organizations that wait is written where it changes, and what is over soon only where it lasts."""

from collections.abc import Mapping

import pytest

from kit import mailbags
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.delivering.keeping import showing
from mailtier.sender.scheduling import lane_display, lanes, waits

_R = reasons.DeliveryReason
_LANE = mailbags.lane("team-a")
_HELD = waits.of(_R.SUSPENDED, waits.WaitEnd.PERSON)
_TOKEN = waits.of(_R.TOKEN_AWAITED, waits.WaitEnd.EVENT)
_LOGIN = waits.of(_R.LOGIN_AWAITED, waits.WaitEnd.EVENT)


class _Rows:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.writes = 0
        self.shown: dict[ports.LaneKey, str] = {}

    async def show(self, texts: Mapping[ports.LaneKey, str | None]) -> None:
        """Replace what is shown of organizations."""
        self.writes += 1
        for key, text in texts.items():
            self.shown.pop(key, None)
            if text is not None:
                self.shown[key] = text

    async def show_nothing(self) -> None:
        """Take back what an earlier process showed."""
        self.shown.clear()


def _held(wait: waits.Wait | None) -> lane_display.LaneDisplay:
    return lane_display.LaneDisplay(held=wait)


def _brief(wait: waits.Wait | None) -> lane_display.LaneDisplay:
    return lane_display.LaneDisplay(brief=wait)


@pytest.mark.parametrize(
    ("looks", "shown", "writes"),
    [
        ([_held(_HELD)], "Suspended", 1),
        ([_held(_HELD)] * 3, "Suspended", 1),
        ([_brief(_TOKEN)], None, 0),
        ([_brief(_TOKEN), _brief(_TOKEN)], "TokenAwaited", 1),
        ([_brief(_TOKEN), _brief(_LOGIN)], None, 0),
        ([_brief(_TOKEN), None, _brief(_TOKEN), None], None, 0),
        ([_brief(_TOKEN), _brief(_TOKEN), None], None, 2),
    ],
)
async def test_what_is_over_soon_is_shown_where_it_was_there_before(
    looks: list[lane_display.LaneDisplay | None], shown: str | None, writes: int
) -> None:
    """A hold is shown at once, and what comes and goes between two looks costs no write."""
    rows, now = _Rows(), dict[ports.LaneKey, lane_display.LaneDisplay]()

    async def look_now() -> dict[ports.LaneKey, lane_display.LaneDisplay]:
        return now

    shows = showing.Showing(rows, look=look_now, on_shown=lambda: None)
    for look in looks:
        now = {} if look is None else {_LANE: look}
        await shows.step()
    assert rows.writes == writes
    if shown is None:
        assert rows.shown == {}
    else:
        assert shown in rows.shown[_LANE]


def test_what_waits_for_a_rate_says_which() -> None:
    """An organization's own rate, and the one of its namespace; what nothing keeps back waits for nothing."""
    mail = mailbags.Mail()
    own, quota, free = (mailbags.lane("ns", name) for name in ("own", "quota", "free"))
    mail.add(own, count=2, rate=1)
    mail.add(free, count=1)
    other = mailbags.lane("other", "quota")
    mail.add(other, count=2, namespace_rate=3)
    assert len(mail.drain(now=0.0)) == 3

    def told(key: ports.LaneKey) -> str:
        wait = showing.brief_wait(key, waiting=mail.schedule, find=lambda _key: None, now=0.0)
        return "" if wait is None else f"{wait.reason}: {wait.message}"

    assert "RateLimited: The message waits for the organization's rate of 1 a minute" in told(own)
    assert "RateLimited: The message waits for the namespace's rate of 3 a minute" in told(other)
    assert (told(free), told(quota)) == ("", "")


def test_what_is_told_when_it_goes_on_waits_until_it_is_directed() -> None:
    """Its entries keep their places, and nothing of it has a turn, whatever time has passed."""
    mail = mailbags.Mail()
    mail.add(_LANE, count=2)
    entry = mail.take(0.0)
    assert isinstance(entry, lanes.LaneEntry)
    mail.schedule.wait(entry, _TOKEN)
    assert mail.drain(now=10_000.0) == []
    assert entry.organization.brief_wait(10_000.0) == _TOKEN
    mail.schedule.direct(_LANE, mailbags.DESTINATION)
    assert entry.organization.wait is None
    assert mail.take(10_000.0) is entry

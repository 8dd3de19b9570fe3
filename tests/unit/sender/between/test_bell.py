"""The bell between two processes: news is heard at once, joined where the other is behind, and lost without harm."""

import asyncio
import dataclasses
import datetime as dt
import pathlib
import stat
import typing

from kit import queues, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.between import bell


def _pending(organization: str = "default", seconds: float = 0.0) -> ports.Pending:
    at = queues.START + dt.timedelta(seconds=seconds)
    return ports.Pending(
        recipient_number=1,
        lane=dataclasses.replace(queues.LANE, organization=organization),
        category=vocabulary.Category.JOB_ALERT,
        state=vocabulary.RecipientState.QUEUED,
        due_at=at,
        expires_at=at + dt.timedelta(hours=1),
        attempts=0,
    )


@dataclasses.dataclass(slots=True)
class _Heard:
    backlogs: list[bell.RungBacklog] = dataclasses.field(default_factory=list)
    said: list[object] = dataclasses.field(default_factory=list)


def _ends(folder: pathlib.Path) -> tuple[bell.IntakeBell, bell.DeliveryBell, _Heard]:
    heard = _Heard()
    intake = bell.IntakeBell(
        folder,
        on_cursor=heard.said.append,
        on_replies=lambda: heard.said.append("replied"),
        on_shown=lambda: heard.said.append("shown"),
    )
    delivery = bell.DeliveryBell(
        folder,
        on_pending=heard.backlogs.extend,
        on_anew=lambda: heard.said.append("anew"),
        on_asked=lambda: heard.said.append("asked"),
    )
    return intake, delivery, heard


def _modes(folder: pathlib.Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_each_side_hears_what_the_other_rings(tmp_path: pathlib.Path) -> None:
    """What was queued comes with the earliest times of its backlog; the sockets are nobody else's."""
    intake, delivery, heard = _ends(tmp_path)
    with intake, delivery:
        intake.ring([_pending(seconds=5), _pending(seconds=1), _pending("other", seconds=3)])
        intake.ring_anew()
        intake.ring_asked()
        delivery.ring_cursor(7)
        delivery.ring_cursor(8)
        delivery.ring_replies()
        delivery.ring_shown()
        await wait.until_async(
            lambda: len(heard.backlogs) == 2 and len(heard.said) == 5, within_seconds=5, why="all is heard"
        )
        assert sorted(map(str, heard.said)) == ["8", "anew", "asked", "replied", "shown"]
        assert {(each.lane.organization, each.due_at) for each in heard.backlogs} == {
            ("default", _pending(seconds=1).due_at),
            ("other", _pending(seconds=3).due_at),
        }
        assert _modes(tmp_path) == {"intake.bell": 0o600, "delivery.bell": 0o600}


async def test_nobody_to_hear_is_no_harm(tmp_path: pathlib.Path) -> None:
    """Who rings before the other is there, or after it has gone, goes on, and is heard later."""
    intake, delivery, heard = _ends(tmp_path)
    with intake:
        intake.ring([_pending()])
        await asyncio.sleep(0)
        with delivery:
            intake.ring_asked()
            await wait.until_async(lambda: heard.said == ["asked"], within_seconds=5, why="it is heard")
        intake.ring_asked()
        await asyncio.sleep(0)
    assert heard.backlogs == []


async def test_news_waits_for_a_side_that_is_behind(tmp_path: pathlib.Path) -> None:
    """While nothing is taken from a socket that is full, news is joined, so that it costs no memory, and heard then."""
    intake, delivery, heard = _ends(tmp_path)
    with intake, delivery:
        loop = asyncio.get_running_loop()
        deaf = typing.cast("typing.Any", delivery)._bell
        loop.remove_reader(deaf._socket)
        for number in range(5_000):
            intake.ring([_pending(f"org-{number % 1_000}")])
            await asyncio.sleep(0)
        assert len(typing.cast("typing.Any", intake)._bell._news) <= 1_000
        loop.add_reader(deaf._socket, deaf._take)
        await wait.until_async(
            lambda: len({each.lane.organization for each in heard.backlogs}) == 1_000,
            within_seconds=10,
            why="each backlog is heard of",
        )

"""The supervisor with small programs as its children: what it starts again, what ends it, and in which order."""

import asyncio
import collections.abc
import pathlib
import socket
import sys

import pytest

from kit import wait
from mailtier.sender.supervising import leash, supervisor

_UP = "import os, sys, socket, signal, time; end = socket.socket(fileno=int(sys.argv[2])); end.send(b'u');"
_NOTE = "note = lambda what: open(sys.argv[3], 'a').write(sys.argv[1] + ' ' + what + chr(10));"
_SERVES = (
    f"{_UP} {_NOTE} signal.signal(signal.SIGTERM, lambda *_: (note('ended'), sys.exit(0))); note('up');"
    "\nwhile True: time.sleep(60)"
)
_ANSWERS = (
    f"{_UP} {_NOTE} import pathlib; page = pathlib.Path(sys.argv[3]).parent / (sys.argv[1] + '.http');"
    " page.unlink(missing_ok=True); server = socket.socket(socket.AF_UNIX); server.bind(str(page)); server.listen();"
    " note('up ' + str(os.getpid()));"
    "\nwhile True:"
    "\n    line, _ = server.accept(); line.recv(4096); line.send(b'HTTP/1.0 200 OK\\r\\n\\r\\nok'); line.close()"
)


@pytest.fixture
def notes(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the file in which the children note what they do."""
    path = tmp_path / "notes"
    path.touch()
    return path


def _command(
    notes: pathlib.Path, program: collections.abc.Mapping[str, str]
) -> collections.abc.Callable[[str, int], list[str]]:
    return lambda role, end: [sys.executable, "-c", program[role], role, str(end), str(notes)]


def _lines(notes: pathlib.Path) -> list[str]:
    return notes.read_text(encoding="utf-8").splitlines()


async def test_children_end_in_order(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The intake has ended before delivery is asked to."""
    stop = asyncio.Event()
    running = supervisor.Supervisor(
        _command(notes, dict.fromkeys(supervisor.ROLES, _SERVES)), folder=tmp_path, most_deaths=3
    )
    task = asyncio.create_task(running.run(stop))
    await wait.until_async(lambda: len(_lines(notes)) == 2, within_seconds=20, why="both are up")
    stop.set()
    await task
    assert _lines(notes)[2:] == ["intake ended", "delivery ended"]


async def test_a_child_that_dies_is_started_again_until_it_is_too_much(
    notes: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Three deaths within a minute end it, with the other child, and it says who died how."""
    program = {"intake": f"{_UP} {_NOTE} note('up'); os.kill(os.getpid(), 9)", "delivery": _SERVES}
    running = supervisor.Supervisor(_command(notes, program), folder=tmp_path)
    with pytest.raises(supervisor.TooManyDeathsError, match=r"3 times within a minute, the last time intake by sig"):
        await running.run(asyncio.Event())
    assert _lines(notes).count("intake up") == 3
    assert "delivery ended" in _lines(notes) or "delivery up" not in _lines(notes)


async def test_a_child_that_cannot_start_is_not_started_again(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Who said why it cannot start would only say it twice more; its status is the program's."""
    program = {"intake": _SERVES, "delivery": f"import sys; {_NOTE} note('refused'); sys.exit(2)"}
    running = supervisor.Supervisor(_command(notes, program), folder=tmp_path)
    with pytest.raises(supervisor.ChildRefusedError) as told:
        await running.run(asyncio.Event())
    assert told.value.status == 2
    assert _lines(notes).count("delivery refused") == 1


async def test_a_child_that_does_not_answer_is_ended(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """What is stopped, or hangs, holds what others wait for: it is started again, and the one that answers lives on."""
    program = {"intake": _ANSWERS, "delivery": _SERVES}
    running = supervisor.Supervisor(_command(notes, program), folder=tmp_path, most_deaths=100, watch_seconds=0.05)
    stop = asyncio.Event()
    task = asyncio.create_task(running.run(stop))
    await wait.until_async(
        lambda: _lines(notes).count("delivery up") >= 3, within_seconds=60, why="delivery was started again twice"
    )
    stop.set()
    await task
    assert sum(line.startswith("intake up") for line in _lines(notes)) == 1
    # By force, as what hangs would not end when it is asked to; the last one is asked.
    assert _lines(notes).count("delivery ended") <= 1


async def test_a_child_that_opens_its_queue_is_waited_for(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """However long that takes, the container is not restarted for it, and with it the one that serves."""
    opens = f"import sys, time; {_NOTE} note('opens'); time.sleep(600)"
    running = supervisor.Supervisor(_command(notes, {"intake": _ANSWERS, "delivery": opens}), folder=tmp_path)
    task = asyncio.create_task(running.run(asyncio.Event()))
    await wait.until_async(lambda: len(_lines(notes)) == 2, within_seconds=20, why="one is up, and one opens")
    for role in supervisor.ROLES:
        running._started_at[role] -= 300
    assert (await running.routes()["/healthz"]()).status == 200
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_child_that_never_gets_through_its_start_is_ended(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """It is started again, and the other one goes on."""
    opens = f"import sys, time; {_NOTE} note('opens'); time.sleep(600)"
    running = supervisor.Supervisor(
        _command(notes, {"intake": _ANSWERS, "delivery": opens}),
        folder=tmp_path,
        most_deaths=99,
        watch_seconds=0.1,
        opening_seconds=1.0,
    )
    task = asyncio.create_task(running.run(asyncio.Event()))
    await wait.until_async(
        lambda: _lines(notes).count("delivery opens") == 2, within_seconds=20, why="it is started again"
    )
    await wait.until_async(
        lambda: any(line.startswith("intake up") for line in _lines(notes)),
        within_seconds=20,
        why="the other one is up",
    )
    assert sum(line.startswith("intake up") for line in _lines(notes)) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_child_whose_queue_is_away_is_no_death(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """It is started again as long as its queue is away, and the other child, which goes on, is not ended with it."""
    away = f"{_UP} {_NOTE} note('up'); sys.exit({supervisor.AWAY})"
    program = {"intake": _ANSWERS, "delivery": away}
    running = supervisor.Supervisor(_command(notes, program), folder=tmp_path, away_pause_seconds=0.01)
    stop = asyncio.Event()
    task = asyncio.create_task(running.run(stop))
    await wait.until_async(
        lambda: _lines(notes).count("delivery up") > supervisor.MOST_DEATHS,
        within_seconds=60,
        why="delivery was started more often than it may die",
    )
    stop.set()
    await task
    assert sum(line.startswith("intake up") for line in _lines(notes)) == 1


async def test_a_queue_that_is_away_at_the_start_is_told(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Who said at the first start that there is no database is not started again."""
    away = f"import sys; {_NOTE} note('refused'); sys.exit({supervisor.AWAY})"
    running = supervisor.Supervisor(_command(notes, {"intake": _SERVES, "delivery": away}), folder=tmp_path)
    with pytest.raises(supervisor.ChildRefusedError) as told:
        await running.run(asyncio.Event())
    assert told.value.status == 1
    assert _lines(notes).count("delivery refused") == 1


async def test_a_child_notices_that_its_supervisor_is_gone() -> None:
    """The kernel closes the leash with whoever held it."""
    ours, its = socket.socketpair()
    gone = asyncio.Event()
    held = leash.Leash(its.detach(), on_loss=gone.set)
    held.watch()
    held.say_up()
    assert ours.recv(1)
    assert not gone.is_set()
    ours.close()
    async with asyncio.timeout(5):
        await gone.wait()
    held.close()

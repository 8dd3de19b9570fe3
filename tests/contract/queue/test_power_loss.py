"""A machine that loses power, and a volume whose syncs fail: what was acknowledged is there (R4)."""

import collections
import pathlib
import subprocess
import sys

import pytest

from kit import invariants, power, queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.sqlite import embedded

S = vocabulary.RecipientState

_WORKERS = 8
"""Of `kit.queues.keep_busy`."""
_LINES = 1_500


@pytest.fixture(scope="module", name="library")
def built_library(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return what tells synced writes from others."""
    return power.build(tmp_path_factory.mktemp("library"))


def _run(volume: power.Volume, *, fail_after: int = _LINES) -> dict[str, set[str]]:
    """Keep a queue busy until it has said so much, then kill it; return what it said, by the first word.

    Args:
        fail_after: Lines after which syncs fail; then it ends by itself.
    """
    said = collections.defaultdict[str, set[str]](set)
    with subprocess.Popen(
        [sys.executable, "-m", "kit.queues", "sqlite", str(volume.folder)],
        env=volume.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            word, id_ = line.split()
            said[word].add(id_)
            if number == fail_after:
                volume.fail()
            if number >= _LINES and fail_after >= _LINES:
                process.kill()
                break
        # What it said before it was killed counts as well.
        for line in process.stdout:
            if line.endswith("\n"):
                word, id_ = line.split()
                said[word].add(id_)
    return said


async def _open(directory: pathlib.Path) -> ports.Queue:
    return await embedded.open_queue(directory, now=queues.Clock(), limits=queues.LIMITS)


@pytest.mark.parametrize(
    "written",
    [
        (),
        ("completions.journal",),
        ("queue.sqlite3",),
        ("queue.sqlite3-wal",),
        ("queue.sqlite3", "completions.journal"),
    ],
    ids=lambda written: " and ".join(written) or "nothing",
)
async def test_a_loss_of_power_loses_nothing(
    tmp_path: pathlib.Path, library: pathlib.Path, written: tuple[str, ...]
) -> None:
    """Whatever was written unsynced: what was acknowledged is there, and few go again that were accepted (R4)."""
    volume = power.Volume(tmp_path / "queue", library)
    said = _run(volume)
    queue = await _open(volume.after_power_loss(tmp_path / "after", written=written))
    states = {id_: (await queues.states(queue, id_))[0] for id_ in said["queued"]}
    await queue.close()
    assert len(states) > _LINES / 4
    again = [id_ for id_ in said["accepted"] if states[id_] != S.ACCEPTED]
    # Of each worker what was under way, and what it did while the commit before was awaited.
    assert len(again) <= 2 * _WORKERS
    assert {state for id_, state in states.items() if id_ not in said["dot"]} == {S.QUEUED}
    assert invariants.violations(tmp_path / "after" / "queue.sqlite3") == []


async def test_nothing_is_acknowledged_once_a_sync_failed(tmp_path: pathlib.Path, library: pathlib.Path) -> None:
    """The kernel may have dropped what it could not write, and call the next one a success: only a restart helps."""
    volume = power.Volume(tmp_path / "queue", library)
    said = _run(volume, fail_after=_LINES // 2)
    queue = await _open(volume.after_power_loss(tmp_path / "after"))
    for id_ in said["queued"]:
        assert await queue.find(queues.LANE, id_) is not None
    await queue.close()
    assert len(said["queued"]) > _LINES / 8
    assert invariants.violations(tmp_path / "after" / "queue.sqlite3") == []

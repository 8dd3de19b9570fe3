"""Runs the embedded queue on a volume of its own that fills up: `python -m kit.full_volume PART DIRECTORY`.

The volume is a small tmpfs in a mount namespace of the process, so that neither the machine's disk is filled nor
root is needed. `run` starts both parts one after the other and returns what they said.
"""

import asyncio
import collections.abc
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any, Final

from kit import queues, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage import volume as mounts
from mailtier.sender.storage.sqlite import embedded

_VOLUME_MEGABYTES: Final = 64
_PAYLOAD: Final = "x" * 100_000
_S: Final = vocabulary.RecipientState

# A user namespace serves who is not root; inside a container it may be forbidden, and root may mount all the same.
_NAMESPACES: Final = (["--user", "--map-root-user", "--mount"], ["--mount"])


class NoVolumeError(Exception):
    """This machine lets nobody mount a volume to fill."""


def run(mount_point: pathlib.Path) -> list[dict[str, Any]]:
    """Return what the part said that fills the volume and dies, and the one that opens the queue again.

    Raises:
        NoVolumeError: No tmpfs can be mounted here.
    """
    # It kills itself: 137 to the shell.
    return _run(mount_point, f"{{ {_part('fill', mount_point)}; test $? = 137; }}", _part("reopen", mount_point))


def start_again(mount_point: pathlib.Path, *, reserve: bool) -> dict[str, Any]:
    """Return what comes of a queue that is put on a volume by hand, which is filled before a sender starts on it.

    Args:
        mount_point: Where the volume is mounted.
        reserve: Whether the reserve is there.

    Raises:
        NoVolumeError: No tmpfs can be mounted here.
    """
    kept = "true" if reserve else f"truncate -s 0 {mount_point}/queue/{embedded.RESERVE}"
    (found,) = _run(mount_point, _part("leave", mount_point), kept, _part("start", mount_point))
    return found


def _part(name: str, mount_point: pathlib.Path) -> str:
    return f"{sys.executable} -m kit.full_volume {name} {mount_point}"


def _run(mount_point: pathlib.Path, *commands: str) -> list[dict[str, Any]]:
    mount_point.mkdir()
    steps = " && ".join((f"mount -t tmpfs -o size={_VOLUME_MEGABYTES}m tmpfs {mount_point}", *commands))
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
    finished = subprocess.run(
        ["unshare", *namespaces(), "sh", "-c", steps],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in finished.stdout.splitlines()]


def namespaces() -> list[str]:
    """Return the options of unshare(1) with which a file system may be mounted here.

    Raises:
        NoVolumeError: There are none.
    """
    refusals = []
    for flags in _NAMESPACES:
        tried = subprocess.run(
            ["unshare", *flags, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
        )
        if tried.returncode == 0:
            return flags
        refusals.append(f"unshare {' '.join(flags)}: {tried.stderr.strip()}")
    raise NoVolumeError(f"needs a user namespace, or root, to mount a tmpfs; {'; '.join(refusals)}")


def _fill(path: pathlib.Path) -> None:
    """Write until nothing more fits, down to the last page."""
    with path.open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            if filler.write(bytes(4096)) < 4096:
                return


async def _take_until_full(queue: ports.Queue) -> dict[str, int]:
    taken: dict[str, int] = {}

    async def take() -> bool:
        try:
            id_, (recipient_number,) = await queues.put(queue, text=_PAYLOAD)
        except ports.StorageFullError:
            return False
        taken[id_] = recipient_number
        return True

    while all(await asyncio.gather(*(take() for _ in range(8)))):
        pass
    return taken


async def _fill_and_die(directory: pathlib.Path, filler: pathlib.Path) -> None:
    queue = await embedded.open_queue(directory, now=queues.Clock())
    taken = await _take_until_full(queue)
    volume = os.statvfs(filler.parent)
    recorded, noted, waiting = _thirds(list(taken.items()))
    for _, recipient_number in recorded:
        await queue.note_dot(recipient_number, queues.SNAPSHOT)
        queue.note_accepted(recipient_number)
    _fill(filler)
    # All at once, so that wiping their payloads needs the reserve.
    async with queues.stalled(queue):
        settling = queue.settle([queues.outcome(recipient_number, _S.ACCEPTED) for _, recipient_number in recorded])
    assert await asyncio.wait_for(settling, 60) == [None] * len(recorded)
    refused = await asyncio.gather(*(queues.put(queue) for _ in range(3)), return_exceptions=True)
    # Whatever that has freed is gone again. Notes need no room.
    _fill(filler)
    for _, recipient_number in noted:
        await queue.note_dot(recipient_number, queues.SNAPSHOT)
        queue.note_accepted(recipient_number)
    _say(
        free_at_refusal=volume.f_bavail / volume.f_blocks,
        refused=[type(answer).__name__ for answer in refused],
        taken=list(taken),
        recorded=[id_ for id_, _ in recorded],
        noted=[id_ for id_, _ in noted],
        waiting=[id_ for id_, _ in waiting],
    )
    os.kill(os.getpid(), signal.SIGKILL)


async def _reopen(directory: pathlib.Path, filler: pathlib.Path) -> None:
    opening = asyncio.ensure_future(embedded.open_queue(directory, now=queues.Clock()))
    # It may need more room than there is for what the notes tell; then it waits.
    await asyncio.wait({opening}, timeout=2)
    filler.unlink()  # noqa: ASYNC240  # A page of memory, in a process that does nothing else.
    queue = await opening
    found = {}
    for each in await queues.claim(queue):
        assert each.job.text == _PAYLOAD
        found[each.job.notification_id] = each.pending.state.value
        await queues.settle(queue, queues.outcome(each.pending.recipient_number, _S.ACCEPTED))

    async def takes_work() -> bool:
        with contextlib.suppress(ports.StorageFullError):
            await queues.put(queue, id="after")
        return await queue.find(queues.LANE, "after") is not None

    await wait.until_async(takes_work, within_seconds=30, why="a volume with room takes work again")
    _say(pending=found, left={state.value: count for state, count in (await queue.counts()).items()})
    await queue.close()


async def _leave(directory: pathlib.Path, _: pathlib.Path) -> None:
    queue = await embedded.open_queue(directory, now=queues.Clock())
    await queues.put(queue)
    # The files beside the database are gone with its last connection, as in a copy of it.
    await queue.close()


async def _start(directory: pathlib.Path, filler: pathlib.Path) -> None:
    _fill(filler)
    try:
        # As the two processes of a sender do, delivery first.
        delivery = await embedded.open_delivery(directory, now=queues.Clock())
        intake = await embedded.open_intake(directory)
    except mounts.FullError as error:
        _say(refused=str(error))
        return
    (claimed,) = await queues.claim(delivery)
    await queues.settle(delivery, queues.outcome(claimed.pending.recipient_number, _S.ACCEPTED))
    found = await intake.look(claimed.job.lane.namespace_uid, claimed.job.notification_id)
    _say(states=[each.state.value for each in found.record.recipients] if found else None)
    await intake.close()
    await delivery.close()


def _thirds(items: list[tuple[str, int]]) -> collections.abc.Iterator[list[tuple[str, int]]]:
    third = len(items) // 3
    yield items[:third]
    yield items[third : 2 * third]
    yield items[2 * third :]


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def _main(part: str, mount_point: str) -> None:
    directory = pathlib.Path(mount_point)
    parts = {"fill": _fill_and_die, "reopen": _reopen, "leave": _leave, "start": _start}
    await parts[part](directory / "queue", directory / "filler")


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))

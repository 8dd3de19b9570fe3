"""The half of the run that has namespaces of its own: the node, and all that happens on it."""

import contextlib
import pathlib
import sys
import traceback

from kit import repository
from node import database, long_story, relay, release, story, timetable
from node.ground import images, node

OLD, NEW = "old", "new"
SHORT, LONG = "short", "long"
PARTS = "parts.tar"


def run(folder: pathlib.Path, *, cgroup: str, is_long: bool) -> None:
    """Play the story in a folder in which everything was prepared.

    Raises:
        Exception: A step did not do what it should.
    """
    steps = timetable.Timetable(folder / "steps.json")
    old, new = release.Version.of(folder / OLD, OLD), release.Version.of(repository.ROOT, NEW)
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(node.Node(folder / "run", cgroup=cgroup))
        with steps.step("etcd, apiserver, controllers, scheduler, containerd, kubelet, kube-proxy: the node is Ready"):
            on.start()
            on.load(folder / PARTS)
            on.join()
        with steps.step("both images into containerd"):
            for version in (old, new):
                on.load(folder / f"{version.tag}.tar")
        server = relay.Relay(on, images.authority())
        story.furnish(on, server, steps)
        told = long_story.LongStory(on, server, steps)
        told.install(old)
        told.follow_readme(old)
        told.upgrade(new)
        told.confine()
        if is_long:
            play(told, new, stack)
        told.uninstall()
        told.install_again(new)


def play(told: long_story.LongStory, new: release.Version, stack: contextlib.ExitStack) -> None:
    """Play what years bring."""
    told.roll_back()
    told.upgrade(new)
    told.delete_pod(force=False)
    told.delete_pod(force=True)
    told.drain()
    told.restore()
    server = database.Database(stack)
    told.move_to_database(server)
    authority = images.authority()
    told.two_senders(authority)
    told.rotate(authority, server)


def main() -> int:
    """Run it; return 0 if every step did what it should."""
    folder, cgroup, form = sys.argv[1:]
    try:
        run(pathlib.Path(folder), cgroup=cgroup, is_long=form == LONG)
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001  # Whatever it is, the table of steps comes after it.
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

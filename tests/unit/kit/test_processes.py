"""Children log into their file, end when told, and never outlive their parent."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading

from kit import processes, wait

_TESTS = pathlib.Path(__file__).parents[2]


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def test_child_is_killed_with_its_parent(tmp_path: pathlib.Path) -> None:
    """When the parent gets a SIGKILL, its child is gone too."""
    parent = textwrap.dedent(
        """
        import pathlib, sys, time
        from kit import processes
        child = processes.start(["sleep", "300"], log=pathlib.Path(sys.argv[1]))
        print(child.pid, flush=True)
        time.sleep(300)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent, tmp_path / "log"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(_TESTS)},
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert _is_alive(pid)
        process.kill()
    wait.until(lambda: not _is_alive(pid), within_seconds=5, why="the child is gone")


def test_child_outlives_the_thread_that_started_it(tmp_path: pathlib.Path) -> None:
    """A child that was started from a thread goes on when the thread has ended."""
    started: list[processes.Child] = []

    def start() -> None:
        started.append(processes.start(["sh", "-c", "echo ready; exec cat /dev/tty"], log=tmp_path / "a"))
        started.append(processes.start(["sh", "-c", "echo ready; exec sleep 300"], log=tmp_path / "b"))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    without_terminal, child = started
    try:
        wait.until(lambda: "ready" in child.last_lines(), within_seconds=5, why="the child writes")
        assert without_terminal.wait(within_seconds=5) != 0
        assert child.running
    finally:
        status = child.stop()
    assert status == -signal.SIGTERM


def test_stop_kills_what_ignores_it(tmp_path: pathlib.Path) -> None:
    """A program that ignores SIGTERM is killed after the grace, and its log can be quoted."""
    child = processes.start(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"], log=tmp_path / "log")
    wait.until(lambda: "deaf" in child.last_lines(), within_seconds=5, why="the trap is set")
    assert child.stop(grace_seconds=0.1) == -signal.SIGKILL
    assert "deaf" in child.ended_early()


def test_a_family_is_a_process_and_its_descendants(tmp_path: pathlib.Path) -> None:
    """Children and grandchildren belong to it, strangers do not, and each has its own time and memory."""
    script = "sh -c 'sleep 300; true' & sh -c 'sleep 300; true' & wait"
    child = processes.start(["sh", "-c", script], log=tmp_path / "log")
    try:
        wait.until(lambda: len(processes.family(child.pid)) == 5, within_seconds=20, why="all five run")
        family = processes.family(child.pid)
        assert family[0] == child.pid
        assert os.getpid() not in family
        assert all(processes.cpu_seconds(pid) >= 0 and processes.peak_mib(pid) > 0 for pid in family)
    finally:
        child.kill()

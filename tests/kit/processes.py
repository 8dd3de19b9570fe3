"""Child processes that log into a file and never outlive the process that started them."""

import collections.abc
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys

# The kernel sends the child SIGKILL when its parent is gone (prctl(2), PR_SET_PDEATHSIG), even when the
# parent was itself killed. The setting must be made in the child: a preexec_fn is unsafe beside threads (and
# warned of since Python 3.12), so a few lines of Python make it and then become the program. If the parent
# died before the call, the child has another parent by then and leaves.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""

_TICKS = os.sysconf("SC_CLK_TCK")

# "Parent" means the thread that forked, so children started from a short-lived thread would die with it.
# This thread lives until the interpreter ends.
_spawner = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class Child:
    """A running program, its log file, and the ways to end it. Made by `start`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    def __repr__(self) -> str:
        return f"<Child {self.name} pid={self.pid} returncode={self.returncode}>"

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, or None while the program runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program's process group, if it still runs."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def wait(self, *, within_seconds: float) -> int:
        """Return the exit status.

        Raises:
            subprocess.TimeoutExpired: The program still runs after `within_seconds`.
        """
        return self._process.wait(timeout=within_seconds)

    def stop(self, *, grace_seconds: float = 5) -> int:
        """Return the exit status after SIGTERM, or after SIGKILL if the grace was not enough."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(within_seconds=grace_seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Return the exit status after SIGKILL."""
        self.signal(signal.SIGKILL)
        return self._process.wait()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the program has used; it has to run."""
        return cpu_seconds(self.pid)

    def peak_mib(self) -> float:
        """Return the most memory that was resident; the program has to run."""
        return peak_mib(self.pid)

    def last_lines(self, count: int = 20) -> str:
        """Return the end of the log, for a failure's text."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def ended_early(self) -> str:
        """Return a sentence on how the program ended, with its log's name and last lines."""
        return f"{self.name} ended with status {self.returncode}; {self.log} ends with:\n{self.last_lines()}"


def start(
    argv: collections.abc.Sequence[str | os.PathLike[str]],
    *,
    log: pathlib.Path,
    name: str | None = None,
    env: collections.abc.Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
) -> Child:
    """Return the started program, with both its outputs appended to `log`.

    It has a session of its own: Ctrl-C at the terminal reaches the parent only, which then stops its children
    in order. It is killed when this process ends in whatever way.

    Args:
        argv: The program and its arguments.
        log: The file that takes stdout and stderr; its folder must exist.
        name: What to call it in messages; the program's file name by default.
        env: Variables that are added to this process's own.
        cwd: The working folder; this process's own by default.
    """
    arguments = [os.fspath(argument) for argument in argv]
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*launcher, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
            )

    process = _spawner.submit(spawn).result()
    return Child(name or pathlib.Path(arguments[0]).name, process, log)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a running process has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_seconds_of_all(pid: int) -> float:
    """Return the CPU time that a running process and all that it started have used, of those that ended as well."""
    fields = _stat(pid)
    ended = (int(fields[13]) + int(fields[14])) / _TICKS
    return ended + sum(map(cpu_seconds, family(pid)))


def peak_mib(pid: int) -> float:
    """Return the most memory that was resident in a running process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def runs(pid: int) -> bool:
    """Return whether there is such a process that has not ended; one that nobody has waited for has."""
    try:
        return _stat(pid)[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def family(pid: int) -> list[int]:
    """Return a process and all that it started, and those, while they run; the oldest first."""
    children: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            # It may have ended meanwhile.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += sorted(children.get(member, []))
    return found


def _stat(pid: int) -> list[str]:
    """Return what proc(5) tells of a process from its state on, which is the third field there."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()

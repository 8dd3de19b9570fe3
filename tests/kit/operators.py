"""The operator as a process of its own, measured from outside."""

import collections.abc
import pathlib
import re
import signal
import sys
import typing
import urllib.error
import urllib.request

from kit import ports, processes, wait

_READY_SECONDS = 60
_SETTLE_SECONDS = 600


class Operator:
    """A running `mailtier operator`.

    Args:
        folder: Where its log goes.
        kubeconfig: Whose rights it has.
        namespace: Its own.
        identity: Its name among operators that contend.
        log_level: The lowest level that it logs.
        env: Variables that are added to its environment.
        arguments: Further options of its command line.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        kubeconfig: pathlib.Path,
        *,
        namespace: str,
        identity: str = "operator",
        log_level: str = "DEBUG",
        env: collections.abc.Mapping[str, str] | None = None,
        arguments: collections.abc.Sequence[str] = (),
    ) -> None:
        self._arguments = arguments
        self._env = env
        self._folder = folder
        self._identity = identity
        self._log_level = log_level
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self.port = ports.free()
        self._child: processes.Child | None = None

    def __enter__(self) -> typing.Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it."""
        program = pathlib.Path(sys.executable).with_name("mailtier")
        self._child = processes.start(
            [
                program,
                "operator",
                f"--kubeconfig={self._kubeconfig}",
                f"--namespace={self._namespace}",
                f"--socket-dir={self._folder}",
                f"--health-listen=127.0.0.1:{self.port}",
                f"--identity={self._identity}",
                f"--log-level={self._log_level}",
                "--log-format=json",
                *self._arguments,
            ],
            log=self._folder / f"{self._identity}.log",
            name="operator",
            env=self._env,
        )

    def stop(self) -> None:
        """Ask it to end, and wait for it."""
        if self._child is not None:
            self._child.stop(grace_seconds=20)
            self._child = None

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._child is not None
        self._child.kill()

    def pause(self) -> None:
        """Stop it where it stands: it reads nothing, and its connections stay."""
        assert self._child is not None
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._child is not None and self._child.running

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / f"{self._identity}.log").read_text(encoding="utf-8")

    async def ready(self) -> None:
        """Return when it leads and has listed everything."""
        await wait.until_async(self.is_ready, within_seconds=_READY_SECONDS, why="the operator is ready")

    def is_idle(self) -> bool:
        """Return whether nothing waits in its work queue."""
        return self._metric('mailtier_work_queue_depth{queue="settings"}') == 0

    async def settled(self, *, at_least: int, outcome: str) -> None:
        """Return when so many organizations were reconciled with an outcome, and nothing waits."""
        await wait.until_async(
            lambda: self.reconciled(outcome) >= at_least and self.is_idle(),
            within_seconds=_SETTLE_SECONDS,
            why=f"{at_least} organizations {outcome}",
            poll_seconds=0.25,
        )

    def leads(self) -> bool:
        """Return whether it says that it leads."""
        return self._metric("mailtier_leader") == 1

    def reconciled(self, outcome: str) -> int:
        """Return how many organizations were reconciled with an outcome, by the operator's own metrics."""
        labels = f'kind="organization",outcome="{outcome}"'
        return int(self._metric(f"mailtier_reconcile_duration_seconds_count{{{labels}}}"))

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used."""
        assert self._child is not None
        return self._child.cpu_seconds()

    def peak_mib(self) -> float:
        """Return the most memory that was resident."""
        assert self._child is not None
        return self._child.peak_mib()

    @property
    def metrics(self) -> str:
        """Its metrics in Prometheus' text format; "" while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                return str(answer.read(), encoding="utf-8")
        except (urllib.error.URLError, OSError):
            return ""

    def _metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.metrics, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def is_ready(self) -> bool:
        """Return whether it says that it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

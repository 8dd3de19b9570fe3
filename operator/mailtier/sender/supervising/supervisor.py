"""Keeps the intake's process and delivery's running, ends them in order, and shows their pages in one place."""

import asyncio
import collections
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mailtier.sender.supervising import child, pages
from mailtier.serving import health
from mailtier.telemetry import logs, metrics, metrics_pages, supervisor_metrics

ROLES: Final = ("delivery", "intake")
"""In the order of their start; they end in the other, so that nothing is taken that nobody is there to deliver."""

MOST_DEATHS: Final = 3
WITHIN_SECONDS: Final = 60.0
_GRACE_SECONDS: Final[Mapping[str, float]] = {"intake": 15.0, "delivery": 25.0}
"""Longer than a child gives its parts, and together less than the pod has."""
_REFUSALS: Final = frozenset({1, 2})
"""Statuses with which a child ends that says why it cannot start."""
AWAY: Final = 75
"""The status of a child whose queue's database is away, or gave it up (EX_TEMPFAIL of sysexits.h): no fault of its own,
that would take the other child with it."""
_AWAY_PAUSE_SECONDS: Final = 5.0
"""Before such a child is started again."""
_LOOK_SECONDS: Final = 30.0
"""For a child to answer its health page after its start."""
_OPENING_SECONDS: Final = 600.0
"""For a child to get through its start: it reads all of the queue's file before it uses it, or waits for room."""
_WATCH_SECONDS: Final = 5.0
"""How often a child is asked whether it is there."""
_SILENCES: Final = 3
"""So many times in a row, each for some seconds, a child answers nothing before it is ended: one that is stopped, or
hangs, may hold what the other one waits for."""

_log = logs.get_logger(__name__)


class TooManyDeathsError(Exception):
    """The children die as soon as they are started."""


class ChildRefusedError(Exception):
    """A child could not start, and has said why.

    Attributes:
        status: What it exited with.
    """

    def __init__(self, role: str, status: int) -> None:
        super().__init__(f"the sender's {role} could not start, and has said why")
        self.status = status


class Supervisor:
    """Runs both children until it is told to stop.

    Args:
        command: Returns a child's command line, from its role and the descriptor of its leash.
        folder: Where the children's pages are.
        most_deaths: So many deaths within a minute end it.
        watch_seconds: How often a child is asked whether it is there.
        opening_seconds: For a child to get through its start, before it is ended.
        away_pause_seconds: Before a child is started again whose queue is away.
    """

    def __init__(
        self,
        command: Callable[[str, int], Sequence[str]],
        *,
        folder: pathlib.Path,
        most_deaths: int = MOST_DEATHS,
        watch_seconds: float = _WATCH_SECONDS,
        opening_seconds: float = _OPENING_SECONDS,
        away_pause_seconds: float = _AWAY_PAUSE_SECONDS,
    ) -> None:
        self._command = command
        self._folder = folder
        self._most_deaths = most_deaths
        self._watch_seconds = watch_seconds
        self._opening_seconds = opening_seconds
        self._away_pause_seconds = away_pause_seconds
        self._children: dict[str, child.Child] = {}
        self._started_at: dict[str, float] = {}
        self._was_up: set[str] = set()
        self._was_ready: set[str] = set()
        self._deaths: collections.deque[float] = collections.deque()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until the event is set; then end the intake first, and delivery after it.

        Raises:
            ChildRefusedError: A child could not start.
            TooManyDeathsError: They died three times within a minute.
        """
        stopping = asyncio.create_task(stop.wait())
        lives: dict[str, asyncio.Task[int]] = {}
        try:
            for role in ROLES:
                await self._start(role)
                lives[role] = asyncio.create_task(self._attend(role))
            while True:
                await asyncio.wait({stopping, *lives.values()}, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():
                    return
                for role, life in list(lives.items()):
                    if life.done():
                        pause_seconds = self._note_death(role, life.result())
                        lives[role] = asyncio.create_task(self._live_again(role, pause_seconds))
        finally:
            for task in (stopping, *lives.values()):
                task.cancel()
            await asyncio.gather(stopping, *lives.values(), return_exceptions=True)
            for role in reversed(ROLES):
                if role in self._children:
                    await self._children[role].stop(grace_seconds=_GRACE_SECONDS[role])
                    supervisor_metrics.set_up(role, is_up=False)

    def routes(self) -> Mapping[str, health.Page]:
        """Return the pages: health and readiness of both children, and their metrics as one."""
        return {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics}

    async def _start(self, role: str) -> None:
        self._children[role] = await child.Child.start(role, self._command)
        self._started_at[role] = time.monotonic()
        supervisor_metrics.set_up(role, is_up=True)
        _log.info("started", role=role, pid=self._children[role].pid)

    async def _live_again(self, role: str, pause_seconds: float) -> int:
        """Start a child again after a pause, and return its exit status once it has ended."""
        await asyncio.sleep(pause_seconds)
        await self._start(role)
        return await self._attend(role)

    async def _attend(self, role: str) -> int:
        """Return a child's exit status once it has ended; one that answers nothing any more is ended."""
        present = self._children[role]
        watching = asyncio.create_task(self._watch(role, present))
        try:
            return await present.wait()
        finally:
            watching.cancel()

    async def _watch(self, role: str, present: child.Child) -> None:
        silences = 0
        while silences < _SILENCES:
            await asyncio.sleep(self._watch_seconds)
            if present.is_up:
                answer = await pages.fetch(self._path(role), "/healthz")
                silences = 0 if answer.status else silences + 1
            elif time.monotonic() - self._started_at[role] > self._opening_seconds:
                break
        _log.error("a process of the sender does not answer, and is ended", role=role, pid=present.pid)
        present.kill()

    def _note_death(self, role: str, status: int) -> float:
        """Note that a child has ended; return how long it is waited until the next one is started.

        Raises:
            ChildRefusedError, TooManyDeathsError: None is started any more.
        """
        died = self._children[role]
        died.close()
        supervisor_metrics.set_up(role, is_up=False)
        supervisor_metrics.count_restart(role)
        if died.is_up:
            self._was_up.add(role)
        if status == AWAY and role in self._was_up:
            _log.warning("a process of the sender ended, as its queue is away; it is started again", role=role)
            return self._away_pause_seconds
        if status in {*_REFUSALS, AWAY} and not died.is_up and not self._deaths:
            raise ChildRefusedError(role, 1 if status == AWAY else status)
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths[0] < now - WITHIN_SECONDS:
            self._deaths.popleft()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if len(self._deaths) >= self._most_deaths:
            raise TooManyDeathsError(
                f"the sender's processes died {len(self._deaths)} times within a minute, the last time {role} by {how};"
                " its log says why"
            )
        _log.error("a process of the sender died, and is started again", role=role, ended_by=how)
        return 0.0

    async def _healthz(self) -> health.PlainAnswer:
        """A child that hangs is the container's to restart; one that just starts or died is ours."""
        return await self._ask("/healthz", self._old_enough())

    async def _readyz(self) -> health.PlainAnswer:
        """The intake's readiness is the sender's, once delivery was ready: it takes notifications without it too."""
        return await self._ask("/readyz", [role for role in ROLES if role == "intake" or role not in self._was_ready])

    async def _ask(self, page: str, roles: Sequence[str]) -> health.PlainAnswer:
        found = await asyncio.gather(*(pages.fetch(self._path(role), page) for role in roles))
        failed = []
        for role, answer in zip(roles, found, strict=True):
            if answer.status != 200:  # noqa: PLR2004 - As HTTP has it.
                said = answer.body.decode(errors="replace").strip() or "it does not answer"
                failed += [f"{role}: {line}" for line in said.splitlines()]
            elif page == "/readyz":
                self._was_ready.add(role)
        return health.PlainAnswer(status=503 if failed else 200, text="\n".join(failed or ["ok"]) + "\n")

    async def _metrics(self) -> health.PlainAnswer:
        found = await asyncio.gather(*(pages.fetch(self._path(role), "/metrics") for role in ROLES))
        by_role = {"supervisor": metrics.exposition("sender").decode()}
        by_role |= {
            role: answer.body.decode()
            for role, answer in zip(ROLES, found, strict=True)
            if answer.status == 200  # noqa: PLR2004
        }
        return health.PlainAnswer(status=200, text=metrics_pages.join(by_role), content_type=metrics.CONTENT_TYPE)

    def _old_enough(self) -> Sequence[str]:
        # One that opens its queue may take minutes for it: a restart would begin that anew, and end the other one.
        now = time.monotonic()
        return [
            role
            for role, known in self._children.items()
            if known.is_running and known.is_up and now - self._started_at[role] > _LOOK_SECONDS
        ]

    def _path(self, role: str) -> pathlib.Path:
        return self._folder / f"{role}.http"

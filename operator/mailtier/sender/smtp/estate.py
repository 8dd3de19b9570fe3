"""What this sender delivers: of a queue that several share, the mail of the servers whose rooms it owns.

    team -> who should own what -> acquire, learn -> owned -> leaving: nothing new begins, what is held ends -> given up

Each sender reckons by itself what it should own (`queueing.owners`), and owns what the queue's rows say. Until what it
leaves is free, whoever should have it waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NoReturn, Protocol

from mailtier.sender import clock, ports, settings_source
from mailtier.sender.between import owning
from mailtier.sender.queueing import owners
from mailtier.sender.scheduling import lanes, standing, waits
from mailtier.sender.smtp import destinations
from mailtier.sender.smtp.servers import destination_key
from mailtier.settings import effective
from mailtier.telemetry import logs, owning_metrics, tasks

_NOWHERE: Final = "-"
"""The room of all whose messages may go nowhere: one sender holds and ends them."""

_LEAVING_SECONDS: Final = 0.1
"""How often it is looked whether what is left has come to its end."""
_AGAIN_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 60.0
"""How often it is looked whether backlogs are owned of which nothing else tells any more."""
_CACHED: Final = 50_000

_log = logs.get_logger(__name__)


class Whose(Protocol):
    """Whose mail it is."""

    def is_mine(self, lane: ports.LaneKey) -> bool:
        """Return whether an organization's messages are this sender's to deliver, hold and end."""

    def owns(self, settings: effective.Effective) -> bool:
        """Return whether this sender may connect to the server of settings."""

    def serves(self, organization: effective.OrganizationKey) -> bool:
        """Return whether whatever concerns an organization is this sender's to do."""

    def does_rest(self) -> bool:
        """Return whether what concerns no server is this sender's to do."""


class EverythingMine:
    """A sender that has its queue to itself."""

    def is_mine(self, lane: ports.LaneKey) -> bool:
        """Return that it is this sender's."""
        return True

    def owns(self, settings: effective.Effective) -> bool:
        """Return that it may."""
        return True

    def serves(self, organization: effective.OrganizationKey) -> bool:
        """Return that it is this sender's."""
        return True

    def does_rest(self) -> bool:
        """Return that it is this sender's."""
        return True


class Leaver(Protocol):
    """Unclaims what waits in memory for organizations that are this sender's no more."""

    def leaving(self) -> AbstractSet[ports.LaneKey]:
        """Return organizations whose backlogs are to be given up."""

    def note_given_up(self, given_up: AbstractSet[ports.LaneKey]) -> None:
        """Note that the backlogs of organizations were given up."""


class Estate:
    """The part of what is queued that this sender delivers.

    Args:
        queue: Whose rows say what is owned.
        settings: Effective settings.
        in_use: The endpoints in use.
        learn: Reads what other senders learned of servers and logins.
        time: Clocks.
    """

    def __init__(
        self,
        queue: owning.OwningQueue,
        *,
        settings: settings_source.ListedSettings,
        in_use: destinations.Destinations,
        learn: Callable[[], Awaitable[None]],
        time: clock.Clock,
    ) -> None:
        self._clock = time
        self._queue = queue
        self._settings = settings
        self._destinations = in_use
        self._learn = learn
        self._callbacks: list[Callable[[], None]] = []
        self._leaver: Leaver | None = None
        self._owned: set[str] = set()
        self._leaving: set[str] = set()
        self._should: AbstractSet[str] = frozenset()
        self._team: Sequence[owning.Peer] | None = None
        self._team_name = self._stamped = ""
        self._placed: Mapping[str, owning.Placement] = {}
        self._is_new = True
        self._reckoned_at = float("-inf")
        self._uses: dict[effective.OrganizationKey, owners.RoomUse] = {}
        self._next_look = 0.0
        self._wake = asyncio.Event()
        self._background = tasks.Background()
        self._rooms: dict[ports.LaneKey, tuple[effective.Effective | None, frozenset[str]]] = {}
        queue.ask_whose(self.is_mine)

    def is_mine(self, lane: ports.LaneKey) -> bool:
        """Return whether an organization's messages are this sender's to deliver, hold and end."""
        return self._rooms_of(lane) <= self._owned

    def owns(self, settings: effective.Effective) -> bool:
        """Return whether this sender may connect to the server of settings."""
        return settings.endpoint is not None and destination_key.key_of(settings).room in self._owned

    def serves(self, organization: effective.OrganizationKey) -> bool:
        """Return whether whatever concerns an organization is this sender's to do."""
        settings = self._settings.get(organization)
        return self.does_rest() if settings is None else self.is_mine(ports.LaneKey.of(settings))

    def does_rest(self) -> bool:
        """Return whether what concerns no server is this sender's to do."""
        return _NOWHERE in self._owned

    def listen(self, on_change: Callable[[], None]) -> None:
        """Have somebody told when other organizations are this sender's than before."""
        self._callbacks.append(on_change)

    def leave_by(self, leaver: Leaver) -> None:
        """Have somebody unclaim what is in memory."""
        self._leaver = leaver

    def note_settings(self, organization: effective.OrganizationKey) -> None:
        """Look anew who should own what, where settings name other servers; the callback for whoever watches them.

        That takes all organizations: so each second at most, however many change, and not for what moves nothing (R15).
        """
        settings = self._settings.get(organization)
        if (None if settings is None else self._use_of(settings)) == self._uses.get(organization):
            return
        self._is_new = True
        if self._clock.monotonic() >= self._reckoned_at + _AGAIN_SECONDS:
            self._wake.set()

    async def run(self) -> NoReturn:
        """Keep what should be this sender's, until cancelled; a failure is logged, and passes or ends the process."""
        waiting: asyncio.Future[None] | None = None
        waking: asyncio.Future[Any] | None = None
        try:
            while True:
                self._wake.clear()
                pause = _AGAIN_SECONDS
                try:
                    pause = await self._step()
                except Exception:  # noqa: BLE001 - the lease says how long what is owned may be used.
                    _log.exception("it could not be looked which sender owns what; trying again")
                if waiting is None or waiting.done():
                    waiting = asyncio.ensure_future(self._queue.wait_for_peers())
                waking = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait((waiting, waking), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
        finally:
            begun = [each for each in (waiting, waking) if each is not None]
            for each in begun:
                each.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            await self._background.finish(within_seconds=0)

    async def _step(self) -> float:
        """Do what is to be done now; return after how many seconds there may be more."""
        team = owners.sharing(await self._queue.peers())
        placed = await self._queue.placements()
        # One that is gone may have taken in what it did not announce.
        is_other_team = self._team is not None and team != self._team
        now = self._clock.monotonic()
        is_due = self._is_new and now >= self._reckoned_at + _AGAIN_SECONDS
        if is_due or team != self._team or placed is not self._placed:
            self._is_new, self._team, self._placed, self._reckoned_at = False, team, placed, now
            self._team_name = owners.name_of(team)
            self._should = self._reckon(team)
        left, regained = self._owned - self._should, self._leaving & self._should
        if left or regained or is_other_team:
            self._owned = (self._owned - left) | regained
            self._leaving = (self._leaving | left) - regained
            self._tell()
        if self._stamped != self._team_name:
            await self._queue.acquire(self._should & self._owned, team=self._team_name)
            self._stamped = self._team_name
        if wanted := self._should - self._owned:
            await self._acquire(wanted)
        await self._hand_over()
        wanted = self._should - self._owned
        owning_metrics.set_rooms(owned=len(self._owned), leaving=len(self._leaving), awaited=len(wanted))
        is_leaving = self._leaving or (self._leaver is not None and self._leaver.leaving())
        return _LEAVING_SECONDS if is_leaving else _AGAIN_SECONDS

    async def _acquire(self, rooms: AbstractSet[str]) -> None:
        found = await self._queue.acquire(rooms, team=self._team_name)
        if not found:
            return
        # What others learned there counts from the first message on (R12).
        await self._learn()
        self._destinations.take_over(found)
        self._owned |= found.keys()
        _log.info("rooms are this sender's", count=len(found))
        self._tell()

    async def _hand_over(self) -> None:
        """Give up what is this sender's no more, as far as nothing is held there any more."""
        going = self._leaver.leaving() if self._leaver is not None else frozenset()
        if (now := self._clock.monotonic()) >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            going |= {lane for lane in await self._queue.owned_lanes() if not self.is_mine(lane)}
        vacated = self._destinations.vacate(self._leaving, self._background.spawn)
        if not going and not vacated:
            return
        if vacated:
            await self._destinations.keep(is_last=True)
        claimed = await self._queue.give_up(vacated, going)
        self._leaving -= vacated
        self._destinations.forget(vacated)
        if self._leaver is not None:
            self._leaver.note_given_up(going - claimed)
        if vacated:
            _log.info("rooms are left to other senders", count=len(vacated))

    def _reckon(self, team: Sequence[owning.Peer]) -> AbstractSet[str]:
        """Return the rooms that this sender should own."""
        me = self._queue.own_number()
        if len(self._rooms) > _CACHED:
            self._rooms.clear()
        self._uses = {each.organization: self._use_of(each) for each in self._settings.organizations()}
        uses = [owners.RoomUse(namespace_uid="", rooms={_NOWHERE}), *self._uses.values()]
        placed = {room: each.owner for room, each in self._placed.items() if each.team == self._team_name}
        return {room for room, number in owners.chosen(uses, placed, team).items() if number == me}

    def _use_of(self, settings: effective.Effective) -> owners.RoomUse:
        lane = ports.LaneKey.of(settings)
        return owners.RoomUse(namespace_uid=lane.namespace_uid, rooms=self._rooms_of(lane))

    def _rooms_of(self, lane: ports.LaneKey) -> frozenset[str]:
        """Return the rooms of all servers that an organization's settings name."""
        settings = self._settings.get(lanes.organization_of(lane))
        known, rooms = self._rooms.get(lane, (None, None))
        if rooms is None or known is not settings:
            rooms = _rooms(settings, lane)
            self._rooms[lane] = settings, rooms
        return rooms

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()


def _rooms(settings: effective.Effective | None, lane: ports.LaneKey) -> frozenset[str]:
    if settings is None or isinstance(standing.judge(settings, lane), waits.Wait):
        return frozenset({_NOWHERE})
    both = (settings, settings.at_fallback())
    return frozenset(destination_key.key_of(each).room for each in both if each is not None)

"""What the intake tells of delivery, written where it changes: what messages wait for."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from typing import Final, NoReturn, TypeAlias

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.between import displays
from mailtier.sender.scheduling import holds, lane_display, lanes, schedule, waits
from mailtier.sender.smtp import destination
from mailtier.telemetry import logs, tasks

_EVERY_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
"""Organizations in one commit, so that the disk is not kept from others where all are held at once."""

_log = logs.get_logger(__name__)


_Find: TypeAlias = Callable[[Hashable], destination.Destination | None]


def brief_wait(key: ports.LaneKey, *, waiting: schedule.Schedule, find: _Find, now: float) -> waits.Wait | None:
    """Return what an organization's messages wait for that is over soon; None for nothing.

    Args:
        key: The organization.
        waiting: The active set.
        find: Returns a destination by its key, where it is in use.
        now: Seconds of the monotonic clock.
    """
    organization = waiting.organization(key)
    if organization is None:
        return None
    if (wait := organization.brief_wait(now)) is not None:
        return wait
    if (quota := waiting.awaited_rate(key)) is not None:
        told = f"The message waits for the namespace's rate of {quota} a minute, which the host's policy.quota sets."
        return waits.for_rate(told)
    if not organization.has_ready:
        return None
    target = find(organization.destination)
    rate = None if target is None else target.at.awaited_rate()
    if rate is None:
        return None
    told = f"The message waits for the endpoint's rate of {rate} a minute (delivery.endpointRatePerMinute)."
    return waits.for_rate(told)


async def look(
    held: Mapping[ports.LaneKey, waits.Wait], *, waiting: schedule.Schedule, find: _Find, now: float
) -> dict[ports.LaneKey, lane_display.LaneDisplay]:
    """Return what is to be shown of organizations that wait for something.

    Args:
        held: The organizations that are held.
        waiting: The active set.
        find: As above.
        now: Seconds of the monotonic clock.
    """
    found = {key: lane_display.LaneDisplay(held=why) for key, why in held.items()}
    async for organization in tasks.unhurried(waiting.organizations()):
        if organization.key in held:
            continue
        by_category = _held_lanes(organization, now)
        brief = brief_wait(organization.key, waiting=waiting, find=find, now=now)
        if by_category or brief is not None:
            found[organization.key] = lane_display.LaneDisplay(by_category=by_category, brief=brief)
    return found


def unmarked(organization: lanes.OrganizationLanes, now: float) -> Iterator[tuple[lanes.LaneEntry, waits.Wait]]:
    """Yield what waits untried in a held lane or a pause, so that nothing stored says why it does; and why."""
    found: list[tuple[Iterable[lanes.LaneEntry], waits.Wait]] = [
        (lane.ready, lane.wait) for lane in organization.held(now) if lane.wait is not None
    ]
    wait = organization.wait
    if wait is not None and not wait.is_brief and wait.until >= now + holds.LASTING_SECONDS:
        found.append((organization.entries.values(), wait))
    for entries, wait in found:
        for entry in entries:
            if entry.place is lanes.EntryPlace.READY and entry.pending.state is vocabulary.RecipientState.QUEUED:
                yield entry, wait


def _held_lanes(organization: lanes.OrganizationLanes, now: float) -> dict[vocabulary.Category, waits.Wait]:
    if waits.end(organization.wait) <= now and not any(organization.held(now)):
        return {}
    found = {category: organization.wait_of(category, now) for category in vocabulary.Category}
    return {category: wait for category, wait in found.items() if wait is not None}


class Showing:
    """Shows what is held, at most each second.

    Args:
        rows: Where it is shown.
        look: Returns what is to be shown of each organization that waits for anything.
        on_shown: Called after something was shown.
    """

    def __init__(
        self,
        rows: displays.ShowingQueue,
        *,
        look: Callable[[], Awaitable[Mapping[ports.LaneKey, lane_display.LaneDisplay]]],
        on_shown: Callable[[], None],
    ) -> None:
        self._rows = rows
        self._look = look
        self._on_shown = on_shown
        self._shown: dict[ports.LaneKey, str] = {}
        # As it was at the last look, and encoded.
        self._encoded: dict[ports.LaneKey, tuple[lane_display.LaneDisplay, str]] = {}
        # What is over soon, as it was at the last look.
        self._brief: dict[ports.LaneKey, reasons.DeliveryReason] = {}
        self._is_clean = False

    async def run(self) -> NoReturn:
        """Show until cancelled; a failure is logged, and passes or comes again."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - Whatever it is, mail goes on without it.
                _log.exception("what is held could not be shown; trying again")
            await asyncio.sleep(_EVERY_SECONDS)

    async def step(self) -> None:
        """Show what changed."""
        if not self._is_clean:
            await self._rows.show_nothing()
            self._is_clean = True
            self._on_shown()
        found = self._encode(await self._steady())
        changed: dict[ports.LaneKey, str | None] = {
            key: shown for key, shown in found.items() if self._shown.get(key) != shown
        }
        changed |= dict.fromkeys(self._shown.keys() - found.keys())
        if not changed:
            return
        news = dict(list(changed.items())[:_AT_ONCE])
        await self._rows.show(news)
        for key, shown in news.items():
            if shown is None:
                del self._shown[key]
            else:
                self._shown[key] = shown
        self._on_shown()

    def _encode(self, shown: Mapping[ports.LaneKey, lane_display.LaneDisplay]) -> dict[ports.LaneKey, str]:
        """Return what is shown as text; what did not change is not encoded each second."""
        known = self._encoded
        self._encoded = {
            key: known[key] if key in known and known[key][0] == each else (each, lane_display.encode(each))
            for key, each in shown.items()
        }
        return {key: text for key, (_, text) in self._encoded.items()}

    async def _steady(self) -> dict[ports.LaneKey, lane_display.LaneDisplay]:
        """Return what is to be shown; of what is over soon what was so at the last look too, or each were written."""
        found = dict(await self._look())
        brief = {key: shown.brief.reason for key, shown in found.items() if shown.brief is not None}
        for key in [key for key, reason in brief.items() if self._brief.get(key) is not reason]:
            found[key] = dataclasses.replace(found[key], brief=None)
            if found[key] == lane_display.NOTHING:
                del found[key]
        self._brief = brief
        return found

"""What the intake tells of delivery, written where it changes: holds, and rates that are waited for."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Final, NoReturn, TypeAlias

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.between import displays
from mailtier.sender.delivering import ends
from mailtier.sender.scheduling import holds, lane_display, lanes, schedule, standing
from mailtier.sender.smtp import destination
from mailtier.telemetry import logs

_EVERY_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
"""Organizations in one commit, so that the disk is not kept from others where all are held at once."""

_log = logs.get_logger(__name__)


_Find: TypeAlias = Callable[[Hashable], destination.Destination | None]


def awaited_rate(key: ports.LaneKey, *, waiting: schedule.Schedule, find: _Find) -> str | None:
    """Return in a few words which rate an organization's messages wait for; None if for none.

    Args:
        key: The organization.
        waiting: The active set.
        find: Returns a destination by its key, where it is in use.
    """
    quota, organization = waiting.awaited_rate(key), waiting.organization(key)
    if quota is not None:
        return f"the namespace's rate of {quota} a minute, which the host's policy.quota sets"
    if organization is None or not organization.has_ready:
        return None
    target = find(organization.destination)
    rate = None if target is None else target.at.awaited_rate()
    return None if rate is None else f"the endpoint's rate of {rate} a minute (delivery.endpointRatePerMinute)"


def look(
    held: Mapping[ports.LaneKey, standing.Held], *, waiting: schedule.Schedule, find: _Find, now: float
) -> dict[ports.LaneKey, lane_display.LaneDisplay]:
    """Return what is to be shown of organizations that wait for something.

    Args:
        held: The organizations that are held.
        waiting: The active set.
        find: As above.
        now: Seconds of the monotonic clock.
    """
    found = {key: lane_display.LaneDisplay(held=why) for key, why in held.items()}
    for organization in waiting.organizations():
        if organization.key in held:
            continue
        by_category = _held_lanes(organization, now)
        rate = awaited_rate(organization.key, waiting=waiting, find=find)
        if by_category or rate is not None:
            found[organization.key] = lane_display.LaneDisplay(by_category=by_category, awaited_rate=rate)
    return found


def untold(waiting: schedule.Schedule, now: float) -> Iterator[tuple[lanes.LaneEntry, standing.Held]]:
    """Yield what waits untried in a held lane or a pause, so that nothing stored says why it does; and why."""
    for organization in waiting.organizations():
        waits: list[tuple[Iterable[lanes.LaneEntry], lanes.Wait]] = [
            (lane.ready, lane.wait) for lane in organization.held(now)
        ]
        # A rate lets something go all the while: each message would be stored twice for nothing.
        is_rate = organization.wait.reason in {None, reasons.DeliveryReason.RATE_LIMITED}
        if not is_rate and organization.wait.until >= now + holds.TOLD_AFTER_SECONDS:
            waits.append((organization.entries.values(), organization.wait))
        for entries, wait in waits:
            for entry in entries:
                if entry.place is lanes.EntryPlace.READY and entry.pending.state is vocabulary.RecipientState.QUEUED:
                    yield entry, ends.held(wait)


def _held_lanes(organization: lanes.OrganizationLanes, now: float) -> dict[vocabulary.Category, standing.Held]:
    if organization.wait.until <= now and not any(organization.held(now)):
        return {}
    waits = {category: organization.wait_of(category, now) for category in vocabulary.Category}
    return {
        category: ends.held(wait) for category, wait in waits.items() if wait is not None and wait.reason is not None
    }


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
        look: Callable[[], Mapping[ports.LaneKey, lane_display.LaneDisplay]],
        on_shown: Callable[[], None],
    ) -> None:
        self._rows = rows
        self._look = look
        self._on_shown = on_shown
        self._shown: dict[ports.LaneKey, lane_display.LaneDisplay] = {}
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
        found = self._look()
        changed: dict[ports.LaneKey, lane_display.LaneDisplay | None] = {
            key: shown for key, shown in found.items() if self._shown.get(key) != shown
        }
        changed |= dict.fromkeys(self._shown.keys() - found.keys())
        if not changed:
            return
        news = dict(list(changed.items())[:_AT_ONCE])
        await self._rows.show(
            {key: None if shown is None else lane_display.encode(shown) for key, shown in news.items()}
        )
        for key, shown in news.items():
            if shown is None:
                del self._shown[key]
            else:
                self._shown[key] = shown
        self._on_shown()

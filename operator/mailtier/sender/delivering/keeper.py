"""What waits: held where settings or credentials do not let it go, shown as held, expired or given up in time."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mailtier.api import prose, vocabulary
from mailtier.mail import reasons, states
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.delivering import recorder
from mailtier.sender.scheduling import holds, lanes, schedule, standing
from mailtier.sender.smtp import destinations
from mailtier.sender.smtp.servers import destination_key
from mailtier.settings import effective
from mailtier.telemetry import hold_metrics, logs

_S: Final = vocabulary.RecipientState

_TOLD_AT_ONCE: Final = 200
"""How many recipients are marked as held in one sweep, so that a large hold does not keep the disk from others."""

_ACTIVE_RECHECK_SECONDS: Final = 60.0

_log = logs.get_logger(__name__)


class Keeper:
    """Decides for each organization whether its messages may go, and keeps those that may not.

    Args:
        settings: Effective settings of every organization.
        destinations: The endpoints in use.
        waiting: All recipients.
        outcomes: Where outcomes are stored.
        time: Clocks and chance.
        guard: Whether the wall clock may be believed.
        wake: Called when something may be ready.
    """

    def __init__(
        self,
        *,
        settings: settings_source.KnownSettings,
        destinations: destinations.Destinations,
        waiting: schedule.Schedule,
        outcomes: recorder.Recorder,
        time: clock.Clock,
        guard: clock.JumpGuard,
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._destinations = destinations
        self._schedule = waiting
        self._outcomes = outcomes
        self._clock = time
        self._guard = guard
        self._wake = wake
        self._holds = holds.Holds()
        self._keys: dict[effective.OrganizationKey, set[ports.LaneKey]] = {}
        self._to_judge: set[ports.LaneKey] = set()
        self._untold: list[lanes.LaneEntry] = []

    def held(self) -> dict[ports.LaneKey, standing.Held]:
        """Return the organizations whose messages are held, and why."""
        return self._holds.current()

    def hold_of(self, key: ports.LaneKey, category: vocabulary.Category | None) -> standing.Held | None:
        """Return why an organization's messages, or those of one category, are held; None where they are not."""
        if (found := self._holds.find(key)) is not None:
            return found.held
        organization = self._schedule.organization(key)
        if category is None or organization is None:
            return None
        wait = organization.wait_of(category, self._clock.monotonic())
        return None if wait is None or wait.reason is None else _held(wait)

    def counts(self, now: float) -> Mapping[tuple[hold_metrics.Of, str], int]:
        """Return how much is held, by what it is and why."""
        counts: collections.Counter[tuple[hold_metrics.Of, str]] = collections.Counter()
        counts.update(("organization", held.reason.value) for held in self._holds.current().values())
        counts.update(("lane", str(lane.wait.reason)) for lane in self._schedule.held_lanes(now))
        waiting = (each.parked for each in self._schedule.organizations() if each.parked.until > now and each.entries)
        counts.update(("pause", str(wait.reason)) for wait in waiting)
        return counts

    def take_in(self, pending: Iterable[ports.Pending]) -> None:
        """Take in recipients; those that are here already are left as they are."""
        for each in pending:
            entry = self._schedule.offer(
                each,
                due_at=self._clock.monotonic_at(each.due_at),
                expires_at=self._clock.monotonic_at(each.expires_at),
            )
            if entry is not None and entry.organization.destination is None and self._holds.find(each.lane) is None:
                self._keys.setdefault(lanes.organization_of(each.lane), set()).add(each.lane)
                self._to_judge.add(each.lane)

    def note_settings(self, organization: effective.OrganizationKey) -> None:
        """Have an organization judged anew, without its holds: its settings changed."""
        for key in self._keys.get(organization, ()):
            self._holds.release(key)
            self._schedule.release(key)
            self._to_judge.add(key)

    def judge_due(self) -> None:
        """Judge the organizations that are to be judged since this was called last."""
        due, self._to_judge = self._to_judge, set()
        for key in due:
            if self._schedule.organization(key) is not None:
                self.judge(key)

    def judge(self, key: ports.LaneKey) -> None:
        """Send an organization's messages to the destination that its settings name, or hold them."""
        judged = standing.judge(self._settings.get(lanes.organization_of(key)), key)
        if isinstance(judged, standing.Held):
            self.hold(key, judged, recheck=False)
            return
        hold = self._holds.find(key)
        if hold is not None and hold.recheck_at is None:
            self._holds.release(key)
        else:
            self._holds.release_for_trial(key)
        target = self._destinations.get(judged.settings)
        there = self._settings.get(effective.HOST) if target.at.is_host_s else None
        self._schedule.unpark(key, target.key, rates=judged.rates(there))

    def hold(self, key: ports.LaneKey, held: standing.Held, *, recheck: bool, trial_at: float | None = None) -> None:
        """Hold an organization's messages.

        Args:
            key: The organization.
            held: Why.
            recheck: Whether time alone may mend it.
            trial_at: When it may be mended, where that is known; seconds of the monotonic clock.
        """
        if self._holds.hold(key, held, now=self._clock.monotonic(), recheck=recheck, trial_at=trial_at):
            _log.info("messages are held", organization=str(lanes.organization_of(key)), reason=held.reason)
        self._schedule.park(key)
        self._wake()

    def park(self, key: ports.LaneKey) -> None:
        """Let an organization's messages wait for a moment of which nobody is told, until it is judged again."""
        self._schedule.park(key)

    def judge_soon(self, key: ports.LaneKey) -> None:
        """Have an organization judged anew: what it was parked or held for may be over."""
        self._to_judge.add(key)
        self._wake()

    def note_move(self, destination_key: destination_key.DestinationKey) -> None:
        """Have everybody judged anew who uses a destination, where other rates hold from now on."""
        for organization in self._schedule.organizations():
            if organization.destination == destination_key:
                self.judge_soon(organization.key)

    def confirm(self, key: ports.LaneKey) -> None:
        """Note that an organization's settings and credentials work."""
        self._holds.confirm(key)

    def sweep(self, now: float) -> None:
        """Go through all holds: which are to be judged anew, told, or ended."""
        for key in self._holds.to_recheck(now):
            self.judge_soon(key)
        for key, reason in self._holds.to_fail(now):
            organization = self._schedule.organization(key)
            if organization is not None:
                self._fail_all(organization, reason)
        self._tell_held(now)
        self._tell_held_lanes(now)

    def prune(self, now: float) -> None:
        """Forget organizations without messages."""
        for key in self._schedule.prune(now):
            self._holds.release(key)
            keys = self._keys.pop(lanes.organization_of(key), set()) - {key}
            if keys:
                self._keys[lanes.organization_of(key)] = keys

    def fail_namespace(self, namespace_uid: str) -> None:
        """Give up everything that is queued for a namespace that is gone."""
        for organization in list(self._schedule.organizations()):
            if organization.key.namespace_uid == namespace_uid:
                self._fail_all(organization, reasons.DeliveryReason.NAMESPACE_DELETED)

    def expire(self, now: float) -> None:
        """End what reached its max age."""
        is_paused = self._guard.is_paused()
        for entry in self._schedule.expired(now):
            left = (entry.pending.expires_at - self._clock.wall()).total_seconds()
            if left > 0:
                # The wall clock was set back since; nothing is older than it says.
                self._schedule.watch_expiry(entry, at=now + left)
            elif is_paused or entry.place is lanes.EntryPlace.ACTIVE:
                self._schedule.watch_expiry(entry, at=now + _ACTIVE_RECHECK_SECONDS)
            else:
                self._finish(entry, *self._expiry_of(entry))

    def _tell_held(self, now: float) -> None:
        """Store for what waits in a held organization that it is held, and why."""
        self._untold += self._schedule.take_parked()
        told, kept = 0, []
        for entry in self._untold:
            key = entry.organization.key
            hold = self._holds.find(key)
            if entry.place is not lanes.EntryPlace.READY or hold is None:
                continue
            if told >= _TOLD_AT_ONCE or not self._holds.is_told(key, now):
                kept.append(entry)
            elif states.may_follow(entry.pending.state, _S.HELD):
                told += 1
                self._store_held(entry, hold.held)
        self._untold = kept

    def _tell_held_lanes(self, now: float) -> None:
        """Store for what waits in a held lane, and was not tried yet, that it is held, and why."""
        told = 0
        for lane in self._schedule.held_lanes(now):
            for entry in lane.ready:
                if told >= _TOLD_AT_ONCE:
                    return
                if entry.place is lanes.EntryPlace.READY and entry.pending.state is _S.QUEUED:
                    told += 1
                    self._store_held(entry, _held(lane.wait))

    def _store_held(self, entry: lanes.LaneEntry, held: standing.Held) -> None:
        at = self._clock.wall()
        entry.pending = dataclasses.replace(entry.pending, state=_S.HELD)
        self._outcomes.store(
            ports.Outcome(
                recipient_number=entry.pending.recipient_number,
                state=_S.HELD,
                due_at=at,
                attempted=False,
                reason=held.reason,
                message=held.message,
                at=at,
            )
        )

    def _expiry_of(self, entry: lanes.LaneEntry) -> tuple[vocabulary.RecipientState, reasons.DeliveryReason, str]:
        if not states.may_follow(entry.pending.state, _S.EXPIRED):
            # It may have been delivered; "expired" would say that it was not.
            reason = reasons.DeliveryReason.IN_DOUBT
            return _S.FAILED, reason, reasons.MEANINGS[reason]
        reason, hold = reasons.DeliveryReason.EXPIRED, self._holds.find(entry.organization.key)
        message = reasons.MEANINGS[reason]
        return _S.EXPIRED, reason, prose.sentences(message, hold.held.message if hold else "")

    def _fail_all(self, organization: lanes.OrganizationLanes, reason: reasons.DeliveryReason) -> None:
        for entry in list(organization.entries.values()):
            if entry.place is not lanes.EntryPlace.ACTIVE:
                self._finish(entry, _S.FAILED, reason, reasons.MEANINGS[reason])

    def _finish(
        self, entry: lanes.LaneEntry, state: vocabulary.RecipientState, reason: reasons.DeliveryReason, message: str
    ) -> None:
        self._schedule.remove(entry)
        self._outcomes.store(
            ports.Outcome(
                recipient_number=entry.pending.recipient_number,
                state=state,
                due_at=None,
                attempted=False,
                reason=reason,
                message=message,
                at=self._clock.wall(),
            )
        )


def _held(wait: lanes.Wait) -> standing.Held:
    return standing.Held(reason=wait.reason or reasons.DeliveryReason.SERVER_UNAVAILABLE, message=wait.message)

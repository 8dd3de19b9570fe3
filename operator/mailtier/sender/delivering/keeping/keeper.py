"""What waits: held where settings or credentials do not let it go, shown as held, expired or given up in time."""

import collections
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.between import bell
from mailtier.sender.delivering import recorder
from mailtier.sender.delivering.keeping import (
    claiming,
    dropping,
    ends,
    expiring,
    held_marks,
    leaving,
    restored,
    showing,
)
from mailtier.sender.queueing import suppressions
from mailtier.sender.scheduling import holds, lanes, schedule, standing, waits
from mailtier.sender.smtp import destinations, estate
from mailtier.sender.smtp.servers import destination_key
from mailtier.settings import effective
from mailtier.telemetry import hold_metrics, logs, tasks

_SETTLED_AT_ONCE: Final = 32
"""Recipients of a backlog that are shown as held, or given up, before others have their turn: a large one does not keep
the disk from them."""

_log = logs.get_logger(__name__)


class Keeper:
    """Decides for each organization whether its messages may go, and keeps those that may not.

    Args:
        settings: Effective settings of every organization.
        destinations: The endpoints in use.
        waiting: The active set.
        claims: What fills it.
        outcomes: Where outcomes are stored.
        time: Clocks and chance.
        guard: Whether the wall clock may be believed.
        wake: Called when something may be ready.
        restoring: Whether everything is held.
        whose: Whose mail it is.

    Attributes:
        expiry: Ends what reaches its max age.
        left: What is another sender's from now on.
    """

    def __init__(
        self,
        *,
        settings: settings_source.KnownSettings,
        destinations: destinations.Destinations,
        waiting: schedule.Schedule,
        claims: claiming.Claimer,
        outcomes: recorder.Recorder,
        time: clock.Clock,
        guard: clock.JumpGuard,
        wake: Callable[[], None],
        restoring: restored.RestoredHold,
        whose: estate.Whose,
    ) -> None:
        self._settings = settings
        self._destinations = destinations
        self._schedule = waiting
        self._claims = claims
        self._outcomes = outcomes
        self._clock = time
        self._wake = wake
        self._restored = restoring
        self._holds = holds.Holds()
        self._marks = held_marks.HeldMarks(self._holds, claims=claims, outcomes=outcomes, time=time)
        self.left = leaving.LeftLanes(whose, waiting=waiting, claims=claims)
        self._keys: dict[effective.OrganizationKey, set[ports.LaneKey]] = {}
        self._to_judge: set[ports.LaneKey] = set()
        # Those whose messages are given up, and why.
        self._failing: dict[ports.LaneKey, reasons.DeliveryReason] = {}
        destinations.on_route_change(self.note_route_change)
        self.expiry = expiring.Expiry(
            waiting=waiting,
            claims=claims,
            time=time,
            guard=guard,
            restoring=restoring,
            why=self._why,
            end=self._store_end,
        )

    def held(self) -> dict[ports.LaneKey, waits.Wait]:
        """Return the organizations whose messages are held, and why."""
        return self._holds.current()

    def hold_of(self, key: ports.LaneKey, category: vocabulary.Category | None) -> waits.Wait | None:
        """Return why an organization's messages, or those of one category, are held; None where they are not."""
        if (found := self._holds.find(key)) is not None:
            return found
        organization = self._schedule.organization(key)
        if category is None or organization is None:
            return None
        return organization.wait_of(category, self._clock.monotonic())

    def _why(self, pending: ports.Pending) -> waits.Wait | None:
        """Return what a recipient waits for beside an attempt that is stored; None for nothing."""
        if (hold := self.hold_of(pending.lane, pending.category)) is not None:
            return hold
        return showing.brief_wait(
            pending.lane, waiting=self._schedule, find=self._destinations.find, now=self._clock.monotonic()
        )

    async def survey(self) -> Mapping[tuple[hold_metrics.Of, str], int]:
        """Mark what waits in what is held, and return how much is held, by what it is and why; some at a time."""
        counts: collections.Counter[tuple[hold_metrics.Of, str]] = collections.Counter()
        counts.update(("organization", held.reason.value) for held in self._holds.current().values())
        async for organization in tasks.unhurried(self._schedule.organizations()):
            now, wait = self._clock.monotonic(), organization.wait
            counts.update(("lane", lane.wait.reason.value) for lane in organization.held(now) if lane.wait)
            if wait is not None and organization.entries and wait.until > now:
                counts["awaited" if wait.is_told else "pause", wait.reason.value] += 1
            self._marks.mark_waiting(organization, now)
        return counts

    def ring(self, pending: Iterable[ports.Pending | bell.RungBacklog]) -> None:
        """Note that recipients were queued."""
        for each in pending:
            self._claims.ring(ports.BacklogKey(lane=each.lane, category=each.category), each.due_at)
            self.expiry.note(each.expires_at)
            self.know(each.lane)

    def know(self, key: ports.LaneKey) -> None:
        """Have an organization judged for which something is queued, unless it was."""
        if self._schedule.open(key).destination is None and self._holds.find(key) is None:
            self._keys.setdefault(lanes.organization_of(key), set()).add(key)
            self._to_judge.add(key)

    def wanted(self, key: ports.LaneKey) -> claiming.WantedRecipients | None:
        """Return what is wanted of an organization's messages in the queue; None for nothing."""
        if key in self._failing:
            return claiming.WantedRecipients(due_by=None, limit=_SETTLED_AT_ONCE)
        if self._holds.find(key) is not None:
            if key not in self._marks:
                return None
            return claiming.WantedRecipients(
                due_by=self._clock.wall(), states=held_marks.MARKABLE, limit=_SETTLED_AT_ONCE
            )
        organization = self._schedule.organization(key)
        if organization is None or organization.destination is None:
            return None
        return claiming.WantedRecipients(due_by=self._clock.wall())

    def take_in(self, claimed: ports.Claimed) -> None:
        """Do what is to be done with a recipient that was claimed, as its organization stands now."""
        pending = claimed.pending
        if not self.left.is_mine(pending.lane):
            self._claims.unclaim_pending(pending, pending.due_at)
            return
        reason, hold = self._failing.get(pending.lane), self._holds.find(pending.lane)
        if reason is not None:
            self._store_end(pending, ends.failed(reason))
        elif hold is None and suppressions.is_suppressed(claimed, now=self._clock.wall()):
            assert claimed.suppressed_until is not None, "it would not be suppressed"
            self._store_end(pending, ends.suppressed(claimed.suppressed_until))
        elif hold is None:
            self._claims.take_in(claimed)
        elif pending.lane in self._marks and pending.state in held_marks.MARKABLE:
            self._marks.mark(pending, hold)
        else:
            self._claims.unclaim_pending(pending, pending.due_at)

    def end(self, entry: lanes.LaneEntry) -> None:
        """Forget an entry whose final state is about to be stored."""
        self._claims.end(entry)

    def unclaim(self, entry: lanes.LaneEntry, due_at: dt.datetime) -> None:
        """Let an entry go on in the queue, where it is due at a time."""
        self._claims.unclaim(entry, due_at)

    def note_settings(self, organization: effective.OrganizationKey) -> None:
        """Have an organization judged anew, without its holds: its settings changed."""
        for key in self._keys.get(organization, ()):
            self._end_holds(key, was_failing=self._failing.pop(key, None) is not None)

    def judge_due(self) -> None:
        """Judge the organizations that are to be judged since this was called last."""
        due, self._to_judge = self._to_judge, set()
        for key in due:
            if self._schedule.organization(key) is not None:
                self.judge(key)

    def judgement(self, key: ports.LaneKey) -> standing.Usable | waits.Wait:
        """Return whether an organization's messages may go, as its settings are and the server that is used now."""
        settings = self._settings.get(lanes.organization_of(key))
        return self._restored.held or standing.judge(settings and self._destinations.in_use(settings), key)

    def judge(self, key: ports.LaneKey) -> None:
        """Send an organization's messages to the destination that its settings name, hold them, or leave them."""
        if not self.left.is_mine(key):
            self._leave(key)
            return
        is_new = self.left.enter(key)
        judged = self.judgement(key)
        if isinstance(judged, waits.Wait):
            self.hold(key, judged, recheck=False)
            return
        hold = self._holds.find(key)
        was_kept = hold is not None or key in self._failing
        self._failing.pop(key, None)
        self._marks.forget(key)
        if hold is not None and hold.is_told:
            self._holds.end(key)
        else:
            self._holds.begin_trial(key)
        target = self._destinations.get(judged.settings)
        if is_new and (since := self._destinations.taken_over_at(target.key)) is not None:
            self._schedule.open(key).begin_full(since)
        there = self._settings.get(effective.HOST) if target.at.is_host_s else None
        self._schedule.direct(key, target.key, rates=judged.rates(there))
        self._claims.reopen(key, anew=was_kept)

    def judge_changed(self) -> None:
        """Have those judged anew that are this sender's and were another's, or the other way round."""
        for key in self.left.changed():
            self.judge_soon(key)

    def hold(self, key: ports.LaneKey, wait: waits.Wait, *, recheck: bool) -> None:
        """Hold an organization's messages.

        Args:
            key: The organization.
            wait: What for.
            recheck: Whether it may be over without being told.
        """
        if self._holds.hold(key, wait, now=self._clock.monotonic(), recheck=recheck):
            _log.info("messages are held", organization=str(lanes.organization_of(key)), reason=wait.reason)
        self._schedule.halt(key)
        self._claims.unclaim_ready(self._schedule.open(key))
        self._marks.look(key, self._clock.monotonic())
        self._wake()

    def judge_all(self) -> None:
        """Have everybody judged anew: what everything was held for is over."""
        for organization in self._schedule.organizations():
            self._end_holds(organization.key)
        self._wake()

    def judge_soon(self, key: ports.LaneKey) -> None:
        """Have an organization judged anew: what it waited for may be over."""
        self._to_judge.add(key)
        self._wake()

    def note_move(self, destination_key: destination_key.DestinationKey) -> None:
        """Have everybody judged anew who uses a destination, where other rates hold from now on."""
        for organization in self._schedule.organizations():
            if organization.destination == destination_key:
                self.judge_soon(organization.key)

    def note_route_change(self, turned: AbstractSet[destination_key.DestinationKey]) -> None:
        """Have those judged anew whose mail another one of their servers may take from now on.

        Args:
            turned: The servers that were found to be dead, or to be there again.
        """
        for organization in self._schedule.organizations():
            settings = self._settings.get(lanes.organization_of(organization.key))
            has_two = settings is not None and settings.endpoint is not None and settings.fallback is not None
            if settings is not None and has_two and destination_key.key_of(settings) in turned:
                self.judge_soon(organization.key)

    def confirm(self, key: ports.LaneKey) -> None:
        """Note that an organization's settings and credentials work."""
        self._holds.confirm(key)

    def sweep(self, now: float) -> None:
        """Go through all holds: which are to be judged anew, told, or ended; and see which servers died."""
        self._destinations.follow_routes()
        for key in self._holds.to_recheck(now):
            self.judge_soon(key)
        for key, reason in self._holds.to_fail(now):
            self._fail_all(key, reason)
        self._marks.sweep(now)

    def prune(self, now: float) -> None:
        """Forget organizations without messages."""
        for key in self._schedule.prune(now, keep=self._claims.has):
            self._leave(key)
            keys = self._keys.pop(lanes.organization_of(key), set()) - {key}
            if keys:
                self._keys[lanes.organization_of(key)] = keys

    def fail_namespace(self, namespace_uid: str) -> None:
        """Give up everything that is queued for a namespace that is gone."""
        for organization in list(self._schedule.organizations()):
            if organization.key.namespace_uid == namespace_uid and self.left.is_mine(organization.key):
                self._fail_all(organization.key, reasons.DeliveryReason.NAMESPACE_DELETED)
        self._wake()

    async def drop(
        self, key: ports.LaneKey, recipient_numbers: Iterable[int], *, then: Callable[[Exception | None], None]
    ) -> int:
        """End recipients that somebody dropped, and return how many; what is on the wire goes on.

        Args:
            key: Their organization.
            recipient_numbers: Of those to end.
            then: Called for each of them when its outcome is stored, with the error if it was not.
        """
        return await dropping.drop(
            key,
            recipient_numbers,
            waiting=self._schedule,
            claims=self._claims,
            store=lambda pending: self._store_end(pending, ends.dropped(pending), then),
        )

    def release(self, key: ports.LaneKey) -> None:
        """End the holds of an organization and its lanes for now; what still holds it does so again."""
        self._end_holds(key)
        self._wake()

    def _end_holds(self, key: ports.LaneKey, *, was_failing: bool = False) -> None:
        if was_failing or self._holds.find(key) is not None:
            # While they were held or given up, other messages were asked for than now.
            self._claims.reopen(key, anew=True)
        self._holds.end(key)
        self._schedule.end_waits(key)
        self._to_judge.add(key)

    def _leave(self, key: ports.LaneKey) -> None:
        self._failing.pop(key, None)
        self._marks.forget(key)
        self._holds.end(key)
        if self._schedule.organization(key) is not None:
            self._schedule.halt(key)
        self.left.leave(key)

    def _fail_all(self, key: ports.LaneKey, reason: reasons.DeliveryReason) -> None:
        """Give up what is queued for an organization; what is in the queue alone as it is claimed."""
        if self._failing.get(key) is not reason:
            self._failing[key] = reason
            self._claims.reopen(key, anew=True)
        for entry in list(self._schedule.open(key).entries.values()):
            if entry.place is not lanes.EntryPlace.ACTIVE:
                self._finish(entry, ends.failed(reason))

    def _finish(self, entry: lanes.LaneEntry, end: ends.End) -> None:
        self._claims.end(entry)
        self._store_end(entry.pending, end)

    def _store_end(
        self, pending: ports.Pending, end: ends.End, then: Callable[[Exception | None], None] | None = None
    ) -> None:
        self._outcomes.store(ends.outcome(pending, end, self._clock.wall()), then)

"""From a plan to a resolution: reads what the plan needs, concludes, and looks up what the sender's probe found.

Host and organizations go the same way; only what they plan, and where they write it, differs.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Final

from mailtier.api import feed, vocabulary
from mailtier.handlers import keys, probes, reads, store
from mailtier.settings import codec, effective, resolve


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What settings came to.

    Attributes:
        probe: The latest probe of these settings; None while there is none, and where none is made.
        fallback_probe: The same of their fallback.
        requested_at: The last request to look anew that this is an answer to; "" without one.
    """

    resolution: resolve.Resolution
    probe: feed.Probe | None
    fallback_probe: feed.Probe | None
    requested_at: str


REQUEST_SECONDS: Final = 5.0
"""How soon after one request of an object its next is answered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """For what a user's references were last read anew.

    Attributes:
        version: uid and generation of its object.
        requested_at: The last request of its object that was answered.
        at: Monotonic seconds of the last reading that was asked for, or that came to nothing.
        is_answered: Whether it was an answer; otherwise it is to be made again.
    """

    version: tuple[str, int]
    requested_at: str
    at: float
    is_answered: bool = True


def _is_unfit(resolution: resolve.Resolution) -> bool:
    """Return whether a Secret or CA bundle is not what the settings need, whatever else is wrong with them."""
    refs = vocabulary.Condition.RESOLVED_REFS
    return any(refs in finding.reason.conditions for finding in resolution.effective.findings)


class PlanResolver:
    """Resolves plans, and remembers for which version of a user's settings its references were read."""

    def __init__(
        self,
        reader: reads.Reader,
        results: probes.Probes,
        *,
        look_again: Callable[[keys.Key, dt.timedelta], None],
        monotonic: Callable[[], float],
    ) -> None:
        """Make a resolver.

        Args:
            reader: Reads Secrets and CA bundles.
            results: What the sender's probes found.
            look_again: Has a key reconciled after a while.
            monotonic: Seconds on a clock that never steps.
        """
        self._reader = reader
        self._probes = results
        self._look_again = look_again
        self._monotonic = monotonic
        self._read_for: dict[keys.Key, _Reading] = {}

    async def resolve(self, key: keys.Key, plan: resolve.Plan, seen: store.Seen | None) -> Resolved:
        """Return what a plan comes to.

        Args:
            key: Whose plan it is.
            plan: The plan.
            seen: The user's own object: when it is another version or asks for it, references are read anew;
                otherwise the schedule has read them. What the API server does not answer is no answer to the user.
        """
        before = self._read_for.get(key)
        reading = self._reading(key, before, seen)
        found = await self._reader.read_for(key, plan, fresh=reading is not before)
        if reading is not before and not found.is_answered:
            reading = self._unanswered(key, before, reading)
        self._read_for[key] = reading
        resolution = resolve.conclude(plan, found)
        state = resolution.effective.state
        self._reader.judge(key, satisfied=not _is_unfit(resolution))
        probe = fallback_probe = None
        if state == effective.State.ACTIVE:
            servers = (resolution.effective, resolution.effective.at_fallback())
            probe, *others = self._probes.find(key, *(codec.probe_key(each) for each in servers if each is not None))
            fallback_probe = others[0] if others else None
        else:
            self._probes.release(key)
        return Resolved(
            resolution=resolution, probe=probe, fallback_probe=fallback_probe, requested_at=reading.requested_at
        )

    def _reading(self, key: keys.Key, before: _Reading | None, seen: store.Seen | None) -> _Reading:
        """Return what is to be read for; what was read for before, where that will do."""
        version, requested_at = ((seen.uid, seen.generation), seen.requested_at) if seen else (("", 0), "")
        if before is None:
            return _Reading(version=version, requested_at=requested_at, at=float("-inf"))
        if before.version != version:
            return dataclasses.replace(before, version=version, requested_at=requested_at, is_answered=True)
        if before.requested_at == requested_at and before.is_answered:
            return before
        now = self._monotonic()
        if (left := before.at + REQUEST_SECONDS - now) > 0:
            self._look_again(key, dt.timedelta(seconds=left))
            return before
        return _Reading(version=version, requested_at=requested_at, at=now)

    def _unanswered(self, key: keys.Key, before: _Reading | None, reading: _Reading) -> _Reading:
        """Have a reading made again that the API server did not answer; return what status may say of it until then."""
        self._look_again(key, dt.timedelta(seconds=REQUEST_SECONDS))
        answered = before.requested_at if before else ""
        return dataclasses.replace(reading, requested_at=answered, at=self._monotonic(), is_answered=False)

    def release(self, key: keys.Key) -> None:
        """Forget a user that is gone."""
        self._read_for.pop(key, None)
        self._reader.release(key)
        self._probes.release(key)

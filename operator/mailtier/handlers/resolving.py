"""From a plan to a resolution: reads what the plan needs, concludes, and looks up what the sender's probe found.

Host and organizations go the same way; only what they plan, and where they write it, differs.
"""

import dataclasses

from mailtier.api import feed, vocabulary
from mailtier.handlers import keys, probes, reads
from mailtier.settings import codec, effective, resolve


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What settings came to.

    Attributes:
        probe: The latest probe of these settings; None while there is none, and where none is made.
    """

    resolution: resolve.Resolution
    probe: feed.Probe | None


def _is_unfit(resolution: resolve.Resolution) -> bool:
    """Return whether a Secret or CA bundle is not what the settings need, whatever else is wrong with them."""
    refs = vocabulary.Condition.RESOLVED_REFS
    return any(refs in finding.reason.conditions for finding in resolution.effective.findings)


class PlanResolver:
    """Resolves plans, and remembers for which version of a user's settings its references were read."""

    def __init__(self, reader: reads.Reader, results: probes.Probes) -> None:
        """Make a resolver.

        Args:
            reader: Reads Secrets and CA bundles.
            results: What the sender's probes found.
        """
        self._reader = reader
        self._probes = results
        self._read_for: dict[keys.Key, tuple[str, int]] = {}

    async def resolve(self, key: keys.Key, plan: resolve.Plan, *, version: tuple[str, int]) -> Resolved:
        """Return what a plan comes to.

        Args:
            key: Whose plan it is.
            plan: The plan.
            version: uid and generation of the user's own object: with a new one, references are read anew;
                otherwise the schedule has read them.
        """
        found = await self._reader.read_for(key, plan, fresh=self._read_for.get(key) != version)
        self._read_for[key] = version
        resolution = resolve.conclude(plan, found)
        state = resolution.effective.state
        self._reader.judge(key, satisfied=not _is_unfit(resolution))
        if state != effective.State.ACTIVE:
            self._probes.release(key)
            return Resolved(resolution=resolution, probe=None)
        return Resolved(resolution=resolution, probe=self._probes.find(key, codec.probe_key(resolution.effective)))

    def release(self, key: keys.Key) -> None:
        """Forget a user that is gone."""
        self._read_for.pop(key, None)
        self._reader.release(key)
        self._probes.release(key)

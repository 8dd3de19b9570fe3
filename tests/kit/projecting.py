"""A writer of projections with everything around it."""

import collections.abc
import datetime as dt
import typing

from kit import api, tiers
from mailtier.api import names
from mailtier.api import settings as api_settings
from mailtier.handlers import keys, projections, store
from mailtier.kube import paths
from mailtier.settings import observed

PATH = paths.config_maps("team-a", "mailtier-default")
KEY = keys.organization("team-a", "default")
PUBLISH: tiers.Json = {"publish": True}


class Projecting:
    """A writer of projections, its API server, a clock, and the status that says what was written.

    Attributes:
        now: Monotonic seconds.
        again: After how many seconds it wants to look again, each time that it said so.
        named: What status names.
    """

    def __init__(self, monotonic: collections.abc.Callable[[], float] | None = None) -> None:
        self.api = api.Api()
        self.now = 0.0
        self.monotonic = monotonic
        self.again: list[float] = []
        self.named = ""
        self.uid = "uid"
        self.start()

    def start(self) -> None:
        """Have another operator take over, which remembers nothing."""
        self.projections = projections.Projections(
            typing.cast("typing.Any", self.api),
            url="https://intake",
            look_again=self._note,
            monotonic=self.monotonic or (lambda: self.now),
            jitter=lambda: 0.5,
        )

    def _note(self, key: keys.Key, delay: dt.timedelta) -> None:
        assert key == KEY
        self.again.append(delay.total_seconds())

    async def reconcile(
        self,
        org: tiers.Json | None = None,
        *,
        host: tiers.Json = tiers.RELAY,
        spec: api_settings.OrgSpec | observed.Invalid | None = None,
    ) -> projections.Projected:
        """Return what becomes of the projection of team-a/default, whose status then names what is left."""
        org = PUBLISH if org is None else org
        seen = store.Organization(
            namespace="team-a",
            name="default",
            uid=self.uid,
            generation=1,
            conditions=(),
            status_digest=b"",
            spec=observed.parse_org(org) if spec is None else spec,
            projection=self.named,
        )
        outcome = await self.projections.reconcile(KEY, seen, tiers.settle(host, org))
        self.named = names.projection("default") if outcome.is_left else ""
        return outcome

    @property
    def there(self) -> api.Object:
        """The ConfigMap."""
        return self.api.objects[PATH]

    @property
    def data(self) -> dict[str, str]:
        """What applications read."""
        return typing.cast("dict[str, str]", self.there["data"])

    def calls(self) -> list[str]:
        """Return the verbs of the requests since it was asked for the last time."""
        made = [verb for verb, _ in self.api.requests]
        self.api.requests.clear()
        return made

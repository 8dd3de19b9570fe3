"""Events on the objects whose conditions changed, for `kubectl describe` and `kubectl events`.

They are told as well as it goes: conditions hold what is so, and an outage that breaks ten thousand organizations at
once must not take ten thousand writes from what mends them. What does not fit is dropped and counted.
"""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from mailtier.api import names
from mailtier.handlers import store
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.settings import announcements
from mailtier.telemetry import logs, metrics

_WAITING: Final = 256
_PAUSE_SECONDS: Final = 0.1
"""Between two Events: ten a second at most, of the thousands of writes a second that an apiserver takes."""

_CLUSTER_NAMESPACE: Final = "default"
"""Where Events on objects without a namespace live (events.k8s.io/v1)."""

_log = logs.get_logger(__name__)


class Announcer:
    """Writes Events, one after another."""

    def __init__(self, client: kube_client.Client, *, identity: str, now: Callable[[], dt.datetime]) -> None:
        """Make an announcer that has nothing to say.

        Args:
            client: For the writes.
            identity: Of this operator.
            now: The wall clock, aware UTC.
        """
        self._client = client
        self._identity = identity
        self._now = now
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING)

    def announce(self, kind: str, seen: store.Seen, conditions: Sequence[Mapping[str, Any]]) -> None:
        """Have the Events written that a new status is worth.

        Args:
            kind: The object's.
            seen: The object, with the conditions that it had.
            conditions: Those that it has now.
        """
        for event in announcements.of(seen.conditions, conditions):
            try:
                self._waiting.put_nowait(self._document(kind, seen, event))
            except asyncio.QueueFull:
                metrics.count_event("dropped")

    async def run(self) -> NoReturn:
        """Write Events until cancelled."""
        while True:
            document = await self._waiting.get()
            namespace = document["metadata"]["namespace"]
            try:
                await self._client.create(paths.events(namespace), document)
            except errors.ApiError as error:
                # Conditions hold it; a second try would only take from what matters.
                metrics.count_event("failed")
                _log.debug("an Event could not be written", namespace=namespace, error=str(error))
            else:
                metrics.count_event("written")
            await asyncio.sleep(_PAUSE_SECONDS)

    def _document(self, kind: str, seen: store.Seen, event: announcements.Event) -> dict[str, Any]:
        namespace = seen.namespace or _CLUSTER_NAMESPACE
        unique = hashlib.sha256(f"{seen.uid} {event.reason} {event.at} {self._now()}".encode()).hexdigest()[:16]
        regarding = {"apiVersion": names.API_VERSION, "kind": kind, "name": seen.name, "uid": seen.uid}
        if seen.namespace:
            regarding["namespace"] = seen.namespace
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{seen.name}.{unique}", "namespace": namespace},
            "eventTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if event.is_warning else "Normal",
            "reason": event.reason,
            "action": "Reconcile",
            "note": event.note,
            "regarding": regarding,
            "reportingController": f"{names.GROUP}/operator",
            "reportingInstance": self._identity[:128],
        }

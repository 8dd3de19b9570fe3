"""Events on the objects whose conditions changed, for `kubectl describe` and `kubectl events`.

They are told as well as it goes: conditions hold what is so, and an outage that breaks ten thousand organizations at
once must not take ten thousand writes from what mends them. What does not fit is dropped and counted; of one namespace
only a few fit, and namespaces take turns, so that one whose objects change over and over silences no other. Nor does
it fill etcd, which keeps an Event for an hour: a namespace has some of them in hand, and one more every ten seconds.
"""

import asyncio
import collections
import datetime as dt
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from mailtier.api import names
from mailtier.handlers import fairness, store
from mailtier.kube import allowances, errors, paths
from mailtier.kube import client as kube_client
from mailtier.settings import announcements
from mailtier.telemetry import logs, metrics

MOST_WAITING: Final = 1024
"""Events of a kilobyte or two."""
MOST_OF_A_NAMESPACE: Final = 8

IN_HAND: Final = 20
"""Events of a namespace on one kind of objects, after a pause."""
_PER_SECOND: Final = 0.1
"""In the long run: as many as a person reads."""

_PAUSE_SECONDS: Final = 0.1
"""Between two Events: ten a second at most, of the thousands of writes a second that an apiserver takes."""

_CLUSTER_NAMESPACE: Final = "default"
"""Where Events on objects without a namespace live (events.k8s.io/v1)."""

_log = logs.get_logger(__name__)


class Waiting:
    """Events that wait to be written."""

    def __init__(self) -> None:
        """Make an empty one."""
        self._order = fairness.Order[tuple[str, int]](lambda key: key[0])
        self._numbers = itertools.count()
        self._documents: dict[tuple[str, int], dict[str, Any]] = {}
        self._of_namespace: collections.Counter[str] = collections.Counter()

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, namespace: str, document: dict[str, Any]) -> bool:
        """Return whether there was room for an Event, which waits then.

        Args:
            namespace: Of the object; "" for one that has none.
            document: The Event.
        """
        if len(self._documents) >= MOST_WAITING or self._of_namespace[namespace] >= MOST_OF_A_NAMESPACE:
            return False
        key = (namespace, next(self._numbers))
        self._documents[key] = document
        self._of_namespace[namespace] += 1
        self._order.add(key, background=False)
        return True

    def take(self) -> dict[str, Any]:
        """Return the Event of the namespace whose turn it is, which no longer waits.

        Raises:
            KeyError: None waits.
        """
        key = self._order.take()
        self._of_namespace -= collections.Counter((key[0],))
        return self._documents.pop(key)


class Announcer:
    """Writes Events, one after another."""

    def __init__(
        self,
        client: kube_client.Client,
        *,
        identity: str,
        now: Callable[[], dt.datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Make an announcer that has nothing to say.

        Args:
            client: For the writes.
            identity: Of this operator.
            now: The wall clock, aware UTC.
            monotonic: Seconds on a clock that never steps.
        """
        self._client = client
        self._identity = identity
        self._now = now
        self._allowances = allowances.Allowances(monotonic=monotonic, burst=IN_HAND, per_second=_PER_SECOND)
        self._waiting = Waiting()
        self._wake = asyncio.Event()

    def announce(self, kind: str, seen: store.Seen, conditions: Sequence[Mapping[str, Any]]) -> None:
        """Have the Events written that a new status is worth.

        Args:
            kind: The object's.
            seen: The object, with the conditions that it had.
            conditions: Those that it has now.
        """
        worth_telling = announcements.of_notification if kind == names.NOTIFICATION_KIND else announcements.of
        for event in worth_telling(seen.conditions, conditions):
            if self._may(kind, seen.namespace) and self._waiting.add(seen.namespace, self._document(kind, seen, event)):
                self._wake.set()
            else:
                metrics.count_event("dropped")

    async def run(self) -> NoReturn:
        """Write Events until cancelled."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            document = self._waiting.take()
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

    def _may(self, kind: str, namespace: str) -> bool:
        try:
            self._allowances.take(f"{kind} {namespace}")
        except allowances.TooManyError:
            return False
        return True

    def _document(self, kind: str, seen: store.Seen, event: announcements.Announcement) -> dict[str, Any]:
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

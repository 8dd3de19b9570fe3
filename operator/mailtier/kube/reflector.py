"""A copy of a few objects of the cluster, kept by listing and watching them."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from mailtier.api import doubling
from mailtier.kube import client, errors, paths
from mailtier.telemetry import logs, metrics

_FIRST_BACKOFF_SECONDS: Final = 1.0
_LONGEST_BACKOFF_SECONDS: Final = 30.0
_FAILURES_BEFORE_RELIST: Final = 3

OnChange = Callable[[str, client.Object | None], None]
"""Told an object's name and its present state; None when it is gone."""

_log = logs.get_logger(__name__)


def strip_managed_fields(found: client.Object) -> client.Object:
    """Return the object without `managedFields`, which are often most of its size."""
    found["metadata"].pop("managedFields", None)
    return found


class Reflector:
    """The objects of one collection by name, as the apiserver last told.

    Deletions that nobody saw are found: after each listing the copy is compared with it.

    Args:
        api: Who asks.
        path: The collection: in one namespace, or of a kind that has none, so that names are unique.
        labels: A label selector.
        on_change: Called in the event loop after the copy changed, also for each object of the first listing. An
            exception in it ends `run`.
        strip: Returns what is kept of an object; it may be anything that the caller knows how to read.
        jitter: Returns a number in [0, 1), so that many processes do not come back at once.
        backoff_seconds: The first pause after a failure; it doubles up to half a minute.

    Attributes:
        synced: Set once the first listing is in the copy.
    """

    def __init__(
        self,
        api: client.Client,
        path: str,
        *,
        labels: str = "",
        on_change: OnChange = lambda _name, _found: None,
        strip: Callable[[client.Object], client.Object] = strip_managed_fields,
        jitter: Callable[[], float],
        backoff_seconds: float = _FIRST_BACKOFF_SECONDS,
    ) -> None:
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._labels = labels
        self._on_change = on_change
        self._strip = strip
        self._jitter = jitter
        self._backoff = doubling.Backoff(
            first=dt.timedelta(seconds=backoff_seconds),
            most=dt.timedelta(seconds=max(backoff_seconds, _LONGEST_BACKOFF_SECONDS)),
        )
        self._backoffs = 0
        self._objects: dict[str, client.Object] = {}
        self._versions: dict[str, str] = {}
        self._version: str | None = None
        self._failures = 0

    @property
    def objects(self) -> Mapping[str, client.Object]:
        """The copy; its objects are shared, not to be changed."""
        return self._objects

    async def run(self) -> NoReturn:
        """Keep the copy until cancelled, through outages of the apiserver."""
        while True:
            try:
                if self._version is None:
                    await self._list()
                else:
                    await self._watch(self._version)
                    # A watch ends by itself after minutes. Who cuts each one at once does not get us to hurry.
                    await self._pause(self._backoff.first)
            except errors.GoneError:
                _log.info("the watch fell behind and begins with a new listing", path=self._path)
                self._version = None
                await self._back_off()
            except errors.ApiError as error:
                _log.warning("listing or watching failed and is tried again", path=self._path, error=str(error))
                self._failures += 1
                if self._failures >= _FAILURES_BEFORE_RELIST:
                    # A store that was restored from a backup does not know the version, and says so in many ways.
                    self._version = None
                await self._back_off()

    async def _list(self) -> None:
        metrics.count_relist(resource=paths.resource(self._path))
        present: set[str] = set()
        version = ""
        async with contextlib.aclosing(self._api.pages(self._path, labels=self._labels)) as pages:
            async for page in pages:
                version = page.resource_version
                for found in page.items:
                    present.add(found["metadata"]["name"])
                    self._keep(found)
        for name in self._objects.keys() - present:
            self._forget(name)
        self._version = version
        self.synced.set()

    async def _watch(self, version: str) -> None:
        events = self._api.watch(self._path, resource_version=version, labels=self._labels)
        async with contextlib.aclosing(events):
            async for event in events:
                metadata = event.object["metadata"]
                match event.type:
                    case "ADDED" | "MODIFIED":
                        self._keep(event.object)
                    case "DELETED":
                        self._forget(metadata["name"])
                # Kept only now: what a failing callback did not take would be lost by a later watch.
                self._version = metadata["resourceVersion"]
                self._failures = 0
                self._backoffs = 0

    def _keep(self, found: client.Object) -> None:
        name, version = found["metadata"]["name"], found["metadata"]["resourceVersion"]
        if self._versions.get(name) != version:
            self._versions[name] = version
            self._objects[name] = self._strip(found)
            self._on_change(name, self._objects[name])

    def _forget(self, name: str) -> None:
        if self._versions.pop(name, None) is not None:
            del self._objects[name]
            self._on_change(name, None)

    async def _back_off(self) -> None:
        self._backoffs += 1
        await self._pause(self._backoff.ceiling(self._backoffs))

    async def _pause(self, pause: dt.timedelta) -> None:
        # Half a pause at least, or a jitter near zero would not pause.
        await asyncio.sleep(pause.total_seconds() * (0.5 + self._jitter()))

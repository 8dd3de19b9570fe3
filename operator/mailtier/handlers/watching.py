"""kopf's only home: it watches our kinds and namespaces, and says what it saw.

kopf is used for what it is good at: list and watch, reconnection, re-login. Event handlers make no API call and
leave no annotation or finalizer on users' objects, which its other handlers would. They are async, await nothing
and return None, because a result would become a PATCH.

Two things it does not say are found out beside it. Deletions during a gap of a watch are never reported, so every
relist (seen as the GET that it is) is followed by a comparison of the store with a list of our own. And the first
such comparison is the sign that the first listing is finished.
"""

import asyncio
import dataclasses
import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, cast

import aiohttp
import kopf
import msgspec

from mailtier.api import names
from mailtier.handlers import streams, watch_events
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, errors, paths
from mailtier.telemetry import logs, metrics

_log = logs.get_logger(__name__)

_PATHS: Final = {
    names.HOST_PLURAL: paths.host_settings(),
    names.ORG_PLURAL: paths.org_settings(),
    names.NOTIFICATION_PLURAL: paths.notifications(),
    names.NAMESPACE_PLURAL: paths.namespaces(),
}


class WatchesEndedError(Exception):
    """kopf ended without being asked to; the process has to start again."""


Take = Callable[[str, str, Mapping[str, Any] | None], None]
"""Takes in an object by namespace, name and document; None when it is gone."""

Seen = Callable[[str], Collection[tuple[str, str]]]
"""Returns namespace and name of every object of a plural that has been taken in."""

_KOPF: Final = pathlib.Path(kopf.__file__).parent

_END_SECONDS = 20.0
"""How long kopf may take to end once one of its tasks has: its streams wait for a login for ever where a watch failed
while they were cut off, and a process that lives on without watches looks healthy and does nothing."""

_CANCELLATIONS: Final = 5

_SWEEP_SECONDS = 10.0
"""How long what was listed may take to come by the watch before it is listed again."""


@dataclasses.dataclass(frozen=True, slots=True)
class _NoStorage(kopf.DiffBaseStorage):
    """Remembers nothing: computing a difference to the last handled state is a quarter of an event's cost."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return


class _NoProgress(kopf.ProgressStorage):
    """Remembers nothing: an event handler has no progress, and looking for some in each object costs."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class _Metadata(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What a comparison needs of an object: labels and managed fields are as large as tenants like."""

    name: str
    namespace: str = ""
    deletion_timestamp: str | None = None


class _Identity(msgspec.Struct):
    """An object of a comparing list."""

    metadata: _Metadata


_IDENTITIES: Final = msgspec.json.Decoder(_Identity)


def _identity(text: bytes) -> kube_client.Object:
    """Return what a comparison needs of a listed object."""
    found: kube_client.Object = msgspec.to_builtins(_IDENTITIES.decode(text))
    return found


def _settings() -> kopf.OperatorSettings:
    """Return settings for kopf, each for a reason that was measured."""
    result = kopf.OperatorSettings()
    result.process.ultimate_exiting_timeout = None  # It would SIGKILL us while the queue is being closed.
    result.posting.enabled = False  # Events are ours to write.
    result.peering.standalone = True  # A Lease elects the leader; peering pauses equals.
    result.watching.chunk_size = 500  # Listing in one piece costs twice the memory and blocks the loop for a second.
    result.watching.initial_streaming = False  # A cut in the middle of the initial stream lost objects.
    result.queueing.worker_limit = None  # A worker holds its slot while idle, which serializes a listing.
    result.queueing.idle_timeout = 1.0
    result.networking.request_timeout = 60
    result.networking.connect_timeout = 10
    result.networking.enforce_retry_after = True
    result.persistence.diffbase_storage = _NoStorage()
    result.persistence.progress_storage = _NoProgress()
    return result


class _Ours(Collection["asyncio.Task[Any]"]):
    """All tasks but kopf's.

    At its end kopf waits five seconds for every task that was started after it, and cancels it then, unless it is
    among these. Leading would end that much later, and with our own work cut off.
    """

    def __contains__(self, task: object) -> bool:
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        return code is None or _KOPF not in pathlib.Path(code.co_filename).parents

    def __iter__(self) -> Iterator["asyncio.Task[Any]"]:
        return (task for task in asyncio.all_tasks() if task in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


async def _count_answer(_session: Any, _context: Any, request: aiohttp.TraceRequestEndParams) -> None:
    _count(request.url.path, code=str(request.response.status), is_watch="watch" in request.url.query)


async def _count_failure(_session: Any, _context: Any, request: aiohttp.TraceRequestExceptionParams) -> None:
    code = "timeout" if isinstance(request.exception, TimeoutError) else "error"
    _count(request.url.path, code=code, is_watch="watch" in request.url.query)


def _count(path: str, *, code: str, is_watch: bool) -> None:
    """Count a request of kopf's for one of our collections; what else it asks for says nothing of our load."""
    plural = path.rpartition("/")[2]
    if plural not in _PATHS:
        return
    metrics.count_api_request(verb="watch" if is_watch else "list", resource=plural, code=code)
    if is_watch:
        metrics.count_watch(resource=plural)


async def _run(roots: Collection["asyncio.Task[Any]"]) -> None:
    await kopf.run_tasks(roots, ignored=_Ours())


async def _end(running: "asyncio.Task[None]") -> None:
    """Cancel everything of kopf's until it is over, or as often as makes sense: some of it ignores the first time."""
    ours = _Ours()
    for _ in range(_CANCELLATIONS):
        theirs = {task for task in asyncio.all_tasks() if task not in ours} | {running}
        for task in theirs:
            task.cancel()
        await asyncio.wait(theirs, timeout=1.0)
        if all(task.done() for task in theirs):
            return
    _log.error("tasks of kopf's could not be ended")


class Watching:
    """The watches, from start to stop."""

    def __init__(
        self,
        *,
        connection: configuration.Connection,
        client: kube_client.Client,
        take: watch_events.WatchEvents,
        seen: Seen,
        identity: str,
        on_started: Callable[[], None],
    ) -> None:
        """Make watches that have not started.

        Args:
            connection: Where the API server is, and who we are.
            client: For the comparing lists.
            take: Gets every event.
            seen: What has been taken in so far.
            identity: This process, for kopf's own use.
            on_started: Called once kopf runs; it has taken SIGTERM and SIGINT for itself by then.
        """
        self._connection = connection
        self._client = client
        self._takes: dict[str, Take] = {
            names.HOST_PLURAL: lambda _namespace, name, document: take.host(name, document),
            names.ORG_PLURAL: take.organization,
            names.NOTIFICATION_PLURAL: take.notification,
            names.NAMESPACE_PLURAL: lambda _namespace, name, document: take.namespace(name, document),
        }
        self._slimming = streams.Slimming(frozenset(_PATHS), take.is_echo)
        self._seen = seen
        self._identity = identity
        self._on_started = on_started
        self._stop = asyncio.Event()
        self._relists: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._unsynced = set(_PATHS)
        self.synced = asyncio.Event()

    def stop(self) -> None:
        """Have `run` return."""
        self._stop.set()

    async def run(self) -> None:
        """Watch until `stop` is called, or until cancelled, which comes to the same.

        Raises:
            WatchesEndedError: kopf ended by itself.
        """
        sweeper = asyncio.create_task(self._sweep_after_relists(), name="sweeper")
        watches = asyncio.create_task(self._run_kopf(), name="kopf")
        try:
            # Cancelling kopf makes it hang on its own tasks; it ends in milliseconds when its stop flag is set.
            await asyncio.shield(watches)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait({watches})
            raise
        finally:
            sweeper.cancel()
            await asyncio.wait({sweeper})
        if not self._stop.is_set():
            raise WatchesEndedError("the watches ended without being asked to")

    async def _run_kopf(self) -> None:
        roots = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=_settings(),
            clusterwide=True,
            identity=cast("Any", self._identity),
            stop_flag=self._stop,
        )
        self._on_started()
        running = asyncio.create_task(_run(roots))
        # kopf ends with the first of them.
        await asyncio.wait({running, *roots}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({running}, timeout=_END_SECONDS)
        if not running.done():
            await _end(running)
            raise WatchesEndedError(f"kopf did not end within {_END_SECONDS:.0f} s, and was cut off")
        try:
            running.result()
        except Exception as error:
            raise WatchesEndedError("a watch ended with an error") from error

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.AiohttpSession:
            # kopf closes the session that it is given, so that this one is its own.
            trace = aiohttp.TraceConfig()
            trace.on_request_start.append(self._on_request)
            trace.on_request_end.append(_count_answer)
            trace.on_request_exception.append(_count_failure)
            session = configuration.new_session(
                self._connection,
                limit=0,
                middlewares=(self._slimming,),
                trace_configs=[trace],
                response_class=streams.Response,
            )
            return kopf.AiohttpSession(server=self._connection.server, aiohttp_session=session)

        kopf.on.login(registry=registry)(login)
        for plural in _PATHS:
            self._watch(registry, plural)
        return registry

    def _watch(self, registry: kopf.OperatorRegistry, plural: str) -> None:
        async def on_event(event: Mapping[str, Any], **_: Any) -> None:
            document = event["object"]
            metadata = document["metadata"]
            namespace, name = metadata.get("namespace", ""), metadata["name"]
            try:
                self._takes[plural](namespace, name, None if event["type"] == "DELETED" else streams.unfold(document))
            except Exception:  # noqa: BLE001  # kopf would log it and forget the event; say which object it was.
                _log.exception("an event could not be taken in", resource=plural, namespace=namespace, name=name)
            self._changed.set()

        group, version = ("", "v1") if plural == names.NAMESPACE_PLURAL else (names.GROUP, names.VERSION)
        kopf.on.event(group=group, version=version, plural=plural, registry=registry, id=plural)(on_event)

    async def _on_request(self, _session: Any, _context: Any, request: aiohttp.TraceRequestStartParams) -> None:
        plural = request.url.path.rpartition("/")[2]
        if request.method == "GET" and plural in _PATHS and not request.url.query.keys() & {"watch", "continue"}:
            self._relists.put_nowait(plural)

    async def _sweep_after_relists(self) -> None:
        while True:
            plural = await self._relists.get()
            metrics.count_relist(resource=plural)
            try:
                await self._sweep(plural)
            except errors.ApiError as error:
                _log.warning(
                    "the comparison after a relist failed; it is done again", resource=plural, error=str(error)
                )
                await asyncio.sleep(1)
                self._relists.put_nowait(plural)
                continue
            self._unsynced.discard(plural)
            if not self._unsynced:
                self.synced.set()

    async def _sweep(self, plural: str) -> None:
        """Drop what a gap of the watch hid, and return when all that was listed has been taken in."""
        while True:
            # Only what was there before the list began can be missing from it.
            before = set(self._seen(plural))
            listing = await self._client.list(_PATHS[plural], metadata_only=True, read=_identity)
            listed = {
                (item["metadata"].get("namespace", ""), item["metadata"]["name"])
                for item in listing.items
                if watch_events.is_counted(plural, item["metadata"])
            }
            for namespace, name in before - listed:
                self._takes[plural](namespace, name, None)
            try:
                async with asyncio.timeout(_SWEEP_SECONDS):
                    while not listed <= set(self._seen(plural)):
                        self._changed.clear()
                        await self._changed.wait()
            except TimeoutError:
                continue  # What was deleted after the list never comes: list again.
            return

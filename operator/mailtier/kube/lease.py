"""Leader election by a Lease, as client-go does it.

A contender judges a Lease by its own monotonic clock: it takes over when it has not seen the Lease change for the
Lease's duration. The times written in it are for people, because the clocks of two machines differ.

Source:
    client-go `tools/leaderelection/leaderelection.go`: durations, order of steps, release.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

from mailtier.kube import client, errors, paths
from mailtier.telemetry import logs, metrics

_RELEASE_SECONDS: Final = 5.0
# client-go leaves this in a released Lease, so that it counts as expired for everybody at once.
_RELEASED_DURATION_SECONDS: Final = 1

_log = logs.get_logger(__name__)


class LeaseLostError(Exception):
    """The Lease could not be renewed in time, or another holds it: the process must end, as another may lead."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """client-go's LeaseDuration, RenewDeadline and RetryPeriod.

    Attributes:
        duration_seconds: How long others wait for a leader that is silent.
        renew_deadline_seconds: After how long without a renewal the leader gives up, before others may take over.
        retry_seconds: The pause between two tries to acquire or renew.
    """

    duration_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration_seconds > self.renew_deadline_seconds > self.retry_seconds > 0:
            raise ValueError("a Lease's duration exceeds the renew deadline, which exceeds the retry period")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The Lease as we last saw it.

    Attributes:
        at: Our monotonic clock when this state was first seen.
    """

    resource_version: str
    holder: str
    duration_seconds: float
    spec: client.Object
    at: float

    def expired(self, now: float) -> bool:
        return not self.holder or now >= self.at + self.duration_seconds


class Lease:
    """One contender for one Lease. The contest's only API writes are the Lease's.

    Args:
        api: Who asks.
        namespace: Where the Lease lives.
        name: The Lease.
        identity: Ours, unique among the contenders: an equal one is taken for an earlier life of ours.
        timing: Durations.
        now: Returns the wall clock's aware UTC time, written for people.
        jitter: Returns a number in [0, 1), which keeps contenders out of step.
        monotonic: Returns seconds of a clock that never jumps.
    """

    def __init__(
        self,
        api: client.Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: Timing | None = None,
        now: Callable[[], dt.datetime],
        jitter: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._timing = timing or Timing()
        self._now = now
        self._jitter = jitter
        self._monotonic = monotonic
        self._seen: _Seen | None = None
        self._renewed_at: float | None = None
        self._answered_at: float | None = None
        metrics.set_leader(False)

    @property
    def leading(self) -> bool:
        """Whether we hold the Lease and renewed it within the renew deadline."""
        deadline = self._timing.renew_deadline_seconds
        return self._renewed_at is not None and self._monotonic() < self._renewed_at + deadline

    @property
    def holder(self) -> str | None:
        """Who held the Lease when it was last seen: "" for nobody, None before it was seen."""
        return self._seen.holder if self._seen is not None else None

    @property
    def in_touch(self) -> bool:
        """Whether the apiserver told us of the Lease within its duration, so that we would notice a change."""
        answered_at = self._answered_at
        return answered_at is not None and self._monotonic() < answered_at + self._timing.duration_seconds

    async def acquire(self) -> None:
        """Return when we lead."""
        while not await self._try():  # noqa: ASYNC110  # There is no event: the Lease lives elsewhere.
            # client-go's JitterFactor of 1.2.
            await asyncio.sleep(self._timing.retry_seconds * (1 + 1.2 * self._jitter()))
        _log.info("leading", lease=self._name, identity=self._identity)
        metrics.set_leader(True)

    async def renew(self) -> NoReturn:
        """Keep the Lease once it is acquired.

        Raises:
            LeaseLostError: It was not renewed within the renew deadline, or another holds it.
        """
        while True:
            await asyncio.sleep(self._timing.retry_seconds)
            if self.leading and await self._try():
                continue
            if not self.leading or self.holder != self._identity:
                self._renewed_at = None
                metrics.set_leader(False)
                raise LeaseLostError(
                    f"the Lease {self._namespace}/{self._name} is lost; {self.holder!r} was its holder"
                )

    async def release(self) -> None:
        """Give the Lease up, so that another takes over at once; without success others wait for it to expire."""
        held, self._renewed_at = self.leading, None
        metrics.set_leader(False)
        if not held or self._seen is None:
            return
        spec = {
            **self._seen.spec,
            "holderIdentity": "",
            "leaseDurationSeconds": _RELEASED_DURATION_SECONDS,
            "renewTime": self._timestamp(),
        }
        try:
            await self._write(spec, self._seen.resource_version, timeout_seconds=_RELEASE_SECONDS)
        except errors.ApiError as error:
            _log.warning("the Lease was not released", lease=self._name, error=str(error))
        else:
            _log.info("released", lease=self._name, identity=self._identity)

    async def run(self, on_lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Acquire the Lease and hold it while `on_lead` runs; release it afterwards, also when cancelled.

        Raises:
            LeaseLostError: The Lease is lost; `on_lead` is cancelled and not waited for. End the process.
        """
        await self.acquire()
        renewal = asyncio.create_task(self.renew(), name="lease-renewal")
        work = asyncio.create_task(on_lead(), name="leader")
        try:
            await asyncio.wait({renewal, work}, return_when=asyncio.FIRST_COMPLETED)
            if renewal.done():
                work.cancel()
                renewal.result()
            await work
        finally:
            if not renewal.done():
                # The Lease is renewed until the last of the work is over.
                work.cancel()
                await asyncio.wait({work})
                renewal.cancel()
                with contextlib.suppress(asyncio.CancelledError, LeaseLostError):
                    await renewal
                await self.release()

    async def _try(self) -> bool:
        """Return whether we acquired or renewed the Lease."""
        started = self._monotonic()
        try:
            if not self.leading:
                await self._look()
            if self._seen is None:
                await self._write(self._spec(), None)
            elif self._seen.holder == self._identity or self._seen.expired(self._monotonic()):
                await self._write(self._spec(), self._seen.resource_version)
            else:
                return False
        except errors.ConflictError:
            # Another was quicker, or somebody edited the Lease: what it is now decides.
            with contextlib.suppress(errors.ApiError):
                await self._look()
            return False
        except errors.ApiError as error:
            _log.warning("the Lease was neither read nor written", lease=self._name, error=str(error))
            return False
        # Counted from before the request: it may have reached the apiserver just after it was sent.
        self._renewed_at = started
        return True

    async def _look(self) -> None:
        try:
            found = await self._api.get(self._path, timeout_seconds=self._request_seconds)
        except errors.NotFoundError:
            self._answered_at = self._monotonic()
            self._seen = None
        else:
            self._see(found)

    async def _write(
        self, spec: client.Object, resource_version: str | None, *, timeout_seconds: float | None = None
    ) -> None:
        metadata = {"namespace": self._namespace, "name": self._name}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        seconds = timeout_seconds or self._request_seconds
        if resource_version is None:
            found = await self._api.create(paths.leases(self._namespace), body, timeout_seconds=seconds)
        else:
            metadata["resourceVersion"] = resource_version
            found = await self._api.replace(self._path, body, timeout_seconds=seconds)
        self._see(found)

    def _see(self, found: client.Object) -> None:
        self._answered_at = self._monotonic()
        version = found["metadata"]["resourceVersion"]
        if self._seen is not None and self._seen.resource_version == version:
            return
        spec = found.get("spec") or {}
        self._seen = _Seen(
            resource_version=version,
            holder=spec.get("holderIdentity") or "",
            duration_seconds=spec.get("leaseDurationSeconds") or self._timing.duration_seconds,
            spec=spec,
            at=self._monotonic(),
        )

    def _spec(self) -> client.Object:
        now = self._timestamp()
        before = self._seen.spec if self._seen is not None else {}
        transitions = before.get("leaseTransitions") or 0
        ours = before.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            # The API knows whole seconds.
            "leaseDurationSeconds": math.ceil(self._timing.duration_seconds),
            "acquireTime": before.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": transitions if ours or not before else transitions + 1,
        }

    @property
    def _path(self) -> str:
        return paths.leases(self._namespace, self._name)

    @property
    def _request_seconds(self) -> float:
        # Two requests fit before the deadline, as in client-go.
        return self._timing.renew_deadline_seconds / 2

    def _timestamp(self) -> str:
        return self._now().astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

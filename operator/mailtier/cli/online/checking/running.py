"""What runs, who leads, whose clock is wrong, and where the queue is stored: pure."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import names, prose
from mailtier.cli.online.checking import findings
from mailtier.settings import transitions

_Object = Mapping[str, Any]

_SKEW: Final = dt.timedelta(seconds=10)
"""What the clocks of a pod and of the API server may differ: a request takes a while on a busy machine."""
_RECENT: Final = dt.timedelta(hours=1)
_PARTS: Final = ("operator", "sender")


def pods(found: Sequence[_Object], *, namespace: str, now: dt.datetime) -> Iterator[findings.CheckFinding]:
    """Yield what is to be said of the pods.

    Args:
        found: Those of Mailtier.
        namespace: Mailtier's.
        now: Aware UTC time.
    """
    if not found:
        yield findings.failed(
            "Pods",
            f"There is no pod of Mailtier in the namespace {namespace}.",
            "Name its namespace with --operator-namespace; if that is right, look at `kubectl get statefulsets,"
            f"deployments,events -n {namespace}`.",
        )
        return
    ready = True
    for pod in found:
        name, statuses = pod["metadata"]["name"], (pod.get("status") or {}).get("containerStatuses") or ()
        known = {status["name"]: status for status in statuses}
        for part in _PARTS:
            status = known.get(part)
            if status is None or not status.get("ready"):
                ready = False
                yield findings.failed(
                    "Pods",
                    f"The container {part} of the pod {name} is not ready: {_why(pod, status)}.",
                    f"Look at `kubectl logs -n {namespace} {name} -c {part} --previous --ignore-errors` and"
                    f" `kubectl describe pod -n {namespace} {name}`.",
                )
            elif (ended := _ended(status)) is not None and now - ended[1] < _RECENT:
                yield findings.warning(
                    "Pods",
                    f"The container {part} of the pod {name} was restarted within the last hour"
                    f" ({prose.counted(status.get('restartCount', 0), 'restart')} in all): {ended[0]}.",
                    f"Look at `kubectl logs -n {namespace} {name} -c {part} --previous`.",
                )
    if ready:
        yield findings.ok("Pods", f"Ready: {', '.join(pod['metadata']['name'] for pod in found)}.")


def _why(pod: _Object, status: _Object | None) -> str:
    if status is None:
        conditions = (pod.get("status") or {}).get("conditions") or ()
        told = [each for each in conditions if each.get("status") != "True" and each.get("message")]
        return str(told[0]["message"]).rstrip(".") if told else "it does not run yet"
    waiting = (status.get("state") or {}).get("waiting") or {}
    if waiting.get("reason"):
        return ": ".join(filter(None, (waiting["reason"], waiting.get("message", "").rstrip("."))))
    ended = _ended(status)
    return "its readiness probe fails" if ended is None else ended[0]


def _ended(status: _Object) -> tuple[str, dt.datetime] | None:
    """Return how a container's last life ended, and when; None where that is not known."""
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated") or {}
    at = transitions.moment(ended.get("finishedAt"))
    if at is None:
        return None
    return f"it ended with {ended.get('exitCode')} ({ended.get('reason', 'no reason')})", at


def leader(lease: _Object | None, *, namespace: str, now: dt.datetime) -> findings.CheckFinding:
    """Return what is to be said of who leads.

    Args:
        lease: The operators' Lease; None where there is none.
        namespace: Mailtier's.
        now: The API server's aware UTC time.
    """
    spec = (lease or {}).get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), transitions.moment(spec.get("renewTime"))
    look = f"Look at the operator's log: `kubectl logs -n {namespace} -l app.kubernetes.io/name=mailtier -c operator`."
    if lease is None:
        told = f"No operator has ever led: the Lease {namespace}/{names.LEASE_NAME} does not exist."
        return findings.failed("Leader", told, look)
    if not holder or renewed is None:
        return findings.failed("Leader", "No operator leads: the last one gave the Lease up.", look)
    age = now - renewed
    if age > dt.timedelta(seconds=spec.get("leaseDurationSeconds") or 0) + _SKEW:
        told = f"No operator leads: {holder} renewed the Lease last at {transitions.timestamp(renewed)}."
        return findings.failed("Leader", told, look)
    return findings.ok("Leader", f"{holder} leads, and renews the Lease.")


def clock(lease: _Object | None, *, api_time: dt.datetime | None, now: dt.datetime) -> Iterator[findings.CheckFinding]:
    """Yield what is to be said of the clocks.

    The API server notes when the Lease was written, and the leader writes what time it has: both are of one moment.

    Args:
        lease: The operators' Lease; None where there is none.
        api_time: The API server's aware UTC time; None where it did not say.
        now: This machine's, of the same moment.
    """
    renewed = transitions.moment(((lease or {}).get("spec") or {}).get("renewTime"))
    managed = ((lease or {}).get("metadata") or {}).get("managedFields") or ()
    written = max(filter(None, (transitions.moment(each.get("time")) for each in managed)), default=None)
    mend = "Have the clocks synchronized (NTP): certificates, tokens and times of expiry depend on them."
    if renewed is None or written is None:
        yield findings.unknown("Clock", "Without a leader it is not known what time the pod has.")
    elif abs(renewed - written) > _SKEW:
        told = f"The clock of the leader's node is {_apart(renewed - written)} that of the API server."
        yield findings.failed("Clock", told, mend)
    else:
        yield findings.ok("Clock", "The leader's node and the API server have the same time.")
    if api_time is not None and abs(now - api_time) > 3 * _SKEW:
        yield findings.warning(
            "Clock", f"The clock of this machine is {_apart(now - api_time)} the API server's.", mend
        )


def volumes(
    found: Sequence[_Object], claims: Mapping[str, _Object | None] | None, *, namespace: str
) -> Iterator[findings.CheckFinding]:
    """Yield what is to be said of where the queue is stored.

    Args:
        found: The pods of Mailtier.
        claims: Each PersistentVolumeClaim that they name; None for one that there is not; None for those that may not
            be read.
        namespace: Mailtier's.
    """
    for pod in found:
        name = pod["metadata"]["name"]
        mounted = {each["name"]: each for each in pod["spec"].get("volumes") or ()}
        queue = mounted.get("queue") or {}
        claim = (queue.get("persistentVolumeClaim") or {}).get("claimName")
        if "queue-dsn" in mounted:
            yield findings.ok("Volume", f"The queue of {name} is in Postgres.")
        elif claim is None:
            yield findings.warning(
                "Volume",
                f"The queue of the pod {name} is on no persistent volume: what is queued goes with the pod.",
                "Install the chart with sender.persistence.enabled: true, or use Postgres.",
            )
        elif claims is None:
            told = f"You may not get persistentvolumeclaims in the namespace {namespace}."
            yield findings.unknown("Volume", told, "Have that right granted.")
        else:
            phase = ((claims.get(claim) or {}).get("status") or {}).get("phase", "missing")
            if phase == "Bound":
                yield findings.ok("Volume", f"The PersistentVolumeClaim {claim} is bound.")
            else:
                yield findings.failed(
                    "Volume",
                    f"The PersistentVolumeClaim {claim} is {phase}.",
                    f"Look at `kubectl describe pvc -n {namespace} {claim}`: it may need a StorageClass.",
                )


def _apart(difference: dt.timedelta) -> str:
    seconds = abs(difference).total_seconds()
    return f"{seconds:.0f} s {'ahead of' if difference > dt.timedelta() else 'behind'}"

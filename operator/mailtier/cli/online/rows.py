"""What stands in a cluster, judged from the objects' status alone; pure."""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from mailtier.api import names, reasons, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.settings import transitions

_Json = Mapping[str, Any]
_C = vocabulary.Condition
_LEASE_AGE: Final = dt.timedelta(minutes=1)
_CONDITION_LINE: Final = re.compile(r"(\w+)=(True|False|Unknown) (\w+): (.*)")


class RowState(enum.IntEnum):
    """How an object stands, worst first."""

    STALLED = 0
    """Somebody has to change something."""
    RECONCILING = 1
    """It is on its way, or something that it needs is."""
    HELD = 2
    """All mail is held, until somebody has it go on."""
    NOT_VERIFIED = 3
    """Ready, and the probe found something wrong with the server."""
    SUSPENDED = 4
    """Ready, and its mail is held on purpose."""
    WOULD_BLOCK = 5
    """Ready, and the host's policy, which only audits, would block it."""
    ADVICE = 6
    """Ready, with advice."""
    READY = 7

    def __str__(self) -> str:
        return self.name.title().replace("_", "")

    @property
    def is_broken(self) -> bool:
        """Whether it works not as it should; what is suspended, advised or would be blocked is no fault."""
        return self < RowState.SUSPENDED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object, or an organization without one.

    Attributes:
        namespace: "" for the host's settings.
        reason: Of the condition that decides the state.
        message: Its message, which says what to do.
        since: When that condition last changed; None where nothing says so.
        effective: `status.effective`; empty where there is none.
        verified: Reason of Verified; "" where there is none.
        is_implicit: Whether there is no object.
        audited: The condition that tells what the policy would block; empty where it would block nothing.
        restored_from: Of the host: when the backup was made that the queue was restored from, while all mail is held
            for that; "" where it is not.
        unanswered_since: Of the host: since when nothing is heard of the sender or its queue; "" where something is.
        queue: `status.queue`; empty where there is none.
    """

    namespace: str
    name: str
    state: RowState
    reason: str
    message: str
    since: dt.datetime | None = None
    source: str = ""
    verified: str = ""
    effective: _Json = dataclasses.field(default_factory=dict)
    is_implicit: bool = False
    audited: _Json = dataclasses.field(default_factory=dict)
    restored_from: str = ""
    unanswered_since: str = ""
    queue: _Json = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else f"HostEmailSettings {self.name}"

    @property
    def host(self) -> str:
        """Server and port; "" while there is none."""
        smtp = self.effective.get("smtp") or {}
        return f"{smtp['host']}:{smtp['port']}" if "host" in smtp and "port" in smtp else ""

    @property
    def tls(self) -> str:
        """How the connection is protected; "" while there is none."""
        return str(((self.effective.get("smtp") or {}).get("tls") or {}).get("mode", ""))

    @property
    def from_address(self) -> str:
        """Whom mail is from; "" while nobody says."""
        return str((self.effective.get("from") or {}).get("address", ""))

    @classmethod
    def of(cls, found: _Json) -> Self:
        """Return the row of a HostEmailSettings or an OrgEmailSettings."""
        metadata, status = found["metadata"], found.get("status") or {}
        conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
        state, decisive = _judge(metadata, status, conditions)
        return cls(
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            state=state,
            reason=decisive["reason"],
            message=decisive["message"],
            since=transitions.moment(decisive.get("lastTransitionTime")),
            source=status.get("source") or "",
            verified=conditions.get(_C.VERIFIED, {}).get("reason", ""),
            effective=status.get("effective") or {},
            audited=_audited(conditions),
            restored_from=str((status.get("queue") or {}).get("restoredFrom", "")),
            unanswered_since=str((status.get("queue") or {}).get("unansweredSince", "")),
            queue=status.get("queue") or {},
        )

    @classmethod
    def of_config_map(cls, found: _Json) -> Self | None:
        """Return the row of an organization without an object, from its effective ConfigMap; None for any other."""
        data, labels = found.get("data") or {}, found["metadata"].get("labels") or {}
        namespace, name = labels.get(names.NAMESPACE_LABEL), labels.get(names.ORGANIZATION_LABEL)
        if "conditions" not in data or not namespace or not name:
            return None
        lines = (_CONDITION_LINE.fullmatch(line) for line in data["conditions"].splitlines())
        conditions = {
            line[1]: {"status": line[2], "reason": line[3], "message": line[4]} for line in lines if line is not None
        }
        state, decisive = _judge({}, {}, conditions)
        smtp = {"host": data.get("smtp.host"), "port": data.get("smtp.port")}
        return cls(
            namespace=namespace,
            name=name,
            state=state,
            reason=decisive["reason"],
            message=decisive["message"],
            source=data.get("source", ""),
            verified=conditions.get(_C.VERIFIED, {}).get("reason", ""),
            effective={
                "smtp": {
                    **{key: value for key, value in smtp.items() if value},
                    "tls": {"mode": data.get("smtp.tls.mode", "")},
                },
                "from": {"address": data.get("from.address", "")},
            },
            is_implicit=True,
            audited=_audited(conditions),
        )

    @property
    def told(self) -> Iterable[Self]:
        """What is told of it: itself, and once more what the policy would block where something else is worse.

        Of the host, that nothing is heard of the queue, and that all mail is held, whatever else is so.
        """
        yield self
        if self.unanswered_since:
            yield dataclasses.replace(
                self,
                state=RowState.STALLED,
                reason=reasons.SENDER_UNAVAILABLE.name,
                message=f"Since {self.unanswered_since} the sender has not answered, or the queue's database has not"
                " answered the sender. Until they do nothing is taken in or delivered, and what was taken in is kept.",
                since=transitions.moment(self.unanswered_since),
            )
        if self.restored_from:
            yield dataclasses.replace(
                self,
                state=RowState.HELD,
                reason=delivery_reasons.DeliveryReason.RESTORED.value,
                message=f"The queue was restored from a backup of {self.restored_from}, and all mail is held until"
                " somebody has it go on. What must not be sent again is dropped first; look at what there is:"
                " `mailtier queue list`. Then: `mailtier queue resume`.",
                since=None,
            )
        if self.audited and self.state < RowState.WOULD_BLOCK:
            yield dataclasses.replace(
                self,
                state=RowState.WOULD_BLOCK,
                reason=self.audited["reason"],
                message=self.audited["message"],
                since=transitions.moment(self.audited.get("lastTransitionTime")),
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The organizations in numbers: each is ready, stalled or reconciling.

    Attributes:
        not_verified: How many of the ready have a server that the probe found wrong.
        pending: How many of the ready the probe has not reported on yet.
        suspended: How many of the ready hold their mail on purpose.
        with_advice: How many of the ready have nothing worse than advice.
        would_be_blocked: How many of all the policy would block if it were enforced.
        overriding: How many of all set something of their own.
    """

    organizations: int
    ready: int
    stalled: int
    reconciling: int
    not_verified: int
    pending: int
    suspended: int
    with_advice: int
    would_be_blocked: int
    overriding: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything that a status shows.

    Attributes:
        host: None where it is not there, or not visible.
        host_missing: Whether it is known that there is none.
        organizations: In the order of their names.
        pods: Mailtier's own; None where they are not visible.
        namespace: The one that was looked at; "" for all.
        leader: Who holds the operator's Lease where there is no pod: Mailtier may run outside of the cluster.
    """

    host: Row | None
    host_missing: bool
    organizations: Sequence[Row]
    pods: Sequence["Pod"] | None
    namespace: str = ""
    leader: str = ""

    @property
    def totals(self) -> Totals:
        """The organizations in numbers."""
        rows = self.organizations
        return Totals(
            organizations=len(rows),
            ready=sum(1 for row in rows if row.state > RowState.RECONCILING),
            stalled=sum(1 for row in rows if row.state is RowState.STALLED),
            reconciling=sum(1 for row in rows if row.state is RowState.RECONCILING),
            not_verified=sum(1 for row in rows if row.state is RowState.NOT_VERIFIED),
            pending=sum(
                1 for row in rows if row.state > RowState.RECONCILING and row.verified == reasons.PROBE_PENDING.name
            ),
            suspended=sum(1 for row in rows if row.state is RowState.SUSPENDED),
            with_advice=sum(1 for row in rows if row.state is RowState.ADVICE),
            would_be_blocked=sum(1 for row in rows if row.audited),
            overriding=sum(1 for row in rows if row.source not in {"", vocabulary.Source.HOST.value}),
        )

    @property
    def remarkable(self) -> list[Row]:
        """What is not simply ready, worst first; the host's settings first among their like."""
        return worst_first(told for row in (self.host, *self.organizations) if row is not None for told in row.told)

    @property
    def is_broken(self) -> bool:
        """Whether anything is broken.

        Of one namespace, only what is in it counts; of all, the host's settings too, and Mailtier's pods for whoever
        may see them.
        """
        if self.namespace:
            return any(row.state.is_broken for row in self.organizations)
        works = self.pods is None or bool(self.leader) or any(pod.is_ready for pod in self.pods)
        return self.host_missing or not works or any(row.state.is_broken for row in self.remarkable)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One of Mailtier's pods.

    Attributes:
        containers: Whether each of its containers is ready, by name.
    """

    name: str
    containers: Mapping[str, bool]

    @property
    def is_ready(self) -> bool:
        """Whether all of it works."""
        return bool(self.containers) and all(self.containers.values())

    @classmethod
    def of(cls, found: _Json) -> Self:
        """Return a pod as the apiserver has it."""
        statuses = (found.get("status") or {}).get("containerStatuses") or ()
        ready = {status["name"]: bool(status.get("ready")) for status in statuses}
        return cls(
            name=found["metadata"]["name"],
            containers={each["name"]: ready.get(each["name"], False) for each in found["spec"]["containers"]},
        )


def leader(lease: _Json, now: dt.datetime) -> str:
    """Return who holds a Lease and renewed it lately; "" where nobody did, by a clock that may differ from ours."""
    spec = lease.get("spec") or {}
    renewed_at = transitions.moment(spec.get("renewTime"))
    if renewed_at is None or abs(now - renewed_at) > _LEASE_AGE:
        return ""
    return str(spec.get("holderIdentity") or "")


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return what is not simply ready, worst first, those alike by name; the host's settings come first of these."""
    return sorted(
        (row for row in rows if row.state is not RowState.READY), key=lambda row: (row.state, row.namespace, row.name)
    )


def _judge(metadata: _Json, status: _Json, conditions: Mapping[str, _Json]) -> tuple[RowState, _Json]:
    """Return the state, and the condition that decides it, as kstatus would."""
    if metadata.get("deletionTimestamp"):
        return RowState.RECONCILING, _said("Terminating", "It is being deleted.")
    if metadata and status.get("observedGeneration") != metadata.get("generation"):
        return RowState.RECONCILING, _said(
            "NotObserved", "The operator has not looked at it since it changed; see whether its pod works."
        )
    for type_, state in ((_C.STALLED, RowState.STALLED), (_C.RECONCILING, RowState.RECONCILING)):
        if conditions.get(type_, {}).get("status") == "True":
            return state, conditions[type_]
    ready = conditions.get(_C.READY)
    if ready is None or ready["status"] != "True":
        return RowState.RECONCILING, ready or _said("NotObserved", "It has no conditions yet.")
    if conditions.get(_C.VERIFIED, {}).get("status") == "False":
        return RowState.NOT_VERIFIED, conditions[_C.VERIFIED]
    if ready["reason"] == reasons.SUSPENDED.name:
        return RowState.SUSPENDED, ready
    if audited := _audited(conditions):
        return RowState.WOULD_BLOCK, audited
    if conditions.get(_C.LINTED, {}).get("status") == "False":
        return RowState.ADVICE, conditions[_C.LINTED]
    return RowState.READY, ready


def _audited(conditions: Mapping[str, _Json]) -> _Json:
    """Return the condition that tells what the host's policy would block if it were enforced; else an empty one."""
    accepted = conditions.get(_C.ACCEPTED, {})
    return accepted if accepted.get("reason") == reasons.WOULD_BLOCK.name else {}


def _said(reason: str, message: str) -> _Json:
    return {"reason": reason, "message": message}


def remedy(row: Row) -> str:
    """Return what the documentation says to do; "" for a reason that it does not know."""
    known = reasons.BY_NAME.get(row.reason)
    return known.remedy if known is not None else ""

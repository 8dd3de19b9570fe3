"""What goes from one backend to another when a queue is moved: parts of a bounded size, in a fixed order."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

NOTIFICATION: Final[Mapping[str, str]] = {
    "number": "bigint",
    "id": "text",
    "namespace_uid": "text",
    "namespace": "text",
    "organization": "text",
    "category": "text",
    "severity": "text",
    "locale": "text",
    "accepted_at": "bigint",
    "expires_at": "bigint",
    "payload_bytes": "integer",
    "body": "bytea",
    "unfinished": "integer",
    "failed": "integer",
    "keep_until": "bigint",
    "payload_until": "bigint",
    "idempotency_key": "text",
    "digest": "text",
    "object_name": "text",
    "object_uid": "text",
    "spec_hash": "text",
    "change": "bigint",
    "stored_bytes": "bigint",
    "key_bytes": "bigint",
    "forgotten_accepted": "integer",
    "forgotten_recipients": "integer",
}
"""The columns that both backends have of a notification, with the type of each on Postgres."""

RECIPIENT: Final[Mapping[str, str]] = {
    "number": "bigint",
    "notification": "bigint",
    "address": "text",
    "state": "text",
    "due_at": "bigint",
    "attempts": "integer",
    "doubts": "integer",
    "reason": "text",
    "message": "text",
    "changed_at": "bigint",
    "snapshot": "bigint",
    "failure_scope": "text",
    "failure_phase": "text",
    "failure_code": "integer",
    "failure_enhanced": "text",
    "id_domain": "text",
}
"""Likewise, of a recipient; its backlog is found anew."""

Row = dict[str, Any]


class MoveStage(enum.StrEnum):
    """What is moved, in this order: first what decides what may be sent, and what must not be taken in again."""

    MEMORIES = "memories"
    PROBES = "probes"
    SUPPRESSIONS = "suppressions"
    KNOWN = "known"
    """Notifications that came with a key or as an object."""
    OTHERS = "others"
    DONE = "done"


STAGES: Final = tuple(MoveStage)

GATED: Final = frozenset(STAGES[: STAGES.index(MoveStage.OTHERS)])
"""Until these are there nobody may use the queue: what is offered again would be taken for new."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far a queue's numbers go, none of which may be given again.

    Attributes:
        change: The feed's cursor.
        notifications: The largest number of a notification, or larger.
        recipients: Likewise, of a recipient.
    """

    change: int
    notifications: int
    recipients: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of what a queue has.

    Attributes:
        stage: What it is.
        rows: In their order: columns by name.
        recipients: Of notifications, in the order of their numbers.
        snapshots: What messages are built from that are in doubt, by its number: digest and settings.
        last: The key of the last row, from which the next part goes on; empty where this is the stage's end.
    """

    stage: MoveStage
    rows: Sequence[Row]
    recipients: Sequence[Row] = ()
    snapshots: Mapping[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    last: Sequence[Any] = ()

"""Storing the parts of a queue that is moved here, each in one transaction with the note of how far the move is."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mailtier.sender import ports
from mailtier.sender.queueing import quotas, suppressions
from mailtier.sender.storage import movables, values
from mailtier.sender.storage.postgres import backlogs, changes, usage
from mailtier.sender.storage.postgres.arriving import progress
from mailtier.sender.storage.postgres.database import connections


def _insert(table: str, columns: Mapping[str, str]) -> str:
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(columns.values(), start=1))
    return f"INSERT INTO mailtier.{table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608  # Names of ours.


_RECIPIENT: Final = {**movables.RECIPIENT, "backlog": "bigint", "id_number": "bigint"}
_STORE_NOTIFICATIONS: Final = _insert("notifications", movables.NOTIFICATION)
_STORE_RECIPIENTS: Final = _insert("recipients", _RECIPIENT)
# What the database learned by itself is later.
_STORE_MEMORIES: Final = f"{_insert('memories', {'key': 'text', 'body': 'text'})} ON CONFLICT DO NOTHING"
_STORE_PROBES: Final = f"""
    {_insert("probes", {"key": "text", "body": "text", "probed_at": "bigint", "change": "bigint"})}
    ON CONFLICT (key) DO UPDATE SET body = EXCLUDED.body, probed_at = EXCLUDED.probed_at, change = EXCLUDED.change
        WHERE probes.probed_at < EXCLUDED.probed_at
"""
_SUPPRESSION: Final = {
    "namespace_uid": "text",
    "organization": "text",
    "address": "text",
    "refusals": "integer",
    "notification": "bigint",
    "refused_at": "bigint",
    "until": "bigint",
}
_STORE_SUPPRESSIONS: Final = f"""
    {_insert("suppressions", _SUPPRESSION)}
    ON CONFLICT (namespace_uid, organization, address) DO UPDATE SET
        refusals = least(suppressions.refusals + EXCLUDED.refusals, {suppressions.REFUSALS}),
        until = greatest(suppressions.until, EXCLUDED.until)
"""
_STORE_SNAPSHOTS: Final = """
    INSERT INTO mailtier.snapshots (digest, settings, used_at)
    SELECT digest, settings, now() FROM unnest($1::text[], $2::text[]) AS u (digest, settings) ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET used_at = now() RETURNING digest, number
"""
_SAME_IDS: Final = "SELECT id FROM mailtier.notifications WHERE id = ANY ($1::text[])"
_SAME_KEYS: Final = """
    SELECT namespace_uid, organization, idempotency_key FROM mailtier.notifications
    WHERE (namespace_uid, organization, idempotency_key) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
        AND idempotency_key IS NOT NULL
"""
_SAME_OBJECTS: Final = """
    SELECT namespace_uid, object_name, spec_hash FROM mailtier.notifications
    WHERE (namespace_uid, object_name, spec_hash) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
        AND object_name IS NOT NULL
"""
_KEY: Final = ("namespace_uid", "organization", "idempotency_key")
_OBJECT: Final = ("namespace_uid", "object_name", "spec_hash")


async def put(
    session: connections.DatabaseSession, *, move: str, expected: progress.MoveProgress, part: movables.Part
) -> progress.MoveProgress:
    """Store a part, unless that was done before; return how far the move is.

    Args:
        session: In a transaction.
        move: The id of the move.
        expected: How far it was when the part was read.
        part: What comes behind that.
    """
    current = await progress.lock(session, move)
    if current != expected:
        return current
    match part.stage:
        case movables.MoveStage.MEMORIES:
            await _put_memories(session, part.rows)
        case movables.MoveStage.PROBES:
            await _put_probes(session, part.rows)
        case movables.MoveStage.SUPPRESSIONS:
            await _put_suppressions(session, part.rows, current)
        case _:
            current = await _put_notifications(session, part, current)
    stage = part.stage if part.last else movables.STAGES[movables.STAGES.index(part.stage) + 1]
    current = dataclasses.replace(current, stage=stage, after=list(part.last))
    await progress.write(session, move, current)
    return current


async def _put_memories(session: connections.DatabaseSession, rows: Sequence[movables.Row]) -> None:
    own = [row for row in rows if not progress.is_reserved(row["key"])]
    await session.execute(_STORE_MEMORIES, *_columns(own, ("key", "body")))


async def _put_probes(session: connections.DatabaseSession, rows: Sequence[movables.Row]) -> None:
    numbers = await changes.advance(session, len(rows))
    await session.execute(_STORE_PROBES, *_columns(rows, ("key", "body", "probed_at")), list(numbers))


async def _put_suppressions(
    session: connections.DatabaseSession, rows: Sequence[movables.Row], current: progress.MoveProgress
) -> None:
    moved = [{**row, "notification": row["notification"] + current.notifications_from} for row in rows]
    await session.execute(_STORE_SUPPRESSIONS, *_columns(moved, _SUPPRESSION))


async def _put_notifications(
    session: connections.DatabaseSession, part: movables.Part, current: progress.MoveProgress
) -> progress.MoveProgress:
    # What is there under the same id came from a copy of the same file.
    there = {id_ for (id_,) in await session.fetch(_SAME_IDS, [row["id"] for row in part.rows])}
    rows = [dict(row) for row in part.rows if row["id"] not in there]
    # In the order in which everybody locks: what namespaces have, backlogs, rows, the feed's cursor.
    used = await usage.lock(session, {row["namespace_uid"] for row in rows})
    locked = await backlogs.lock(session, map(_backlog, rows))
    repeats = await _give_way(session, rows, _KEY, _SAME_KEYS) + await _give_way(session, rows, _OBJECT, _SAME_OBJECTS)
    homes = {row["number"]: locked[_backlog(row)] for row in rows}
    snapshots = await _put_snapshots(session, part.snapshots)
    recipients = [
        {
            **each,
            "number": each["number"] + current.recipients_from,
            # What it is mailed with again is the message that may have arrived.
            "id_number": each["number"],
            "notification": each["notification"] + current.notifications_from,
            # What is final is built no more.
            "snapshot": None if each["due_at"] is None else snapshots.get(each["snapshot"]),
            "backlog": homes[each["notification"]],
        }
        for each in part.recipients
        if each["notification"] in homes
    ]
    await session.execute(_STORE_RECIPIENTS, *_columns(recipients, _RECIPIENT))
    # Those first that changed first.
    changed = sorted((row for row in rows if row["change"] is not None), key=lambda row: row["change"])
    numbers = await changes.advance(session, len(changed))
    for row, number in zip(changed, numbers, strict=True):
        row["change"] = number
    moved = [{**row, "number": row["number"] + current.notifications_from} for row in rows]
    await session.execute(_STORE_NOTIFICATIONS, *_columns(moved, movables.NOTIFICATION))
    await usage.write(session, _charged(used, rows))
    stored = collections.Counter(current.recipients) + collections.Counter(each["state"] for each in recipients)
    return dataclasses.replace(
        current,
        notifications=current.notifications + len(rows),
        recipients=dict(stored),
        there=current.there + len(there),
        repeats=current.repeats + repeats,
    )


async def _give_way(
    session: connections.DatabaseSession, rows: Sequence[movables.Row], names: Sequence[str], statement: str
) -> int:
    """Have notifications do without a key that another one has here, whose repeats find that one; return how many.

    Both were acknowledged, so that both are delivered.
    """
    with_key = [row for row in rows if row[names[1]] is not None and row[names[2]] is not None]
    if not with_key:
        return 0
    taken = {tuple(found) for found in await session.fetch(statement, *_columns(with_key, names))}
    giving = [row for row in with_key if tuple(row[name] for name in names) in taken]
    for row in giving:
        if names is _KEY:
            row["idempotency_key"] = None
        else:
            row.update(object_name=None, object_uid=None, spec_hash=None, change=None)
    return len(giving)


async def _put_snapshots(
    session: connections.DatabaseSession, snapshots: Mapping[int, tuple[str, str]]
) -> Mapping[int, int]:
    """Return the numbers that snapshots have here."""
    if not snapshots:
        return {}
    found: dict[str, int] = dict(
        tuple(row)
        for row in await session.fetch(
            _STORE_SNAPSHOTS,
            [digest for digest, _ in snapshots.values()],
            [settings for _, settings in snapshots.values()],
        )
    )
    return {number: found[digest] for number, (digest, _) in snapshots.items()}


def _charged(used: Mapping[str, quotas.Usage], rows: Iterable[movables.Row]) -> Mapping[str, quotas.Usage]:
    """Return what namespaces have with what was stored."""
    charged = dict(used)
    for row in rows:
        before = charged[row["namespace_uid"]]
        charged[row["namespace_uid"]] = quotas.Usage(
            messages=before.messages + row["unfinished"],
            payload_bytes=before.payload_bytes + (row["payload_bytes"] if row["unfinished"] else 0),
            stored_bytes=before.stored_bytes + row["stored_bytes"],
        )
    return charged


def _backlog(row: movables.Row) -> ports.BacklogKey:
    return values.to_key(row["namespace_uid"], row["namespace"], row["organization"], row["category"])


def _columns(rows: Sequence[movables.Row], names: Iterable[str]) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in names]

"""A namespace's notifications, page by page, and one of them."""

from collections.abc import Sequence
from typing import Any, Final

from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import records
from mailtier.sender.storage.postgres.database import connections

_LOOKED_AT: Final = 5_000
"""Notifications that one page looks at: a database has other things to do."""

_COLUMNS: Final = (
    "number, id, namespace_uid, namespace, organization, category, accepted_at, expires_at, unfinished, payload_until"
)
_BEGINNING: Final = (2**63 - 1, 2**63 - 1)

# Read backwards by the index, so that nothing is sorted. Numbers of several senders do not follow one another in time.
_PART: Final = """
    FROM mailtier.notifications WHERE namespace_uid = $1 AND (accepted_at, number) < ($2, $3)
    ORDER BY accepted_at DESC, number DESC LIMIT $4
"""
_WANTED: Final = f"""
    SELECT {_COLUMNS} FROM (SELECT * {_PART}) n
    WHERE stored_bytes > key_bytes AND forgotten_recipients IS NULL
    AND ($5::text[] IS NULL OR organization = ANY ($5))
    AND ($6::bigint IS NULL OR accepted_at < $6)
    AND EXISTS (
        SELECT FROM mailtier.recipients r WHERE r.notification = n.number
        AND ($7::text IS NULL OR r.state = $7)
        AND (
            $8::text IS NULL OR r.reason = $8 OR (
                r.due_at IS NOT NULL
                AND (n.organization, n.category) IN (SELECT * FROM unnest($10::text[], $11::text[]))
            )
        )
    )
    ORDER BY accepted_at DESC, number DESC LIMIT $9
"""  # noqa: S608  # Names of columns.
_LAST: Final = f"SELECT id FROM (SELECT id {_PART}) n OFFSET $4::bigint - 1"  # noqa: S608  # As above.
_ONE: Final = f"""
    SELECT {_COLUMNS} FROM mailtier.notifications
    WHERE id = $1 AND namespace_uid = $2 AND stored_bytes > key_bytes AND forgotten_recipients IS NULL
"""  # noqa: S608  # As above.


async def read_page(
    session: connections.DatabaseSession,
    *,
    namespace_uid: str,
    wanted: filing.Filter,
    after: str | None,
    limit: int,
) -> filing.FiledPage:
    """Return a part of a list; see `filing.FilingQueue`."""
    before = _BEGINNING if after is None else await _place(session, namespace_uid, after)
    found = await session.fetch(
        _WANTED,
        namespace_uid,
        *before,
        _LOOKED_AT,
        wanted.organizations,
        None if wanted.accepted_before is None else values.to_micros(wanted.accepted_before),
        None if wanted.state is None else wanted.state.value,
        wanted.reason,
        limit + 1,
        [organization for organization, _ in wanted.waiting],
        [category.value for _, category in wanted.waiting],
    )
    page = await _to_records(session, found[:limit])
    if len(found) > limit:
        return filing.FiledPage(records=page, following=page[-1].id)
    return filing.FiledPage(records=page, following=await session.fetchval(_LAST, namespace_uid, *before, _LOOKED_AT))


async def look(session: connections.DatabaseSession, *, namespace_uid: str, id_: str) -> filing.Filed | None:
    """Return a notification of a namespace; see `filing.FilingQueue`."""
    row = await session.fetchrow(_ONE, id_, namespace_uid)
    if row is None:
        return None
    unfinished = await session.fetch(
        "SELECT number FROM mailtier.recipients WHERE notification = $1 AND due_at IS NOT NULL ORDER BY number", row[0]
    )
    (record,) = await _to_records(session, [row])
    return filing.Filed(record=record, unfinished=tuple(number for (number,) in unfinished))


async def _place(session: connections.DatabaseSession, namespace_uid: str, id_: str) -> tuple[int, int]:
    row = await session.fetchrow(
        "SELECT accepted_at, number FROM mailtier.notifications WHERE id = $1 AND namespace_uid = $2",
        id_,
        namespace_uid,
    )
    if row is None:
        raise LookupError("the list cannot go on: what it ended with is no longer there")
    accepted_at, number = row
    return accepted_at, number


async def _to_records(session: connections.DatabaseSession, rows: Sequence[Sequence[Any]]) -> tuple[ports.Record, ...]:
    recipients = await records.recipients_of(session, [row[0] for row in rows])
    return tuple(_to_record(row, recipients.get(row[0], ())) for row in rows)


def _to_record(row: Sequence[Any], recipients: Sequence[feed.Recipient]) -> ports.Record:
    _, id_, uid, namespace, organization, category, accepted_at, expires_at, unfinished, payload_until = row
    return ports.Record(
        id=id_,
        lane=ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization),
        category=vocabulary.Category(category),
        accepted_at=values.from_micros(accepted_at),
        expires_at=values.from_micros(expires_at),
        complete=not unfinished,
        recipients=recipients,
        kept_until=None if payload_until is None or unfinished else values.from_micros(payload_until),
    )

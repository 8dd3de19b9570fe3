"""What is stored already of what is about to be taken in: asked for all of it at once."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import Final, TypeAlias

from mailtier.sender import ports
from mailtier.sender.queueing import quotas
from mailtier.sender.storage import values

KeyName: TypeAlias = tuple[str, str, str]
"""A namespace's uid, an organization's name, and an idempotency key."""

# CROSS JOIN, here and below: for each that is asked for, the one row by its index.
_USAGE: Final = (
    "SELECT u.namespace_uid, u.messages, u.payload_bytes, u.stored_bytes FROM json_each(?) AS w "
    "CROSS JOIN usage u ON u.namespace_uid = w.value"
)
_BACKLOGS: Final = (
    "SELECT b.number, b.namespace_uid, b.namespace, b.organization, b.category FROM json_each(?) AS w "
    "CROSS JOIN backlogs b ON b.namespace_uid = json_extract(w.value, '$[0]') "
    "AND b.namespace = json_extract(w.value, '$[1]') AND b.organization = json_extract(w.value, '$[2]') "
    "AND b.category = json_extract(w.value, '$[3]')"
)
_KEYS: Final = (
    "SELECT n.namespace_uid, n.organization, n.idempotency_key, n.id, n.digest FROM json_each(?) AS w "
    "CROSS JOIN notifications n ON n.namespace_uid = json_extract(w.value, '$[0]') "
    "AND n.organization = json_extract(w.value, '$[1]') AND n.idempotency_key = json_extract(w.value, '$[2]')"
)


def key_name(notification: ports.NewNotification) -> KeyName | None:
    """Return the name of a notification's idempotency key; None where it has none."""
    key, lane = notification.idempotency_key, notification.lane
    return None if key is None else (lane.namespace_uid, lane.organization, key)


def usage_of(connection: sqlite3.Connection, uids: Collection[str]) -> dict[str, quotas.Usage]:
    """Return what namespaces have; each that is asked for is there."""
    found = {uid: quotas.Usage() for uid in uids}
    for uid, messages, payload_bytes, stored_bytes in connection.execute(_USAGE, (json.dumps(list(found)),)):
        found[uid] = quotas.Usage(messages=messages, payload_bytes=payload_bytes, stored_bytes=stored_bytes)
    return found


def backlogs_of(connection: sqlite3.Connection, keys: Collection[ports.BacklogKey]) -> dict[ports.BacklogKey, int]:
    """Return the numbers of those backlogs that have one."""
    asked = json.dumps(
        [(key.lane.namespace_uid, key.lane.namespace, key.lane.organization, key.category.value) for key in keys]
    )
    return {values.to_key(*key): number for number, *key in connection.execute(_BACKLOGS, (asked,))}


def ids_of(connection: sqlite3.Connection, names: Iterable[KeyName]) -> dict[KeyName, tuple[str, str]]:
    """Return the ids and digests of the notifications that have these idempotency keys."""
    asked = list(names)
    if not asked:
        return {}
    found = connection.execute(_KEYS, (json.dumps(asked),))
    return {(uid, organization, key): (id_, digest) for uid, organization, key, id_, digest in found}

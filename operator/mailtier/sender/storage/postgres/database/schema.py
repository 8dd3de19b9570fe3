"""The tables of the queue on Postgres, and how they came to be.

They expand first and contract two versions later: each migration says which is the oldest version of the program's
tables that still runs on what it leaves, so that an upgrade and a rollback work while the other version's pods run.

No foreign keys between notifications and recipients: each would be looked up for each row that is stored, and rows
are written and removed by this program alone, a notification with its recipients.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from mailtier.sender.storage.postgres.database import connections

_LOCK: Final = 0x6D61696C
"""Of the database's advisory locks, held while the tables change."""

_TABLES: Final = """
    CREATE TABLE mailtier.counters (name text PRIMARY KEY, value bigint NOT NULL);
    -- change: the cursor of the feed. read: up to where the operator read it.
    -- display: that of what delivery shows.
    INSERT INTO mailtier.counters VALUES ('change', 0), ('read', 0), ('display', 0);

    -- Numbers are given in blocks, and never twice.
    CREATE SEQUENCE mailtier.notification_numbers INCREMENT BY 256;
    CREATE SEQUENCE mailtier.recipient_numbers INCREMENT BY 1024;

    CREATE TABLE mailtier.senders (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        expires_at timestamptz NOT NULL
    );
    -- The last batch of outcomes of each, by which one whose commit was not answered is known.
    CREATE TABLE mailtier.turns (
        sender bigint PRIMARY KEY REFERENCES mailtier.senders ON DELETE CASCADE,
        settled bigint NOT NULL
    ) WITH (fillfactor = 50);

    CREATE TABLE mailtier.notifications (
        number bigint PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE,
        namespace_uid text COLLATE "C" NOT NULL,
        namespace text COLLATE "C" NOT NULL,
        organization text COLLATE "C" NOT NULL,
        category text COLLATE "C" NOT NULL,
        severity text COLLATE "C" NOT NULL,
        locale text COLLATE "C" NOT NULL,
        accepted_at bigint NOT NULL,
        expires_at bigint NOT NULL,
        payload_bytes integer NOT NULL,
        body bytea,
        unfinished integer NOT NULL,
        failed integer NOT NULL DEFAULT 0,
        keep_until bigint,
        payload_until bigint,
        idempotency_key text COLLATE "C",
        digest text COLLATE "C" NOT NULL,
        object_name text COLLATE "C",
        object_uid text COLLATE "C",
        spec_hash text COLLATE "C",
        change bigint,
        stored_bytes bigint NOT NULL,
        key_bytes bigint NOT NULL,
        forgotten_accepted integer,
        forgotten_recipients integer
    );
    CREATE UNIQUE INDEX notifications_by_key ON mailtier.notifications (namespace_uid, organization, idempotency_key)
        WHERE idempotency_key IS NOT NULL;
    CREATE UNIQUE INDEX notifications_by_object ON mailtier.notifications (namespace_uid, object_name, spec_hash)
        WHERE object_name IS NOT NULL;
    CREATE INDEX notifications_by_change ON mailtier.notifications (change) WHERE change IS NOT NULL;
    CREATE INDEX notifications_by_retention ON mailtier.notifications (keep_until) WHERE keep_until IS NOT NULL;
    CREATE INDEX notifications_by_expiry ON mailtier.notifications (expires_at) WHERE unfinished > 0;
    CREATE INDEX notifications_by_age ON mailtier.notifications (accepted_at) WHERE unfinished > 0;
    CREATE INDEX notifications_by_namespace ON mailtier.notifications (namespace_uid, accepted_at, number);
    CREATE INDEX notifications_to_forget ON mailtier.notifications (namespace_uid, number)
        WHERE keep_until IS NOT NULL AND stored_bytes > key_bytes;
    CREATE INDEX notifications_kept ON mailtier.notifications (namespace_uid, number) WHERE payload_until IS NOT NULL;
    CREATE INDEX notifications_kept_by_time ON mailtier.notifications (payload_until) WHERE payload_until IS NOT NULL;

    CREATE TABLE mailtier.snapshots (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        digest text COLLATE "C" NOT NULL UNIQUE,
        settings text NOT NULL,
        used_at timestamptz NOT NULL
    );

    -- due_at is NULL exactly when the state is final.
    CREATE TABLE mailtier.recipients (
        number bigint PRIMARY KEY,
        notification bigint NOT NULL,
        address text NOT NULL,
        state text COLLATE "C" NOT NULL,
        due_at bigint,
        attempts integer NOT NULL DEFAULT 0,
        doubts integer NOT NULL DEFAULT 0,
        reason text NOT NULL DEFAULT '',
        message text NOT NULL DEFAULT '',
        changed_at bigint NOT NULL,
        snapshot bigint,
        backlog bigint NOT NULL,
        failure_scope text,
        failure_phase text,
        failure_code integer,
        failure_enhanced text
    );
    CREATE INDEX recipients_by_notification ON mailtier.recipients (notification);
    CREATE INDEX recipients_by_backlog ON mailtier.recipients (backlog, state, due_at, number)
        WHERE due_at IS NOT NULL;
    CREATE INDEX recipients_by_snapshot ON mailtier.recipients (snapshot) WHERE snapshot IS NOT NULL;

    CREATE TABLE mailtier.backlogs (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace_uid text COLLATE "C" NOT NULL,
        namespace text COLLATE "C" NOT NULL,
        organization text COLLATE "C" NOT NULL,
        category text COLLATE "C" NOT NULL,
        UNIQUE (namespace_uid, namespace, organization, category)
    );

    -- What was under way after the final dot, of which no outcome is stored.
    CREATE TABLE mailtier.notes (
        recipient bigint PRIMARY KEY,
        serial bigint NOT NULL,
        snapshot bigint,
        accepted boolean NOT NULL,
        sender bigint NOT NULL
    );

    CREATE TABLE mailtier.usage (
        namespace_uid text COLLATE "C" PRIMARY KEY,
        messages bigint NOT NULL,
        payload_bytes bigint NOT NULL,
        stored_bytes bigint NOT NULL
    ) WITH (fillfactor = 50);

    CREATE TABLE mailtier.probes (
        key text COLLATE "C" PRIMARY KEY,
        body text NOT NULL,
        probed_at bigint NOT NULL,
        change bigint NOT NULL
    );
    CREATE INDEX probes_by_change ON mailtier.probes (change);

    CREATE TABLE mailtier.requests (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace_uid text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        body text NOT NULL,
        asked_at bigint NOT NULL,
        take_by bigint NOT NULL,
        reply text,
        is_answered boolean NOT NULL DEFAULT false
    );

    CREATE TABLE mailtier.displays (
        namespace_uid text COLLATE "C" NOT NULL,
        namespace text COLLATE "C" NOT NULL,
        organization text COLLATE "C" NOT NULL,
        body text,
        change bigint NOT NULL,
        PRIMARY KEY (namespace_uid, namespace, organization)
    );
    CREATE INDEX displays_by_change ON mailtier.displays (change);

    CREATE TABLE mailtier.suppressions (
        namespace_uid text COLLATE "C" NOT NULL,
        organization text COLLATE "C" NOT NULL,
        address text COLLATE "C" NOT NULL,
        refusals integer NOT NULL,
        notification bigint NOT NULL,
        refused_at bigint NOT NULL,
        until bigint NOT NULL,
        PRIMARY KEY (namespace_uid, organization, address)
    );
    CREATE INDEX suppressions_by_time ON mailtier.suppressions (until);

    CREATE TABLE mailtier.memories (key text COLLATE "C" PRIMARY KEY, body text NOT NULL);
"""


_OWNERS: Final = """
    -- Whether it looks who owns what; those before did not, and the oldest one delivered everything.
    ALTER TABLE mailtier.senders ADD COLUMN shares boolean NOT NULL DEFAULT false;

    -- Which sender alone connects to a server. Those that nobody owns had an owner not long ago.
    CREATE TABLE mailtier.rooms (
        key text COLLATE "C" PRIMARY KEY,
        owner bigint REFERENCES mailtier.senders ON DELETE SET NULL,
        changed_at timestamptz NOT NULL
    );
    CREATE INDEX rooms_by_owner ON mailtier.rooms (owner) WHERE owner IS NOT NULL;
    CREATE INDEX rooms_of_nobody ON mailtier.rooms (changed_at) WHERE owner IS NULL;

    -- Which sender alone claims of it; NULL for nobody.
    ALTER TABLE mailtier.backlogs ADD COLUMN owner bigint REFERENCES mailtier.senders ON DELETE SET NULL;
    CREATE INDEX backlogs_by_owner ON mailtier.backlogs (owner) WHERE owner IS NOT NULL;

    -- Who shows it; NULL for one that did not say so.
    ALTER TABLE mailtier.displays ADD COLUMN sender bigint;
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A step from one version of the tables to the next.

    Attributes:
        statements: What it does; in one transaction with all others.
        runs: The oldest version of the program's tables that runs on what it leaves.
    """

    statements: str
    runs: int


# id_domain: of the Message-ID, once an attempt has met something; NULL before.
_ID_DOMAIN: Final = 'ALTER TABLE mailtier.recipients ADD COLUMN id_domain text COLLATE "C"'

_PLACEMENTS: Final = """
    -- Among which senders its owner was chosen; NULL where that was not said.
    ALTER TABLE mailtier.rooms ADD COLUMN team text COLLATE "C";
    CREATE INDEX rooms_by_change ON mailtier.rooms (changed_at);
"""

# id_number: of the Message-ID, where the recipient was moved here and had another number; NULL where that is its own.
_ID_NUMBER: Final = "ALTER TABLE mailtier.recipients ADD COLUMN id_number bigint"

MIGRATIONS: Final[Sequence[Migration]] = (
    Migration(statements=_TABLES, runs=1),
    Migration(statements=_OWNERS, runs=1),
    Migration(statements=_ID_DOMAIN, runs=1),
    Migration(statements=_PLACEMENTS, runs=1),
    Migration(statements=_ID_NUMBER, runs=1),
)

VERSION: Final = len(MIGRATIONS)
"""The version of the tables that this program writes."""


class NewerTablesError(Exception):
    """The tables were changed by a version of this program that this one does not go with."""


async def prepare(pool: connections.Connections, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the tables to this program's version, or find that it runs on what is there.

    Raises:
        NewerTablesError: It does not.
    """
    async with pool.transaction() as session:
        await session.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await session.execute("SET LOCAL statement_timeout = 0")
        found = None
        if await session.fetchval("SELECT to_regclass('mailtier.versions') IS NOT NULL"):
            found = await session.fetchrow("SELECT version, runs FROM mailtier.versions")
        version, runs = found or (0, 0)
        if runs > len(migrations):
            raise NewerTablesError(
                f"the queue's tables have version {version}, on which this program does not run (it knows"
                f" {len(migrations)}, and {runs} is the oldest): run the newer version again"
            )
        if version >= len(migrations):
            return
        if version == 0:
            await session.execute(
                "CREATE SCHEMA IF NOT EXISTS mailtier; "
                "CREATE TABLE mailtier.versions (version integer NOT NULL, runs integer NOT NULL); "
                "INSERT INTO mailtier.versions VALUES (0, 0)"
            )
        for migration in migrations[version:]:
            await session.execute(migration.statements)
        await session.execute(
            "UPDATE mailtier.versions SET version = $1, runs = $2", len(migrations), migrations[-1].runs
        )

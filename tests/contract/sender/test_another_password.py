"""The password of the queue's database changes while mail flows."""

import asyncio
import collections
import collections.abc
import pathlib

import pytest

from kit import postgres, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.storage.postgres import shared_queue

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_FIRST, _SECOND = "queue_role_a", "queue_role_b"
_MESSAGES = 60


@pytest.fixture
async def superuser() -> collections.abc.AsyncIterator[str]:
    """Return the address of a server that has a database of one role, as which another one may act."""
    server = postgres.shared()
    made = (
        f"CREATE ROLE {_FIRST} LOGIN",
        f"CREATE DATABASE {_FIRST} OWNER {_FIRST}",
        f"CREATE ROLE {_SECOND} LOGIN IN ROLE {_FIRST}",
        f"ALTER ROLE {_SECOND} SET role = '{_FIRST}'",
    )
    for statement in made:
        await asyncio.to_thread(postgres.execute, server.dsn("postgres"), statement)
    yield server.dsn("postgres")
    for statement in (f"DROP DATABASE {_FIRST} WITH (FORCE)", f"DROP ROLE {_SECOND}", f"DROP ROLE {_FIRST}"):
        await asyncio.to_thread(postgres.execute, server.dsn("postgres"), statement)


async def test_a_second_role_takes_over_and_nothing_is_in_doubt(
    tmp_path: pathlib.Path, superuser: str, serve: Serve
) -> None:
    """Connections of the first role are ended at full work: each message comes once, and without a wait for doubts."""
    role = _FIRST

    def address() -> str:
        return postgres.shared().dsn(_FIRST).replace(f"//{postgres.USER}@", f"//{role}@")

    relay = await serve()
    relay.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.05))
    shared = shared_queue.SharedOptions(dsn=address, name="sender-0")
    async with sending.Sender(tmp_path, shared=shared) as sender:
        of = sender.settings.put(sending.settings("team-a", sending.endpoint(relay)))
        sent = await asyncio.gather(*(sender.notify(of) for _ in range(_MESSAGES)))
        await wait.until_async(lambda: len(relay.messages) >= 10, within_seconds=20, why="mail flows")
        role = _SECOND
        for statement in (
            f"ALTER ROLE {_FIRST} NOLOGIN",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{_FIRST}'",
        ):
            await asyncio.to_thread(postgres.execute, superuser, statement)
        assert len(relay.messages) < _MESSAGES
        try:
            for each in sent:
                await sender.until(of, each, _S.ACCEPTED)
        finally:
            # A sender that went on as the first role would try for ever to store what became of its messages.
            await asyncio.to_thread(postgres.execute, superuser, f"ALTER ROLE {_FIRST} LOGIN")
        users = await asyncio.to_thread(
            postgres.read, superuser, f"SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = '{_FIRST}'"
        )
    assert users == [(_SECOND,)]
    copies = collections.Counter(message.message_id for message in relay.messages)
    assert (len(copies), max(copies.values())) == (_MESSAGES, 1)

"""Turns at one server are of time, and no session is opened for each message of a turn (R15)."""

import asyncio
import collections.abc
import time

from kit import backends, sending, smtpd
from mailtier.api import vocabulary
from mailtier.sender.delivering.attempting import carriers
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_RIGHT = "right"
_OPEN = smtpd.Options(users={"robot": _RIGHT}, plaintext_auth=True)

_LINGER_SECONDS = carriers._LINGER_SECONDS

pytestmark = backends.BOTH


def _own(sender: sending.Sender, namespace: str, at: effective.Endpoint) -> effective.Effective:
    """Put an organization that logs in at the host's endpoint, with one connection, as itself."""
    reference = sender.secrets.put(namespace, "smtp", _RIGHT, endpoint=str(at))
    auth = sending.login(reference, origin=vocabulary.Origin.ORG)
    return sender.settings.put(
        sending.settings(namespace, at, auth=auth, max_connections=1, from_address=f"{namespace}@example.com")
    )


async def test_logins_that_share_a_connection_take_turns_of_several_messages(
    sender: sending.Sender, serve: Serve
) -> None:
    """Forty messages of two organizations are no forty sessions, and neither waits until the other is done."""
    server = await serve(_OPEN)
    at = sending.endpoint(server)
    users = [_own(sender, namespace, at) for namespace in ("team-a", "team-b")]
    offered = [of for _ in range(20) for of in users]
    sent = await asyncio.gather(*map(sender.notify, offered))
    for of, each in zip(offered, sent, strict=True):
        await sender.until(of, each, _S.ACCEPTED)
    assert server.peak_connections == 1
    assert len(server.auth_attempts) <= 8
    order = [message.mail_from for message in server.messages]
    assert len(set(order[:20])) == 2


async def test_messages_that_come_in_turns_are_not_as_many_sessions(sender: sending.Sender, serve: Serve) -> None:
    """Where each would find the other's session, a session waits a moment for more, and the other's come together."""
    server = await serve(_OPEN)
    at = sending.endpoint(server)
    users = [_own(sender, namespace, at) for namespace in ("team-a", "team-b")]
    sent, stored_at = list[tuple[effective.Effective, str]](), list[float]()
    for of in users * 20:
        sent.append((of, await sender.notify(of)))
        stored_at.append(time.monotonic())
    for of, each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert server.peak_connections == 1
    # Where a disk takes longer for two commits than a session waits, the other login has the connection meanwhile.
    late = sum(then - now > _LINGER_SECONDS for now, then in zip(stored_at, stored_at[2:], strict=False))
    assert len(server.auth_attempts) <= 12 + late


async def test_a_session_waits_for_nobody_for_long(sender: sending.Sender, serve: Serve) -> None:
    """One message of another login goes a moment later, and not when a turn of ten would be over."""
    server = await serve(_OPEN)
    at = sending.endpoint(server)
    first, second = (_own(sender, namespace, at) for namespace in ("team-a", "team-b"))
    sent = await asyncio.gather(sender.notify(first), sender.notify(second))
    for of, each in zip((first, second), sent, strict=True):
        await sender.until(of, each, _S.ACCEPTED)
    assert server.messages[1].at - server.messages[0].at < 1.0


async def test_a_slow_neighbour_has_no_more_of_a_server_s_time(sender: sending.Sender, serve: Serve) -> None:
    """While one's messages take 0.3 s each, another's hundred go without waiting for as many of them."""
    server = await serve()
    server.script.on("RCPT TO:<slow@example.org>", smtpd.Behaviour(delay_seconds=0.3))
    at = sending.endpoint(server)
    slow, quick = (
        sender.settings.put(sending.settings(namespace, at, from_address=f"{namespace}@example.com"))
        for namespace in ("slow", "quick")
    )
    await asyncio.gather(*(sender.notify(slow, "slow@example.org") for _ in range(100)))
    # At once: what the slow one sends while it is alone says nothing of turns.
    sent = await asyncio.gather(*(sender.notify(quick) for _ in range(100)))
    for each in sent:
        await sender.until(quick, each, _S.ACCEPTED)
    theirs = [message.mail_from for message in server.messages].count("slow@example.com")
    assert theirs < 40

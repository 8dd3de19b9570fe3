"""Addresses that a server refused as unknown in two messages: nothing is sent to them until that is over or cleared."""

import collections.abc
import datetime as dt

from kit import backends, sending, smtpd
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S, _C = vocabulary.RecipientState, vocabulary.Category

_NOBODY = "nobody@example.org"
_WEEK_SECONDS = 7 * 86_400.0

pytestmark = backends.BOTH


async def _refused_twice(sender: sending.Sender, server: smtpd.Server, on: str = "RCPT") -> effective.Effective:
    """Return an organization whose server has refused two messages to an address that it does not know."""
    server.script.on(on, "550 5.1.1 No such user")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    for _ in range(2):
        await sender.until(of, await sender.notify(of, _NOBODY), _S.FAILED)
    server.script.clear()
    return of


async def test_nothing_is_sent_after_two_refusals(sender: sending.Sender, serve: Serve) -> None:
    """The third message ends as suppressed, with the reason and without an attempt; others go."""
    server = await serve()
    of = await _refused_twice(sender, server)
    (stands,) = await sender.until(of, await sender.notify(of, _NOBODY.upper()), _S.SUPPRESSED)
    assert (stands.reason, stands.attempts) == ("AddressSuppressed", 0)
    assert "until somebody clears the address" in stands.message
    await sender.until(of, await sender.notify(of, "somebody@example.org"), _S.ACCEPTED)
    assert len(server.messages) == 1


async def test_a_refusal_at_the_dot_counts(sender: sending.Sender, serve: Serve) -> None:
    """With one recipient there is one whom it can concern."""
    server = await serve()
    of = await _refused_twice(sender, server, on=smtpd.DOT)
    await sender.until(of, await sender.notify(of, _NOBODY), _S.SUPPRESSED)


async def test_a_password_recovery_is_sent_all_the_same(sender: sending.Sender, serve: Serve) -> None:
    """Somebody waits before a screen."""
    server = await serve()
    of = await _refused_twice(sender, server)
    sent = await sender.notify(of, _NOBODY, category=_C.PASSWORD_RECOVERY)
    await sender.until(of, sent, _S.ACCEPTED)


async def test_what_was_suppressed_goes_once_the_address_is_cleared(sender: sending.Sender, serve: Serve) -> None:
    """Sent again before that, it is suppressed again."""
    server = await serve()
    of = await _refused_twice(sender, server)
    sent = await sender.notify(of, _NOBODY)
    (first,) = await sender.until(of, sent, _S.SUPPRESSED)
    uid = ports.LaneKey.of(of).namespace_uid

    async def retry() -> None:
        now = sender.clock.wall()
        pending = await sender.queue.retry(
            uid, sent, at=now, expires_at=now + dt.timedelta(hours=1), quota=ports.QueueQuota()
        )
        sender.delivery.ring(pending)

    sender.skip(60)
    await retry()
    (second,) = await sender.until(of, sent, _S.SUPPRESSED)
    assert second.changed_at > first.changed_at
    assert await sender.queue.clear_suppressions(uid, organization=None, addresses=[_NOBODY]) == 1
    await retry()
    await sender.until(of, sent, _S.ACCEPTED)


async def test_it_is_over_after_seven_days(sender: sending.Sender, serve: Serve) -> None:
    """Then the address is tried."""
    server = await serve()
    of = await _refused_twice(sender, server)
    await sender.until(of, await sender.notify(of, _NOBODY), _S.SUPPRESSED)
    sender.skip(_WEEK_SECONDS)
    await sender.until(of, await sender.notify(of, _NOBODY), _S.ACCEPTED)

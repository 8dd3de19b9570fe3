"""How much a namespace sends in a minute through the host's endpoint, with a real queue and a real SMTP server."""

import collections
import collections.abc
import itertools

from kit import backends, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.queueing import recoveries

_S = vocabulary.RecipientState
_C = vocabulary.Category
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]

pytestmark = backends.BOTH


async def _are(counted: collections.abc.Callable[[], collections.abc.Awaitable[int]], count: int) -> bool:
    return await counted() == count


async def test_organizations_of_a_namespace_share_its_rate(sender: sending.Sender, serve: Serve) -> None:
    """Two organizations send what their namespace may, in turns; another namespace at the same relay waits for none."""
    server = await serve()
    at = sending.endpoint(server)
    loud = [
        sender.settings.put(
            sending.settings("loud", at, name=name, namespace_rate=1, from_address=f"{name}@example.com")
        )
        for name in ("one", "two")
    ]
    quiet = sender.settings.put(sending.settings("quiet", at, from_address="quiet@example.com"))
    waiting = [(of, await sender.notify(of)) for _ in range(3) for of in loud]

    async def accepted() -> int:
        return [await sender.states(of, each) for of, each in waiting].count([_S.ACCEPTED])

    others = [await sender.notify(quiet) for _ in range(20)]
    for each in others:
        await sender.until(quiet, each, _S.ACCEPTED)
    for minute in range(1, 6):
        # Until its outcome is known: a clock that is moved while a reply is on its way times the transaction out.
        await wait.until_async(
            lambda count=minute: _are(accepted, count), within_seconds=10, why=f"{minute} of the loud have gone"
        )
        assert collections.Counter(message.mail_from == "quiet@example.com" for message in server.messages) == {
            False: minute,
            True: 20,
        }
        sender.skip(60)
    order = [message.mail_from for message in server.messages if message.mail_from != "quiet@example.com"]
    # The first may have gone before the other organization had anything: then its turn is still to come.
    assert all(earlier != later for earlier, later in itertools.pairwise(order[1:]))


async def test_a_password_recovery_passes_what_waits_for_the_rate(sender: sending.Sender, serve: Serve) -> None:
    """It goes first when its namespace may send again, and no sooner."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), namespace_rate=1))
    first, *_ = [await sender.notify(of, "ops@example.org", category=_C.PRODUCT_UPDATE) for _ in range(3)]
    await sender.until(of, first, _S.ACCEPTED)
    recovery = await sender.notify(of, "me@example.org", category=_C.PASSWORD_RECOVERY)
    await wait.until_async(lambda: len(sender.delivery) == 3, within_seconds=10, why="it is claimed like the others")
    assert await sender.states(of, recovery) == [_S.QUEUED]
    sender.skip(60)
    await sender.until(of, recovery, _S.ACCEPTED)
    assert [message.rcpt_to for message in server.messages] == [("ops@example.org",), ("me@example.org",)]


async def test_an_endpoint_of_its_own_is_not_limited_by_the_host(sender: sending.Sender, serve: Serve) -> None:
    """The host's quota is on the host's endpoint: what an organization sends through its own does not count."""
    server, own = await serve(), await serve()
    inherits = sender.settings.put(sending.settings("team-a", sending.endpoint(server), namespace_rate=1))
    owns = sender.settings.put(
        sending.settings(
            "team-a",
            sending.endpoint(own, origin=vocabulary.Origin.ORG),
            name="owns",
            namespace_rate=1,
        )
    )
    for _ in range(3):
        await sender.notify(inherits)
    sent = [await sender.notify(owns) for _ in range(5)]
    for each in sent:
        await sender.until(owns, each, _S.ACCEPTED)
    assert (len(server.messages), len(own.messages)) == (1, 5)


async def test_recoveries_that_were_taken_leave_at_once(sender: sending.Sender, serve: Serve) -> None:
    """Thirty people who are locked out together wait for the server alone, and not for a rate."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = [
        await sender.notify(of, f"user-{number}@example.org", category=_C.PASSWORD_RECOVERY)
        for number in range(recoveries.PER_MINUTE)
    ]

    async def is_done() -> bool:
        return [state for each in sent for state in await sender.states(of, each)] == [_S.ACCEPTED] * len(sent)

    # Far less than they would have, one behind the other at the rate at which they are taken.
    await wait.until_async(is_done, within_seconds=20, why="all of them are accepted")
    assert len(server.messages) == recoveries.PER_MINUTE

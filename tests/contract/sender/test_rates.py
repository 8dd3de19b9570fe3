"""How much a namespace sends in a minute through the host's endpoint, with a real queue and a real SMTP server."""

import collections
import collections.abc
import itertools

from kit import sending, smtpd, wait
from mailtier.api import vocabulary

_S = vocabulary.RecipientState
_C = vocabulary.Category
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


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
    for _ in range(3):
        for of in loud:
            await sender.notify(of)
    others = [await sender.notify(quiet) for _ in range(20)]
    for each in others:
        await sender.until(quiet, each, _S.ACCEPTED)
    assert collections.Counter(message.mail_from for message in server.messages) == {
        "one@example.com": 1,
        "quiet@example.com": 20,
    }
    for minute in range(1, 5):
        sender.skip(60)
        await wait.until_async(
            lambda count=minute + 21: len(server.messages) == count, within_seconds=10, why="one more went out"
        )
    order = [message.mail_from for message in server.messages if message.mail_from != "quiet@example.com"]
    # The first may have gone before the other organization had anything: then its turn is still to come.
    assert all(earlier != later for earlier, later in itertools.pairwise(order[1:]))


async def test_a_password_recovery_passes_what_waits_for_the_rate(sender: sending.Sender, serve: Serve) -> None:
    """It goes first when its namespace may send again, and no sooner."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), namespace_rate=1))
    for _ in range(3):
        await sender.notify(of, "ops@example.org", category=_C.PRODUCT_UPDATE)
    await wait.until_async(lambda: server.messages, within_seconds=10, why="the first one went out")
    recovery = await sender.notify(of, "me@example.org", category=_C.PASSWORD_RECOVERY)
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

"""What keeps messages back for a moment says why too, once it lasts: to the intake, and as a metric."""

import collections.abc
import contextlib

from kit import between, sending, smtpd
from mailtier.api import vocabulary
from mailtier.sender.smtp.sessions import opening

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_ORG = vocabulary.Origin.ORG


async def test_what_waits_for_a_connection_says_so(sender: sending.Sender, serve: Serve) -> None:
    """While as many are used as the server was found to take."""
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(await serve())))
    throttles = sender.destinations.get(of).throttles
    with contextlib.ExitStack() as under_way:
        first, second = throttles.begin("team-a"), throttles.begin("team-a")
        assert first is not None
        assert second is not None
        under_way.enter_context(first)
        with second:
            throttles.note_refused(second, namespace="team-a", is_for_all=False, is_paced=True)
        sent = await sender.notify(of)
        await between.until_brief(sender, of, "ConnectionAwaited")
    await sender.until(of, sent, _S.ACCEPTED)


async def test_what_waits_for_an_opening_says_so(sender: sending.Sender, serve: Serve) -> None:
    """While its namespace opens as many connections as it may."""
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(await serve(), origin=_ORG)))
    target = sender.destinations.get(of)
    with contextlib.ExitStack() as under_way:
        for _ in range(opening._CONCURRENT_PER_NAMESPACE):
            under_way.enter_context(await target.sessions.take_room("team-a"))
        sent = await sender.notify(of)
        await between.until_brief(sender, of, "OpeningAwaited")
    await sender.until(of, sent, _S.ACCEPTED)


async def test_what_waits_for_a_login_says_so(sender: sending.Sender, serve: Serve) -> None:
    """While others log in that were never seen to succeed."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server, origin=_ORG)
    auth = sending.login(sender.secrets.put("team-a", "smtp", "right", endpoint=str(at)), origin=_ORG)
    of = sender.settings.put(sending.settings("team-a", at, auth=auth))
    target = sender.destinations.get(of)
    found = await sender.passwords.get(auth, at)
    with contextlib.ExitStack() as under_way:
        while (ticket := target.at.login(found, target.at.seat)) is not None:
            under_way.enter_context(ticket)
        sent = await sender.notify(of)
        await between.until_brief(sender, of, "LoginAwaited")
    await sender.until(of, sent, _S.ACCEPTED)

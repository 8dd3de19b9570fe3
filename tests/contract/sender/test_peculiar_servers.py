"""What an endpoint's owner can say of a server that does not do as others do."""

import collections.abc
import datetime as dt

from kit import sending, smtpd
from mailtier.api import vocabulary

_S = vocabulary.RecipientState
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


async def test_a_broken_extension_is_left_alone(sender: sending.Sender, serve: Serve) -> None:
    """Where only the first command of a group is answered, mail goes once PIPELINING is ignored, and not before."""
    server = await serve(smtpd.Options(answers_groups=False))
    at = sending.endpoint(server)
    of = sender.settings.put(sending.settings("team-a", at, envelope=dt.timedelta(seconds=0.3)))
    sent = await sender.notify(of)
    assert [each.reason for each in await sender.until(of, sent, _S.DEFERRED)] == ["TimedOut"]
    sender.settings.put(sending.settings("team-a", at, ehlo_ignore=(vocabulary.EhloKeyword.PIPELINING,)))
    sender.skip(121)
    await sender.until(of, sent, _S.ACCEPTED)
    assert len(server.messages) == 1

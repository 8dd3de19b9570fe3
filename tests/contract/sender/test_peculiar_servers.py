"""What an endpoint's owner can say of a server that does not do as others do."""

import collections.abc
import datetime as dt
import typing

import pytest

from kit import sending, smtpd
from mailtier.api import overrides, vocabulary

_S, _A = vocabulary.RecipientState, vocabulary.ReplyAction
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


def _rule(action: vocabulary.ReplyAction, **matched: typing.Any) -> overrides.ReplyOverride:
    return overrides.ReplyOverride(**{"code": None, "enhanced": None, "text": None, **matched}, action=action)


@pytest.mark.parametrize(
    ("refusal", "rule", "states"),
    [
        (("RCPT", "550 5.1.1 Being synchronized"), _rule(_A.DEFER, text="SYNCHRONIZED"), (_S.FAILED, _S.DEFERRED)),
        ((smtpd.DOT, "554 5.7.1 Looks like spam"), _rule(_A.DEFER, code=554), (_S.FAILED, _S.DEFERRED)),
        (("RCPT", "450 4.2.1 Closed for good"), _rule(_A.FAIL, enhanced="4.2.1"), (_S.DEFERRED, _S.FAILED)),
        (("MAIL", "451 4.3.0 Not you"), _rule(_A.FAIL, code=451, text="not you"), (_S.DEFERRED, _S.FAILED)),
    ],
)
async def test_what_a_reply_means_is_said_by_the_owner(
    sender: sending.Sender,
    serve: Serve,
    refusal: tuple[str, str],
    rule: overrides.ReplyOverride,
    states: tuple[vocabulary.RecipientState, vocabulary.RecipientState],
) -> None:
    """A refusal for good is tried again, and one for a while fails, where delivery.replies says so."""
    server = await serve()
    server.script.on(*refusal)
    at = sending.endpoint(server)
    of = sender.settings.put(sending.settings("team-a", at))
    await sender.until(of, await sender.notify(of), states[0])
    sender.skip(121)
    sender.settings.put(sending.settings("team-a", at, replies=(rule,)))
    await sender.until(of, await sender.notify(of), states[1])


async def test_a_reply_that_is_to_hold_holds(sender: sending.Sender, serve: Serve) -> None:
    """Three refusals that would have failed their messages hold the lane: nothing fails, and others wait unsent."""
    server = await serve()
    server.script.on(smtpd.DOT, "554 5.6.0 Blocked by policy 17")
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    hold = _rule(_A.HOLD, code=554, text="policy 17")
    of = sender.settings.put(sending.settings("team-a", at, max_connections=1, replies=(hold,)))
    refused = [await sender.notify(of, f"user{number}@example.org") for number in range(3)]
    for each in refused:
        await sender.until(of, each, _S.DEFERRED)
    assert [await sender.reasons(of, each) for each in refused] == [["PolicyRefused"]] * 3
    waiting = await sender.notify(of, "user4@example.org")
    sender.skip(600)
    assert await sender.states(of, waiting) == [_S.QUEUED]
    server.script.clear()
    sender.skip(300)
    for each in (*refused, waiting):
        await sender.until(of, each, _S.ACCEPTED)


async def test_rules_act_on_the_session_at_hand(sender: sending.Sender, serve: Serve) -> None:
    """A rule that is set while a session is open holds for the next message in it."""
    server = await serve()
    at = sending.endpoint(server)
    of = sender.settings.put(sending.settings("team-a", at, max_connections=1))
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    server.script.on(smtpd.DOT, "554 5.7.1 Looks like spam")
    sender.settings.put(sending.settings("team-a", at, replies=(_rule(_A.DEFER, code=554),)))
    await sender.until(of, await sender.notify(of), _S.DEFERRED)
    assert len(server.transcripts) == 1

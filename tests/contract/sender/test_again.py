"""A login that was refused is tried once more when a person asks for that, within the budget of refusals (R12)."""

import dataclasses

import pytest

from kit import logins, sending
from mailtier.api import vocabulary
from mailtier.sender.probing import targets, trace
from mailtier.settings import effective

_S = vocabulary.RecipientState
_REFUSED = "535 5.7.8 Error: authentication failed"


async def _result(told: trace.Trace) -> tuple[str, bool]:
    """Return what a probe came to, and whether that is what the server said earlier."""
    _ = [step async for step in told.follow()]
    if told.result is None:
        assert told.problem is not None
        return told.problem.name, False
    return told.result.reason, told.is_remembered


def _own(login: logins.Login, sender: sending.Sender) -> effective.Effective:
    """Return settings with the server and the login of the organization's own."""
    endpoint = login.settings.endpoint
    assert endpoint is not None
    reference = sender.secrets.put("team-a", "own", logins.PASSWORD, endpoint=str(endpoint))
    own = dataclasses.replace(endpoint, origin=vocabulary.Origin.ORG, is_host_s=False)
    return sending.settings("team-a", own, auth=sending.login(reference, origin=vocabulary.Origin.ORG))


async def test_a_refused_login_is_tried_once_more_when_somebody_asks(
    sender: sending.Sender, login: logins.Login
) -> None:
    """The server refused once and is fine since: without being asked nothing is sent; asked, what waits goes."""
    login.server.script.on("AUTH", _REFUSED, times=1)
    await sender.prober.load()
    of = sender.settings.put(_own(login, sender))
    sent = await sender.notify(of)
    await sender.until_held()
    assert len(login.server.auth_attempts) == 1
    assert await _result(sender.prober.demand(of.organization)) == ("AuthFailed", True)
    assert len(login.server.auth_attempts) == 1
    assert await _result(sender.prober.demand(of.organization, again=True)) == ("Verified", False)
    sender.skip(11)
    await sender.until(of, sent, _S.ACCEPTED)


async def test_each_refusal_counts(sender: sending.Sender, login: logins.Login) -> None:
    """Three an hour a namespace may cause at a server, asked for or not; then that is told, and nothing sent (R12)."""
    login.server.script.on("AUTH", _REFUSED)
    await sender.prober.load()
    of = sender.settings.put(_own(login, sender))
    found = []
    for _ in range(4):
        sender.skip(61)
        found.append(await _result(sender.prober.demand(of.organization, again=True)))
    assert found == [*[("AuthFailed", False)] * 3, ("TooManyRefusedLogins", False)]
    assert len(login.server.auth_attempts) == 3
    sender.skip(3600)
    assert await _result(sender.prober.demand(of.organization, again=True)) == ("AuthFailed", False)
    assert len(login.server.auth_attempts) == 4


async def test_the_host_s_login_is_tried_again_for_the_host_alone(sender: sending.Sender, login: logins.Login) -> None:
    """Who inherits it cannot have it locked; whoever may update the host's settings has no budget (R12)."""
    login.server.script.on("AUTH", _REFUSED)
    await sender.prober.load()
    inherits = sender.settings.put(login.settings)
    host = sender.settings.put(dataclasses.replace(login.settings, organization=effective.HOST))
    with pytest.raises(targets.NotProbeableError, match="--host --again"):
        sender.prober.demand(inherits.organization, again=True)
    for attempts in range(1, 6):
        assert await _result(sender.prober.demand(host.organization, again=True)) == ("AuthFailed", False)
        assert len(login.server.auth_attempts) == attempts
        sender.skip(6)

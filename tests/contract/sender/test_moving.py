"""A name that leads to the host's server now and elsewhere then: each connection counts where it is (R3, R15)."""

import collections.abc
import contextlib
import dataclasses
import datetime as dt
import pathlib

import pytest

from kit import dns, sending, smtpd, wait
from mailtier.api import reasons, vocabulary
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_ORG = vocabulary.Origin.ORG
_MOVING = "moving.example"
_RELAY, _OWN = ("127.0.0.1",), ("127.0.0.2",)
_OPEN = smtpd.Options(users={"robot": "right"}, plaintext_auth=True, require_auth=False)
_EXPIRED_SECONDS = 6
"""After that neither an answer of DNS nor an idle session is used."""

_PATIENT = dt.timedelta(seconds=60)
_FORBIDDEN = effective.Finding(
    reason=reasons.FROM_NOT_ALLOWED, field="spec.from.address", message="ceo@example.com may not be used"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A sender, the host's server, and a tenant's with a name that may lead to either.

    Attributes:
        inheriting: What an organization inherits from the host.
    """

    sender: sending.Sender
    relay: smtpd.Server
    own: smtpd.Server
    nameserver: dns.Server
    inheriting: effective.Effective

    def organization(self, name: str, *, key: str = "smtp", **more: object) -> effective.Effective:
        """Put the settings of an organization that uses the moving name."""
        at = sending.endpoint(self.own, host=_MOVING, origin=_ORG)
        auth = sending.login(self.sender.secrets.put("evil", key, "right", endpoint=str(at)), origin=_ORG)
        return self.sender.settings.put(
            sending.settings(
                "evil",
                at,
                name=name,
                auth=auth,
                max_connections=6,
                session=_PATIENT,
                message=_PATIENT,
                **more,  # type: ignore[arg-type]
            )
        )

    def move(self, to: tuple[str, ...]) -> None:
        """Have the name lead elsewhere, and what is known of it expire."""
        self.nameserver.names[_MOVING] = to
        self.sender.skip(_EXPIRED_SECONDS)


@pytest.fixture
async def place(tmp_path: pathlib.Path, serve: Serve) -> collections.abc.AsyncIterator[Place]:
    """Return a place whose name leads to the tenant's own server."""
    relay = await serve(_OPEN)
    async with contextlib.AsyncExitStack() as stack:
        nameserver = await stack.enter_async_context(dns.Server({"relay.example.com": _RELAY, _MOVING: _OWN}))
        nameserver.ttl_seconds = 0
        sender = await stack.enter_async_context(sending.Sender(tmp_path, nameserver=nameserver.address))
        # Within the sender: what it waits for ends with the server.
        own = await stack.enter_async_context(smtpd.Server(_OPEN, host="127.0.0.2", port=relay.port))
        at = sending.endpoint(relay, host="relay.example.com")
        sender.settings.put(
            dataclasses.replace(sending.settings("", at, session=_PATIENT), organization=effective.HOST)
        )
        inheriting = sender.settings.put(sending.settings("inheriting", at))
        yield Place(sender=sender, relay=relay, own=own, nameserver=nameserver, inheriting=inheriting)


async def test_connections_elsewhere_take_none_of_the_host_s(place: Place) -> None:
    """Five sessions stall at a tenant's own server, then its name leads to the host's: that is one there (R15)."""
    sender, moving = place.sender, place.organization("moving")
    first = await sender.notify(moving)
    await sender.until(moving, first, _S.ACCEPTED)
    place.own.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=50))
    for _ in range(5):
        await sender.notify(moving)
    await wait.until_async(lambda: place.own.open_connections == 5, within_seconds=10, why="five are stuck")
    place.move(_RELAY)
    there = await sender.notify(moving)
    await sender.until(moving, there, _S.ACCEPTED)
    mine = await sender.notify(place.inheriting)
    await sender.until(place.inheriting, mine, _S.ACCEPTED)
    assert place.own.open_connections == 5
    assert len(place.relay.messages) == 2


async def test_a_session_is_judged_by_where_it_is(place: Place) -> None:
    """The name leads elsewhere while a session opens at the host's server: who may not use it there does not (R3)."""
    sender = place.sender
    place.nameserver.names[_MOVING] = _RELAY
    good, third = place.organization("good"), place.organization("third", key="other")
    barred = place.organization(
        "barred", from_address="ceo@example.com", by_address=effective.ByAddress(findings=(_FORBIDDEN,))
    )
    first = await sender.notify(good)
    await sender.until(good, first, _S.ACCEPTED)
    sender.skip(_EXPIRED_SECONDS)
    await wait.until_async(lambda: place.relay.open_connections == 0, within_seconds=10, why="the session has ended")
    place.relay.script.on("AUTH", smtpd.Behaviour(delay_seconds=8), times=1)
    opening = await sender.notify(good)
    await wait.until_async(lambda: place.relay.open_connections == 1, within_seconds=10, why="a session opens")
    place.move(_OWN)
    elsewhere = await sender.notify(third)
    await sender.until(third, elsewhere, _S.ACCEPTED)
    assert len(place.own.messages) == 1
    # The host's rates hold as long as there is a connection at its server.
    assert sender.destinations.get(good).at.is_host_s
    await sender.until(good, opening, _S.ACCEPTED, within_seconds=20)
    sent = await sender.notify(barred)
    await sender.until(barred, sent, _S.ACCEPTED)
    assert {message.mail_from for message in place.relay.messages} == {"noreply@example.com"}
    assert len(place.relay.messages) == 2

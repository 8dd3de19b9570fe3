"""How much all organizations send together through one endpoint, with a real queue and a real SMTP server."""

import collections
import collections.abc
import dataclasses
import itertools

from kit import sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.settings import effective

_S, _C = vocabulary.RecipientState, vocabulary.Category
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
Sent = list[tuple[effective.Effective, str]]


class _Minutes:
    """Moves a sender's clock, and knows when each message came by it."""

    def __init__(self, sender: sending.Sender, server: smtpd.Server) -> None:
        self._sender = sender
        self._server = server
        self.came: list[tuple[float, str]] = []

    def note(self) -> None:
        """Note what came since the clock was moved."""
        skipped = self._sender.clock.skipped_seconds
        self.came += [(each.at + skipped, each.mail_from) for each in self._server.messages[len(self.came) :]]

    async def pass_by(self, sent: Sent, seconds: float, *, times: int) -> None:
        """Let time pass, each time until one more message at least is accepted."""
        for _ in range(times):
            before = await self._accepted(sent)
            self.note()
            self._sender.skip(seconds)
            await wait.until_async(
                lambda least=before + 1: self._are(sent, least), within_seconds=20, why="one more has gone"
            )
        self.note()

    def require(self, per_minute: int) -> None:
        """Fail where a minute holds more."""
        times = [at for at, _ in self.came]
        later = itertools.islice(times, per_minute, None)
        assert all(end - begin > 59.9 for begin, end in zip(times, later, strict=False))

    async def _accepted(self, sent: Sent) -> int:
        return [await self._sender.states(of, each) for of, each in sent].count([_S.ACCEPTED])

    async def _are(self, sent: Sent, least: int) -> bool:
        return await self._accepted(sent) >= least


def _inherits(sender: sending.Sender, at: effective.Endpoint, namespace: str, rate: int) -> effective.Effective:
    return sender.settings.put(
        sending.settings(namespace, at, endpoint_rate_per_minute=rate, from_address=f"{namespace}@example.com")
    )


def _host(sender: sending.Sender, at: effective.Endpoint, rate: int | None) -> None:
    sender.settings.put(
        dataclasses.replace(
            sending.settings("", at, endpoint_rate_per_minute=rate), organization=effective.HOST, namespace_uid=""
        )
    )


async def test_namespaces_share_the_rate_of_the_host_s_endpoint(sender: sending.Sender, serve: Serve) -> None:
    """Two namespaces that inherit it send no more together in any minute than it allows, and take turns."""
    server = await serve()
    at = sending.endpoint(server)
    _host(sender, at, 10)
    teams = [_inherits(sender, at, namespace, 10) for namespace in ("team-a", "team-b")]
    sent = [(of, await sender.notify(of)) for of in teams for _ in range(15)]
    minutes = _Minutes(sender, server)
    await minutes.pass_by(sent, 6, times=24)
    minutes.require(10)
    counts = collections.Counter(mail_from for _, mail_from in minutes.came[:24])
    # The first of one may have gone before the other had anything.
    assert min(counts.values()) >= 11
    assert set(counts) == {"team-a@example.com", "team-b@example.com"}


async def test_whoever_names_the_host_s_server_counts_there(sender: sending.Sender, serve: Serve) -> None:
    """An organization with its own way to the host's server shares its rate, and neither side starves (R15)."""
    server = await serve()
    at = sending.endpoint(server)
    _host(sender, at, 10)
    inherits = _inherits(sender, at, "team-a", 10)
    named = sending.endpoint(server, origin=vocabulary.Origin.ORG, is_host_s=True)
    names = [_inherits(sender, named, namespace, 10) for namespace in ("team-b", "team-c")]
    sent = [(of, await sender.notify(of)) for of in (inherits, *names) for _ in range(15)]
    minutes = _Minutes(sender, server)
    await minutes.pass_by(sent, 6, times=24)
    minutes.require(10)
    counts = collections.Counter(mail_from for _, mail_from in minutes.came[:24])
    assert counts["team-a@example.com"] >= 8
    assert min(counts[f"{namespace}@example.com"] for namespace in ("team-b", "team-c")) >= 4


async def test_password_recoveries_count_and_go_first(sender: sending.Sender, serve: Serve) -> None:
    """A recovery waits for the rate like others, and passes what its organization has queued."""
    server = await serve()
    at = sending.endpoint(server)
    _host(sender, at, 1)
    of = _inherits(sender, at, "team-a", 1)
    first, *_ = [await sender.notify(of, "ops@example.org", category=_C.PRODUCT_UPDATE) for _ in range(3)]
    await sender.until(of, first, _S.ACCEPTED)
    recovery = await sender.notify(of, "me@example.org", category=_C.PASSWORD_RECOVERY)
    await wait.until_async(lambda: len(sender.delivery) == 3, within_seconds=10, why="it is claimed like the others")
    minutes = _Minutes(sender, server)
    await minutes.pass_by([(of, recovery)], 60, times=1)
    minutes.require(1)
    assert [message.rcpt_to for message in server.messages] == [("ops@example.org",), ("me@example.org",)]


async def test_sessions_that_are_slow_to_open_exceed_nothing(sender: sending.Sender, serve: Serve) -> None:
    """Messages whose sessions took long to open go no closer together than the rate allows."""
    server = await serve()
    at = sending.endpoint(server)
    _host(sender, at, 30)
    of = _inherits(sender, at, "team-a", 30)
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    minutes = _Minutes(sender, server)
    minutes.note()
    await server.drop_connections()
    sender.skip(120)
    server.script.on(smtpd.GREETING, smtpd.Behaviour(delay_seconds=1), times=3)
    sent = [(of, await sender.notify(of)) for _ in range(40)]
    await wait.until_async(lambda: _is_open(server, 3), within_seconds=10, why="three sessions are being opened")
    # Meanwhile the meter forgets what it counted for them.
    sender.skip(120)
    await minutes.pass_by(sent, 2.2, times=32)
    minutes.require(30)


async def _is_open(server: smtpd.Server, count: int) -> bool:
    return server.open_connections >= count


async def test_endpoints_of_their_own_count_by_namespace(sender: sending.Sender, serve: Serve) -> None:
    """Organizations of a namespace that name one server share its rate; another namespace there has its own."""
    server = await serve()
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    mine = [
        sender.settings.put(
            sending.settings(
                "team-a",
                at,
                name=name,
                endpoint_rate_per_minute=1,
                max_connections=number,
                from_address=f"{name}@example.com",
            )
        )
        for number, name in enumerate(("one", "two"), start=1)
    ]
    other = sender.settings.put(sending.settings("team-b", at, from_address="other@example.com"))
    sent = [(of, await sender.notify(of)) for _ in range(3) for of in mine]
    others = [await sender.notify(other) for _ in range(20)]
    for each in others:
        await sender.until(other, each, _S.ACCEPTED)
    minutes = _Minutes(sender, server)
    await minutes.pass_by(sent, 60, times=4)
    minutes.came = [each for each in minutes.came if each[1] != "other@example.com"]
    minutes.require(1)
    assert {mail_from for _, mail_from in minutes.came} == {"one@example.com", "two@example.com"}


async def test_a_change_of_the_rate_gives_no_fresh_minute(sender: sending.Sender, serve: Serve) -> None:
    """What went before the rate was set again still counts."""
    server = await serve()
    at = sending.endpoint(server)
    _host(sender, at, 1)
    of = _inherits(sender, at, "team-a", 1)
    sent = [(of, await sender.notify(of)) for _ in range(4)]
    await sender.until(of, sent[0][1], _S.ACCEPTED)
    minutes = _Minutes(sender, server)
    for _ in range(3):
        _host(sender, at, 1)
        _inherits(sender, at, "team-a", 1)
        await minutes.pass_by(sent, 60, times=1)
    minutes.require(1)
    assert len(minutes.came) == 4


async def test_what_did_not_go_is_not_counted(sender: sending.Sender, serve: Serve) -> None:
    """A message whose session did not come about goes as soon as the server is asked again."""
    server = await serve()
    server.script.on(smtpd.GREETING, "554 5.3.2 Not now", times=1)
    at = sending.endpoint(server)
    _host(sender, at, 1)
    of = _inherits(sender, at, "team-a", 1)
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.DEFERRED)
    sender.skip(30)
    await sender.until(of, sent, _S.ACCEPTED, within_seconds=10)

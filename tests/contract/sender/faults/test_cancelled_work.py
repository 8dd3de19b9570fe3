"""Claims, probes and drops that are cancelled, at whichever of their awaits, as a sender that ends does it."""

import asyncio
import collections.abc
import itertools
import pathlib

import pytest

from kit import backends, certs, interruption, logins, sending, smtpd, wait
from mailtier.api import reasons, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender.delivering.keeping import claiming
from mailtier.sender.smtp import destination
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

_S = vocabulary.RecipientState
_MOST_AWAITS = 200
_RECIPIENTS = tuple(f"m{number}@example.org" for number in range(4))

pytestmark = backends.BOTH

_late = pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when what it waits for is there"])


def _interruptions(*, late: bool) -> collections.abc.Iterator[tuple[int, interruption.Interruption]]:
    """Yield one for each await, with its number, until one found none."""
    for at in itertools.count():
        assert at < _MOST_AWAITS
        interrupting = interruption.Interruption(at=at, late=late)
        yield at, interrupting
        if not interrupting.happened:
            return


@_late
@pytest.mark.parametrize("nth", [0, 1], ids=["a look", "a claim"])
async def test_a_claim_may_be_cancelled_anywhere(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: logins.Serve, *, late: bool, nth: int
) -> None:
    """Whoever comes next delivers all, once: what was claimed and reached nobody is in the queue (R4)."""
    at = 0
    for at, interrupting in _interruptions(late=late):
        server = await serve()
        async with sending.Sender(tmp_path / str(at), shared=shared) as sender:
            of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
            _interrupt_read(sender, interrupting, nth=nth)
            sent = await sender.notify(of, *_RECIPIENTS)
            await _until_complete(sender, sent, interrupting)
            await sender.stop()
        async with sending.Sender(tmp_path / str(at), before=sender) as again:
            await again.until(of, sent, *[_S.ACCEPTED] * len(_RECIPIENTS))
        arrived = [recipient for message in server.messages for recipient in message.rcpt_to]
        assert (at, sorted(arrived)) == (at, [*_RECIPIENTS])
    assert at > 0


def _interrupt_read(sender: sending.Sender, interrupting: interruption.Interruption, *, nth: int) -> None:
    """Have one of the reads of the queue interrupted, the first or one of those after it."""
    filling = sender.delivery._filling
    read, numbers = filling._read, itertools.count()

    async def cancelled(orders: collections.abc.Sequence[claiming.ClaimOrder]) -> None:
        await (interrupting.of(read(orders)) if next(numbers) == nth else read(orders))

    filling._read = cancelled  # type: ignore[method-assign]  # Nobody else stands at its awaits.


@_late
async def test_a_probe_may_be_cancelled_anywhere(
    tmp_path: pathlib.Path,
    shared: shared_queue.SharedOptions | None,
    serve: logins.Serve,
    authority: certs.Authority,
    leaf: certs.Leaf,
    *,
    late: bool,
) -> None:
    """Whoever follows it hears that it is over, its connection and place are given back, and the next one works."""
    at = 0
    for at, interrupting in _interruptions(late=late):
        async with sending.Sender(tmp_path / str(at), shared=shared) as sender:
            login = await logins.start(sender, serve, authority, leaf)
            of = sender.settings.put(login.settings)
            workers = sender.prober._background = interruption.Workers(interrupting, kind="Prober._probe")
            await sender.prober.load()
            await sender.until_owned(of)
            told = sender.prober.demand(of.organization)
            async with asyncio.timeout(20):
                async for _ in told.follow():
                    pass
                assert workers.first is not None
                await asyncio.wait([workers.first])
            target = sender.destinations.get(of)
            assert (at, target.busy) == (at, 0)
            assert workers.first.cancelled() == interrupting.happened
            # Until another probe may begin, and what went through has been idle for long enough.
            sender.skip(11)
            await _until_closed(login.server, target)
            assert (at, (await sender.check(of)).reason) == (at, reasons.VERIFIED.name)
        await login.server.stop()
    # As many as a login over TLS has at least.
    assert at > 5


@_late
async def test_a_drop_may_be_cancelled_anywhere(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: logins.Serve, *, late: bool
) -> None:
    """Each recipient is dropped or is delivered, and none is lost; what is on the wire goes on (R4)."""
    at = 0
    for at, interrupting in _interruptions(late=late):
        server = await serve()
        server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.5), times=1)
        # One is on the wire, one waits in memory, and two are in the queue alone.
        async with sending.Sender(tmp_path / str(at), active=2, shared=shared) as sender:
            of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
            sent = await sender.notify(of, *_RECIPIENTS)
            await _until_applied(server)
            numbers = await _numbers(sender, sent)
            dropping = asyncio.create_task(interrupting.of(sender.delivery.drop(sending.lane(of), numbers)))
            await asyncio.wait([dropping], timeout=20)
            assert dropping.done()
            await sender.stop()
        async with sending.Sender(tmp_path / str(at), before=sender) as again:
            await _until_complete(again, sent)
            stands, why = await again.states(of, sent), await again.reasons(of, sent)
        for recipient, state, reason in zip(_RECIPIENTS, stands, why, strict=True):
            arrived = sum(message.rcpt_to == (recipient,) for message in server.messages)
            is_dropped = (state, reason) == (_S.FAILED, delivery_reasons.DeliveryReason.DROPPED)
            assert (at, recipient, arrived) == (at, recipient, 0 if is_dropped else 1)
            assert is_dropped or state is _S.ACCEPTED
        if not interrupting.happened:
            assert stands.count(_S.ACCEPTED) == 1
    assert at > 1


def _of(sender: sending.Sender) -> effective.Effective:
    return next(iter(sender.settings.organizations()))


async def _numbers(sender: sending.Sender, sent: str) -> collections.abc.Sequence[int]:
    filed = await sender.queue.look(_of(sender).namespace_uid, sent)
    assert filed is not None
    return filed.unfinished


async def _until_complete(
    sender: sending.Sender, sent: str, interrupting: interruption.Interruption | None = None
) -> None:
    """Return when a notification has its end, or that was cancelled which may be needed for it."""

    async def look() -> bool:
        record = await sender.queue.find(sending.lane(_of(sender)), sent)
        return (interrupting is not None and interrupting.happened) or (record is not None and record.complete)

    await wait.until_async(look, within_seconds=20, why="all have ended")


async def _until_applied(server: smtpd.Server) -> None:
    await wait.until_async(lambda: server.script.applied, within_seconds=10, why="one is on the wire")


async def _until_closed(server: smtpd.Server, target: destination.Destination) -> None:
    await wait.until_async(
        lambda: server.open_connections == target.connections == 0, within_seconds=5, why="nothing is open"
    )

"""Requests as rows: asked by the intake, taken and answered by delivery, gone when their time is over."""

import dataclasses
import datetime as dt

import pytest

from kit import queues
from mailtier.sender.between import requests

_TAKE_BY = queues.START + dt.timedelta(seconds=5)


def _request(number: int = 0, **changes: object) -> requests.NewRequest:
    usual = requests.NewRequest(
        namespace_uid="uid-a",
        kind=requests.RequestKind.RELEASE,
        body=f'{{"number": {number}}}',
        asked_at=queues.START,
        take_by=_TAKE_BY,
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]  # Fields by name, for brevity.


async def test_a_request_is_taken_once_and_answered_until_it_is_withdrawn(queue: queues.WholeQueue) -> None:
    """Delivery takes what is asked in its order, answers in parts, and nobody hears more after the withdrawal."""
    first, second = await queue.ask(_request(1)), await queue.ask(_request(2, kind=requests.RequestKind.DROP))
    taken = await queue.take_requests(now=queues.START)
    assert [(each.number, each.kind, each.body) for each in taken] == [
        (first, requests.RequestKind.RELEASE, '{"number": 1}'),
        (second, requests.RequestKind.DROP, '{"number": 2}'),
    ]
    assert list(await queue.take_requests(now=queues.START)) == []
    assert await queue.reply_to(first) == requests.RequestAnswer(body=None, is_final=False)
    assert await queue.reply(first, '"part"', is_final=False)
    assert await queue.reply_to(first) == requests.RequestAnswer(body='"part"', is_final=False)
    assert await queue.reply(first, '"whole"', is_final=True)
    assert await queue.reply_to(first) == requests.RequestAnswer(body='"whole"', is_final=True)
    await queue.withdraw(first)
    assert await queue.reply_to(first) is None
    assert not await queue.reply(first, '"late"', is_final=True)


async def test_what_nobody_took_in_time_is_taken_by_nobody(queue: queues.WholeQueue) -> None:
    """A delivery that comes late does nothing for whoever has gone, and the row goes with the next request."""
    late = await queue.ask(_request(1))
    after = _TAKE_BY + dt.timedelta(seconds=1)
    assert list(await queue.take_requests(now=after)) == []
    await queue.ask(_request(2, asked_at=after, take_by=after))
    assert await queue.reply_to(late) is None


async def test_what_a_delivery_leaves_behind_its_successor_takes(queue_factory: queues.Factory) -> None:
    """A request that was begun and not answered to the end is carried out again, however late; one that was is not."""
    queue = await queue_factory.open()
    begun, done = await queue.ask(_request(1)), await queue.ask(_request(2))
    await queue.take_requests(now=queues.START)
    await queue.reply(begun, '"begun"', is_final=False)
    await queue.reply(done, '"done"', is_final=True)
    queue = await queue_factory.reopen()
    taken = await queue.take_requests(now=queues.START + dt.timedelta(minutes=1))
    assert [each.number for each in taken] == [begun]


async def test_a_namespace_has_so_many_requests_open_and_no_more(queue: queues.WholeQueue) -> None:
    """While delivery is away one namespace cannot pile rows up, and leaves others their share (R15)."""
    asked = [await queue.ask(_request(number)) for number in range(requests.MOST_OPEN)]
    with pytest.raises(requests.TooManyRequestsError):
        await queue.ask(_request())
    await queue.ask(_request(namespace_uid="uid-b"))
    await queue.withdraw(asked[0])
    await queue.ask(_request())
    # Those that nobody took make room by themselves.
    after = _TAKE_BY + dt.timedelta(seconds=1)
    await queue.ask(_request(asked_at=after, take_by=after + dt.timedelta(seconds=5)))

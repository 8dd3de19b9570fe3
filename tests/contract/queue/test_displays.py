"""What delivery shows, as rows that the intake reads where they changed."""

import dataclasses

from kit import queues
from mailtier.api import vocabulary

_OTHER = dataclasses.replace(queues.LANE, organization="other")


async def test_what_is_shown_is_read_where_it_changed(queue: queues.WholeQueue) -> None:
    """A reader hears of each organization what is shown last, and of none that did not change."""
    await queue.show({queues.LANE: '"one"', _OTHER: '"two"'})
    found = await queue.shown(0)
    assert found.texts == {queues.LANE: '"one"', _OTHER: '"two"'}
    assert (await queue.shown(found.cursor)).texts == {}
    await queue.show({queues.LANE: '"three"'})
    await queue.show({_OTHER: None})
    later = await queue.shown(found.cursor)
    assert later.texts == {queues.LANE: '"three"', _OTHER: None}


async def test_what_a_dead_delivery_showed_is_taken_back(queue_factory: queues.Factory) -> None:
    """The next delivery takes it back, a reader that knows it hears so, and the rows go in time."""
    queue = await queue_factory.open()
    await queue.show({queues.LANE: '"one"'})
    known = await queue.shown(0)
    queue = await queue_factory.reopen()
    await queue.show_nothing()
    assert (await queue.shown(known.cursor)).texts == {queues.LANE: None}
    await queue.purge(now=queues.START)
    await queue.purge(now=queues.START)
    assert (await queue.shown(known.cursor)).texts == {}


async def test_namespaces_are_named_while_something_is_queued_for_them(queue: queues.WholeQueue) -> None:
    """The operator is asked about each once, and about none whose mail has its end."""
    assert list(await queue.queued_namespaces()) == []
    _, (number,) = await queues.put(queue)
    await queues.put(queue, lane=dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b"))
    assert list(await queue.queued_namespaces()) == ["uid-a", "uid-b"]
    await queues.settle(queue, queues.outcome(number, vocabulary.RecipientState.ACCEPTED))
    assert list(await queue.queued_namespaces()) == ["uid-b"]

"""What a repeat means."""

import datetime as dt

import pytest

from kit import queues
from mailtier.sender import ports
from mailtier.sender.queueing import repeats

_WEEK = dt.timedelta(days=7)


def test_the_same_request_under_its_key_is_no_conflict() -> None:
    """A key names a request, not an attempt to hand it over."""
    repeats.require_same(queues.notification(digest="d1"), known_id="n1", known_digest="d1")


def test_another_request_under_a_used_key_is_told_which_one_it_was() -> None:
    """The refusal names the first notification, and both ways on."""
    with pytest.raises(ports.IdempotencyConflictError) as refused:
        repeats.require_same(queues.notification(digest="d2"), known_id="n1", known_digest="d1")
    assert str(refused.value) == (
        "the idempotency key was used for another request, notification n1: repeat that request unchanged, or take a "
        "new key"
    )


@pytest.mark.parametrize(("uid", "is_recreated"), [("object-1", False), ("object-2", True)])
def test_an_object_with_another_uid_is_news(uid: str, *, is_recreated: bool) -> None:
    """A recreated object has no status yet, so that it is told again what became of it."""
    seen = repeats.see(queues.source(object_uid=uid), known_uid="object-1", kept_until=None, at=queues.START)
    assert seen == repeats.Sighting(is_recreated=is_recreated, keep_until=None)


def test_a_finished_object_that_is_seen_is_kept_longer() -> None:
    """An object that stays in the cluster does not mail again after a week; a steady state writes nothing."""
    kept, day = queues.START + _WEEK, dt.timedelta(days=1)
    later = repeats.see(queues.source(), known_uid="object-1", kept_until=kept, at=queues.START + day)
    assert later == repeats.Sighting(is_recreated=False, keep_until=kept + day)
    at_once = repeats.see(queues.source(), known_uid="object-1", kept_until=kept, at=queues.START)
    assert at_once == repeats.Sighting(is_recreated=False, keep_until=None)

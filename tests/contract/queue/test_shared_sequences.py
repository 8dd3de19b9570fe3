"""Any sequence of operations and crashes on Postgres: nothing acknowledged is lost, nothing final turns back (R4).

A crash of the sender is simulated by dropping all that it had not stored, and its connections.
"""

import typing

import hypothesis

from kit import postgres, queue_sequences, queues
from mailtier.api import vocabulary
from mailtier.sender.storage.postgres import shared_queue


class SharedStorage(queue_sequences.QueueStorage):
    """A database; a crash leaves what was committed."""

    def __init__(self) -> None:
        self.dsn = postgres.new_database()

    async def open(self) -> queues.WholeQueue:
        """Return the queue, open."""
        options = shared_queue.SharedOptions(dsn=lambda: self.dsn, name="sender-0")
        return await shared_queue.open_queue(options, now=queues.Clock())

    async def crash(self, queue: typing.Any, under_way: list[int], dots: list[int]) -> None:
        """Die before anything that is under way is begun."""
        for recipient_number in dots:
            await queue.note_dot(recipient_number, queues.SNAPSHOT)
        # An acceptance that is younger may be lost, and is in doubt then; that is no matter here.
        await queue._notes.flush()
        for number in under_way:
            queue.settle([queues.outcome(number, vocabulary.RecipientState.EXPIRED)])
        await queue.abandon()

    def read(self, statement: str) -> list[tuple[typing.Any, ...]]:
        """Return rows of the tables."""
        names = {name: f"mailtier.{name}" for name in ("usage", "notifications", "recipients")}
        # Payloads stand with their notifications.
        payloads = "(SELECT number AS notification, body FROM mailtier.notifications)"
        return postgres.read(self.dsn, statement.format(payloads=payloads, **names))

    def close(self) -> None:
        """Remove the database."""
        postgres.drop_database(self.dsn)


class SharedSequences(queue_sequences.Sequences):
    """On Postgres, where it is stored what was read of the feed."""

    forgets_what_was_read = False

    def _storage(self) -> queue_sequences.QueueStorage:
        return SharedStorage()


TestSharedSequences = SharedSequences.TestCase
TestSharedSequences.settings = hypothesis.settings(max_examples=8, stateful_step_count=25, deadline=None)

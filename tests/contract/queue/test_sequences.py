"""Any sequence of operations and crashes: nothing acknowledged is lost, and nothing final turns back (R4).

A crash is simulated by opening a copy of the files: they are what SIGKILL would leave, at a moment when outcomes
are under way but not committed. `test_crashes` kills real processes.
"""

import asyncio
import contextlib
import pathlib
import shutil
import sqlite3
import tempfile
import typing

import hypothesis

from kit import queue_sequences, queues
from mailtier.api import vocabulary
from mailtier.sender.storage.sqlite import embedded


class EmbeddedStorage(queue_sequences.QueueStorage):
    """Files in a folder; a crash leaves a copy of them."""

    def __init__(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.generation = 0

    @property
    def directory(self) -> pathlib.Path:
        """Where the queue of this generation lies."""
        return pathlib.Path(self.home.name) / str(self.generation)

    async def open(self) -> queues.WholeQueue:
        """Return the queue, open."""
        return await embedded.open_queue(self.directory, now=queues.Clock(), limits=queues.LIMITS)

    async def crash(self, queue: typing.Any, under_way: list[int], dots: list[int]) -> None:
        """Die between two commits."""
        for recipient_number in dots[:1]:
            # A snapshot that is not stored yet would wait for its commit.
            await queue.note_dot(recipient_number, queues.SNAPSHOT)
        async with queues.stalled(queue):
            recorded = [
                queues.settle(queue, queues.outcome(number, vocabulary.RecipientState.EXPIRED)) for number in under_way
            ]
            for recipient_number in dots[1:]:
                await queue.note_dot(recipient_number, queues.SNAPSHOT)
            shutil.copytree(self.directory, self.directory.with_name(str(self.generation + 1)))
        await asyncio.gather(*recorded, return_exceptions=True)
        await queue.close()
        self.generation += 1

    def read(self, statement: str) -> list[tuple[typing.Any, ...]]:
        """Return rows of the tables."""
        names = {name: name for name in ("usage", "notifications", "recipients", "payloads")}
        with contextlib.closing(sqlite3.connect(self.directory / "queue.sqlite3")) as database:
            return database.execute(statement.format(**names)).fetchall()

    def close(self) -> None:
        """Remove the files."""
        self.home.cleanup()


class EmbeddedSequences(queue_sequences.Sequences):
    """On SQLite."""

    def _storage(self) -> queue_sequences.QueueStorage:
        return EmbeddedStorage()


TestSequences = EmbeddedSequences.TestCase
TestSequences.settings = hypothesis.settings(max_examples=25, stateful_step_count=25, deadline=None)

"""Several senders that share a database, each with everything of its own, as processes have it."""

import asyncio
import collections
import collections.abc
import contextlib
import datetime as dt
import pathlib
import typing

from kit import postgres, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

LEASE: typing.Final = dt.timedelta(seconds=3)


class Team:
    """Senders of one database, which come and go.

    Args:
        folder: For whatever they write.
        dsn: The database.
    """

    def __init__(self, folder: pathlib.Path, dsn: str) -> None:
        self._folder = folder
        self._dsn = dsn
        self._settings: dict[effective.OrganizationKey, effective.Effective] = {}
        self._stacks: dict[str, contextlib.AsyncExitStack] = {}
        self.senders: dict[str, sending.Sender] = {}
        self.sent: list[tuple[effective.Effective, str]] = []

    @property
    def any(self) -> sending.Sender:
        """One of the senders."""
        return next(iter(self.senders.values()))

    async def join(self, name: str) -> sending.Sender:
        """Have a sender begin; return it."""
        before = self.any if self.senders else None
        shared = shared_queue.SharedOptions(dsn=lambda: self._dsn, name=name, lease=LEASE)
        stack = self._stacks[name] = contextlib.AsyncExitStack()
        sender = sending.Sender(self._folder / name, before=before, shared=shared)
        self.senders[name] = await stack.enter_async_context(sender)
        return self.senders[name]

    async def leave(self, name: str) -> None:
        """Have a sender end in good order."""
        del self.senders[name]
        await self._stacks.pop(name).aclose()

    async def die(self, name: str) -> None:
        """Have a sender end as a process that is killed."""
        sender = self.senders.pop(name)
        for task in sender.running:
            task.cancel()
        for each in sender.destinations:
            each.close_idle(lambda ending: ending.close(), everything=True)
        await typing.cast("shared_queue.SharedQueue", sender.opened).abandon()
        self._stacks.pop(name).pop_all()

    def put(self, settings: effective.Effective) -> effective.Effective:
        """Have all senders know an organization's settings."""
        self._settings[settings.organization] = settings
        for sender in self.senders.values():
            sender.settings.put(settings)
        return settings

    async def notify(self, of: effective.Effective, *recipients: str, by: str = "") -> str:
        """Queue a notification at one of the senders, and tell the others, as an intake does."""
        taker = self.senders[by] if by else self.any
        id_ = await taker.notify(of, *recipients)
        self.sent.append((of, id_))
        for other in self.senders.values():
            other.delivery.ring(
                [
                    ports.Pending(
                        recipient_number=0,
                        lane=sending.lane(of),
                        category=vocabulary.Category.JOB_ALERT,
                        state=vocabulary.RecipientState.QUEUED,
                        due_at=taker.clock.wall(),
                        expires_at=taker.clock.wall() + dt.timedelta(hours=1),
                        attempts=0,
                    )
                ]
            )
        return id_

    async def states(self) -> collections.Counter[vocabulary.RecipientState]:
        """Return how many recipients of what was sent are in which state."""
        found = [await self.any.states(of, id_) for of, id_ in self.sent]
        return collections.Counter(state for several in found for state in several)

    async def until_accepted(self, *, at_least: int = 0, within_seconds: float = 60) -> None:
        """Return when so many are accepted, all by default."""

        async def are() -> bool:
            states = await self.states()
            return states[vocabulary.RecipientState.ACCEPTED] >= (at_least or states.total())

        await wait.until_async(are, within_seconds=within_seconds, why="the messages are accepted")

    async def until_shared_out(self) -> None:
        """Return when each sender owns all that it should, and nothing is being left."""
        estates = [sender.estate for sender in self.senders.values() if sender.estate is not None]
        names = set(self.senders)

        def are() -> bool:
            settled = all(
                each._owned == set(each._should) and not each._leaving and len(each._team or ()) == len(names)
                for each in estates
            )
            return settled and not any(sender.delivery.left.leaving() for sender in self.senders.values())

        await wait.until_async(are, within_seconds=30, why="everything has its owner")

    async def close(self) -> None:
        """End those that are there."""
        for name in list(self.senders):
            await self.leave(name)


@contextlib.asynccontextmanager
async def of_one_database(folder: pathlib.Path) -> collections.abc.AsyncIterator[Team]:
    """Give a team with a database of its own."""
    dsn = await asyncio.to_thread(postgres.new_database)
    team = Team(folder, dsn)
    try:
        yield team
    finally:
        await team.close()
        await asyncio.to_thread(postgres.drop_database, dsn)


def names_of(server: smtpd.Server) -> set[str]:
    """Return how the senders called themselves that connected to a server."""
    greetings = (line for transcript in server.transcripts for line in transcript.commands())
    return {line.split()[1].decode() for line in greetings if line.upper().startswith(b"EHLO")}

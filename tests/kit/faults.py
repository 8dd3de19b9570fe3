"""Faults of a server as a table tells them, and one sender that meets one of them."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import itertools
import pathlib
import socket
import sqlite3
import typing
from unittest import mock

from kit import certs, farewells, hostile, logins, postgres, sending, smtpd, virtual_time, wait
from mailtier.api import feed, vocabulary
from mailtier.sender.delivering.attempting import carriers
from mailtier.sender.scheduling import lanes
from mailtier.sender.smtp import destination
from mailtier.sender.storage.postgres import shared_queue
from mailtier.settings import effective

_S = vocabulary.RecipientState
_PADDING = "x" * 9 * 1024
_DRIP_SECONDS = 3.0
_TICK_SECONDS = 2.0
_BREAKER_SECONDS = 1.5
"""More than the first pause, and less than an idle session is kept."""

_AGAIN: typing.Final = {"pause": 61.0, "backoff": 61.0, "doubt": 301.0, "mended": 0.0}
"""Seconds until a message goes again, at most; with the chance that tests have it is those, and one less."""
_OPENING = frozenset({"connect", "greeting", "EHLO", "STARTTLS", "AUTH"})
_MOMENTS = {"greeting": smtpd.GREETING, "body": smtpd.BODY, "dot": smtpd.DOT}
_RECIPIENT = "somebody@example.org"
_BEFORE = "before@example.org"
_COLUMNS = (10, 11, 34, 9, 26, 11, 8, 9)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault in one phase, and what it means; the table says what the words mean."""

    phase: str
    fault: str
    said: str
    state: str
    reason: str
    concerns: str
    charged: str
    again: str
    session: str

    def __str__(self) -> str:
        return f"{self.phase}-{self.fault}-{self.said[:9]}".replace(" ", "_")


def read(table: str) -> tuple[list[Cell], list[tuple[str, str]]]:
    """Return a table's cells, and the pairs of phase and fault that make no sense."""
    cells, senseless = [], []
    for line in table.splitlines():
        if not line.startswith("  "):
            continue
        bounds = itertools.accumulate(_COLUMNS, initial=2)
        phase, fault, *others = (line[start:end].strip() for start, end in itertools.pairwise((*bounds, None)))
        if line[2 + sum(_COLUMNS[:2]) :].startswith("none: "):
            senseless.append((phase, fault))
            continue
        names = [field.name for field in dataclasses.fields(Cell)]
        cells.append(Cell(**dict(zip(names, (phase, fault, *others), strict=True))))
    return cells, senseless


def _behaviour(cell: Cell) -> smtpd.Behaviour:
    # At the dot the message is taken, which nobody is told.
    drop = smtpd.Drop.INSTEAD if cell.phase == "dot" else smtpd.Drop.BEFORE
    match cell.fault:
        case "eof":
            return smtpd.Behaviour(drop=drop)
        case "rst":
            return smtpd.Behaviour(drop=drop, reset=True)
        case "stall":
            return hostile.silence()
        case "drip":
            return smtpd.Behaviour(reply=cell.said, drip_seconds=_DRIP_SECONDS)
        case "garbage":
            return smtpd.Behaviour(reply=cell.said.encode() + b"\r\n")
        case "unasked":
            ordinary, unasked = cell.said[:1], cell.said[2:].encode() + b"\r\n"
            assert ordinary == "&"
            return smtpd.Behaviour(reply=unasked) if cell.phase == "body" else smtpd.Behaviour(behind=unasked)
        case _:
            return smtpd.Behaviour(reply=cell.said.replace("...", _PADDING))


class Meeting:
    """A sender that meets a server with one fault.

    Args:
        cell: The fault, as it is expected to end.
        sender: At work.
        server: Behaves well so far.
        of: The settings that lead there.
    """

    def __init__(self, cell: Cell, sender: sending.Sender, server: smtpd.Server, of: effective.Effective) -> None:
        self.cell = cell
        self.sender = sender
        self.server = server
        self.of = of
        self._since = sender.clock.monotonic()
        self._loop = typing.cast("virtual_time.SkippableLoop", asyncio.get_running_loop())

    @property
    def target(self) -> destination.Destination:
        """The endpoint."""
        return self.sender.destinations.get(self.of)

    async def wait(self, predicate: collections.abc.Callable[[], typing.Any], why: str) -> None:
        """Return when something is so; where the server keeps somebody waiting, time passes meanwhile."""

        async def is_so() -> bool:
            is_slow = self.cell.phase == "QUIT" or self.cell.fault in {"stall", "drip"}
            if is_slow and self._is_met:
                self._loop.skip(_TICK_SECONDS)
            found = predicate()
            return bool(await found if asyncio.iscoroutine(found) else found)

        await wait.until_async(is_so, within_seconds=20, why=why, poll_seconds=0.002)

    @property
    def _is_met(self) -> bool:
        """Whether the server keeps somebody waiting; at RSET, whether it still is the first connection that waits."""
        is_over = self.cell.phase == "RSET" and len(self.server.transcripts) > 1
        return not is_over and (self.cell.phase == "connect" or self.server.script.applied > 0)

    async def send(self, *recipients: str, text: str | None = None) -> tuple[str, feed.Recipient]:
        """Return a notification, and where the last of its recipients stands once all were tried."""
        sent = await self.sender.notify(self.of, *recipients, text=text or "The job failed.")
        found: list[feed.Recipient] = []

        async def is_tried() -> bool:
            record = await self.sender.queue.find(sending.lane(self.of), sent)
            assert record is not None
            found[:] = record.recipients
            return all(each.state is not _S.QUEUED for each in found)

        await self.wait(is_tried, f"{recipients} are tried")
        return sent, found[-1]

    async def until_over(self) -> None:
        """Return when nobody uses the endpoint."""
        await self.wait(lambda: self.target.busy == 0, "the slot is given back")

    def concerns(self, recipient: str) -> str:
        """Return whom the fault is held against; what concerns recipient or message alone leaves nothing to see."""
        # A pause that began since may be over, on a machine that is slow.
        since, namespace = self._since, self.of.organization.namespace
        if sending.lane(self.of) in self.sender.delivery.held():
            return "login"
        if self.target.health.breaker.retry_at > since:
            return "server"
        if self.target.health.retry_at(namespace, vocabulary.Category.JOB_ALERT) > since:
            return "here"
        organization = self.sender.delivery._schedule.organization(sending.lane(self.of))
        assert organization is not None
        refused = {each.address for each in organization.lane(lanes.LaneClass.ALERT).refusals.addresses}
        return "settings" if recipient in refused else "nobody"

    def again(self, notification: str, recipient: feed.Recipient) -> str:
        """Return when a notification goes again, by when it is stored to be due; what is held, as the cell has it."""
        due_at = self._due_at(notification, recipient.address)
        if due_at is None:
            return "-" if recipient.state is _S.ACCEPTED else "no"
        if recipient.state is _S.HELD:
            return self.cell.again
        due_in = due_at / 1e6 - self.sender.clock.wall().timestamp()
        if _AGAIN["backoff"] < due_in <= _AGAIN["doubt"]:
            return "doubt" if recipient.state is _S.IN_DOUBT else f"in {due_in} s"
        return "backoff" if recipient.attempts else "pause"

    def _due_at(self, notification: str, address: str) -> int | None:
        shared = self.sender.shared
        schema = "" if shared is None else "mailtier."
        statement = (
            f"SELECT r.due_at FROM {schema}recipients r JOIN {schema}notifications n ON n.number = r.notification "
            f"WHERE n.id = '{notification}' AND r.address = '{address}'"
        )
        if shared is not None:
            ((due_at,),) = postgres.read(shared.dsn(), statement)
        else:
            with contextlib.closing(sqlite3.connect(self.sender.folder / "queue.sqlite3")) as queue:
                ((due_at,),) = queue.execute(statement)
        return typing.cast("int | None", due_at)

    async def is_delivered(self, notification: str) -> bool:
        """Return whether all of a notification was accepted."""
        return set(await self.sender.states(self.of, notification)) == {_S.ACCEPTED}


async def _settings(
    cell: Cell, sender: sending.Sender, server: smtpd.Server, authority: certs.Authority
) -> effective.Effective:
    at, auth = sending.endpoint(server), sending.ANONYMOUS
    if server.options.tls is smtpd.Tls.STARTTLS:
        at = sending.endpoint(server, tls=logins.protected(sender, authority))
        reference = sender.secrets.put("team-a", "smtp", logins.PASSWORD, endpoint=str(at))
        auth = sending.login(reference, origin=vocabulary.Origin.ORG)
    carried = 1 if cell.phase == "QUIT" else 100
    return sender.settings.put(
        sending.settings("team-a", at, auth=auth, max_connections=1, messages_per_connection=carried)
    )


def _listen_no_more(stack: contextlib.ExitStack, server: smtpd.Server) -> None:
    """Have the kernel answer nobody who connects to the server's port."""
    at = (server.host, server.port)
    stack.enter_context(socket.create_server(at, backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(at)


@contextlib.asynccontextmanager
async def _met(
    cell: Cell,
    folder: pathlib.Path,
    authority: certs.Authority,
    leaf: certs.Leaf,
    *,
    pipelining: bool,
    shared: shared_queue.SharedOptions | None,
) -> collections.abc.AsyncIterator[Meeting]:
    protection: dict[str, typing.Any] = {}
    # A body that is not read does not stay with the client under TLS: a server reads whole records of it.
    if cell.phase in _OPENING or (pipelining and cell.phase != "body"):
        protection = {"tls": smtpd.Tls.STARTTLS, "context": leaf.server_context(), "users": {"robot": logins.PASSWORD}}
    offered = smtpd.Options().extensions - (set() if pipelining else {"PIPELINING"})
    options = smtpd.Options(extensions=offered, is_narrow=cell.phase == "body", **protection)
    async with sending.Sender(folder, shared=shared) as sender, smtpd.Server(options) as server:
        yield Meeting(cell, sender, server, await _settings(cell, sender, server, authority))
        # Whatever it still waits for.
        await server.drop_connections()


async def _meet(meeting: Meeting, *, announced: bool) -> Cell:
    cell, server = meeting.cell, meeting.server
    if announced:
        # As long as a server was never seen to work, it is given one message at a time.
        await meeting.send("first@example.org")
    if cell.phase == "RSET":
        # What is refused at RCPT leaves a transaction behind, so that the next message begins with RSET.
        server.script.on("RCPT TO:<gone@example.org>", "550 5.1.1 No such user")
        await meeting.send("gone@example.org")
        await meeting.until_over()
        server.script.clear()
    with contextlib.ExitStack() as stack:
        if cell.phase == "connect":
            await server.stop()
            if cell.fault == "stall":
                _listen_no_more(stack, server)
        else:
            server.script.on(_MOMENTS.get(cell.phase, cell.phase), _behaviour(cell), skip=int(announced))
        text = "\n".join(["A line of the log."] * 5_000) if cell.phase == "body" else None
        sent, stands = await meeting.send(*([_BEFORE] if announced else []), _RECIPIENT, text=text)
        await meeting.until_over()
    concerns = meeting.concerns(_RECIPIENT)
    if concerns == "nobody" and stands.last_failure is not None:
        # It leaves nothing to see elsewhere.
        concerns = stands.last_failure.scope.lower()
    found = dataclasses.replace(
        cell,
        state=stands.state.value,
        reason=stands.reason or "-",
        concerns=concerns,
        again=meeting.again(sent, stands),
        charged="yes" if stands.attempts else "no",
        session="kept" if meeting.target.connections and len(server.transcripts) == 1 else "closed",
    )
    server.script.clear()
    if cell.phase == "connect":
        await server.start()
    return dataclasses.replace(found, **await _go_on(meeting, sent))


async def _go_on(meeting: Meeting, sent: str) -> dict[str, str]:
    """Return whether a further message goes over the same connection; what was met by the fault goes again."""
    cell, sender = meeting.cell, meeting.sender
    before = len(meeting.server.transcripts)
    if cell.again == "mended":
        at = meeting.of.endpoint
        reference = sender.secrets.put("team-a", "smtp", logins.PASSWORD, endpoint=str(at))
        auth = sending.login(reference, origin=vocabulary.Origin.ORG)
        meeting.of = sender.settings.put(dataclasses.replace(meeting.of, auth=auth))
    elif cell.again == "pause":
        sender.skip(_BREAKER_SECONDS)
    _, stands = await meeting.send("other@example.org")
    assert stands.state is _S.ACCEPTED
    session = "kept" if len(meeting.server.transcripts) == before == 1 else "closed"
    await meeting.until_over()
    if cell.again in _AGAIN:
        sender.skip(_AGAIN[cell.again])
        await meeting.wait(lambda: meeting.is_delivered(sent), "what goes again arrives in the end")
    return {"session": session}


def copies(server: smtpd.Server) -> list[bytes]:
    """Return what a server took of the message that met the fault."""
    return [message.data for message in server.messages if message.rcpt_to == (_RECIPIENT,)]


def meet(
    cell: Cell,
    folder: pathlib.Path,
    authority: certs.Authority,
    leaf: certs.Leaf,
    *,
    pipelining: bool,
    announced: bool = False,
    shared: shared_queue.SharedOptions | None = None,
) -> tuple[Cell, list[bytes]]:
    """Return what a fault comes to, in the table's words, and the copies of its message that the server has then.

    Args:
        cell: The fault.
        folder: For the queue.
        authority: Of the server's certificate.
        leaf: That certificate.
        pipelining: Whether it is offered.
        announced: Whether the message that meets the fault was announced behind another, which meets none.
        shared: The database in which the queue is, in place of the folder.
    """

    async def all_of_it() -> tuple[Cell, list[bytes]]:
        # However late a busy machine has it answer: nothing here is about how quick the server is.
        patience = mock.patch.object(carriers, "_QUICK_SECONDS", carriers._PROMPT_SECONDS)
        async with _met(cell, folder, authority, leaf, pipelining=pipelining, shared=shared) as meeting:
            with patience:
                found = await _meet(meeting, announced=announced)
            if announced:
                (before,) = (message for message in meeting.server.messages if message.rcpt_to == (_BEFORE,))
                assert before.is_followed
            taken = copies(meeting.server)
        await farewells.over()
        return found, taken

    with asyncio.Runner(loop_factory=virtual_time.SkippableLoop) as runner:
        return runner.run(all_of_it())

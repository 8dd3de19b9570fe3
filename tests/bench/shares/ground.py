"""Where a scenario is played: an arena of a tree's programs, a neighbour in it, and what the neighbour feels."""

import collections.abc
import contextlib
import dataclasses
import http.client
import itertools
import json
import math
import pathlib
import statistics
import tempfile
import threading
import time
import typing

from kit import arena as arena_kit
from kit import dns, smtpd, wait, worlds

ANSWER_SECONDS: typing.Final = 30.0
DELIVERY_SECONDS: typing.Final = 60.0
_LOOK_SECONDS: typing.Final = 0.05
_POLL_SECONDS: typing.Final = 0.005
_PHASE_SECONDS: typing.Final = 60.0
_BETWEEN_SECONDS: typing.Final = 2.5
_QUOTA: typing.Final = "--quota-messages=5000"
"""As an installation has it; the arena's is small."""

_SERVER_NAME: typing.Final = "smtp.neighbour.example"

Measures = dict[str, str]
Launcher = collections.abc.Callable[[pathlib.Path], collections.abc.Sequence[str]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What the neighbour felt.

    Attributes:
        answers: Seconds until the intake answered each of its requests; infinite where it did not.
        deliveries: Seconds from each answer to the server that has the message; the same.
        stalls: Seconds until /healthz answered, which the sender's loop does in no time while it is free.
    """

    answers: tuple[float, ...]
    deliveries: tuple[float, ...]
    stalls: tuple[float, ...]

    def measures(self) -> Measures:
        """Return the worst of each, as people read it."""
        return {
            "a request is answered": _told(self.answers, ANSWER_SECONDS),
            "its mail is delivered": _told(self.deliveries, DELIVERY_SECONDS),
            "the loop answers /healthz": _told(self.stalls, ANSWER_SECONDS),
        }


def _told(seconds: collections.abc.Sequence[float], most: float) -> str:
    if not seconds:
        return "not measured"
    missing = sum(map(math.isinf, seconds))
    if missing == len(seconds):
        return f"never in {most:.0f} s"
    finite = [each for each in seconds if not math.isinf(each)]
    told = f"{statistics.median(finite):.2f} s, at worst {max(finite):.2f} s"
    return f"{told}; {missing} of {len(seconds)} never" if missing else told


class Ground:
    """An arena with a neighbour; at work while its context is entered.

    Args:
        tree: Whose programs are measured.
        arguments: Of the sender, beside the arena's.
        launcher: Returns what starts the sender, before its own command line, from the arena's folder.
        own_server: Whether the neighbour has a server of its own, to which it connects anew for each message;
            otherwise it inherits the host's relay.
        names: Where that server's name is entered; without it the server is named by its address.
        host_delivery: What the host says of its relay's connections.
    """

    def __init__(
        self,
        tree: pathlib.Path,
        *,
        arguments: collections.abc.Sequence[str] = (),
        launcher: Launcher = lambda _folder: (),
        own_server: bool = False,
        names: dns.Server | None = None,
        host_delivery: arena_kit.Json | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._tree = tree
        self._arguments = arguments
        self._launcher = launcher
        self._own_server = own_server
        self._names = names
        self._host_delivery = host_delivery
        self._numbers = itertools.count()
        self.folder: pathlib.Path
        self.arena: arena_kit.Arena
        self.neighbour: arena_kit.Attacker
        self.server: smtpd.Server

    def __enter__(self) -> typing.Self:
        with contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailtier-shares-")))
            self.arena = stack.enter_context(
                arena_kit.Arena(
                    self.folder,
                    tree=self._tree,
                    sender_arguments=[_QUOTA, *self._arguments],
                    launcher=self._launcher(self.folder),
                )
            )
            if self._host_delivery is not None:
                spec = arena_kit.host_spec(self.arena.port, self.arena.token_port)
                spec["delivery"] = self._host_delivery
                self.arena.put(worlds.document("HostEmailSettings", "default", **spec))
            self.neighbour = self.arena.attacker()
            self.server = self.arena.relay
            spec = {"from": {"displayName": "Neighbour"}}
            if self._own_server:
                password = self.arena.secret("the neighbour's password", username="robot")
                self.server = stack.enter_context(
                    self.arena.serve(self.arena.starttls(users={"robot": password}, require_auth=False))
                )
                host = self.server.host
                if self._names is not None:
                    host = _SERVER_NAME
                    self._names.names[host] = [self.server.host]
                self.neighbour.bring(password, endpoint=f"{host}:{self.server.port}")
                spec = arena_kit.own_spec(host, self.server.port)
                spec["delivery"] = {"messagesPerConnection": 1}
            self.neighbour.settings(spec)
            self.neighbour.until_known()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def feel(self, rounds: int) -> Felt:
        """Return what the neighbour feels while it sends so many messages, one in some seconds."""
        answers, deliveries = [], []
        ends_at = time.monotonic() + _PHASE_SECONDS
        with self._watch() as stalls:
            for number in range(rounds):
                if number:
                    time.sleep(_BETWEEN_SECONDS)
                answer, recipient = self._post()
                answers.append(answer)
                if recipient:
                    deliveries.append(self._until_delivered(recipient))
                if time.monotonic() > ends_at:
                    break
        return Felt(answers=tuple(answers), deliveries=tuple(deliveries), stalls=tuple(stalls))

    def memory(self) -> str:
        """Return the most memory that the sender had."""
        return f"{self.arena.sender.child.peak_mib():.0f} MiB"

    def _post(self) -> tuple[float, str]:
        """Return the seconds until a new notification was taken, and its recipient; "" where it was not."""
        recipient = f"probe-{next(self._numbers)}@neighbour.example"
        body = json.dumps(arena_kit.ALERT | {"recipients": [recipient]})
        headers = {"Authorization": f"Bearer {self.neighbour.tenant.token}", "Content-Type": "application/json"}
        sender = self.arena.sender
        started = time.monotonic()
        connection = http.client.HTTPSConnection("127.0.0.1", sender.port, timeout=ANSWER_SECONDS, context=sender.tls)
        try:
            connection.request("POST", self.neighbour.tenant.collection(), body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return math.inf, ""
        finally:
            connection.close()
        return (time.monotonic() - started, recipient) if status == 202 else (math.inf, "")

    def _until_delivered(self, recipient: str) -> float:
        started = time.monotonic()
        try:
            wait.until(
                lambda: any(recipient in message.rcpt_to for message in self.server.messages),
                within_seconds=DELIVERY_SECONDS,
                why=f"{recipient} has its message",
                poll_seconds=_POLL_SECONDS,
            )
        except wait.NotInTimeError:
            return math.inf
        return time.monotonic() - started

    @contextlib.contextmanager
    def _watch(self) -> collections.abc.Iterator[list[float]]:
        """Ask /healthz again and again; give the seconds of each answer."""
        stalls: list[float] = []
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(_LOOK_SECONDS):
                started = time.monotonic()
                connection = http.client.HTTPConnection(
                    "127.0.0.1", self.arena.sender.health_port, timeout=ANSWER_SECONDS
                )
                try:
                    connection.request("GET", "/healthz")
                    connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    stalls.append(math.inf)
                else:
                    stalls.append(time.monotonic() - started)
                finally:
                    connection.close()

        watching = threading.Thread(target=look)
        watching.start()
        try:
            yield stalls
        finally:
            ended.set()
            watching.join()

"""The intake as the commands ask it: refusals, losses, waits, against a server of the test's own."""

import asyncio
import collections.abc
import dataclasses
import json
import math
import re
import typing

import pytest
import pytest_asyncio
from aiohttp import test_utils, web

from kit import certs
from mailtier.api import secret
from mailtier.cli import failures, terminal
from mailtier.cli.online import intake, probing, sending, target

_ACME = target.OrganizationName(namespace="acme", name="default")
_TOKEN = "a.b.c"

Handler = collections.abc.Callable[[web.Request], collections.abc.Awaitable[web.StreamResponse]]


@dataclasses.dataclass(slots=True)
class Sender:
    """A server in place of the sender's intake, whose answers the test decides.

    Attributes:
        answers: One for each request, in their order; the last one stays.
        requests: Path and headers of each request.
    """

    answers: list[Handler] = dataclasses.field(default_factory=list)
    requests: list[tuple[str, typing.Mapping[str, str]]] = dataclasses.field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self.requests.append((request.path_qs, dict(request.headers)))
        await request.read()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def says(status: int, document: object, **headers: str) -> Handler:
    """Return a handler with this answer."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=json.dumps(document), headers=named)

    return answer


def lines(*documents: object) -> Handler:
    """Return a handler that answers with lines of JSON."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="".join(f"{json.dumps(document)}\n" for document in documents))

    return answer


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest_asyncio.fixture
async def reached(ca: certs.Authority) -> collections.abc.AsyncIterator[tuple[Sender, intake.IntakeClient]]:
    """Return a server, and a client of it."""
    sender = Sender()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", sender.handle)
    server = test_utils.TestServer(app, scheme="https", host="localhost")
    await server.start_server(ssl=ca.issue(file_name="intake").server_context())
    url = str(server.make_url("")).rstrip("/")
    address = intake.IntakeAddress(shown=url, url=url, tls=ca.client_context())
    async with intake.IntakeClient(address, secret.Hidden(_TOKEN)) as client:
        yield sender, client
    await server.close()


Reached = tuple[Sender, intake.IntakeClient]


async def test_a_refusal_is_one_line_with_its_fields(reached: Reached) -> None:
    """The problem's detail and the fields at fault are said; nothing of it commands a terminal."""
    sender, client = reached
    problem = {"detail": "two things are wrong\x1b[2J", "errors": [{"pointer": "#/recipients", "detail": "none"}]}
    sender.answers = [says(422, problem)]
    with pytest.raises(intake.RefusedError) as refused:
        await client.look_up("/v1/x")
    assert str(refused.value) == "two things are wrong [2J: recipients: none"
    assert (refused.value.http_status, refused.value.retry_after_seconds) == (422, None)
    assert sender.requests[0][1]["Authorization"] == f"Bearer {_TOKEN}"


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            {
                "detail": "acme/default does not let it through: is not in policy.recipients",
                "errors": [
                    {"pointer": "#/recipients/1", "detail": "is not in policy.recipients"},
                    {"pointer": "#/recipients/2", "detail": "is not in policy.recipients"},
                ],
            },
            (
                "acme/default does not let it through: recipients/1 (b@example.com), recipients/2 (c@example.com):"
                " is not in policy.recipients"
            ),
        ),
        (
            {"detail": "one thing is wrong", "errors": [{"pointer": "#/recipients/9", "detail": "is long"}]},
            "one thing is wrong: recipients/9: is long",
        ),
    ],
)
async def test_a_field_s_fault_is_said_once_with_its_address(
    reached: Reached, problem: dict[str, object], told: str
) -> None:
    """What the intake points at is named by what was sent there, and nothing is said twice."""
    sender, client = reached
    sender.answers = [says(422, problem)]
    content = {"recipients": ["a@example.com", "b@example.com", "c@example.com"]}
    with pytest.raises(intake.RefusedError) as refused:
        await client.notify(_ACME, content, key="k")
    assert str(refused.value) == told


async def test_a_full_queue_is_waited_for_or_not(reached: Reached) -> None:
    """The reason and the seconds are told while it waits; without leave or time to wait the command ends with them."""
    sender, client = reached
    full = says(429, {"detail": "acme has no room"}, Retry_After="0")
    sender.answers = [full, says(202, {"id": "1", "status": "/v1/1"})]
    waited: list[tuple[str, float]] = []
    await sending.hand_over(
        client, _ACME, {}, key="k", deadline=math.inf, wait=lambda why, seconds: waited.append((why, seconds))
    )
    assert waited == [("acme has no room", 0.0)]
    sender.answers = [says(429, {"detail": "acme has no room"}, Retry_After="60")]
    with pytest.raises(failures.CommandError, match="acme has no room; it may be sent again in 60 s") as refused:
        await sending.hand_over(client, _ACME, {}, key="k", deadline=math.inf, wait=None)
    assert refused.value.status == failures.Status.FAILED
    soon = asyncio.get_running_loop().time() + 30
    with pytest.raises(failures.CommandError, match="in 60 s: wait for that with a longer --timeout") as late:
        await sending.hand_over(client, _ACME, {}, key="k", deadline=soon, wait=lambda _why, _seconds: None)
    assert late.value.status == failures.Status.TIMED_OUT


def test_a_wait_says_until_when(capsys: pytest.CaptureFixture[str]) -> None:
    """A moment in UTC, as RFC 3339 has it, in one line without controls."""
    terminal.note_wait("no room\x1b[2J", 7)
    told = capsys.readouterr().err
    assert re.fullmatch(r"mailtier: no room \[2J; waiting until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", told)


@pytest.mark.parametrize(
    ("status", "after", "seconds"), [(429, "7", 7.0), (503, "2", 2.0), (403, "7", None), (429, "soon", None)]
)
async def test_only_what_may_pass_is_asked_again(
    reached: Reached, status: int, after: str, seconds: float | None
) -> None:
    """A wait is told for 429 and 503 that name one, and for nothing else."""
    sender, client = reached
    sender.answers = [says(status, {}, Retry_After=after)]
    with pytest.raises(intake.RefusedError) as refused:
        await client.look_up("/v1/x")
    assert refused.value.retry_after_seconds == seconds


async def test_a_lost_answer_is_sent_again_under_the_same_key(reached: Reached) -> None:
    """Nobody knows whether it was taken: the same key makes it one notification."""
    sender, client = reached
    sender.answers = [hangs_up, says(202, {"id": "1", "status": "/v1/1"})]
    sent = await sending.hand_over(
        client, _ACME, {"category": "JobAlert"}, key="k", deadline=math.inf, wait=lambda _why, _seconds: None
    )
    assert (sent.id, sent.path) == ("1", "/v1/1")
    assert [headers["Idempotency-Key"] for _, headers in sender.requests] == ["k", "k"]


async def test_a_sender_that_is_gone_is_told(reached: Reached) -> None:
    """After a few losses the command gives up, with what is so."""
    sender, client = reached
    sender.answers = [hangs_up]
    with pytest.raises(intake.UnreachableError, match="cannot be reached"):
        await sending.hand_over(client, _ACME, {}, key="k", deadline=math.inf, wait=lambda _why, _seconds: None)


async def test_a_notification_is_followed_through_an_outage(reached: Reached) -> None:
    """Each change is shown once, and a sender that restarts meanwhile is waited for."""
    sender, client = reached

    def record(state: str, *, complete: bool) -> Handler:
        recipient = {"address": "a@b", "state": state, "reason": "", "message": ""}
        return says(200, {"id": "1", "complete": complete, "recipients": [recipient]})

    sender.answers = [
        record("queued", complete=False),
        record("queued", complete=False),
        hangs_up,
        says(503, {}, Retry_After="0"),
        record("accepted", complete=True),
    ]
    shown: list[str] = []
    sent = sending.Sent(id="1", path="/v1/1")
    await sending.follow(client, sent, show=lambda recipient: shown.append(recipient["state"]))
    assert (shown, sent.ok) == (["queued", "accepted"], True)


async def test_a_probe_waits_for_leave_if_that_fits_into_the_time(reached: Reached) -> None:
    """One that does not fit ends at once, with the status of a time-out."""
    sender, client = reached
    result = {"reason": "Verified", "ok": True, "message": "Fine."}
    sender.answers = [says(429, {"detail": "later"}, Retry_After="0"), lines({"stage": "dns", "ok": True}, result)]
    waited: list[tuple[str, float]] = []
    shown: list[dict[str, object]] = []

    def wait(why: str, seconds: float) -> None:
        waited.append((why, seconds))

    report = await probing.follow(client, _ACME, seconds=20, show=shown.append, wait=wait)
    assert (report.ok, len(report.stages), len(shown), waited) == (True, 1, 2, [("later", 0.0)])
    sender.answers = [says(429, {"detail": "later"}, Retry_After="60")]
    with pytest.raises(failures.CommandError, match="--timeout") as late:
        await probing.follow(client, None, seconds=5, show=shown.append, wait=wait)
    assert late.value.status == failures.Status.TIMED_OUT
    assert sender.requests[-1][0] == "/v1/host/probes"


async def test_both_of_two_servers_are_probed(reached: Reached) -> None:
    """The fallback after the first, under its own address; all is well only where both are, and programs read both."""
    sender, client = reached
    first = {"reason": "Verified", "ok": True, "message": "Fine.", "server": "a:587", "fallback": "b:587"}
    second = {"reason": "ConnectionFailed", "ok": False, "message": "Nobody.", "server": "b:587"}
    sender.answers = [lines({"stage": "dns", "ok": True}, first), lines({"stage": "dns", "ok": True}, second)]
    turns: list[str] = []
    report = await probing.follow(
        client,
        _ACME,
        seconds=20,
        show=lambda _line: None,
        wait=lambda _why, _seconds: None,
        turn=turns.append,
        again=True,
    )
    paths = [path for path, _ in sender.requests]
    assert [path.partition("?")[2] for path in paths] == ["again=true", "again=true&server=fallback"]
    assert (turns, report.ok) == (["b:587"], False)
    document = json.loads(probing.as_json("acme", report))
    assert (document["result"]["server"], document["fallback"]["result"]["ok"]) == ("a:587", False)


async def test_a_probe_without_an_end_is_a_time_out(reached: Reached) -> None:
    """The command ends when its time is over, whatever the sender does."""
    sender, client = reached
    ended = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await ended.wait()
        return answer

    sender.answers = [hang]
    with pytest.raises(failures.CommandError, match="no result within") as late:
        await probing.follow(client, _ACME, seconds=0.2, show=lambda _line: None, wait=lambda _why, _seconds: None)
    ended.set()
    assert late.value.status == failures.Status.TIMED_OUT


async def test_an_answer_of_somebody_else_is_told(reached: Reached) -> None:
    """What is no JSON object does not come from the intake."""
    sender, client = reached
    sender.answers = [says(200, ["a", "list"])]
    with pytest.raises(intake.UnreachableError, match="is it Mailtier"):
        await client.look_up("/v1/x")


@pytest.mark.parametrize(
    "document", [{}, {"id": "1"}, {"id": 1, "status": "/v1/1"}, {"id": "1", "status": "@elsewhere.example/"}]
)
async def test_what_takes_nothing_is_not_the_intake(reached: Reached, document: dict[str, object]) -> None:
    """An object without an id and a path, as another server may answer, is told and no traceback."""
    sender, client = reached
    sender.answers = [says(200, document)]
    with pytest.raises(intake.UnreachableError, match="is it Mailtier"):
        await client.notify(_ACME, {}, key="k")


@pytest.mark.parametrize("recipients", [None, {}, ["a"], [{"address": "a@example.com", "state": "queued"}]])
async def test_what_tells_of_no_recipients_is_not_the_intake(reached: Reached, recipients: object) -> None:
    """A record whose recipients are none, or are told of in half, is somebody else's."""
    sender, client = reached
    sender.answers = [says(200, {"complete": False, "recipients": recipients})]
    with pytest.raises(intake.UnreachableError, match="is it Mailtier"):
        await client.look_up("/v1/x")


async def test_a_line_without_an_end_is_not_the_intake_s(reached: Reached) -> None:
    """A probe's line that is longer than any of ours is told, and not read on."""
    sender, client = reached
    sender.answers = [lines({"stage": "dns", "message": "x" * 1_000_000})]
    with pytest.raises(intake.UnreachableError, match="is it Mailtier"):
        await probing.follow(client, _ACME, seconds=20, show=lambda _line: None, wait=lambda _why, _seconds: None)


async def test_a_probe_that_ends_in_the_middle_is_no_result(reached: Reached) -> None:
    """Stages without a result are a loss, not a success."""
    sender, client = reached
    sender.answers = [lines({"stage": "dns", "ok": True, "message": ""})]
    with pytest.raises(intake.UnreachableError, match="middle"):
        await probing.follow(client, _ACME, seconds=20, show=lambda _line: None, wait=lambda _why, _seconds: None)


async def test_a_stage_that_failed_counts_where_the_fallback_has_to_wait(reached: Reached) -> None:
    """A pipeline reads from the status that the server is wrong, not that there was too little time."""
    sender, client = reached
    first = {"reason": "ConnectFailed", "ok": False, "message": "No.", "server": "a:587", "fallback": "b:587"}
    late = says(429, {"title": "Probed lately", "detail": "the next in 60 s"}, Retry_After="60")
    for ok, status in ((False, failures.Status.FAILED), (True, failures.Status.TIMED_OUT)):
        sender.answers = [lines({**first, "ok": ok}), late]
        with pytest.raises(failures.CommandError, match="the next in 60 s") as caught:
            await probing.follow(client, _ACME, seconds=5, show=lambda _line: None, wait=lambda _why, _seconds: None)
        assert caught.value.status is status

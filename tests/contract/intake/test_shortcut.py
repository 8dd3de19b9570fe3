"""The short way of a notification that comes alone answers as the usual way does, and is taken where it may be."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import json
import pathlib
import re
import ssl
import typing

from kit import certs, queues, ways_in, written
from mailtier.kube import reviews
from mailtier.sender.intake import far_delivery
from mailtier.sender.intake.http import certificates, problems, server, service
from mailtier.sender.storage.sqlite import embedded

_PATH = "/v1/namespaces/team-a/organizations/default/notifications"
_TOKEN = "Bearer good"
_NOTIFICATION = {"category": "JobAlert", "text": "it failed", "recipients": ["a@example.org"]}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_DATE = re.compile(r"Date: [^\r]*")
_WITHIN = 20.0


@dataclasses.dataclass(slots=True)
class _Gate:
    """Lets one token in, and knows it from the second time on."""

    remembers: bool
    asked: int = 0

    def known(self, authorization: str | None, _namespace: str) -> reviews.Identity | None:
        return (
            reviews.Identity(username="tester") if self.remembers and self.asked and authorization == _TOKEN else None
        )

    async def admit(self, authorization: str | None, _namespace: str, *, client_address: str) -> reviews.Identity:
        del client_address
        self.asked += 1
        if authorization != _TOKEN:
            raise problems.HttpProblem(problems.NOT_AUTHENTICATED, "who are you?")
        return reviews.Identity(username="tester")


class _Desk:
    """Where nobody asks."""

    async def drain(self) -> None:
        """Do nothing."""


@dataclasses.dataclass(slots=True, kw_only=True)
class _Intake:
    """An intake."""

    serving: server.Server
    port: int
    tls: ssl.SSLContext

    def usual(self) -> int:
        """Return how many requests went the usual way."""
        assert self.serving._runner is not None
        assert self.serving._runner.server is not None
        return self.serving._runner.server.requests_count

    async def ask(self, *requests: bytes) -> list[str]:
        """Return the answers to requests on one connection, but for their times and with one and the same id."""
        opening = asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname="localhost")
        async with asyncio.timeout(_WITHIN):
            reader, writer = await opening
            told = []
            for data in requests:
                writer.write(data)
                told.append(await _answer(reader))
            writer.close()
        return told


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    (length,) = re.findall(r"(?i)\ncontent-length: (\d+)", head)
    body = (await reader.readexactly(int(length))).decode()
    first, *headers = _DATE.sub("Date: now", head).split("\r\n")
    return _ID.sub("ID", "\n".join([first, *sorted(headers), body]))


def _certified(folder: pathlib.Path) -> certs.Authority:
    """Put a certificate into a new folder, and return who issued it."""
    folder.mkdir()
    authority = certs.Authority(folder)
    leaf = authority.issue("localhost")
    for made, name in ((leaf.cert_path, "tls.crt"), (leaf.key_path, "tls.key")):
        (folder / name).write_bytes(made.read_bytes())
    return authority


@contextlib.asynccontextmanager
async def _intake(folder: pathlib.Path, *, remembers: bool) -> collections.abc.AsyncIterator[_Intake]:
    authority = _certified(folder)
    settings = written.WrittenSettings()
    settings.put(ways_in.settings())
    gate = _Gate(remembers=remembers)
    async with contextlib.AsyncExitStack() as stack:
        queue = await embedded.open_queue(folder / "queue", now=queues.Clock(), limits=queues.LIMITS)
        stack.push_async_callback(queue.close)
        anything: typing.Any = lambda *_told: None  # noqa: E731
        parts: dict[str, typing.Any] = {
            "gate": gate,
            "settings": settings,
            "queue": queue,
            "taking": ways_in.taker(queue, ways_in.Handed()),
            "desk": _Desk(),
            "delivery": far_delivery.FarDelivery(queue, on_pending=anything, on_asked=anything, now=queues.Clock()),
        }
        serving = server.Server(service.Parts(**parts), source=certificates.MountedCertificates(folder))
        port = await serving.open("127.0.0.1", 0)
        stack.push_async_callback(serving.close)
        tls = ssl.create_default_context(cafile=authority.ca_path)
        yield _Intake(serving=serving, port=port, tls=tls)


def _post(
    content: object = _NOTIFICATION, *, path: str = _PATH, token: str = _TOKEN, first: str = "", **more: str
) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in more.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{first}{lines}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


_SHORT = {
    "plain": _post(),
    "with a charset": _post(Content_Type="application/json; charset=utf-8"),
    "with a key": _post(Idempotency_Key="k-1"),
    "the same again": _post(Idempotency_Key="k-1"),
    "another with its key": _post({**_NOTIFICATION, "text": "another"}, Idempotency_Key="k-1"),
    "with a malformed key": _post(Idempotency_Key="two words"),
    "with two keys": _post(first="Idempotency-Key: a\r\n", Idempotency_Key="b"),
    "no JSON": _post(b"{"),
    "a name twice": _post(b'{"category": "JobAlert", "category": "JobAlert", "recipients": ["a@example.org"]}'),
    "an invalid field": _post({**_NOTIFICATION, "category": "Spam"}),
    "to nobody": _post({**_NOTIFICATION, "recipients": []}),
    "beyond ASCII": _post({**_NOTIFICATION, "text": "\u00fc\u2013\U0001f4e8"}),
}
"""What takes the short way, once the caller is known."""

_USUAL = {
    "an unknown organization": _post(path=_PATH.replace("default", "other")),
    "an escaped path": _post(path=_PATH.replace("team-a", "team%2Da")),
    "a query": _post(path=f"{_PATH}?a=b"),
    "another medium": _post(Content_Type="text/plain"),
    "an encoded body": _post(Content_Encoding="identity"),
    "an unknown expectation": _post(Expect="200-ok"),
    "an unknown caller": _post(token="Bearer bad"),
}
"""What goes the usual way in any case."""


async def test_both_ways_answer_alike(tmp_path: pathlib.Path) -> None:
    """Status, headers and body are the same by either way, also where the body is refused."""
    async with (
        _intake(tmp_path / "short", remembers=True) as short,
        _intake(tmp_path / "usual", remembers=False) as usual,
    ):
        requests = [_post(), *_SHORT.values()]
        taken, expected = await short.ask(*requests), await usual.ask(*requests)
        assert dict(zip(["first", *_SHORT], taken, strict=True)) == dict(zip(["first", *_SHORT], expected, strict=True))
        assert [each.split()[1] for each in taken] == [
            *("202", "202", "202", "202", "202", "409", "400", "400", "400", "400", "422", "422", "202")
        ]
        assert (short.usual(), usual.usual()) == (1, len(requests))


async def test_what_is_not_plain_goes_the_usual_way(tmp_path: pathlib.Path) -> None:
    """A request that is not as most are is judged where all are, and so are callers that are not known."""
    async with (
        _intake(tmp_path / "short", remembers=True) as short,
        _intake(tmp_path / "usual", remembers=False) as usual,
    ):
        await short.ask(_post())
        await usual.ask(_post())
        for number, (name, request) in enumerate(_USUAL.items(), start=2):
            assert await short.ask(request) == await usual.ask(request), name
            assert short.usual() == number, name

"""Health, readiness and metrics over HTTP."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web

from kit import wait
from mailtier.serving import health
from mailtier.telemetry import metrics


async def ask(port: int, path: str) -> tuple[int, str]:
    """Return status and text of an answer."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_readiness_says_what_is_missing() -> None:
    """Every failed check is a line with its sentence, and 503 until none is left; health does not depend on it."""
    missing: dict[str, str | None] = {"queue": "the volume is full", "kubernetes": "not listed yet", "intake": None}
    checks: dict[str, health.Check] = {name: lambda name=name: missing[name] for name in missing}  # type: ignore[misc]
    app = health.application("sender", ready=checks)
    async with health.serve(app, host="127.0.0.1", port=0) as port:
        assert await ask(port, "/readyz") == (503, "queue: the volume is full\nkubernetes: not listed yet\n")
        assert await ask(port, "/healthz") == (200, "ok\n")
        missing.update(dict.fromkeys(missing))
        assert await ask(port, "/readyz") == (200, "ok\n")


@pytest.mark.parametrize("request_line", [b"GET /healthz HTTP/1.1", b"GET /none HTTP/1.1", b"\0\0"])
async def test_answers_do_not_tell_what_they_are_made_with(request_line: bytes) -> None:
    """Whatever is asked, and however badly, neither the library nor Python is named, nor their versions."""
    async with health.serve(health.application("sender", ready={}), host="127.0.0.1", port=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert b"\r\nServer: mailtier\r\n" in answer
    assert b"ython" not in answer
    assert b"aiohttp" not in answer


async def test_broken_check_is_a_failed_one() -> None:
    """A check that raises makes the process unready, and says nothing of why to whoever asks."""

    def broken() -> str | None:
        raise ValueError("hunter2")

    app = health.application("sender", ready={"broken": broken}, alive={"broken": broken})
    async with health.serve(app, host="127.0.0.1", port=0) as port:
        for path in ("/readyz", "/healthz"):
            status, text = await ask(port, path)
            assert status == 503
            assert "hunter2" not in text


@pytest.mark.parametrize(("role", "name"), [("operator", "mailtier_leader"), ("sender", "mailtier_sessions_open")])
async def test_metrics_are_those_of_the_role(role: metrics.Role, name: str) -> None:
    """Prometheus reads the metrics of the process's role in its text format."""
    app = health.application(role, ready={})
    async with (
        health.serve(app, host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
        assert f"\n{name} " in await answer.text()


async def test_more_routes_share_the_port() -> None:
    """A page of the process's own can stand beside them."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = health.application("operator", ready={}, routes=[web.get("/", page)])
    async with health.serve(app, host="127.0.0.1", port=0) as port:
        assert await ask(port, "/") == (200, "hello")


async def test_every_address_is_served_without_a_host() -> None:
    """Without a host, the port is open on IPv4."""
    async with health.serve(health.application("operator", ready={}), host="", port=0) as port:
        assert port > 0


async def test_probes_are_answered_however_many_hold_on() -> None:
    """Hundreds of connections that say nothing, from four addresses, delay no probe of the kubelet (R15)."""
    held: list[socket.socket] = []
    async with health.serve(health.application("sender", ready={}), host="127.0.0.1", port=0) as port:
        try:
            for number in range(400):
                source = (f"127.0.0.{2 + number % 4}", 0)
                held.append(socket.create_connection(("127.0.0.1", port), source_address=source, timeout=10))
                if not number % 20:
                    async with asyncio.timeout(10):
                        assert await ask(port, "/readyz") == (200, "ok\n")

            async def bounded() -> bool:
                return sum(not _is_closed(each) for each in held) <= health.LIMITS.connections

            await wait.until_async(bounded, within_seconds=4, why="no more are held than the port has places")
        finally:
            for each in held:
                each.close()


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)  # noqa: FBT003 - The only form there is.
    with contextlib.suppress(BlockingIOError):
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True
    return False


async def test_an_answer_ends_its_connection() -> None:
    """Nobody stays: whoever asks again connects again."""
    async with health.serve(health.application("sender", ready={}), host="127.0.0.1", port=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX s3cr3t\r\n\r\n",
        b"GET /s3cr3t HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: s3cr3t\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"s3cr3t" * 2000 + b"\r\n\r\n",
        b"s3cr3t\r\n\r\n",
    ],
)
async def test_what_cannot_be_read_is_not_quoted(head: bytes) -> None:
    """A request that is no HTTP is refused without a word of it."""
    async with health.serve(health.application("sender", ready={}), host="127.0.0.1", port=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
        assert b"s3cr3t" not in answer

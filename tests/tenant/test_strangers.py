"""Strangers: connections that say nothing or never end, from whoever reaches the ports."""

import contextlib
import socket
import ssl
import time
import urllib.request

from kit import arena as arena_kit
from kit import attacks, hostile, intake, smtpd, tokens, wait
from mailtier.sender.intake.http import openapi
from mailtier.serving import health, listener

_SOURCES = [f"127.0.6.{number}" for number in range(1, 5)]

ATTACKS = (
    attacks.Story(
        name="four-pods-hold-the-intake",
        test="test_silent_connections_lock_nobody_out",
        rules=("R10", "R15"),
        story="Four pods without a token open connections to the intake until no place is left, and say nothing.",
        stopped_by="a newcomer gets the place of the address that has the most",
    ),
    attacks.Story(
        name="idle-after-the-handshake",
        test="test_silent_connections_lock_nobody_out",
        rules=("R10", "R15"),
        story="The pods finish their handshakes before they fall silent, to look like clients that keep a connection.",
        stopped_by="a connection stays only for whom a request let in",
    ),
    attacks.Story(
        name="probes-that-wait",
        test="test_probes_that_wait_lock_nobody_out",
        rules=("R15",),
        story="Four pods of a tenant ask on every connection for a probe of a server that says nothing: whoever asks"
        " joins the probe that waits for the one before it, and holds a place that no newcomer gets.",
        stopped_by="a namespace has eight open answers to probes, and all together a quarter of the places, of which"
        " half is for namespaces that have none",
    ),
    attacks.Story(
        name="hold-the-probes",
        test="test_silent_connections_restart_no_container",
        rules=("R15",),
        story="The pods hold thousands of connections to the port of health, so that the kubelet ends the container.",
        stopped_by="a newcomer gets the place of the address that has the most",
    ),
    attacks.Story(
        name="a-review-for-each-forged-token",
        test="test_forged_tokens_reach_no_api_server",
        rules=("R13", "R15"),
        story="A pod sends one forged token after another, each of which would be asked about at the API server.",
        stopped_by="signatures are checked against the cluster's keys first",
    ),
    attacks.Story(
        name="a-made-up-key-for-each-token",
        test="test_forged_tokens_reach_no_api_server",
        rules=("R13", "R15"),
        story="Each token names another key, so that the cluster's keys are read anew for it.",
        stopped_by="the keys are read no more often than every ten seconds",
    ),
)


def _hold(stack: contextlib.ExitStack, port: int, source: str, *, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Return a connection that says nothing more, until the stack ends."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    stack.callback(connection.close)
    # It may have had to make room already.
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        if tls is not None:
            stack.callback(tls.wrap_socket(connection, server_hostname="localhost").close)
    return connection


def _is_open(connection: socket.socket) -> bool:
    """Return whether the other side has not ended a connection."""
    connection.setblocking(False)  # noqa: FBT003 - The only form there is.
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_silent_connections_lock_nobody_out(attacker: arena_kit.Attacker) -> None:
    """Another tenant is served while four addresses hold, with handshakes and without, all they can get (R10, R15)."""
    arena = attacker.arena
    attacker.settings({})
    attacker.until_known()
    with contextlib.ExitStack() as stack:
        for number in range(listener.Limits().connections - 8):
            _hold(stack, arena.sender.port, _SOURCES[number % 4], tls=arena.sender.tls)
        for _ in range(3):
            before = time.monotonic()
            assert arena.loop.run(_post_anew(attacker)) == 202
            # Long before idle connections end by themselves.
            assert time.monotonic() - before < listener.IDLE_SECONDS / 3
            for source in _SOURCES:
                _hold(stack, arena.sender.port, source)


async def _post_anew(attacker: arena_kit.Attacker) -> int:
    """Return the status of a notification that is sent on a connection of its own."""
    running = attacker.arena.sender
    async with intake.Client(running.url, running.tls) as client:
        answer = await client.post(attacker.tenant, arena_kit.ALERT | {"recipients": ["ops@sales.example"]})
    return answer.status


def _demand(stack: contextlib.ExitStack, attacker: arena_kit.Attacker, source: str) -> bytes:
    """Return how the answer to a request for a probe begins, on a connection that is held until the stack ends."""
    running = attacker.arena.sender
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=10, source_address=(source, 0))
    secured = stack.enter_context(running.tls.wrap_socket(connection, server_hostname="localhost"))
    path = openapi.PROBES.format(namespace=attacker.namespace, organization="default")
    secured.sendall(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {attacker.tenant.token}\r\n\r\n".encode()
    )
    return secured.recv(12)


def test_probes_that_wait_lock_nobody_out(arena: arena_kit.Arena) -> None:
    """Of 256 connections that ask for a probe eight are answered, and another tenant is served at once (R15)."""
    attacker, innocent = arena.attacker(), arena.attacker()
    innocent.settings({})
    innocent.until_known()
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(arena.serve(smtpd.Options()))
        silent.script.on(smtpd.GREETING, hostile.silence())
        attacker.bring(arena.secret("probes-that-wait", username="robot"), endpoint=silent.host)
        timeouts = {"session": "30s", "envelope": "60s", "message": "10m"}
        attacker.settings(attacker.own(silent, delivery={"timeouts": timeouts}))
        attacker.until_known()
        wait.until(lambda: silent.open_connections > 0, within_seconds=10, why="the sender's own probe waits")
        count = listener.Limits().connections
        answers = [_demand(stack, attacker, _SOURCES[number % 4]) for number in range(count)]
        assert arena.loop.run(_post_anew(innocent)) == 202
        assert answers.count(b"HTTP/1.1 200") == 8
        assert answers.count(b"HTTP/1.1 429") == count - 8


def test_silent_connections_restart_no_container(arena: arena_kit.Arena) -> None:
    """The kubelet's probes are answered in time while four addresses hold all that the port gives (R15)."""
    with contextlib.ExitStack() as stack:
        held = [
            _hold(stack, arena.sender.health_port, _SOURCES[number % 4])
            for number in range(5 * health.LIMITS.connections)
        ]
        wait.until(
            lambda: sum(map(_is_open, held)) <= health.LIMITS.connections,
            within_seconds=health.LIMITS.opening_seconds - 1,
            why="no more are held than the port has places",
        )
        for path in ("healthz", "readyz", "metrics"):
            url = f"http://127.0.0.1:{arena.sender.health_port}/{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:  # Our own, on loopback.
                assert answer.status == 200


def _asked(arena: arena_kit.Arena, resource: str) -> int:
    """Return how often the sender has asked the API server for something."""
    url = f"http://127.0.0.1:{arena.sender.health_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:  # Our own, on loopback.
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith("mailtier_kubernetes_requests_total{") and resource in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in counted)


def test_forged_tokens_reach_no_api_server(attacker: arena_kit.Attacker) -> None:
    """A hundred forged tokens are refused without one review, and a real one is let in between them (R13, R15)."""
    arena = attacker.arena
    attacker.settings({})
    attacker.until_known()
    claims = {"aud": ["mailtier"], "exp": time.time() + 600, "sub": "system:serviceaccount:kube-system:default"}
    real = tokens.key_id(tokens.read_key(arena.cluster.signing_key))
    before = {resource: _asked(arena, resource) for resource in ("tokenreviews", "/openid/v1/jwks")}
    started = time.monotonic()
    for number in range(100):
        token = tokens.signed(claims | {"jti": str(number)}, tokens.new_key(), named=real if number % 2 else None)
        assert attacker.post(arena_kit.ALERT, token=token).status == 401
    assert attacker.post(arena_kit.ALERT | {"recipients": ["ops@sales.example"]}).status == 202
    # The tenant's own token was reviewed within the last minute; the run may have been slower.
    assert _asked(arena, "tokenreviews") - before["tokenreviews"] <= 1 + (time.monotonic() - started) // 60
    read = _asked(arena, "/openid/v1/jwks") - before["/openid/v1/jwks"]
    assert read <= 1 + (time.monotonic() - started) // 10

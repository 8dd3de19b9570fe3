"""The connection is read from a pod's ServiceAccount or a kubeconfig, and its credentials stay fresh."""

import collections.abc
import contextlib
import pathlib
import ssl
import textwrap
import typing

import pytest
import pytest_asyncio
from aiohttp import test_utils, web

from kit import certs
from mailtier.kube import client, configuration, errors, paths

_PATH = paths.namespaces("default")


async def echo(request: web.Request) -> web.Response:
    """Answer with the request's credentials."""
    assert request.transport is not None
    peer = request.transport.get_extra_info("peercert")
    sent = {"authorization": request.headers.get("Authorization"), "agent": request.headers["User-Agent"]}
    return web.json_response({**sent, "certificate": bool(peer)})


Start = collections.abc.Callable[[ssl.SSLContext], collections.abc.Awaitable[int]]


@pytest_asyncio.fixture
async def start() -> collections.abc.AsyncIterator[Start]:
    """Return a coroutine function that serves with a TLS context and gives the port."""
    async with contextlib.AsyncExitStack() as stack:

        async def serve(context: ssl.SSLContext) -> int:
            app = web.Application()
            app.router.add_get("/{path:.*}", echo)
            server = test_utils.TestServer(app, scheme="https")
            await server.start_server(ssl=context)
            stack.push_async_callback(server.close)
            assert server.port is not None
            return server.port

        yield serve


@pytest.fixture
def account(tmp_path: pathlib.Path, ca: certs.Authority) -> pathlib.Path:
    """Return a folder as the kubelet mounts it."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("first\n", encoding="utf-8")
    (folder / "ca.crt").write_text(ca.ca_pem, encoding="utf-8")
    (folder / "namespace").write_text("mailtier-system", encoding="utf-8")
    return folder


async def ask(connection: configuration.Connection) -> dict[str, typing.Any]:
    """Return what the server was sent."""
    async with client.Client(connection) as api:
        return await api.get(_PATH)


async def test_pod_reads_its_token_for_every_request(
    start: Start, ca: certs.Authority, account: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotated token is used by the next request of the same session; the namespace is the pod's."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(await start(ca.issue(file_name="api").server_context())))
    connection = configuration.load(account=account)
    assert connection.namespace == "mailtier-system"
    async with client.Client(connection) as api:
        assert (await api.get(_PATH))["authorization"] == "Bearer first"
        (account / "token").write_text("second", encoding="utf-8")
        assert (await api.get(_PATH))["authorization"] == "Bearer second"
        assert str((await api.get(_PATH))["agent"]).startswith("mailtier/")
        (account / "token").unlink()
        with pytest.raises(errors.UnavailableError):
            await api.get(_PATH)
    assert "first" not in repr(connection)


async def test_stranger_in_place_of_the_apiserver_gets_no_token(
    start: Start, account: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of another authority ends the handshake, before anything is sent."""
    stranger = certs.Authority(tmp_path / "stranger")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(await start(stranger.issue().server_context())))
    with pytest.raises(errors.UnavailableError, match="Certificate"):
        await ask(configuration.load(account=account))


async def test_other_servers_get_no_token(start: Start, ca: certs.Authority) -> None:
    """A session sends the credentials to its own server alone (R1)."""

    async def authorization() -> str | None:
        return "Bearer mine"

    ports = [await start(ca.issue(file_name=name).server_context()) for name in ("own", "other")]
    connection = configuration.Connection(
        server=f"https://127.0.0.1:{ports[0]}", namespace="a", tls=ca.client_context(), authorization=authorization
    )
    async with configuration.new_session(connection) as session:
        sent = []
        for port in ports:
            async with session.get(f"https://127.0.0.1:{port}/") as answer:
                sent.append((await answer.json())["authorization"])
    assert sent == ["Bearer mine", None]


def kubeconfig(path: pathlib.Path, *, cluster: str, user: str) -> pathlib.Path:
    """Return a kubeconfig of one cluster and one user, given as YAML flow mappings."""
    path.write_text(
        textwrap.dedent(f"""\
            apiVersion: v1
            kind: Config
            current-context: one
            clusters: [{{name: one, cluster: {cluster}}}]
            users: [{{name: one, user: {user}}}]
            contexts: [{{name: one, context: {{cluster: one, user: one}}}}]
            """),
        encoding="utf-8",
    )
    return path


async def test_client_certificate_of_a_kubeconfig(start: Start, ca: certs.Authority, tmp_path: pathlib.Path) -> None:
    """A user with a client certificate shows it; without a namespace in the context it is `default`."""
    context = ca.issue(file_name="api").server_context()
    context.load_verify_locations(ca.ca_path)
    context.verify_mode = ssl.CERT_REQUIRED
    port = await start(context)
    ca.issue("me", file_name="me")
    folder = ca.ca_path.parent
    file = kubeconfig(
        tmp_path / "kubeconfig",
        cluster=f"{{server: 'https://127.0.0.1:{port}', certificate-authority: {ca.ca_path}}}",
        user=f"{{client-certificate: {folder / 'me.pem'}, client-key: {folder / 'me.key'}}}",
    )
    connection = configuration.load(kubeconfig=file)
    assert connection.namespace == "default"
    assert configuration.load(kubeconfig=file, namespace="other").namespace == "other"
    sent = await ask(connection)
    assert (sent["authorization"], sent["certificate"]) == (None, True)


async def test_server_name_of_a_kubeconfig(start: Start, ca: certs.Authority, tmp_path: pathlib.Path) -> None:
    """`tls-server-name` is the name that the certificate is checked for; `insecure-skip-tls-verify` skips it."""
    port = await start(ca.issue("api.internal", file_name="api", loopback=False).server_context())
    server = f"server: 'https://127.0.0.1:{port}'"
    trusted = f"{server}, certificate-authority: {ca.ca_path}"
    user = "{token: mine}"
    file = tmp_path / "kubeconfig"
    with pytest.raises(errors.UnavailableError, match="Certificate"):
        await ask(configuration.load(kubeconfig=kubeconfig(file, cluster=f"{{{trusted}}}", user=user)))
    named = f"{{{trusted}, tls-server-name: api.internal}}"
    insecure = f"{{{server}, insecure-skip-tls-verify: true}}"
    for cluster in (named, insecure):
        sent = await ask(configuration.load(kubeconfig=kubeconfig(file, cluster=cluster, user=user)))
        assert sent["authorization"] == "Bearer mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be used: "),
        ("[]", "is not a kubeconfig"),
        ("{", "is not a kubeconfig"),
        ("some text", "is not a kubeconfig"),
        ("clusters: []", "cannot be used: "),
        ("current-context: missing\nclusters: []", "cannot be used: "),
    ],
)
def test_broken_kubeconfig_is_told(tmp_path: pathlib.Path, text: str, said: str) -> None:
    """A kubeconfig that cannot be used is a ConfigurationError without Python's own words, and says what to do."""
    file = tmp_path / "kubeconfig"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(errors.ConfigurationError) as raised:
        configuration.load(kubeconfig=file)
    assert f"{file} {said}" in str(raised.value)
    assert str(raised.value).endswith("; name one with --kubeconfig or KUBECONFIG")


def test_missing_kubeconfig_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is a ConfigurationError that names it, whoever chose it."""
    missing = tmp_path / "missing"
    with pytest.raises(errors.ConfigurationError, match=str(missing)):
        configuration.load(kubeconfig=missing)
    monkeypatch.setenv("KUBECONFIG", f"{missing}")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(errors.ConfigurationError, match=f"{missing} does not exist; name one with"):
        configuration.load()


@pytest.mark.parametrize("missing", ["token", "ca.crt", "namespace"])
def test_incomplete_service_account_is_told(
    account: pathlib.Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """A pod without a part of its ServiceAccount says so."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (account / missing).unlink()
    with pytest.raises(errors.ConfigurationError, match="ServiceAccount"):
        configuration.load(account=account)

"""Where the Kubernetes API is and how we prove who we are.

`kubernetes` reads the configuration (contexts, certificates, exec plugins, proxies); the requests themselves go
through one aiohttp session, which costs a fifth of the CPU of the generated client per request.
"""

import asyncio
import dataclasses
import os
import pathlib
import ssl
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp
import kubernetes.client
import kubernetes.config

import mailtier
from mailtier.kube import errors, trust

_ACCOUNT: Final = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REFRESH_SECONDS: Final = 10.0
_CONNECTION_LIMIT: Final = 64
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_NAME_ONE: Final = "name one with --kubeconfig or KUBECONFIG"

Authorization = Callable[[], Awaitable[str | None]]
"""Returns the value of the Authorization header for the next request; None for none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An apiserver and our credentials for it.

    Attributes:
        server: URL without a trailing slash; it may have a path.
        namespace: Our own in a cluster, the context's outside; `default` where neither says.
        tls: None for a server without TLS (`kubectl proxy`).
        tls_server_name: The name its certificate is checked for, where it is not the URL's.
        proxy: URL of a proxy; None without one.
        authorization: Credentials, asked for anew at each request, because tokens rotate.
    """

    server: str
    namespace: str
    tls: ssl.SSLContext | None = None
    tls_server_name: str | None = None
    proxy: str | None = None
    authorization: Authorization = dataclasses.field(repr=False)


def load(
    *,
    context: str | None = None,
    kubeconfig: pathlib.Path | None = None,
    namespace: str | None = None,
    account: pathlib.Path = _ACCOUNT,
) -> Connection:
    """Return the connection of the pod's ServiceAccount, or of a kubeconfig.

    A kubeconfig is used when it or a context is asked for, and outside a cluster ($KUBECONFIG, `~/.kube/config`).

    Args:
        context: The kubeconfig's context; its current one by default.
        kubeconfig: The file.
        namespace: Overrides the namespace found.
        account: The folder of the ServiceAccount's token, CA and namespace.

    Raises:
        ConfigurationError: There is none, or it is broken.
    """
    if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _in_cluster(account, namespace)
    return _from_kubeconfig(kubeconfig, context, namespace)


def new_session(
    connection: Connection,
    *,
    limit: int = _CONNECTION_LIMIT,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
    response_class: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
) -> aiohttp.ClientSession:
    """Return a session that authenticates each request; whoever gets it closes it.

    Args:
        connection: Where its requests may go: the credentials are added to requests for that server only.
        limit: Connections at once; 0 for no limit, which a holder of many watches needs.
        middlewares: What each request goes through before it authenticates; one may send it again.
        trace_configs: Observers of its requests.
        response_class: Of what its requests return.
    """
    connector = aiohttp.TCPConnector(limit=limit, ssl=connection.tls if connection.tls is not None else True)
    return aiohttp.ClientSession(
        connector=connector,
        middlewares=(*middlewares, _authenticate(connection)),
        proxy=connection.proxy,
        headers={aiohttp.hdrs.USER_AGENT: f"mailtier/{mailtier.__version__}"},
        trace_configs=list(trace_configs),
        response_class=response_class,
        # Cookies of a load balancer are of no use, and parsing them costs at each answer.
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def token_file(path: pathlib.Path) -> Authorization:
    """Return an Authorization that reads a projected token's file for every request.

    The kubelet replaces the file before the token in it expires. Reading a few hundred bytes of a tmpfs takes
    20 microseconds; a cache of our own would be a second clock to keep right.
    """

    async def authorization() -> str | None:
        return f"Bearer {_read(path)}"

    return authorization


def _authenticate(connection: Connection) -> aiohttp.ClientMiddlewareType:
    parts = urllib.parse.urlsplit(connection.server)
    ours = (parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme))

    async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if (request.url.scheme, request.url.host, request.url.port) == ours:
            value = await connection.authorization()
            if value is not None:
                request.headers[aiohttp.hdrs.AUTHORIZATION] = value
            if connection.tls_server_name is not None:
                request.server_hostname = connection.tls_server_name
        return await handler(request)

    return middleware


def _in_cluster(account: pathlib.Path, namespace: str | None) -> Connection:
    found = kubernetes.client.Configuration()
    loader = kubernetes.config.incluster_config.InClusterConfigLoader(
        token_filename=str(account / "token"), cert_filename=str(account / "ca.crt"), try_refresh_token=False
    )
    try:
        loader.load_and_set(found)
        own = namespace if namespace is not None else _read(account / "namespace")
    except (kubernetes.config.ConfigException, OSError) as error:
        raise errors.ConfigurationError(f"the pod's ServiceAccount cannot be used: {error}") from error
    return _connection(found, own, token_file(account / "token"))


def _from_kubeconfig(kubeconfig: pathlib.Path | None, context: str | None, namespace: str | None) -> Connection:
    file = str(kubeconfig) if kubeconfig is not None else None
    shown = file or os.environ.get("KUBECONFIG") or kubernetes.config.KUBE_CONFIG_DEFAULT_LOCATION
    if not any(pathlib.Path(part).expanduser().exists() for part in shown.split(os.pathsep)):
        raise errors.ConfigurationError(f"the kubeconfig {shown} does not exist; {_NAME_ONE}")
    found = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_kube_config(
            config_file=file, context=context, client_configuration=found, persist_config=False
        )
        own = namespace if namespace is not None else _namespace_of(file, context)
        return _connection(found, own, _refreshed(found))
    except (kubernetes.config.ConfigException, OSError) as error:
        # Names of entries and places in the file may be quoted in it, never their values.
        told = str(error).rstrip(".")
        raise errors.ConfigurationError(f"the kubeconfig {shown} cannot be used: {told}; {_NAME_ONE}") from error
    except Exception as error:  # A file of another shape leads the library into any of them.
        raise errors.ConfigurationError(f"{shown} is not a kubeconfig; {_NAME_ONE}") from error


def _namespace_of(file: str | None, context: str | None) -> str:
    contexts, current = kubernetes.config.list_kube_config_contexts(config_file=file)
    chosen = next((entry for entry in contexts if entry["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")


def _connection(found: Any, namespace: str, authorization: Authorization) -> Connection:
    server = str(found.host).rstrip("/")
    return Connection(
        server=server,
        namespace=namespace,
        tls=_tls(found) if server.startswith("https://") else None,
        tls_server_name=found.tls_server_name,
        proxy=found.proxy,
        authorization=authorization,
    )


def _tls(found: Any) -> ssl.SSLContext:
    context = trust.client_context(cafile=found.ssl_ca_cert)
    if found.cert_file:
        context.load_cert_chain(found.cert_file, found.key_file)
    if not found.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _refreshed(found: Any) -> Authorization:
    """Return an Authorization that lets the library renew what a kubeconfig's exec plugin gave it.

    The library looks whether a credential is about to expire, five minutes ahead, each time it is asked. A plugin
    is a child process, so it is asked in a thread, and at most every ten seconds.
    """
    lock = asyncio.Lock()
    value: str | None = None
    asked_at = float("-inf")

    async def authorization() -> str | None:
        nonlocal value, asked_at
        if time.monotonic() - asked_at < _REFRESH_SECONDS:
            return value
        async with lock:
            if time.monotonic() - asked_at >= _REFRESH_SECONDS:
                value = await asyncio.to_thread(found.get_api_key_with_prefix, "BearerToken")
                asked_at = time.monotonic()
        return value

    return authorization


def _read(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8").strip()

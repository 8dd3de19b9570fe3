"""A sender at work, certificates, and servers to send to."""

import collections.abc
import contextlib
import pathlib

import pytest

from kit import certs, logins, postgres, sending, sessions, smtpd
from mailtier.sender.storage.postgres import shared_queue


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certs.Authority:
    """Return the private authority that the test servers' certificates are from."""
    return certs.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def leaf(authority: certs.Authority) -> certs.Leaf:
    """Return a certificate for loopback and `smtp.test`."""
    return authority.issue("smtp.test")


@pytest.fixture(params=["plain", "tls"])
def open_(request: pytest.FixtureRequest, authority: certs.Authority, leaf: certs.Leaf) -> sessions.Opened:
    """Return how a session is opened, in clear and under TLS."""
    return sessions.opening(ca=authority, leaf=leaf if request.param == "tls" else None)


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> collections.abc.Iterator[shared_queue.SharedOptions | None]:
    """Return the database that a sender has its queue in; None for a queue of its own (`backends.BOTH`)."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield None
        return
    dsn = postgres.new_database()
    yield shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
    postgres.drop_database(dsn)


@pytest.fixture
async def sender(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None
) -> collections.abc.AsyncIterator[sending.Sender]:
    """Return a sender at work."""
    async with sending.Sender(tmp_path / "queue", shared=shared) as running:
        yield running


@pytest.fixture
async def serve() -> collections.abc.AsyncIterator[collections.abc.Callable[..., object]]:
    """Return what starts test servers, which end with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(settings: smtpd.Options | None = None, **arguments: object) -> smtpd.Server:
            return await stack.enter_async_context(smtpd.Server(settings, **arguments))  # type: ignore[arg-type]

        yield start


@pytest.fixture
async def login(
    sender: sending.Sender, serve: logins.Serve, authority: certs.Authority, leaf: certs.Leaf
) -> logins.Login:
    """Return a server that wants StartTLS and a password, and settings that have both."""
    return await logins.start(sender, serve, authority, leaf)

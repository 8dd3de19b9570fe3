"""The fixtures that several layers' tests share: a certificate authority, SMTP servers, a real control plane."""

import collections.abc
import contextlib
import inspect
import os
import pathlib
import secrets
import typing

import hypothesis
import pytest
import pytest_asyncio

from kit import certs, cluster, farewells, mailpit, smtpd

# A machine that is busy with other things is no finding of a property test.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
# The same examples each time: what decides about a change fails by the change, and not by the draw.
hypothesis.settings.register_profile("repeatable", hypothesis.settings.get_profile("patient"), derandomize=True)
# For what is run a second time, on another version of Python.
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("repeatable"), max_examples=10)
hypothesis.settings.load_profile(os.environ.get("PROPERTY_EXAMPLES", "patient"))

_CRDS = pathlib.Path(__file__).parents[1] / "crds"


@pytest_asyncio.fixture
async def farewell() -> collections.abc.AsyncIterator[None]:
    """Have the loop of a test see the end of what the test closed."""
    yield
    await farewells.over()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test that has a loop of its own the fixture `farewell`, before its others, so that it ends last."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "farewell")


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> certs.Authority:
    """Return the certificate authority of the test run."""
    return certs.Authority(tmp_path_factory.mktemp("ca"))


@pytest_asyncio.fixture(name="smtpd")
async def smtpd_factory(ca: certs.Authority) -> collections.abc.AsyncIterator[smtpd.Starter]:
    """Return a coroutine function that starts SMTP servers, which end with the test.

    Its arguments are the fields of `smtpd.Options`; TLS without a context gets a certificate for localhost,
    127.0.0.1 and ::1 of the fixture `ca`.
    """
    async with contextlib.AsyncExitStack() as stack:

        async def start(**fields: typing.Any) -> smtpd.Server:
            tls = fields.get("tls", smtpd.Tls.DISABLED)
            if tls is not smtpd.Tls.DISABLED:
                fields.setdefault("context", ca.issue(file_name="smtpd").server_context())
            return await stack.enter_async_context(smtpd.Server(smtpd.Options(**fields)))

        yield start


@pytest.fixture(scope="session", name="mailpit")
def mailpit_server(
    ca: certs.Authority, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[mailpit.Mailpit]:
    """Return a running Mailpit, whose certificate is the fixture `ca`'s."""
    with mailpit.Mailpit(tmp_path_factory.mktemp("mailpit"), ca.issue(file_name="mailpit")) as server:
        yield server


@pytest.fixture(scope="session", name="cluster")
def local_cluster() -> collections.abc.Iterator[cluster.LocalCluster]:
    """Return the test run's control plane, with its controllers, an audit log and our CRDs."""
    with cluster.LocalCluster(controller_manager=True, audit=True) as control_plane:
        control_plane.apply_crds(_CRDS)
        yield control_plane


@pytest.fixture
def namespace(cluster: cluster.LocalCluster) -> collections.abc.Iterator[str]:
    """Return the name of a namespace of the test's own, with its default ServiceAccount."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "--timeout=30s", f"--namespace={name}", "serviceaccount/default")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")

"""A sender beside a real apiserver and a real SMTP server, shared by the tests of the intake."""

import collections.abc
import secrets

import pytest
import pytest_asyncio

from kit import cluster as cluster_kit
from kit import intake, sender, smtpd, tenants


@pytest.fixture(scope="session")
def stage(
    cluster: cluster_kit.LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[tenants.Stage]:
    """Return the apiserver, the operator's namespace and an SMTP server."""
    system = f"mailtier-{secrets.token_hex(4)}"
    account = sender.install(cluster, system)
    with smtpd.Process(tmp_path_factory.mktemp("smtp")) as smtp:
        yield tenants.Stage(cluster=cluster, system=system, account=account, smtp=smtp)


@pytest.fixture(scope="session", name="sender")
def sender_process(
    stage: tenants.Stage, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[sender.Sender]:
    """Return a running sender, whose quota is small enough to be used up."""
    arguments = ["--quota-messages=100", "--full-at=1.0"]
    with sender.Sender(
        tmp_path_factory.mktemp("sender"), kubeconfig=stage.account, namespace=stage.system, arguments=arguments
    ) as running:
        yield running


@pytest.fixture
def tenant(stage: tenants.Stage) -> tenants.Tenant:
    """Return a tenant of the test's own, without any settings."""
    return tenants.create(stage.cluster)


@pytest_asyncio.fixture
async def client(sender: sender.Sender) -> collections.abc.AsyncIterator[intake.Client]:
    """Return a client of the sender's intake."""
    async with intake.Client(sender.url, sender.tls) as connected:
        yield connected


@pytest_asyncio.fixture
async def organization(stage: tenants.Stage, tenant: tenants.Tenant, client: intake.Client) -> tenants.Tenant:
    """Return the tenant, whose organization `default` the sender knows; it sends no product updates."""
    stage.publish(tenant, recipients=["ops@example.com"], disabled=["ProductUpdate"])
    await intake.until_known(client, tenant)
    return tenant

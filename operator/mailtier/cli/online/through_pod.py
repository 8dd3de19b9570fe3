"""The way to the intake through the sender's pod: a port-forward, trusted by what the operator publishes."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator

from mailtier.cli import failures
from mailtier.cli.online import cluster, intake
from mailtier.kube import client, forwarding


@contextlib.asynccontextmanager
async def address(
    api: client.Client, *, namespace: str, server_name: str, trust: Callable[[str | None], ssl.SSLContext], own_ca: bool
) -> AsyncIterator[intake.IntakeAddress]:
    """Give the intake's address on loopback, as long as the context lasts.

    Args:
        api: The cluster.
        namespace: Mailtier's.
        server_name: What the certificate is checked for; "" for the Service's name.
        trust: Returns a TLS context that trusts published certificates, or without them what it would anyway.
        own_ca: Whether the published certificates are not needed.

    Raises:
        CommandError: There is no way to it, also where that shows later.
    """
    pod = await cluster.find_sender(api, namespace)
    published = None if own_ca else await cluster.find_authority(api, namespace)
    async with forwarding.Forward(api.connection, namespace=pod.namespace, pod=pod.name, port=pod.port) as forward:
        with _explained(forward, pod):
            yield intake.IntakeAddress(
                shown=f"pod {pod.namespace}/{pod.name}",
                url=f"https://127.0.0.1:{forward.port}",
                tls=trust(published),
                server_name=server_name or pod.server_name,
            )


@contextlib.contextmanager
def _explained(forward: forwarding.Forward, pod: cluster.SenderPod) -> Iterator[None]:
    """Say of a connection that was lost what the port-forward knows of it."""
    try:
        yield
    except intake.UnreachableError as error:
        action = f"create pods/portforward in the namespace {pod.namespace}"
        with cluster.explained(action, hint="name the intake with --url"):
            try:
                forward.check()
            except forwarding.PodUnreachableError as cause:
                raise failures.CommandError(str(cause)) from error
        raise

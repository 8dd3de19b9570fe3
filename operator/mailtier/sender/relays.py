"""Keeps organizations that bring no credentials away from the host's relay, which may trust our address (R3).

The operator knows the relay's name in every spelling; that another name leads there, only DNS tells.
"""

from collections.abc import Sequence

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender import credentials, faults, resolver
from mailtier.settings import effective, endpoints, networks


async def require_apart(
    endpoint: effective.Endpoint,
    addresses: Sequence[resolver.Address],
    *,
    found: credentials.Credentials,
    host: effective.Effective | None,
    names: resolver.Resolver,
    payer: str | None,
) -> None:
    """Return when no address of an endpoint is the host's relay's, or when that does not matter.

    It matters for an organization's own endpoint without credentials. Where that names the relay as the host does,
    the operator has judged its sender already. The port does not count: a relay trusts addresses on all of its ports.

    Args:
        endpoint: Where a session is about to be opened.
        addresses: To what its name resolved.
        found: What the session is authenticated with.
        host: The host's own effective settings; None where there are none.
        names: Resolves the relay's name.
        payer: The namespace for which that is done.

    Raises:
        faults.DeliveryError: One of them is the relay's (HostRelay), or the relay's own are not known just now
            (HostRelayUnknown).
    """
    relay = host.endpoint if host is not None else None
    if relay is None or endpoint.origin is not vocabulary.Origin.ORG:
        return
    if found.generation.mechanism is not vocabulary.Mechanism.ANONYMOUS:
        return
    if endpoints.are_same_host(endpoint.host, relay.host):
        return
    trusted = await _addresses_of(relay, names, payer)
    if trusted is None:
        # What is wrong with the host's server is neither this endpoint's fault nor its owner's to read (R7).
        raise faults.of(classify.Phase.CONNECT, classify.Fault.HOST_RELAY_UNKNOWN)
    if any(networks.are_same(one.host, other.host) for one in addresses for other in trusted):
        raise faults.of(classify.Phase.CONNECT, classify.Fault.HOST_RELAY)


async def _addresses_of(
    relay: effective.Endpoint, names: resolver.Resolver, payer: str | None
) -> tuple[resolver.Address, ...] | None:
    try:
        return (await names.resolve(relay.host, relay.addresses, payer=payer)).addresses
    except faults.DeliveryError:
        return None

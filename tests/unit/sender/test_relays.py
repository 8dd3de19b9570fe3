"""Whose fault it is said to be that an endpoint cannot be compared with the host's server."""

import dataclasses

import pytest

from kit import dns, sending
from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender import credentials, faults, relays, resolver
from mailtier.settings import effective

_RELAY = "relay.platform.example"


@pytest.mark.parametrize("answers", [(), ("10.0.0.1",)], ids=["no address", "an address that is not permitted"])
async def test_a_fault_of_the_host_s_name_is_not_the_tenant_s(answers: tuple[str, ...]) -> None:
    """It passes, says that the platform team finds the cause, and names no name of the host's (R7)."""
    own = effective.Endpoint(
        host="smtp.example.com",
        port=587,
        tls=sending.PLAIN,
        addresses=sending.PUBLIC,
        origin=vocabulary.Origin.ORG,
        is_host_s=False,
    )
    at = dataclasses.replace(own, host=_RELAY, origin=vocabulary.Origin.HOST, is_host_s=True)
    host = dataclasses.replace(sending.settings("", at), organization=effective.HOST)
    async with (
        dns.Server({own.host: ["1.1.1.1"], _RELAY: answers}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        found = await names.resolve(own.host, own.addresses, payer="team-a")
        with pytest.raises(faults.DeliveryError) as raised:
            await relays.require_apart(
                own, found.addresses, found=credentials.ANONYMOUS, host=host, names=names, payer="team-a"
            )
        assert nameserver.asked[-1] == _RELAY
    failure = raised.value.failure
    assert failure == classify.classify_fault(classify.Phase.CONNECT, classify.Fault.HOST_RELAY_UNKNOWN)
    assert (failure.scope, failure.is_permanent) == (classify.Scope.SERVER, False)
    for for_owner in (True, False):
        told = faults.describe(failure, for_owner=for_owner)
        assert "the platform team finds the cause" in told
        assert _RELAY not in told
    assert raised.value.__context__ is None

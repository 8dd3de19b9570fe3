"""What policy.endpoints allows and denies, name by name and network by network (R6)."""

from typing import Any

import pytest

from mailtier.api import policies
from mailtier.settings import binding, effective, endpoints, networks


def _policy(**groups: Any) -> policies.EndpointsPolicy | None:
    return policies.EndpointsPolicy.model_validate(groups) if groups else None


def _own(policy: policies.EndpointsPolicy | None, host: str, port: int) -> effective.AddressRules:
    return endpoints.org_rules(policy, host=binding.normalize_host(host), port=port)


ALLOWED, DENIED, NOT_ALLOWED = (
    endpoints.EndpointVerdict.ALLOWED,
    endpoints.EndpointVerdict.DENIED,
    endpoints.EndpointVerdict.NOT_ALLOWED,
)
RELAY = {"host": "relay.example.com"}
BELOW = {"host": "*.example.com"}
ANY = {"host": "*"}
LAN = {"cidr": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("policy", "host", "port", "verdict"),
    [
        # Nothing said: any name, public addresses, the four ports.
        ({}, "smtp.example.org", 587, ALLOWED),
        ({}, "smtp.example.org", 2525, ALLOWED),
        ({}, "smtp.example.org", 443, NOT_ALLOWED),
        ({}, "8.8.8.8", 25, ALLOWED),
        ({}, "8.8.8.8", 80, NOT_ALLOWED),
        ({}, "10.0.0.1", 25, NOT_ALLOWED),
        ({}, "169.254.169.254", 25, NOT_ALLOWED),
        ({}, "::1", 25, NOT_ALLOWED),
        ({"anonymous": True}, "smtp.example.org", 587, ALLOWED),
        # Names.
        ({"allow": []}, "smtp.example.org", 587, NOT_ALLOWED),
        ({"allow": [RELAY]}, "Relay.Example.com.", 587, ALLOWED),
        ({"allow": [RELAY]}, "smtp.example.org", 587, NOT_ALLOWED),
        ({"allow": [RELAY]}, "relay.example.com", 1025, NOT_ALLOWED),
        ({"allow": [{**RELAY, "ports": [1025]}]}, "relay.example.com", 1025, ALLOWED),
        ({"allow": [{**RELAY, "ports": [1025]}]}, "relay.example.com", 587, NOT_ALLOWED),
        ({"allow": [BELOW]}, "a.b.example.com", 587, ALLOWED),
        ({"allow": [BELOW]}, "example.com", 587, NOT_ALLOWED),
        ({"allow": [BELOW]}, "evilexample.com", 587, NOT_ALLOWED),
        ({"allow": [ANY]}, "smtp.example.org", 587, ALLOWED),
        ({"allow": [ANY]}, "8.8.8.8", 587, ALLOWED),
        ({"allow": [ANY]}, "127.0.0.1", 587, NOT_ALLOWED),
        ({"allow": [{"host": "8.8.8.8"}]}, "8.8.8.8", 587, ALLOWED),
        ({"allow": [{"host": "*.8.8"}]}, "8.8.8.8", 587, NOT_ALLOWED),
        # Networks.
        ({"allow": [LAN]}, "smtp.example.org", 587, ALLOWED),
        ({"allow": [LAN]}, "smtp.example.org", 1025, NOT_ALLOWED),
        ({"allow": [LAN]}, "10.0.0.1", 587, ALLOWED),
        ({"allow": [LAN]}, "8.8.8.8", 587, NOT_ALLOWED),
        ({"allow": [LAN]}, "192.168.0.1", 587, NOT_ALLOWED),
        # Deny wins.
        ({"deny": [RELAY]}, "relay.example.com", 587, DENIED),
        ({"deny": [RELAY]}, "relay.example.com", 443, DENIED),
        ({"deny": [{**RELAY, "ports": [25]}]}, "relay.example.com", 587, ALLOWED),
        ({"deny": [RELAY], "allow": [ANY]}, "relay.example.com", 587, DENIED),
        ({"deny": [ANY]}, "8.8.8.8", 587, DENIED),
        ({"deny": [{"cidr": "8.0.0.0/8"}]}, "8.8.8.8", 587, DENIED),
        ({"deny": [{"cidr": "8.0.0.0/8"}]}, "smtp.example.org", 587, ALLOWED),
        ({"deny": [{"cidr": "10.1.0.0/16"}], "allow": [LAN]}, "10.1.0.1", 587, DENIED),
        ({"deny": [{"cidr": "10.1.0.0/16"}], "allow": [LAN]}, "10.2.0.1", 587, ALLOWED),
        # What is the host's own does not help an organization.
        ({"hostAllow": ["127.0.0.0/8"]}, "127.0.0.1", 25, NOT_ALLOWED),
    ],
)
def test_what_an_organization_may_name(
    policy: dict[str, Any], host: str, port: int, verdict: endpoints.EndpointVerdict
) -> None:
    """A name or an address is judged by the entries for its port (R6)."""
    parsed = _policy(**policy)
    assert endpoints.judge(parsed, host=binding.normalize_host(host), port=port) is verdict


@pytest.mark.parametrize(
    ("policy", "address", "expected"),
    [
        ({}, "8.8.8.8", True),
        ({}, "10.0.0.1", False),
        ({"allow": [RELAY]}, "8.8.8.8", True),
        ({"allow": [RELAY]}, "10.0.0.1", False),
        ({"allow": [RELAY, LAN]}, "8.8.8.8", True),
        ({"allow": [RELAY, LAN]}, "10.0.0.1", True),
        ({"allow": [RELAY, {**LAN, "ports": [25]}]}, "10.0.0.1", False),
        ({"allow": [LAN]}, "8.8.8.8", False),
        ({"allow": [LAN]}, "10.0.0.1", True),
        ({"allow": [LAN, {"cidr": "8.0.0.0/8"}]}, "8.8.8.8", True),
        ({"deny": [{"cidr": "8.0.0.0/8"}]}, "8.8.8.8", False),
        ({"deny": [{"cidr": "8.0.0.0/8", "ports": [25]}]}, "8.8.8.8", True),
        ({"deny": [RELAY], "allow": [RELAY, LAN]}, "10.0.0.1", False),
        ({"allow": []}, "8.8.8.8", False),
    ],
)
def test_what_a_name_may_resolve_to(policy: dict[str, Any], address: str, expected: bool) -> None:
    """Name entries admit public addresses, network entries those in them, and what is refused admits none."""
    rules = _own(_policy(**policy), "relay.example.com", 587)
    assert networks.permitted(address, rules) is expected


@pytest.mark.parametrize(
    ("policy", "host", "is_open"),
    [
        ({}, "relay.example.com", True),
        ({}, "10.0.0.1", True),
        ({}, "8.8.8.8", True),
        ({}, "127.0.0.1", False),
        ({}, "169.254.169.254", False),
        ({"hostAllow": ["127.0.0.0/8"]}, "127.0.0.1", True),
        ({"hostAllow": ["127.0.0.0/8"]}, "169.254.169.254", False),
        ({"deny": [ANY], "allow": []}, "relay.example.com", True),
    ],
)
def test_what_the_host_may_name(policy: dict[str, Any], host: str, is_open: bool) -> None:
    """The host's own server may be internal and on any port; this machine and metadata where hostAllow says (R6)."""
    assert endpoints.is_open(host, endpoints.host_rules(_policy(**policy))) is is_open


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({}, "servers with public addresses on port 25, 465, 587 or 2525"),
        ({"allow": []}, "no endpoint but the host's"),
        (
            {"allow": [{**RELAY, "ports": [1025]}, LAN]},
            "relay.example.com on port 1025; 10.0.0.0/8 on port 25, 465, 587 or 2525",
        ),
        (
            {"allow": [{**RELAY, "ports": [port]} for port in range(1, 13)]},
            "; ".join(f"relay.example.com on port {port}" for port in range(1, 11)) + "; and 2 more",
        ),
    ],
)
def test_what_is_allowed_can_be_told(policy: dict[str, Any], text: str) -> None:
    """A message lists what may be named, up to ten entries."""
    assert endpoints.describe_allowed(_policy(**policy)) == text

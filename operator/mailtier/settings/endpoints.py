"""What `policy.endpoints` says of a server (R6): whether it may be named, and which addresses it may resolve to.

For an organization's own endpoint, with `deny` winning over everything:

- Without `allow`: any name or address, public addresses alone, on ports 25, 465, 587 and 2525.
- With `allow`: the host matches a `host` entry for its port, which admits its public addresses; or there is a
  `cidr` entry for its port, which admits the addresses in it, public or not, for whatever name leads there.
- An address in place of a name is judged at once; what a name resolves to is judged when it is connected to, by the
  AddressRules that stand in the effective endpoint.

For the host's own: any port, public and internal addresses; loopback, link-local and metadata need `hostAllow`. The
port is free because the platform team that would write the rule is the one that names the port. `allow` and `deny`
do not apply to it.
"""

import enum
import ipaddress
from collections.abc import Sequence
from typing import Final

from mailtier.api import policies, vocabulary
from mailtier.settings import effective, networks

SUBMISSION_PORTS: Final = (25, 465, 587, 2525)
"""RFC 5321 section 4.5.4.2, RFC 8314 section 7.3, RFC 6409, and the usual detour where 25 is closed."""

_NOWHERE: Final = effective.AddressRules(public=False, private=False, allow=(), deny=())


class Verdict(enum.Enum):
    """Whether a server may be named."""

    ALLOWED = enum.auto()
    DENIED = enum.auto()
    NOT_ALLOWED = enum.auto()


def host_rules(policy: policies.EndpointsPolicy | None) -> effective.AddressRules:
    """Return which addresses the host's own endpoint may have."""
    opened = tuple(policy.host_allow or ()) if policy else ()
    return effective.AddressRules(public=True, private=True, allow=opened, deny=())


def org_rules(policy: policies.EndpointsPolicy | None, *, host: str, port: int) -> effective.AddressRules:
    """Return which addresses an organization's own endpoint may have; none where it may not be named at all.

    Args:
        policy: The host's; None for its defaults.
        host: Normalized.
        port: Its port.
    """
    allow = policy.allow if policy else None
    deny = (policy.deny if policy else None) or ()
    if any(_names(entry, host) and _covers(entry, port, everywhere=True) for entry in deny):
        return _NOWHERE
    closed = tuple(entry.cidr for entry in deny if entry.cidr and _covers(entry, port, everywhere=True))
    if allow is None:
        public = port in SUBMISSION_PORTS
        return effective.AddressRules(public=public, private=False, allow=(), deny=closed)
    here = [entry for entry in allow if _covers(entry, port, everywhere=False)]
    return effective.AddressRules(
        public=any(_names(entry, host) for entry in here),
        private=False,
        allow=tuple(entry.cidr for entry in here if entry.cidr),
        deny=closed,
    )


def judge(policy: policies.EndpointsPolicy | None, endpoint: effective.Endpoint) -> Verdict:
    """Return whether an effective endpoint may be named.

    Args:
        policy: The host's; None for its defaults.
        endpoint: With the rules that this module made for it.
    """
    rules, host = endpoint.addresses, endpoint.host
    if endpoint.origin == vocabulary.Origin.ORG:
        for entry in (policy.deny if policy else None) or ():
            if _covers(entry, endpoint.port, everywhere=True) and (_names(entry, host) or _is_in(entry.cidr, host)):
                return Verdict.DENIED
    if is_address(host):
        return Verdict.ALLOWED if networks.permitted(host, rules) else Verdict.NOT_ALLOWED
    return Verdict.ALLOWED if rules.public or rules.allow else Verdict.NOT_ALLOWED


def describe_allowed(policy: policies.EndpointsPolicy | None) -> str:
    """Return what organizations may name, for a message."""
    if policy is None or policy.allow is None:
        return f"servers with public addresses on port {_join(SUBMISSION_PORTS)}"
    if not policy.allow:
        return "no endpoint but the host's"
    shown = [
        f"{entry.host or entry.cidr} on port {_join(entry.ports or SUBMISSION_PORTS)}" for entry in policy.allow[:10]
    ]
    hidden = len(policy.allow) - len(shown)
    return "; ".join(shown) + (f"; and {hidden} more" if hidden else "")


def is_address(host: str) -> bool:
    """Return whether a normalized host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _join(ports: Sequence[int]) -> str:
    *others, last = (str(port) for port in ports)
    return f"{', '.join(others)} or {last}" if others else last


def _covers(entry: policies.EndpointPattern, port: int, *, everywhere: bool) -> bool:
    if entry.ports is None:
        return everywhere or port in SUBMISSION_PORTS
    return port in entry.ports


def _names(entry: policies.EndpointPattern, host: str) -> bool:
    """Return whether the glob of an entry matches: `*` everything, `*.x` what is below x, else the very host."""
    if entry.host is None:
        return False
    glob = entry.host.lower()
    if glob == "*":
        return True
    if glob.startswith("*."):
        # An address has dots too, and its last bytes are not a domain that it is below.
        return host.endswith(glob[1:]) and len(host) > len(glob) - 1 and not is_address(host)
    return host == glob


def _is_in(cidr: str | None, host: str) -> bool:
    if cidr is None or not is_address(host):
        return False
    return networks.holds(cidr, host)

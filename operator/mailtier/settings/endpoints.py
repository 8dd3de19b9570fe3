"""What `policy.endpoints` says of a server (R6): whether it may be named, and which addresses it may resolve to.

For an organization's own endpoint, with `deny` winning over everything:

- Without `allow`: any name or address, public addresses alone, on ports 25, 465, 587 and 2525.
- With `allow`: the host matches a `host` entry for its port, which admits its public addresses; or there is a
  `cidr` entry for its port, which admits the addresses in it, public or not, for whatever name leads there.
- An address in place of a name is judged at once; what a name resolves to is judged when it is connected to, by the
  AddressRules that stand in the effective endpoint.

Token servers of OAuth2 are judged by the same lists, with port 443 in place of those four.

In mode Audit a violation is only told. What is not public stays closed nevertheless (R6): an endpoint that no entry
opens is then treated as if there were no lists.

For the host's own: any port, public and internal addresses; loopback, link-local and metadata need `hostAllow`. The
port is free because the platform team that would write the rule is the one that names the port. `allow` and `deny`
do not apply to it.
"""

import enum
import ipaddress
from collections.abc import Sequence
from typing import Final

from mailtier.api import policies, text, vocabulary
from mailtier.settings import effective, globs, networks

SUBMISSION_PORTS: Final = (25, 465, 587, 2525)
"""RFC 5321 section 4.5.4.2, RFC 8314 section 7.3, RFC 6409, and the usual detour where 25 is closed."""

TOKEN_PORTS: Final = (443,)
"""RFC 6749 section 3.2: a token endpoint is used with TLS; RFC 9110 section 4.2.2."""

_NOWHERE: Final = effective.AddressRules(public=False, private=False, allow=(), deny=())


class EndpointVerdict(enum.Enum):
    """Whether a server may be named."""

    ALLOWED = enum.auto()
    DENIED = enum.auto()
    NOT_ALLOWED = enum.auto()


def rules(
    policy: policies.Policy | None,
    *,
    origin: vocabulary.Origin,
    host: str,
    port: int,
    usual: Sequence[int] = SUBMISSION_PORTS,
) -> effective.AddressRules:
    """Return which addresses a server may have, whoever named it.

    Args:
        policy: The host's; None for its defaults.
        origin: Who named it, Host or Org.
        host: Normalized.
        port: Its port.
        usual: The ports that are open where the policy names none.
    """
    of_endpoints = policy.endpoints if policy else None
    if origin == vocabulary.Origin.HOST:
        return host_rules(of_endpoints)
    audited = policy is not None and policy.mode == vocabulary.PolicyMode.AUDIT
    return org_rules(of_endpoints, host=host, port=port, usual=usual, audited=audited)


def host_rules(policy: policies.EndpointsPolicy | None) -> effective.AddressRules:
    """Return which addresses the host's own endpoint may have."""
    opened = tuple(policy.host_allow or ()) if policy else ()
    return effective.AddressRules(public=True, private=True, allow=opened, deny=())


def org_rules(
    policy: policies.EndpointsPolicy | None,
    *,
    host: str,
    port: int,
    usual: Sequence[int] = SUBMISSION_PORTS,
    audited: bool = False,
) -> effective.AddressRules:
    """Return which addresses an organization's own server may have; none where it may not be named at all.

    Args:
        policy: The host's; None for its defaults.
        host: Normalized.
        port: Its port.
        usual: The ports that are open where the policy names none.
        audited: Whether the policy is in mode Audit.
    """
    allow = policy.allow if policy else None
    deny = () if audited else (policy.deny if policy else None) or ()
    if any(_names(entry, host) and _covers(entry, port, usual=None) for entry in deny):
        return _NOWHERE
    closed = tuple(entry.cidr for entry in deny if entry.cidr and _covers(entry, port, usual=None))
    here = [entry for entry in allow or () if _covers(entry, port, usual=usual)]
    by_default = port in usual if allow is None or audited else False
    return effective.AddressRules(
        public=by_default or any(_names(entry, host) for entry in here),
        private=False,
        allow=tuple(entry.cidr for entry in here if entry.cidr),
        deny=closed,
    )


def judge(
    policy: policies.EndpointsPolicy | None, *, host: str, port: int, usual: Sequence[int] = SUBMISSION_PORTS
) -> EndpointVerdict:
    """Return whether an organization may name a server.

    Args:
        policy: The host's; None for its defaults.
        host: Normalized.
        port: Its port.
        usual: The ports that are open where the policy names none.
    """
    for entry in (policy.deny if policy else None) or ():
        if _covers(entry, port, usual=None) and (_names(entry, host) or _is_in(entry.cidr, host)):
            return EndpointVerdict.DENIED
    rules = org_rules(policy, host=host, port=port, usual=usual)
    return EndpointVerdict.ALLOWED if is_open(host, rules) else EndpointVerdict.NOT_ALLOWED


def is_open(host: str, rules: effective.AddressRules) -> bool:
    """Return whether a server may be connected to at all under its rules; of a name, only some address might be."""
    return networks.permitted(host, rules) if is_address(host) else rules.public or bool(rules.allow)


def describe_allowed(policy: policies.EndpointsPolicy | None, *, usual: Sequence[int] = SUBMISSION_PORTS) -> str:
    """Return what organizations may name, for a message."""
    if policy is None or policy.allow is None:
        return f"servers with public addresses on port {_join(usual)}"
    if not policy.allow:
        return "no endpoint but the host's"
    shown = [f"{entry.host or entry.cidr} on port {_join(entry.ports or usual)}" for entry in policy.allow[:10]]
    hidden = len(policy.allow) - len(shown)
    return "; ".join(shown) + (f"; and {hidden} more" if hidden else "")


def are_same_host(first: str, second: str) -> bool:
    """Return whether two normalized hosts are one: the same name, or one address in whichever of its forms."""
    if is_address(first) and is_address(second):
        return networks.are_same(first, second)
    return first == second


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


def _covers(entry: policies.EndpointPattern, port: int, *, usual: Sequence[int] | None) -> bool:
    """Return whether an entry speaks of a port; without ports of its own, of the usual ones, or of all for None."""
    ports = entry.ports or usual
    return ports is None or port in ports


def _names(entry: policies.EndpointPattern, host: str) -> bool:
    """Return whether the glob of an entry stands for a host."""
    if entry.host is None:
        return False
    glob = text.lower_ascii(entry.host)
    # An address has dots too, and its last bytes are not a domain that it is below.
    return globs.matches(glob, host) and not (globs.is_below(glob) and is_address(host))


def _is_in(cidr: str | None, host: str) -> bool:
    if cidr is None or not is_address(host):
        return False
    return networks.holds(cidr, host)

"""Every trick to name an address that must not be connected to (R6)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.settings import effective, networks

ORG = effective.AddressRules(public=True, private=False, allow=(), deny=())
HOST = effective.AddressRules(public=True, private=True, allow=(), deny=())
K = networks.AddressUse


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("8.8.8.8", K.PUBLIC),
        ("1.1.1.1", K.PUBLIC),
        ("9.255.255.255", K.PUBLIC),
        ("11.0.0.0", K.PUBLIC),
        ("172.15.255.255", K.PUBLIC),
        ("172.32.0.0", K.PUBLIC),
        ("100.63.255.255", K.PUBLIC),
        ("100.128.0.0", K.PUBLIC),
        ("223.255.255.255", K.PUBLIC),
        ("0.0.0.0", K.UNSPECIFIED),  # noqa: S104 - nothing is bound.
        ("0.1.2.3", K.UNSPECIFIED),
        ("10.0.0.0", K.PRIVATE),
        ("10.255.255.255", K.PRIVATE),
        ("172.16.0.1", K.PRIVATE),
        ("172.31.255.255", K.PRIVATE),
        ("192.168.255.255", K.PRIVATE),
        ("100.64.0.1", K.SHARED),
        ("100.127.255.255", K.SHARED),
        ("127.0.0.1", K.LOOPBACK),
        ("127.255.255.254", K.LOOPBACK),
        ("169.254.0.1", K.LINK_LOCAL),
        ("169.254.169.253", K.LINK_LOCAL),
        ("169.254.169.254", K.METADATA),
        ("169.254.170.2", K.METADATA),
        ("169.254.170.23", K.METADATA),
        ("100.100.100.200", K.METADATA),
        ("168.63.129.16", K.METADATA),
        ("192.0.0.192", K.METADATA),
        ("192.0.0.8", K.RESERVED),
        ("192.0.2.1", K.DOCUMENTATION),
        ("198.51.100.1", K.DOCUMENTATION),
        ("203.0.113.255", K.DOCUMENTATION),
        ("198.18.0.1", K.BENCHMARK),
        ("198.19.255.255", K.BENCHMARK),
        ("192.88.99.1", K.RESERVED),
        ("224.0.0.1", K.MULTICAST),
        ("239.255.255.255", K.MULTICAST),
        ("240.0.0.1", K.RESERVED),
        ("255.255.255.255", K.RESERVED),
    ],
)
def test_ipv4_by_its_range(address: str, kind: networks.AddressUse) -> None:
    """An IPv4 address is what the most specific range that holds it is for (R6)."""
    assert networks.classify(address) is kind


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("2606:4700:4700::1111", K.PUBLIC),
        ("2a00:1450:4001::1a", K.PUBLIC),
        ("::", K.UNSPECIFIED),
        ("::1", K.LOOPBACK),
        ("0:0:0:0:0:0:0:1", K.LOOPBACK),
        ("fe80::1", K.LINK_LOCAL),
        ("fe80::1%eth0", K.LINK_LOCAL),
        ("febf::1", K.LINK_LOCAL),
        ("fe80::a9fe:a9fe", K.METADATA),
        ("fd00:ec2::254", K.METADATA),
        ("fd00:ec2::23", K.METADATA),
        ("fd20:ce::254", K.METADATA),
        ("fc00::1", K.PRIVATE),
        ("fdff:ffff::1", K.PRIVATE),
        ("fec0::1", K.PRIVATE),
        ("ff02::1", K.MULTICAST),
        ("2001:db8::1", K.DOCUMENTATION),
        ("3fff::1", K.DOCUMENTATION),
        ("2001:2::1", K.BENCHMARK),
        ("2001:10::1", K.RESERVED),
        ("100::1", K.RESERVED),
        ("5f00::1", K.RESERVED),
        ("4000::1", K.RESERVED),
        ("1::1", K.RESERVED),
        ("64:ff9a::1", K.RESERVED),
    ],
)
def test_ipv6_by_its_range(address: str, kind: networks.AddressUse) -> None:
    """An IPv6 address is public only within 2000::/3, and not where a special range lies in it (R6)."""
    assert networks.classify(address) is kind


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        # IPv4-mapped, RFC 4291 section 2.5.5.2.
        ("::ffff:8.8.8.8", K.PUBLIC),
        ("::ffff:127.0.0.1", K.LOOPBACK),
        ("::ffff:7f00:1", K.LOOPBACK),
        ("::ffff:169.254.169.254", K.METADATA),
        ("::ffff:a9fe:a9fe", K.METADATA),
        ("::ffff:10.0.0.1", K.PRIVATE),
        ("::ffff:0.0.0.0", K.UNSPECIFIED),
        ("::ffff:168.63.129.16", K.METADATA),
        # IPv4-compatible, section 2.5.5.1: nothing may be reached by it.
        ("::127.0.0.1", K.LOOPBACK),
        ("::169.254.169.254", K.METADATA),
        ("::8.8.8.8", K.RESERVED),
        ("::2", K.UNSPECIFIED),
        # IPv4-translated, RFC 2765.
        ("::ffff:0:127.0.0.1", K.LOOPBACK),
        ("::ffff:0:8.8.8.8", K.RESERVED),
        # 6to4, RFC 3056: deprecated, and closed as a whole; `ipaddress` denies it since 3.12.4.
        ("2002:7f00:1::", K.LOOPBACK),
        ("2002:7f00:0001::1", K.LOOPBACK),
        ("2002:a9fe:a9fe::1", K.METADATA),
        ("2002:a00:1::1", K.RESERVED),
        ("2002:100::", K.RESERVED),
        ("2002:808:808::1", K.RESERVED),
        # NAT64, RFC 6052.
        ("64:ff9b::8.8.8.8", K.PUBLIC),
        ("64:ff9b::127.0.0.1", K.LOOPBACK),
        ("64:ff9b::a9fe:a9fe", K.METADATA),
        ("64:ff9b::10.0.0.1", K.PRIVATE),
        # Local NAT64, RFC 8215, by each length of prefix in RFC 6052 section 2.2.
        ("64:ff9b:1::169.254.169.254", K.METADATA),
        ("64:ff9b:1:a9fe:00a9:fe00::", K.METADATA),
        ("64:ff9b:1:a9:fe:a9fe::", K.METADATA),
        ("64:ff9b:1:0:a9:fea9:fe00:0", K.METADATA),
        ("64:ff9b:1::8.8.8.8", K.PRIVATE),
        ("64:ff9b:1::", K.UNSPECIFIED),
        # Teredo, RFC 4380: the server, and the client with its bits inverted.
        ("2001:0:7f00:1::", K.LOOPBACK),
        ("2001:0:808:808::5601:5601", K.METADATA),
        ("2001:0:808:808::f7f7:f7f7", K.RESERVED),
    ],
)
def test_ipv4_inside_ipv6_is_unwrapped(address: str, kind: networks.AddressUse) -> None:
    """What leads to an IPv4 address is what that address is, and never more public than the form itself (R6)."""
    assert networks.classify(address) is kind


@pytest.mark.parametrize("text", ["127.1", "0x7f000001", "2130706433", "017700000001", "localhost", "", "8.8.8.8:25"])
def test_what_is_no_address_is_not_permitted(text: str) -> None:
    """The forms that only inet_aton reads are no addresses."""
    with pytest.raises(ValueError, match="address"):
        networks.classify(text)
    everything = effective.AddressRules(public=True, private=True, allow=("0.0.0.0/0", "::/0"), deny=())
    assert not networks.permitted(text, everything)


@pytest.mark.parametrize(
    ("address", "org", "host"),
    [
        ("8.8.8.8", True, True),
        ("2606:4700::1111", True, True),
        ("::ffff:8.8.8.8", True, True),
        ("10.0.0.1", False, True),
        ("fd00::1", False, True),
        ("100.64.0.1", False, True),
        ("198.18.0.1", False, True),
        ("64:ff9b:1::10.0.0.1", False, True),
        ("127.0.0.1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("169.254.169.254", False, False),
        ("168.63.129.16", False, False),
        ("100.100.100.200", False, False),
        ("fd00:ec2::254", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - nothing is bound.
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("192.0.2.1", False, False),
        ("2001:0:808:808::f7f7:f7f7", False, False),
    ],
)
def test_what_needs_no_network_of_its_own(address: str, org: bool, host: bool) -> None:
    """By default an organization's server is public, and the host's may be internal; neither is this machine."""
    assert networks.permitted(address, ORG) is org
    assert networks.permitted(address, HOST) is host


@pytest.mark.parametrize(
    ("allow", "address", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "fd00::1", False),
        ("fd00::/8", "fd00::1", True),
        ("0.0.0.0/0", "10.1.2.3", True),
        ("0.0.0.0/0", "8.8.8.8", True),
        ("0.0.0.0/0", "127.0.0.1", False),
        ("0.0.0.0/0", "169.254.169.254", False),
        ("::/0", "::1", False),
        ("::/0", "::ffff:127.0.0.1", False),
        ("::/0", "fd00:ec2::254", False),
        ("::/0", "2606:4700::1", True),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.1/32", "127.0.0.1", True),
        ("127.0.0.1/32", "127.0.0.2", False),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("127.0.0.0/8", "::1", False),
        ("::1/128", "::1", True),
        ("169.254.0.0/16", "169.254.1.1", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.169.254/32", "169.254.169.254", True),
        ("fd00::/8", "fd00:ec2::254", False),
        ("168.0.0.0/8", "168.63.129.16", False),
    ],
)
def test_what_a_network_opens(allow: str, address: str, expected: bool) -> None:
    """A network opens what is in it; what is more than private, only if it is no wider than the special range."""
    rules = effective.AddressRules(public=False, private=False, allow=(allow,), deny=())
    assert networks.permitted(address, rules) is expected


@pytest.mark.parametrize(
    ("deny", "address"),
    [
        ("8.8.8.0/24", "8.8.8.8"),
        ("8.8.8.0/24", "::ffff:8.8.8.8"),
        ("8.8.8.0/24", "64:ff9b::8.8.8.8"),
        ("8.8.8.0/24", "2002:808:808::1"),
        ("2606:4700::/32", "2606:4700::1"),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8"),
        ("0.0.0.0/0", "8.8.8.8"),
    ],
)
def test_what_is_denied_stays_denied(deny: str, address: str) -> None:
    """A denied network is closed in every form of its addresses, whatever allow says (R6)."""
    rules = effective.AddressRules(public=True, private=True, allow=("0.0.0.0/0", "::/0"), deny=(deny,))
    assert not networks.permitted(address, rules)


@given(st.ip_addresses(v=4))
def test_wrapping_never_makes_an_address_more_reachable(address: ipaddress.IPv4Address) -> None:
    """No form of IPv6 address permits what the IPv4 address in it does not (R6)."""
    number = int(address)
    forms = [0xFFFF << 32 | number, number, 0x0064_FF9B << 96 | number, 0x2002 << 112 | number << 80]
    for rules in (ORG, HOST):
        if not networks.permitted(str(address), rules):
            for form in forms:
                assert not networks.permitted(str(ipaddress.IPv6Address(form)), rules), form


@given(st.ip_addresses())
def test_nothing_is_permitted_that_the_standard_library_knows_to_be_special(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Our table is at least as strict as `ipaddress` for an organization's own endpoint (R6)."""
    special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    if special or address.is_private:
        assert not networks.permitted(str(address), ORG)


@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ],
)
def test_what_the_registries_call_special_is_closed_on_every_python(network: str) -> None:
    """What the newest table of `ipaddress` and the IANA registries know is denied whichever Python runs (R6)."""
    parsed = ipaddress.ip_network(network)
    for address in (parsed[0], parsed[1], parsed[parsed.num_addresses // 2], parsed[-1]):
        assert not networks.permitted(str(address), ORG), address

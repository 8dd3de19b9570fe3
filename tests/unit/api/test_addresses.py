"""Mail addresses: what is accepted, what is refused and why, and what goes on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import addresses


@pytest.mark.parametrize(
    ("value", "shown", "wire"),
    [
        ("alice@example.com", "alice@example.com", "alice@example.com"),
        ("Alice.B+tag@Example.COM", "Alice.B+tag@example.com", "Alice.B+tag@example.com"),
        ("a@exämple.com", "a@exämple.com", "a@xn--exmple-cua.com"),
        ("a@xn--exmple-cua.com", "a@exämple.com", "a@xn--exmple-cua.com"),
        ("a@EXÄMPLE.com", "a@exämple.com", "a@xn--exmple-cua.com"),
        ("jörg@例え.jp", "jörg@例え.jp", "jörg@xn--r8jz45g.jp"),
        ("a@faß.de", "a@faß.de", "a@xn--fa-hia.de"),
        ("root@mailhost", "root@mailhost", "root@mailhost"),
        ("jo\u0308rg@example.com", "jörg@example.com", "jörg@example.com"),
    ],
)
def test_an_address_is_shown_with_u_labels_and_sent_with_a_labels(value: str, shown: str, wire: str) -> None:
    """The domain is lower case, shown as people write it, and ASCII on the wire."""
    address = addresses.parse(value)
    assert str(address) == shown
    assert address.wire == wire


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "has no @"),
        ("alice", "has no @"),
        ("alice@", "nothing after its @"),
        ("@example.com", "nothing before its @"),
        ("a b@example.com", "has a blank"),
        ("a%b.example@example.com", "% or !"),
        ("b.example!a@example.com", "% or !"),
        ("a..b@example.com", "single dots"),
        (".a@example.com", "single dots"),
        ("a@b@example.com", "two @"),
        ("@relay.example:a@example.com", "has one of"),
        ("<a@example.com>", "has < or >"),
        ("Alice <a@example.com>", "without a display name"),
        ("a@example.com,b@example.com", "one address alone"),
        ("a(comment)@example.com", "without a comment"),
        ('"a.b"@example.com', "is quoted"),
        ("a@[192.0.2.1]", "or IP address"),
        ("a@192.0.2.1", "ends in a number"),
        ("a@-example.com", "has a hyphen where"),
        ("a@exa_mple.com", "has an underscore"),
        ("a@example..com", "single dots"),
        ("a@example.com.", "ends in a dot"),
        ("a@xn--zzzzzz.de", "not a valid name"),
        ("a@example.com\r\nRCPT TO:<b@example.com>", "carriage return"),
        ("a\u202e@example.com", "right-to-left override"),
        ("é\u200b@example.com", "nobody sees"),
        ("a@\u200b.example", "nobody sees"),
        ("a@exa\u200bmple.com", "nobody sees"),
        ("a\u00a0b@example.com", "a blank beyond ASCII"),
        ("a@exa\u3000mple.com", "a blank beyond ASCII"),
        ("a\tb@example.com", "tab"),
        ("a\\b@example.com", "has a backslash"),
        ("a@b/c.example", "has a sign after its @"),
        ("a@p&q.example", "has a sign after its @"),
        ("a@*.example", "has a sign after its @"),
        ("a@" + "b" * 64 + ".example", "a part of more than 63 characters"),
        ("é @example.com", "blank"),
        ("a" * 65 + "@example.com", "more than 64"),
        ("é" * 33 + "@example.com", "longer than 64"),
        ("a@" + ".".join(["a" * 60] * 5) + ".com", "longer than 253"),
        ("a" * 60 + "@" + ".".join(["a" * 60] * 3) + ".aaaaaaaaaa.example", "longer than 254"),
    ],
)
def test_what_is_not_an_address_is_refused_with_a_reason(value: str, sentence: str) -> None:
    """The sentence says what is wrong and does not repeat the text."""
    with pytest.raises(addresses.AddressError, match=sentence) as caught:
        addresses.parse(value)
    assert not value or value not in str(caught.value)


def test_the_key_ignores_case() -> None:
    """Two spellings of one mailbox have one key."""
    assert addresses.parse("Bob@Example.com").key == addresses.parse("bob@example.COM").key


@given(st.text(max_size=80))
def test_whatever_is_accepted_is_safe_on_the_wire(value: str) -> None:
    """No accepted address holds a blank, an angle bracket, a control, or more bytes than a path may (R5)."""
    try:
        address = addresses.parse(value + "@example.com")
    except addresses.AddressError:
        return
    assert not any(char in address.wire for char in '<> \r\n\0,;:\\"()[]')
    assert len(address.wire.encode()) <= 254
    assert addresses.parse(str(address)) == address


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("user@müller.example", "user@xn--mller-kva.example"),
        ("User@MÜLLER.example", "User@xn--mller-kva.example"),
        ("@müller.example", "@xn--mller-kva.example"),
        ("{namespace}@例え.jp", "{namespace}@xn--r8jz45g.jp"),
        ("User@Example.com", "User@Example.com"),
        # What cannot be converted stays as it is, and is refused with a sentence by `parse`.
        ("user@mü--ller\u200b.example", "user@mü--ller\u200b.example"),
        ("user@" + "ü" * 63 + ".example", "user@" + "ü" * 63 + ".example"),
    ],
)
def test_domains_are_compared_and_sent_as_a_labels(value: str, said: str) -> None:
    """Whatever takes an address has its domain in ASCII, so that policies and servers read the same."""
    assert addresses.in_ascii(value) == said


@given(st.from_regex(addresses.PATTERN, fullmatch=True, alphabet=st.characters(max_codepoint=0x7F)))
def test_what_the_apiserver_takes_is_parsed_or_refused_for_length_and_labels(value: str) -> None:
    """An address of the CRD's pattern never fails for its signs, and comes back as it was but for case."""
    local, _, domain = value.partition("@")
    fits = len(local) <= 64 and len(domain) <= 253 and len(value) <= 254
    if fits and "xn--" not in domain.lower() and not domain.rpartition(".")[2].isdigit():
        assert addresses.is_mailbox(value)
        assert addresses.parse(value).wire.lower() == value.lower()


@pytest.mark.parametrize("domain", ["example.com", "EXÄMPLE.com", "xn--exmple-cua.com"])
def test_a_domain_alone_is_parsed_in_the_same_way(domain: str) -> None:
    """`@domain` entries of a policy compare with the domains of addresses."""
    assert addresses.parse_domain(domain) == addresses.parse(f"a@{domain}").domain


@given(
    st.from_regex(r"[a-z0-9.+_%!-]{1,70}@[a-zA-Z0-9.-]{1,80}", fullmatch=True)
    | st.builds("{}@{}".format, st.text("aZ0.", max_size=66), st.lists(st.text("aX0-n", max_size=65)).map(".".join))
)
def test_the_short_way_finds_what_the_long_way_finds(value: str) -> None:
    """What is taken at first sight is taken at second sight, as the same address; and xn-- is always decoded."""
    plain = addresses._parse_plain(value)
    if plain is not None:
        assert addresses._parse_any(value) == plain

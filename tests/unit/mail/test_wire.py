"""What a transaction writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import vocabulary
from mailtier.mail import wire

EVERYTHING = wire.Extensions(pipelining=True, size=True, eight_bit_mime=True, smtputf8=True)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, wire.Extensions()),
        (
            {"pipelining": "", "size": "10485760", "8bitmime": "", "smtputf8": "", "starttls": ""},
            wire.Extensions(
                pipelining=True, size=True, size_limit_bytes=10_485_760, eight_bit_mime=True, smtputf8=True
            ),
        ),
        ({"SIZE": "0"}, wire.Extensions(size=True)),
        ({"SIZE": ""}, wire.Extensions(size=True)),
        ({"SIZE": "lots"}, wire.Extensions(size=True)),
        ({"SIZE": "-1"}, wire.Extensions(size=True)),
        ({"SIZE": "9" * 21}, wire.Extensions(size=True)),
        ({"SIZE": "²"}, wire.Extensions(size=True)),
    ],
)
def test_offers_are_read_from_ehlo(keywords: dict[str, str], expected: wire.Extensions) -> None:
    """Keywords count in any case; a size that is no number, or 0, sets no limit."""
    assert wire.Extensions.from_ehlo(keywords) == expected


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("PIPELINING", wire.Extensions(size=True, size_limit_bytes=9, eight_bit_mime=True, smtputf8=True, dsn=True)),
        ("SIZE", wire.Extensions(pipelining=True, eight_bit_mime=True, smtputf8=True, dsn=True)),
        ("8BITMIME", wire.Extensions(pipelining=True, size=True, size_limit_bytes=9, smtputf8=True, dsn=True)),
        ("SMTPUTF8", wire.Extensions(pipelining=True, size=True, size_limit_bytes=9, eight_bit_mime=True, dsn=True)),
        ("DSN", wire.Extensions(pipelining=True, size=True, size_limit_bytes=9, eight_bit_mime=True, smtputf8=True)),
    ],
)
def test_what_is_ignored_counts_as_not_offered(keyword: str, expected: wire.Extensions) -> None:
    """Each keyword that may be ignored takes its own offer away, in whatever case the server spells it."""
    offered = {"pipelining": "", "size": "9", "8bitmime": "", "smtputf8": "", "dsn": ""}
    ignored = {vocabulary.EhloKeyword(keyword)}
    assert wire.Extensions.from_ehlo(offered, ignored=ignored) == expected


def test_everything_that_is_made_use_of_may_be_ignored() -> None:
    """Whatever of EHLO a transaction goes by, its owner can have it left alone."""
    offered = dict.fromkeys(vocabulary.EhloKeyword, "9")
    assert wire.Extensions.from_ehlo(offered) == wire.Extensions(
        pipelining=True, size=True, size_limit_bytes=9, eight_bit_mime=True, smtputf8=True, dsn=True
    )
    assert wire.Extensions.from_ehlo(offered, ignored=list(vocabulary.EhloKeyword)) == wire.Extensions()


@pytest.mark.parametrize(
    ("offered", "is_eight_bit", "is_utf8", "expected"),
    [
        (wire.Extensions(), True, True, b"MAIL FROM:<a@b.c>\r\n"),
        (EVERYTHING, False, False, b"MAIL FROM:<a@b.c> SIZE=99\r\n"),
        (EVERYTHING, True, False, b"MAIL FROM:<a@b.c> SIZE=99 BODY=8BITMIME\r\n"),
        (EVERYTHING, True, True, b"MAIL FROM:<a@b.c> SIZE=99 BODY=8BITMIME SMTPUTF8\r\n"),
        (wire.Extensions(dsn=True), False, False, b"MAIL FROM:<a@b.c> RET=HDRS\r\n"),
    ],
)
def test_parameters_stand_only_where_they_are_offered_and_of_use(
    offered: wire.Extensions, is_eight_bit: bool, is_utf8: bool, expected: bytes
) -> None:
    """A server that does not offer an extension never sees its parameter."""
    command = wire.mail("a@b.c", size_bytes=99, is_eight_bit=is_eight_bit, is_utf8=is_utf8, offered=offered)
    assert command == expected


def test_the_null_reverse_path_is_written_as_such() -> None:
    """An empty sender is `<>`."""
    command = wire.mail("", size_bytes=9, is_eight_bit=False, is_utf8=False, offered=wire.Extensions())
    assert command == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize("char", ["\r", "\n", "\0", "<", ">", " ", "\x85", "\u2028", "\u202e"])
def test_an_address_cannot_change_its_command(char: str) -> None:
    """R5: nothing that ends a command, or a path within it, passes."""
    with pytest.raises(ValueError, match="change the command"):
        wire.check_address(f"a{char}@example.com")


@pytest.mark.parametrize(
    "message", [b"", b"a", b"a\n", b"a\r\nb\n.\r\nc\r\n", b"a\r\nb\r.\r\n", b"\ra\r\n", b"a\n\r\r\n", b"a\rb\nc\r\n"]
)
def test_a_message_with_other_line_breaks_is_refused(message: bytes) -> None:
    """SMTP smuggling begins with a bare CR or LF (R5)."""
    with pytest.raises(ValueError, match="CRLF"):
        wire.check_message(message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"a\r\n", b"a\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"..a\r\n.b\r\n", b"...a\r\n..b\r\n"),
        (b"a.\r\n", b"a.\r\n"),
    ],
)
def test_leading_dots_are_doubled(message: bytes, expected: bytes) -> None:
    """Every line that begins with a dot gets another one, the first line too."""
    assert wire.body(message) == expected


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), min_size=1))
def test_a_server_gets_back_what_was_stuffed(lines: list[bytes]) -> None:
    """The data ends at the final dot and nowhere before, and unstuffed it is the message."""
    message = b"".join(line + b"\r\n" for line in lines)
    wire.check_message(message)
    data = wire.body(message) + wire.DOT
    assert (b"\r\n" + data).index(b"\r\n.\r\n") == len(data) - 3
    received = data.removesuffix(b".\r\n").split(b"\r\n")[:-1]
    assert [line.removeprefix(b".") for line in received] == lines


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("mail.example.com", "10.1.2.3", "mail.example.com"),
        ("", "10.1.2.3", "[10.1.2.3]"),
        ("", "fd00::17", "[IPv6:fd00::17]"),
        ("", "fe80::1%eth0", "[IPv6:fe80::1]"),
        ("", "::ffff:10.1.2.3", "[10.1.2.3]"),
        ("192.0.2.7", "10.1.2.3", "[192.0.2.7]"),
        ("2001:db8::7", "10.1.2.3", "[IPv6:2001:db8::7]"),
    ],
)
def test_a_client_without_a_name_gives_its_address(name: str, address: str, said: str) -> None:
    """EHLO has a name that somebody chose, or a literal (RFC 5321 section 4.1.4): never one that is not qualified."""
    assert wire.client_name(name, address) == said

"""A message's content on the wire: where it ends, what it was before dot-stuffing, and how it breaks the rules."""

import collections.abc

_LONGEST_LINE_BYTES = 998  # RFC 5321 section 4.5.3.1.6, without the line end.
_END = b"\r\n.\r\n"
_EMPTY = b".\r\n"


def end(received: bytes | bytearray) -> int | None:
    """Return how many bytes the content takes with its final dot, or None when that has not come yet."""
    if received.startswith(_EMPTY):
        return len(_EMPTY)
    found = received.find(_END)
    return None if found < 0 else found + len(_END)


def unstuffed(wire: bytes) -> bytes:
    """Return the content without its final dot and its stuffing (RFC 5321 section 4.5.2)."""
    return (b"\r\n" + wire.removesuffix(_EMPTY)).replace(b"\r\n.", b"\r\n")[2:]


def violations(text: bytes, parameters: collections.abc.Iterable[str]) -> collections.abc.Iterator[str]:
    """Yield how a content breaks RFC 5321, or RFC 6152 with these parameters of MAIL."""
    lines = text.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        yield "a bare CR or LF in a message"
    if any(len(line) > _LONGEST_LINE_BYTES for line in lines):
        yield "a line of more than 998 octets in a message"
    if not text.isascii() and "BODY=8BITMIME" not in map(str.upper, parameters):
        yield "8-bit content without BODY=8BITMIME"

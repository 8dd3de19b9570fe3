"""The blocks of a PEM text, found in one pass: whoever wrote the text may want the search to take long."""

import base64
import binascii
import dataclasses
import re
from collections.abc import Iterator
from typing import Final

_BEGIN: Final = "-----BEGIN "
_END: Final = "-----END "
_DASHES: Final = "-----"
_LONGEST_LABEL: Final = 64
_LINE: Final = 64

# Blanks of any kind, and line breaks that some tool wrote as two characters each: base64 has neither.
_BREAKS: Final = re.compile(r"\s+|\\r|\\n")
_NOT_BASE64: Final = re.compile(r"(?:(?!\\r|\\n)[^A-Za-z0-9+/=\s])|=(?=[^=\s\\])")


class PemError(ValueError):
    """A block is not base64.

    Attributes:
        at: The place in the block of what is none of it, from 0; None where there is too much or too little of it.
    """

    def __init__(self, at: int | None) -> None:
        super().__init__("the block is not base64")
        self.at = at


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block.

    Attributes:
        label: What it says that it is, such as CERTIFICATE.
        text: The whole block, from its first line to its last.
        at: Where it begins in the text.
    """

    label: str
    text: str
    at: int = dataclasses.field(default=0, compare=False)


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text in their order; what stands around them, and what does not end, is left out.

    Source:
        RFC 7468 section 2.
    """
    position, end = 0, -1
    while (begin := text.find(_BEGIN, position)) >= 0:
        if end < begin:
            end = text.find(_END, begin)
            if end < 0:
                return
        position = begin + len(_BEGIN)
        closing = text.find(_DASHES, position, position + _LONGEST_LABEL + len(_DASHES))
        label = text[position:closing]
        last = f"{_END}{label}{_DASHES}"
        if 0 <= closing < end and text.startswith(last, end):
            position = end + len(last)
            yield Block(label=label, text=text[begin:position], at=begin)


def content(block: Block) -> bytes:
    """Return what a block holds, however its lines were broken or joined.

    A tool that makes one line of a text leaves blanks, or the two characters of an escape, where lines ended. Neither
    is base64, so that there is no doubt about what was meant.

    Raises:
        PemError: It holds something else.
    """
    head, tail = len(_BEGIN) + len(block.label) + len(_DASHES), len(_END) + len(block.label) + len(_DASHES)
    body = block.text[head:-tail]
    if wrong := _NOT_BASE64.search(body):
        raise PemError(head + wrong.start())
    try:
        return base64.b64decode(_BREAKS.sub("", body), validate=True)
    except binascii.Error:
        raise PemError(None) from None


def rewrapped(block: Block) -> str:
    """Return a block with the line breaks that RFC 7468 wants, which OpenSSL insists on.

    Raises:
        PemError: It holds something other than base64.
    """
    encoded = base64.b64encode(content(block)).decode("ascii")
    lines = (encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE))
    return "\n".join((f"{_BEGIN}{block.label}{_DASHES}", *lines, f"{_END}{block.label}{_DASHES}"))


def unended(text: str) -> int | None:
    """Return where the first block begins that does not end as it began before the next begins; None where none is."""
    begin = text.find(_BEGIN)
    while begin >= 0:
        position = begin + len(_BEGIN)
        label, closed, _ = text[position : position + _LONGEST_LABEL + len(_DASHES)].partition(_DASHES)
        following = text.find(_BEGIN, position)
        end = text.find(_END, begin, following if following >= 0 else len(text))
        if not closed or end < 0 or not text.startswith(f"{_END}{label}{_DASHES}", end):
            return begin
        begin = following
    return None


def begins(text: str) -> int:
    """Return how often a block begins in a text, whether or not it ends."""
    return text.count(_BEGIN)

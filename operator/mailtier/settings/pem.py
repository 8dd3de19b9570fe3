"""The blocks of a PEM text, found in one pass: whoever wrote the text may want the search to take long."""

import dataclasses
from collections.abc import Iterator
from typing import Final

_BEGIN: Final = "-----BEGIN "
_END: Final = "-----END "
_DASHES: Final = "-----"
_LONGEST_LABEL: Final = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block.

    Attributes:
        label: What it says that it is, such as CERTIFICATE.
        text: The whole block, from its first line to its last.
    """

    label: str
    text: str


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
            yield Block(label=label, text=text[begin:position])

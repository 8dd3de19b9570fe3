"""What may follow what: every pair of a recipient's states, written out by hand.

The program has a table of its own, and this one is not made from it. Whoever changes one has to think of the other.
"""

import collections.abc
from typing import Final

from mailtier.api import vocabulary

_TABLE: Final = """
    from \\ to | queued | in doubt | deferred | held | accepted | failed | expired | suppressed
    queued     |   -    |   yes    |   yes    | yes  |   yes    |  yes   |   yes   |    yes
    deferred   |   -    |   yes    |   yes    | yes  |   yes    |  yes   |   yes   |    yes
    in doubt   |   -    |   yes    |    -     |  -   |   yes    |  yes   |    -    |     -
    held       |  yes   |    -     |    -     |  -   |    -     |  yes   |   yes   |    yes
    accepted   |   -    |    -     |    -     |  -   |    -     |   -    |    -    |     -
    failed     | again  |    -     |    -     |  -   |    -     |   -    |    -    |     -
    expired    | again  |    -     |    -     |  -   |    -     |   -    |    -    |     -
    suppressed | again  |    -     |    -     |  -   |    -     |   -    |    -    |     -
"""
"""One that is in doubt stays so until it is known to be accepted or given up, whatever its resends come to; one that is
held is released first; no attempt leaves the last four. What is `again` a person asks for; delivery never reports it.
"""

_ANSWERS: Final = {"yes": True, "-": False, "again": False}

Pair = tuple[vocabulary.RecipientState, vocabulary.RecipientState]


def _read() -> collections.abc.Iterator[tuple[Pair, str]]:
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in _TABLE.strip().splitlines()]
    for stored, *cells in rows:
        for reported, cell in zip(head[1:], cells, strict=True):
            yield (vocabulary.RecipientState(stored), vocabulary.RecipientState(reported)), cell


PAIRS: Final[collections.abc.Mapping[Pair, bool]] = {pair: _ANSWERS[cell] for pair, cell in _read()}
"""For a stored state and the state that is reported after it, whether that may be."""

AGAIN: Final[frozenset[Pair]] = frozenset(pair for pair, cell in _read() if cell == "again")
"""What a person may ask for."""

"""Replies by which a server asks for less: fewer connections at a time, or fewer messages in a while; pure."""

from typing import Final

from mailtier.mail import classify

# RFC 5321 section 4.2.3: 421 closing the channel, 452 insufficient system storage; RFC 4954 section 6: 454. With 432
# Exchange refuses what comes over more connections than a mailbox may use (432 4.3.2).
_CODES: Final = frozenset({421, 432, 452, 454})

_STATUSES: Final = frozenset({"4.3.2", "4.4.5"})
"""RFC 3463: system not accepting network messages; mail system congestion."""


def asks_for_less(failure: classify.Failure) -> bool:
    """Return whether a server might have taken it, had it been given less at the time.

    What it says of a recipient, whose mailbox is full, it says at any pace.
    """
    if failure.is_permanent or failure.scope is classify.Scope.RECIPIENT:
        return False
    return failure.code in _CODES or (failure.code is not None and failure.enhanced in _STATUSES)

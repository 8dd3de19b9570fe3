"""The steps of one mail transaction, and the one table of how it moves between them, with PIPELINING and without."""

import enum
import types
from collections.abc import Mapping
from typing import Final

from mailtier.mail import classify


class TransactionState(enum.StrEnum):
    """Which command the next reply answers."""

    IDLE = "idle"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    """None yet: a large message is on its way, and its dot waits."""
    DOT = "dot"
    WITHHELD = "withheld"
    """None that it asked for: the dot does not leave, since the server spoke or left before it could."""
    DRAIN = "drain"
    """None that matters: every recipient has failed, and replies to a group of commands are still to come."""
    EMPTY_DOT = "empty dot"
    """The dot of an empty message: the server agreed to DATA without a recipient (RFC 2920 section 3.1)."""
    ENDED = "ended"


class TransactionEvent(enum.StrEnum):
    """What can happen to a transaction."""

    START = "start"
    PROCEED = "proceed"
    """The next reply answers the next kind of command."""
    REPEAT = "repeat"
    """The next reply answers another command of the same kind."""
    PART = "part"
    """The message leaves, and is too large to leave with its dot."""
    WITHHOLD = "withhold"
    """The dot was handed out, and does not leave."""
    ABANDON = "abandon"
    """No recipient is left, and replies are outstanding."""
    CLOSE_EMPTY = "close empty"
    """No recipient is left, and the server waits for data."""
    END = "end"
    """Every result is known and no reply is outstanding, or none will come."""


TRANSITIONS: Final[Mapping[tuple[TransactionState, TransactionEvent], TransactionState]] = types.MappingProxyType(
    {
        (TransactionState.IDLE, TransactionEvent.START): TransactionState.MAIL,
        (TransactionState.IDLE, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.MAIL, TransactionEvent.PROCEED): TransactionState.RCPT,
        (TransactionState.MAIL, TransactionEvent.ABANDON): TransactionState.DRAIN,
        (TransactionState.MAIL, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.RCPT, TransactionEvent.REPEAT): TransactionState.RCPT,
        (TransactionState.RCPT, TransactionEvent.PROCEED): TransactionState.DATA,
        (TransactionState.RCPT, TransactionEvent.ABANDON): TransactionState.DRAIN,
        (TransactionState.RCPT, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.DATA, TransactionEvent.PROCEED): TransactionState.DOT,
        (TransactionState.DATA, TransactionEvent.PART): TransactionState.BODY,
        (TransactionState.DATA, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.BODY, TransactionEvent.PROCEED): TransactionState.DOT,
        (TransactionState.BODY, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.DOT, TransactionEvent.WITHHOLD): TransactionState.WITHHELD,
        (TransactionState.DOT, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.WITHHELD, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.DRAIN, TransactionEvent.REPEAT): TransactionState.DRAIN,
        (TransactionState.DRAIN, TransactionEvent.CLOSE_EMPTY): TransactionState.EMPTY_DOT,
        (TransactionState.DRAIN, TransactionEvent.END): TransactionState.ENDED,
        (TransactionState.EMPTY_DOT, TransactionEvent.END): TransactionState.ENDED,
    }
)

PHASES: Final[Mapping[TransactionState, classify.Phase]] = {
    TransactionState.MAIL: classify.Phase.MAIL,
    TransactionState.RCPT: classify.Phase.RCPT,
    TransactionState.DATA: classify.Phase.DATA,
    TransactionState.BODY: classify.Phase.DATA,
    TransactionState.DOT: classify.Phase.DOT,
    TransactionState.WITHHELD: classify.Phase.DATA,
    # No result depends on these two any more.
    TransactionState.DRAIN: classify.Phase.DATA,
    TransactionState.EMPTY_DOT: classify.Phase.DATA,
}

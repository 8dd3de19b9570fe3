"""What a process that died left behind: attempts whose outcome only the journal knows, or nobody."""

import dataclasses
import datetime as dt
import sqlite3
from collections.abc import Callable

from mailtier.api import vocabulary
from mailtier.mail import reasons, retry, states
from mailtier.sender import ports
from mailtier.sender.storage import journal
from mailtier.sender.storage.sqlite import outcomes, rows

_S = vocabulary.RecipientState


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A recipient whose message may have been taken before the process died.

    Attributes:
        accepted_at: Aware UTC time when the notification was taken in.
        expires_at: Aware UTC time of its max age.
        losses: How often it was lost after the final dot, this time included.
    """

    lane: ports.LaneKey
    category: vocabulary.Category
    accepted_at: dt.datetime
    expires_at: dt.datetime
    losses: int


InDoubtDecision = Callable[[Lost, dt.datetime], retry.RetryDecision]
"""Decides at a given time when a lost recipient is resent, or that it fails."""


def decide_in_doubt(lost: Lost, now: dt.datetime) -> retry.RetryDecision:
    """Return what the category's policy says, with the max age that the notification was taken in with."""
    policy = retry.policy_for(lost.category, max_age=lost.expires_at - lost.accepted_at)
    return retry.next_in_doubt(policy, queued_at=lost.accepted_at, losses=lost.losses, now=now)


def answer(connection: sqlite3.Connection, *, note: journal.Note, now: dt.datetime, in_doubt: InDoubtDecision) -> None:
    """Store what a note tells, in the transaction that is open; nothing if it was answered before.

    A message that was noted as accepted is accepted. One whose dot may have been sent is in doubt.
    """
    row = connection.execute(
        "SELECT r.state, r.noted, r.doubts, n.namespace_uid, n.namespace, n.organization, n.category, n.accepted_at, "
        "n.expires_at FROM recipients r JOIN notifications n ON n.number = r.notification WHERE r.number = ?",
        (note.recipient,),
    ).fetchone()
    if row is None:
        return
    state, noted, doubts, uid, namespace, organization, category, accepted_at, expires_at = row
    if state in states.FINAL or note.serial <= noted:
        return
    if state == _S.HELD:
        # It was released, and that outcome was not committed before the attempt.
        outcomes.record(connection, outcome=_returned(note.recipient, now), note=None)
    if note.accepted:
        outcome = _accepted(note.recipient, now)
    else:
        lost = Lost(
            lane=ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization),
            category=vocabulary.Category(category),
            accepted_at=rows.from_micros(accepted_at),
            expires_at=rows.from_micros(expires_at),
            losses=doubts + 1,
        )
        outcome = _lost(note.recipient, in_doubt(lost, now), now)
    outcomes.record(connection, outcome=outcome, note=note)


def begin(connection: sqlite3.Connection) -> int:
    """Return the new epoch of the journal, once every note is answered.

    An attempt of which nothing is noted did not reach its dot, and its recipient stands where it stood.
    """
    (epoch,) = connection.execute(
        "UPDATE counters SET value = value + 1 WHERE name = 'epoch' RETURNING value"
    ).fetchone()
    return int(epoch)


def _returned(recipient: int, now: dt.datetime) -> ports.Outcome:
    return ports.Outcome(
        recipient=recipient, state=_S.QUEUED, due_at=now, attempted=False, reason="", message="", at=now
    )


def _accepted(recipient: int, now: dt.datetime) -> ports.Outcome:
    return ports.Outcome(
        recipient=recipient,
        state=_S.ACCEPTED,
        due_at=None,
        attempted=True,
        reason="",
        message="",
        at=now,
    )


def _lost(recipient: int, decision: retry.RetryDecision, now: dt.datetime) -> ports.Outcome:
    reason = decision.reason if isinstance(decision, retry.GiveUp) else reasons.DeliveryReason.IN_DOUBT
    return ports.Outcome(
        recipient=recipient,
        state=_S.FAILED if isinstance(decision, retry.GiveUp) else _S.IN_DOUBT,
        due_at=None if isinstance(decision, retry.GiveUp) else decision.at,
        attempted=True,
        reason=reason.value,
        message=reasons.MEANINGS[reason],
        at=now,
    )

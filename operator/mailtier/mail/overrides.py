"""What an endpoint's owner makes of a reply in place of what `classify` makes of it: the first rule that matches."""

import dataclasses
from collections.abc import Sequence
from typing import Final

from mailtier.api import overrides, text, vocabulary
from mailtier.mail import classify, reasons, replies

_R: Final = reasons.DeliveryReason
_ACTING: Final = frozenset({classify.Phase.MAIL, classify.Phase.RCPT, classify.Phase.DATA, classify.Phase.DOT})
"""Before MAIL nothing is said of a message, and whoever connects is told the same."""

_DEFERRED: Final = {
    classify.Scope.RECIPIENT: _R.RECIPIENT_UNAVAILABLE,
    classify.Scope.MESSAGE: _R.MESSAGE_DEFERRED,
}
_REFUSED: Final = {classify.Scope.RECIPIENT: _R.RECIPIENT_REFUSED, classify.Scope.MESSAGE: _R.MESSAGE_REFUSED}


def override(
    judged: classify.Failure,
    phase: classify.Phase,
    reply: replies.Reply,
    rules: Sequence[overrides.ReplyOverride],
) -> classify.Failure:
    """Return what a reply means to the owner of the endpoint.

    Args:
        judged: What it means by itself.
        phase: The step that it answers.
        reply: The reply; what is neither 4yz nor 5yz is no refusal, and no rule is about it.
        rules: The owner's, in their order.
    """
    if phase not in _ACTING or not (reply.is_transient or reply.is_permanent):
        return judged
    number, rule = next(((number, rule) for number, rule in enumerate(rules) if _matches(rule, reply)), (0, None))
    if rule is None:
        return judged
    permanence = classify.Permanence.PERMANENT
    match rule.action:
        case vocabulary.ReplyAction.HOLD:
            scope, reason = classify.Scope.SETTINGS, _R.POLICY_REFUSED
        case vocabulary.ReplyAction.DEFER:
            scope, permanence = _concerned(judged, phase), classify.Permanence.TRANSIENT
            reason = _DEFERRED[scope]
        case vocabulary.ReplyAction.FAIL:
            scope = _concerned(judged, phase)
            reason = _REFUSED[scope]
    if (judged.scope, judged.permanence) == (scope, permanence):
        # Its reason says the same, and more closely.
        return judged
    decided_by = f"delivery.replies[{number}] ({rule.action.value})"
    return dataclasses.replace(judged, scope=scope, permanence=permanence, reason=reason, decided_by=decided_by)


def _concerned(judged: classify.Failure, phase: classify.Phase) -> classify.Scope:
    """Return whether it is for the recipient or for the message that a rule decides."""
    is_recipient = phase is classify.Phase.RCPT or judged.scope is classify.Scope.RECIPIENT
    return classify.Scope.RECIPIENT if is_recipient else classify.Scope.MESSAGE


def _matches(rule: overrides.ReplyOverride, reply: replies.Reply) -> bool:
    return (
        rule.code in {None, reply.code}
        and rule.enhanced in {None, str(reply.enhanced)}
        and (rule.text is None or text.lower_ascii(rule.text) in text.lower_ascii(reply.text))
    )

"""What a server cannot take, known from its EHLO reply before the first command of a transaction."""

from collections.abc import Sequence

from mailtier.mail import classify, reasons, wire


def find_unsendable(
    *, mail_from: str, rcpt_to: Sequence[str], size_bytes: int, is_eight_bit: bool, offered: wire.Extensions
) -> tuple[classify.Failure | None, ...]:
    """Return for each recipient why nothing can be sent to it, or None.

    Args:
        mail_from: Envelope sender in wire form.
        rcpt_to: Envelope recipients in wire form.
        size_bytes: Of the message.
        is_eight_bit: Whether it has bytes above 127.
        offered: What the server offers.

    Source:
        RFC 1870 section 6.1 (size), RFC 6152 section 3 (8-bit lines), RFC 6531 section 3.2 (addresses).
    """
    limit = offered.size_limit_bytes
    if limit is not None and size_bytes > limit:
        return (_failure(classify.Scope.MESSAGE, reasons.DeliveryReason.MESSAGE_TOO_LARGE),) * len(rcpt_to)
    if is_eight_bit and not offered.eight_bit_mime:
        return (_failure(classify.Scope.MESSAGE, reasons.DeliveryReason.EIGHT_BIT_NOT_OFFERED),) * len(rcpt_to)
    reason = reasons.DeliveryReason.SMTPUTF8_NOT_OFFERED
    if offered.smtputf8:
        return (None,) * len(rcpt_to)
    if not mail_from.isascii():
        return (_failure(classify.Scope.MESSAGE, reason),) * len(rcpt_to)
    return tuple(None if address.isascii() else _failure(classify.Scope.RECIPIENT, reason) for address in rcpt_to)


def _failure(scope: classify.Scope, reason: reasons.DeliveryReason) -> classify.Failure:
    return classify.Failure(
        scope=scope,
        permanence=classify.Permanence.PERMANENT,
        phase=classify.Phase.MAIL,
        reason=reason,
        text=reasons.MEANINGS[reason],
    )

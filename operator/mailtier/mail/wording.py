"""What the words of a refusal say where its codes do not: which part of the settings, or the message's content.

Servers give one code for many things (`554 5.7.1` at RCPT is the client, its name, the sender or relaying), and the
same thing in other phases: Postfix reports what it holds against the client and the sender at RCPT, Exchange at the
final dot. The words are the servers' own; they are compared and never quoted.
"""

from typing import Final

from mailtier.mail import reasons

_R: Final = reasons.DeliveryReason

_CAUSES: Final[tuple[tuple[reasons.DeliveryReason, tuple[str, ...]], ...]] = (
    (
        _R.CLIENT_NAME_REFUSED,
        (
            *("helo command rejected", "ehlo command rejected", "need fully-qualified hostname"),
            *("invalid helo", "invalid ehlo", "bad helo", "bad ehlo", "helo name", "ehlo name", "helo argument"),
            *("helo command [", "ehlo argument", "helo/ehlo", "ehlo/helo", "helo hostname", "helo rejected"),
        ),
    ),
    (
        _R.SENDER_REFUSED,
        (
            *("sendasdenied", "send as this sender", "permissions to send as", "not allowed to send as"),
            *("not authorized to send as", "not allowed to send from", "not permitted to send from"),
            *("not authorized to send from", "not owned by user", "sender address rejected", "sender rejected"),
            *("sender refused", "sender denied", "sender is not allowed", "sender not allowed", "invalid sender"),
            *("sender verify failed", "address is not verified", "verified sender identity", "domain not verified"),
            *("must equal authorized user", "sender domain", "sender address must", "sender address ["),
        ),
    ),
    (
        _R.RELAY_DENIED,
        (
            *("relay access denied", "relaying denied", "relay denied", "unable to relay", "relay not permitted"),
            *("relaying not permitted", "relaying not allowed", "relaying is not allowed", "not permitted to relay"),
            *("not allowed to relay", "cannot relay", "do not relay", "does not relay", "relaying temporarily denied"),
            *("relaying prohibited", "relaying is prohibited", "no relaying", "allowed rcpthosts", "mail relay denied"),
        ),
    ),
    (
        _R.AUTHENTICATION_REQUIRED,
        (
            *("authentication required", "authentication is required", "authentication needed", "auth first"),
            *("must authenticate", "authenticate first", "please authenticate", "auth required", "not authenticated"),
            *("requires authentication", "login first", "smtp-auth", "need auth"),
        ),
    ),
    (
        _R.ACCOUNT_DISABLED,
        (
            *("your account", "sending account", "smtpclientauthentication is disabled", "sending is disabled"),
            *("sending has been disabled", "sending disabled", "sending paused", "sending suspended"),
        ),
    ),
    (
        _R.LIMIT_REACHED,
        (
            *("sending limit", "sending quota", "sending rate", "submission quota", "submissionquotaexceeded"),
            *("submission rate", "daily message quota", "daily user sending", "messages per day", "message rate limit"),
            *("outbound limit", "hourly limit"),
        ),
    ),
    (
        # The client's address, which no message and no recipient can help.
        _R.POLICY_REFUSED,
        (
            *("client host", "client address", "client ip", "sending ip", "source ip", "connecting ip", "your ip"),
            *("sender ip", "sending mta", "blocked using"),
        ),
    ),
)
"""Phrases in lower case, each of which is said of the client's side and not of a recipient.

Source:
    Postfix 3.7 `smtpd_check.c`, `default_rbl_reply` and SASL_README; Exim 4.96's default configuration; qmail's
    `qmail-smtpd.c`; the known errors of `settings/providers`, each with its own source.
"""

_ACCOUNT: Final = ("account disabled", "account is disabled", "account has been disabled", "account suspended")
"""Said of the account that sends, unless the reply is about a recipient, whose account is as often disabled."""

_RECIPIENT: Final = ("recipient address rejected", "recipient rejected", "recipient address [")
"""What follows may be another server's words on the recipient, as where Postfix verifies addresses."""

_CONTENT: Final = (
    *("spam", "unsolicited", "virus", "malware", "infected", "phish", "content", "attachment", "junk", "suspicious"),
    *("malicious", "harmful", "executable", "banned file"),
)

_MESSAGE: Final = ("message rejected", "message refused", "message was rejected", "message was blocked")
"""Names what is refused, and says neither what is wrong with it nor whose fault that is."""


def cause(text: str, *, of_recipient: bool = False) -> reasons.DeliveryReason | None:
    """Return which part of the settings a refusal speaks of; None where it speaks of none.

    Args:
        text: What the server said, untrusted.
        of_recipient: Whether a recipient has been named last, so that an account may be the recipient's.
    """
    if speaks_of_recipient(text):
        return None
    said = text.lower()
    found = next((reason for reason, phrases in _CAUSES if any(phrase in said for phrase in phrases)), None)
    if found is None and not of_recipient and any(phrase in said for phrase in _ACCOUNT):
        return _R.ACCOUNT_DISABLED
    return found


def speaks_of_recipient(text: str) -> bool:
    """Return whether a refusal names the recipient's address as what it refuses."""
    said = text.lower()
    return any(phrase in said for phrase in _RECIPIENT)


def speaks_of_content(text: str) -> bool:
    """Return whether a refusal of the data speaks of what is in the message."""
    said = text.lower()
    return any(phrase in said for phrase in _CONTENT)


def speaks_of_message(text: str) -> bool:
    """Return whether a refusal of the data says that it is the message that is refused, and not its recipient."""
    said = text.lower()
    return any(phrase in said for phrase in (*_CONTENT, *_MESSAGE))

"""Messages as RFC 5322 bytes, built without `email.message`, which takes a hundred times as long.

The same values always give the same bytes: a message in doubt is resent byte for byte, also after a crash.
"""

import dataclasses
import datetime as dt
import hashlib
import re
from typing import Final

from mailtier.api import addresses
from mailtier.mail import bodies, headers

MAXIMUM_MESSAGE_BYTES: Final = 256 * 1024

# RFC 5322 section 3.6.4, without the obsolete forms and without quoted or bracketed parts.
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")

# RFC 5646 section 2.1, subtags of any kind.
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one recipient is sent.

    Attributes:
        from_: The author (RFC 5322 From); the envelope is not part of the message.
        from_name: The author's display name, or empty.
        reply_to: Where answers go, if not to the author.
        to: The one recipient; no message names another.
        subject: One line.
        text: The plain body; any kind of line break.
        html: The HTML body, or None.
        known_parts: Of the HTML body, to be had from `bodies.known_parts`; they change no byte.
        date: Aware time of the notification's acceptance, so that a rebuild has the same one.
        message_id: Unique and stable, `left@right` without angle brackets.
        language: BCP 47 tag of the bodies' language; None for a message that says nothing of it.
    """

    from_: addresses.Mailbox
    from_name: str = ""
    reply_to: addresses.Mailbox | None = None
    to: addresses.Mailbox
    subject: str = dataclasses.field(repr=False)
    text: str = dataclasses.field(repr=False)
    html: str | None = dataclasses.field(default=None, repr=False)
    known_parts: bodies.KnownParts = dataclasses.field(default=(), repr=False)
    date: dt.datetime
    message_id: str
    language: str | None = None


def serialize(message: Message) -> bytes:
    """Return the message with CRLF at the end of every line, ready for a transaction.

    Raises:
        headers.MessageError: A field holds what may not reach a header (R5), a body is not Unicode text, or the
            whole is larger than 256 KiB.
        ValueError: The date has no zone.

    Source:
        RFC 5322, RFC 2045 and 2046, RFC 3282 section 2 (Content-Language), RFC 3834 section 5 (Auto-Submitted).
    """
    if _MESSAGE_ID.fullmatch(message.message_id) is None:
        raise headers.MessageError("the Message-ID is not of the form left@right")
    fields = [
        headers.address("From", message.from_, message.from_name),
        headers.address("To", message.to),
        headers.unstructured("Subject", message.subject),
        f"Date: {headers.date(message.date)}",
        f"Message-ID: <{message.message_id}>",
    ]
    if message.reply_to is not None:
        fields.append(headers.address("Reply-To", message.reply_to))
    if message.language is not None:
        if _LANGUAGE.fullmatch(message.language) is None:
            raise headers.MessageError("the language is not a tag such as en or pt-BR")
        fields.append(f"Content-Language: {message.language}")
    fields.append("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n")
    head = "\r\n".join(fields).encode()
    try:
        plain = bodies.part(b"plain", message.text)
        html = None if message.html is None else bodies.part(b"html", message.html, message.known_parts)
    except UnicodeEncodeError:
        raise headers.MessageError("a body holds a lone surrogate, which is not Unicode text") from None
    whole = head + plain if html is None else _alternative(head, message.message_id, plain, html)
    if len(whole) > MAXIMUM_MESSAGE_BYTES:
        raise headers.MessageError(f"the message is larger than {MAXIMUM_MESSAGE_BYTES} bytes")
    return whole


def _alternative(head: bytes, message_id: str, plain: bytes, html: bytes) -> bytes:
    # `=_` occurs neither in quoted-printable nor in base64, so no body can hold the boundary (RFC 2045
    # section 6.7, note).
    digest = hashlib.blake2b(message_id.encode(), digest_size=12).hexdigest().encode()
    boundary = b"=_" + digest
    return b'%bContent-Type: multipart/alternative; boundary="%b"\r\n\r\n--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n' % (
        head,
        boundary,
        boundary,
        plain,
        boundary,
        html,
        boundary,
    )

"""From the bytes of a batch to its parts, each as it came, and how much one batch may be."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from mailtier.api import notification
from mailtier.sender.intake import admission
from mailtier.sender.intake.http import problems
from mailtier.settings import effective

MAXIMUM_NOTIFICATIONS: Final = 500
MAXIMUM_RECIPIENTS: Final = 1_000
MAXIMUM_BYTES: Final = 4 * 1024 * 1024

_BLANKS: Final = b" \t\r\n"
# So no member stands twice, and none is overlooked: what is around the list is this, and a brace at the end.
_BEFORE: Final = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"notifications"[ \t\r\n]*:')
# Of a list the decoder would read all before it counts: two million numbers take it half a second.
_PARTS: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "Parts",
        [(f"part{number}", msgspec.Raw, msgspec.Raw()) for number in range(MAXIMUM_NOTIFICATIONS)],
        array_like=True,
        forbid_unknown_fields=True,
    )
)
_REMEDY: Final = "send it in parts, each notification with the same idempotency key as before"


def split(body: bytes) -> Sequence[bytes]:
    """Return the notifications of a batch, each as it came; what they are is not looked at.

    Raises:
        HttpProblem: It is no object with a list of notifications, or has too many of them.
    """
    before, after = _BEFORE.match(body), body.rstrip(_BLANKS)
    if before is None or not after.endswith(b"}"):
        raise _malformed("")
    listed = after[before.end() : -1].lstrip(_BLANKS)
    try:
        # Half of a character (U+D800 to U+DFFF), as a text has at its end that was cut, spoils its own notification
        # alone. The decoder would refuse the whole; it reads a harmless escape of the same length instead.
        readable = listed.replace(rb"\ud", rb"\u0").replace(rb"\uD", rb"\u0")
        found = _PARTS.decode(readable)
    except (msgspec.DecodeError, RecursionError) as error:
        # Chaining would carry what was sent into a traceback (R1).
        if isinstance(error, msgspec.ValidationError) and listed.startswith(b"["):
            raise too_large(f"the batch has more than {MAXIMUM_NOTIFICATIONS} notifications") from None
        raise _malformed(_position(str(error), len(after) - 1 - len(listed))) from None
    parts = list(_cut(listed, readable, (bytes(part) for part in msgspec.structs.astuple(found))))
    if not parts:
        raise problems.HttpProblem(
            problems.INVALID,
            "one thing is wrong with the batch; see errors",
            errors=[problems.FieldError(pointer="#/notifications", detail="must have at least 1 entry")],
        )
    return parts


def _cut(listed: bytes, readable: bytes, found: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a list as they were sent, of which a readable form is known."""
    end = 0
    for part in itertools.takewhile(len, found):
        # Between two of them are blanks and a comma, so that the first place is the right one.
        begin = readable.index(part, end)
        end = begin + len(part)
        yield listed[begin:end]


def require_recipients(contents: Iterable[notification.Content], settings: effective.Effective) -> None:
    """Refuse a batch that goes to too many, those among them whom the settings name.

    Raises:
        HttpProblem: It does.
    """
    count = sum(len(admission.recipients(content, settings)) for content in contents)
    if count > MAXIMUM_RECIPIENTS:
        raise too_large(f"the batch goes to {count} recipients, more than {MAXIMUM_RECIPIENTS}")


def too_large(what: str) -> problems.HttpProblem:
    """Return the answer to a batch that is more than one may be.

    Args:
        what: It has or is, and the limit.
    """
    return problems.HttpProblem(problems.BATCH_TOO_LARGE, f"{what}; nothing of it was taken: {_REMEDY}")


def _malformed(position: str) -> problems.HttpProblem:
    return problems.HttpProblem(
        problems.MALFORMED,
        f"the body is no JSON object whose one member is `notifications`, a list{position}; mend it",
    )


def _position(message: str, offset: int) -> str:
    """Return where the decoder stopped, without what it says it met there."""
    found = re.search(r"\(byte (\d+)\)", message)
    return f" (at byte {offset + int(found[1]) + 1})" if found else ""

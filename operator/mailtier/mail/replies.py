"""SMTP replies: read from bytes as they come in, bounded (R10)."""

import dataclasses
import functools
import re
from typing import Final, cast

# RFC 5321 section 4.5.3.1.5 sets 512 bytes for a reply line; servers that exceed it exist, so four times
# as much is tolerated. The totals are this project's (R10).
MAXIMUM_LINE_BYTES: Final = 2048
MAXIMUM_LINES: Final = 64
MAXIMUM_REPLY_BYTES: Final = 8 * 1024

MAXIMUM_REPLIES: Final = 8
"""Read at once: three of a pipelined group (MAIL, RCPT, DATA), and a few that nobody asked for."""

SERVICE_NOT_AVAILABLE: Final = 421
"""The server closes the connection after this reply, whatever it answers (RFC 5321 section 3.8)."""

CHALLENGE: Final = 334
AUTHENTICATED: Final = 235
"""RFC 4954 section 6."""

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_POSITIVE: Final = (b"2", b"3")
_YES: Final = re.compile(rb"([23][0-9]{2})(?: ([^\r\n]*))?")
_ENHANCED: Final = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: |$)")


class ReplyError(Exception):
    """What the server sent is not an SMTP reply. The sentence never repeats what it sent (R7)."""


class ReplyTooLargeError(ReplyError):
    """A reply that is larger than R10 allows.

    Attributes:
        cut: Its code, with the text that came before the bound; None where not even the code came.
    """

    def __init__(self, told: str, cut: "Reply | None") -> None:
        super().__init__(told)
        self.cut = cut


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EnhancedStatus:
    """An enhanced mail system status code, class.subject.detail (RFC 3463 section 2)."""

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply of a server.

    Attributes:
        code: The basic code, 200 to 599 (RFC 5321 section 4.2).
        enhanced: The enhanced code, where the first line has one of the same class (RFC 2034 section 4).
        lines: The text of each line without its codes: untrusted, not fit for a log or a status.
    """

    code: int
    enhanced: EnhancedStatus | None = None
    lines: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    @property
    def is_positive(self) -> bool:
        """Whether the command was carried out (2yz)."""
        return 200 <= self.code <= 299  # noqa: PLR2004 - RFC 5321 section 4.2.1.

    @property
    def is_intermediate(self) -> bool:
        """Whether the server waits for more (3yz)."""
        return 300 <= self.code <= 399  # noqa: PLR2004 - RFC 5321 section 4.2.1.

    @property
    def is_transient(self) -> bool:
        """Whether the same command may succeed later (4yz)."""
        return 400 <= self.code <= 499  # noqa: PLR2004 - RFC 5321 section 4.2.1.

    @property
    def is_permanent(self) -> bool:
        """Whether the same command is not worth repeating (5yz)."""
        return self.code >= 500  # noqa: PLR2004 - RFC 5321 section 4.2.1.

    @property
    def text(self) -> str:
        """All lines as one, untrusted; `quoting.quotable` makes it fit to be shown."""
        return " ".join(self.lines)


class ReplyParser:
    """Turns the bytes that a server sends into replies; reads nothing by itself.

    A parser that has raised stays broken: after a reply that cannot be read, no later one can be paired with
    its command. Of a reply that is only too large the code is known, and counts: it is returned with the text that
    came before its bound, and the parser is broken behind it.
    """

    __slots__ = ("_buffer", "_code", "_error", "_lines", "_reply_bytes")

    def __init__(self) -> None:
        self._buffer = b""
        self._code = b""
        self._lines: list[bytes] = []
        self._reply_bytes = 0
        self._error: ReplyError | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no part of a reply is waiting for its rest.

        A session is fit for another message only where this is true: what comes unasked is the server's goodbye.
        STARTTLS does not look here; what came in clear before TLS (CVE-2011-0411) the client's buffer discards.
        """
        return not self._buffer and not self._lines and self._error is None

    @property
    def is_broken(self) -> bool:
        """Whether something came that cannot be read."""
        return self._error is not None

    def receive(self, data: bytes, *, most: int = MAXIMUM_REPLIES) -> tuple[Reply, ...]:
        """Return the replies that `data` completes, oldest first.

        A reply that came whole before an unreadable one is returned; the error is raised by the next call. It
        may be the answer to the final dot. No line is looked at behind as many replies as somebody may wait for.

        Args:
            data: What came.
            most: How many replies are made use of; the parser is broken behind them where another line came.

        Raises:
            ReplyError: The server does not speak SMTP, or said more after a reply that was larger than R10 allows.
        """
        if self._error is not None:
            raise self._error
        usual = () if self._buffer or self._lines else _usual(data, most)
        return usual or self._receive(data, most)

    def _receive(self, data: bytes, most: int) -> tuple[Reply, ...]:
        replies: list[Reply] = []
        # Once for all lines: what is left of a chunk is not copied for each.
        received, start = self._buffer + data, 0
        try:
            while len(replies) < most and (end := received.find(b"\n", start)) >= 0:
                line, start = received[start:end], end + 1
                reply = self._take_line(line.removesuffix(b"\r"))
                if reply is not None:
                    replies.append(reply)
            self._keep(received[start:])
        except ReplyError as error:
            self._error = error
            self._buffer = b""
            if isinstance(error, ReplyTooLargeError) and error.cut is not None:
                replies.append(error.cut)
            if not replies:
                raise
        return tuple(replies)

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a line whose end has not come."""
        if b"\n" in rest:
            raise ReplyError("the server sent more replies than it was asked for")
        self._check_size(rest)
        self._buffer = rest

    def _check_size(self, line: bytes) -> None:
        if len(line) > MAXIMUM_LINE_BYTES:
            raise self._too_large(f"line of more than {MAXIMUM_LINE_BYTES} bytes", line)
        if self._reply_bytes + len(line) > MAXIMUM_REPLY_BYTES:
            raise self._too_large(f"of more than {MAXIMUM_REPLY_BYTES} bytes", line)

    def _too_large(self, told: str, line: bytes) -> ReplyTooLargeError:
        match = _REPLY_LINE.fullmatch(line[:MAXIMUM_LINE_BYTES])
        cut = None
        if match is not None and match[2] is not None and (not self._lines or match[1] == self._code):
            lines = [*self._lines, match[3]] if len(self._lines) < MAXIMUM_LINES else self._lines
            cut = _reply(int(match[1]), [each.decode("utf-8", "replace") for each in lines])
        return ReplyTooLargeError(f"the server sent a reply {told}", cut)

    def _take_line(self, line: bytes) -> Reply | None:
        self._check_size(line)
        match = _REPLY_LINE.fullmatch(line)
        if match is None:
            raise ReplyError("the server sent something that is not an SMTP reply")
        code, separator, text = match[1], match[2], match[3] or b""
        if self._lines and code != self._code:
            raise ReplyError("the server changed the code within a multi-line reply")
        if len(self._lines) == MAXIMUM_LINES:
            raise self._too_large(f"of more than {MAXIMUM_LINES} lines", line)
        self._code = code
        self._lines.append(text)
        self._reply_bytes += len(line)
        if separator == b"-":
            return None
        reply = _reply(int(code), [line.decode("utf-8", "replace") for line in self._lines])
        self._lines = []
        self._reply_bytes = 0
        return reply


def _usual(data: bytes, most: int) -> tuple[Reply, ...]:
    """Return what data is where it is whole replies of one line each that say yes; () where it is anything else."""
    if len(data) > MAXIMUM_LINE_BYTES or not data.endswith(b"\r\n"):
        return ()
    lines = data.split(b"\r\n")
    lines.pop()
    # What a refusal quotes is not kept.
    if len(lines) > most or not all(line.startswith(_POSITIVE) for line in lines):
        return ()
    found = tuple(map(_yes, lines))
    return () if None in found else cast("tuple[Reply, ...]", found)


@functools.lru_cache(maxsize=128)
def _yes(line: bytes) -> Reply | None:
    """Return a reply of one line that says yes, or to go on; None for anything else.

    Servers say the same few with each message.
    """
    match = _YES.fullmatch(line)
    return None if match is None else _reply(int(match[1]), [(match[2] or b"").decode("utf-8", "replace")])


def _reply(code: int, lines: list[str]) -> Reply:
    match = _ENHANCED.match(lines[0])
    # RFC 2034 section 4 requires the class to equal the basic code's first digit; one that contradicts it
    # is not believed, and stays part of the text.
    if match is None or int(match[1]) != code // 100:
        return Reply(code=code, lines=tuple(lines))
    enhanced = EnhancedStatus(class_=int(match[1]), subject=int(match[2]), detail=int(match[3]))
    return Reply(code=code, enhanced=enhanced, lines=tuple(line.removeprefix(match[0]) for line in lines))

"""What a test server has seen: transcripts, messages and authentication attempts."""

import collections.abc
import dataclasses
import email
import email.message
import email.policy
import enum
import functools
import json
import os
import pathlib
import re

_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Direction(enum.StrEnum):
    """Who sent a line."""

    CLIENT = "C"
    SERVER = "S"


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line on the wire with its line end; a message's content, with its dot, is one line.

    Attributes:
        direction: Who sent it.
        data: The bytes before TLS, or after.
        at: Seconds on the system's monotonic clock, which all processes of a machine share.
        tls: Whether it was protected.
    """

    direction: Direction
    data: bytes
    at: float
    tls: bool


@dataclasses.dataclass(slots=True, kw_only=True)
class Transcript:
    """One connection from its first to its last byte.

    Attributes:
        connection: A number, counted from 1.
        peer: The client's address and port.
        lines: Everything that was said.
        tls: Whether the connection is, or was in the end, protected.
        sni: The server name that the client asked for in its TLS handshake.
        client_names: The DNS names in the certificate that the client showed; empty where it showed none.
        tls_error: Why the TLS handshake failed.
        violations: How the client broke the protocol.
        closed: Whether the connection has ended.
    """

    connection: int
    peer: tuple[str, int]
    lines: list[Line] = dataclasses.field(default_factory=list)
    tls: bool = False
    sni: str | None = None
    client_names: tuple[str, ...] = ()
    tls_error: str | None = None
    violations: list[str] = dataclasses.field(default_factory=list)
    closed: bool = False

    def sent(self, direction: Direction) -> list[bytes]:
        """Return the lines of one side without their line ends."""
        return [line.data.rstrip(b"\r\n") for line in self.lines if line.direction is direction]

    def commands(self) -> list[bytes]:
        """Return the client's lines without their line ends."""
        return self.sent(Direction.CLIENT)

    def replies(self) -> list[bytes]:
        """Return the server's lines without their line ends."""
        return self.sent(Direction.SERVER)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """A message that the server took over.

    Attributes:
        connection: The number of the connection it came on.
        mail_from: The reverse path, empty for `<>`.
        mail_parameters: What followed it, such as `BODY=8BITMIME`.
        rcpt_to: The forward paths that were accepted.
        data: The content as it was before dot-stuffing, with CRLF line ends.
        username: Who had authenticated, if anybody.
        tls: Whether the connection was protected.
        at: Seconds on the system's monotonic clock.
        is_followed: Whether more stood in one packet with its dot.
    """

    connection: int
    mail_from: str
    mail_parameters: tuple[str, ...]
    rcpt_to: tuple[str, ...]
    data: bytes
    username: str | None
    tls: bool
    at: float
    is_followed: bool

    @functools.cached_property
    def message_id(self) -> str:
        """The Message-ID header's value with its angle brackets, or an empty text."""
        headers = self.data.partition(b"\r\n\r\n")[0]
        found = _MESSAGE_ID.search(headers)
        return found[1].decode("ascii", "backslashreplace") if found else ""

    def parsed(self) -> email.message.EmailMessage:
        """Return the content as Python's own parser reads it."""
        return email.message_from_bytes(self.data, policy=email.policy.default)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuthAttempt:
    """One AUTH command that came as far as its credentials.

    Attributes:
        connection: The number of the connection it came on.
        mechanism: Its name in capitals.
        username: The identity that was claimed.
        password: What was sent as its password.
        accepted: Whether it was let in.
        tls: Whether the connection was protected.
        at: Seconds on the system's monotonic clock.
    """

    connection: int
    mechanism: str
    username: str
    password: str
    accepted: bool
    tls: bool
    at: float


class _Log:
    """A file of JSON lines. Each is with the kernel when `write` returns, so a SIGKILL cannot lose it."""

    def __init__(self, path: pathlib.Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, record: collections.abc.Mapping[str, object]) -> None:
        os.write(self._descriptor, json.dumps(record).encode() + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)


class Recorder:
    """Keeps what a server has seen, in lists and, if wanted, in files of JSON lines.

    Args:
        keep: Whether the lists are filled; a bench of a million messages only counts.
        message_log: A file that gets a line for each message before the server replies to it.
        transcript_log: A file that gets each line of each connection.
    """

    def __init__(
        self,
        *,
        keep: bool = True,
        message_log: pathlib.Path | None = None,
        transcript_log: pathlib.Path | None = None,
    ) -> None:
        self.transcripts: list[Transcript] = []
        self.messages: list[Message] = []
        self.auth_attempts: list[AuthAttempt] = []
        self.message_count = 0
        self.connection_count = 0
        self._keep = keep
        self._message_log = message_log and _Log(message_log)
        self._transcript_log = transcript_log and _Log(transcript_log)
        self.wants_lines = keep or self._transcript_log is not None

    def open_transcript(self, peer: tuple[str, int]) -> Transcript:
        """Return the transcript of a new connection."""
        self.connection_count += 1
        transcript = Transcript(connection=self.connection_count, peer=peer)
        if self._keep:
            self.transcripts.append(transcript)
        return transcript

    def line(self, transcript: Transcript, line: Line) -> None:
        """Record a line; not to be called unless `wants_lines`."""
        if self._keep:
            transcript.lines.append(line)
        if self._transcript_log:
            self._transcript_log.write(
                {
                    "connection": transcript.connection,
                    "direction": line.direction,
                    "line": line.data.decode("utf-8", "backslashreplace"),
                    "tls": line.tls,
                    "at": line.at,
                }
            )

    def message(self, message: Message) -> None:
        """Record a message, before it is acknowledged."""
        self.message_count += 1
        if self._keep:
            self.messages.append(message)
        if self._message_log:
            self._message_log.write(
                {
                    "message_id": message.message_id,
                    "mail_from": message.mail_from,
                    "rcpt_to": message.rcpt_to,
                    "connection": message.connection,
                    "username": message.username,
                    "tls": message.tls,
                    "size": len(message.data),
                    "at": message.at,
                }
            )

    def auth(self, attempt: AuthAttempt) -> None:
        """Record an authentication attempt, before it is answered."""
        if self._keep:
            self.auth_attempts.append(attempt)

    def clear(self) -> None:
        """Forget what was seen; open connections go on in transcripts of which the past is forgotten."""
        self.transcripts = [transcript for transcript in self.transcripts if not transcript.closed]
        for transcript in self.transcripts:
            transcript.lines.clear()
        self.messages.clear()
        self.auth_attempts.clear()
        self.message_count = 0

    def close(self) -> None:
        """Close the files; what the lists hold stays."""
        for log in (self._message_log, self._transcript_log):
            if log:
                log.close()
        self._message_log = self._transcript_log = None

"""aiosmtplib's client as sessions are opened with it: on a socket of ours, with handshakes of ours."""

import asyncio
import os
import socket
from typing import Any, Final

import aiosmtplib
from aiosmtplib import protocol as smtp_protocol

from mailtier.mail import classify, replies
from mailtier.sender.net import handshakes
from mailtier.sender.secrets import credentials

HELO_ALONE: Final = "The SMTP server does not know EHLO, and so has neither STARTTLS nor AUTH."

_READY: Final = 220


class SmtpClient(aiosmtplib.SMTP):
    """A client that drops its connection instead of waiting for a server that does not answer.

    Args:
        sock: A connected socket, the client's from now on.
        server_name: The server's, for its certificate.
        helo_name: Ours.
        secured: What the handshake on that socket established; None where the server speaks first.
    """

    def __init__(
        self, sock: socket.socket, *, server_name: str, helo_name: str, secured: handshakes.Secured | None
    ) -> None:
        # `start_tls=False`: None would mean "if the server happens to offer it". Without `timeout`, only our own
        # total counts; without `local_hostname`, it would look up the host's own name in DNS.
        super().__init__(
            hostname=server_name,
            port=None,
            sock=sock,
            use_tls=secured is not None,
            start_tls=False,
            tls_context=None if secured is None else secured.for_asyncio,
            local_hostname=helo_name,
            timeout=None,
        )

    def close(self) -> None:
        """Drop the connection."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        super().close()

    def require_quiet(self) -> None:
        """Return when every byte that the server sent has been made use of.

        aiosmtplib keeps what came in one packet behind a reply, and takes it for the reply to the next command; it has
        no public way to it.

        Raises:
            replies.ReplyError: There is more: nothing that comes later could be paired with its command.
        """
        if getattr(self.protocol, "_buffer", b""):
            raise replies.ReplyError("the server sent more than it was asked for")

    async def execute_command(self, *args: bytes, **options: Any) -> aiosmtplib.SMTPResponse:
        """Say a command and return the reply to it.

        Raises:
            replies.ReplyError: The server had said more than it was asked for before.
        """
        self.require_quiet()
        return await super().execute_command(*args, **options)

    async def leave_clear_text(self) -> socket.socket:
        """Say STARTTLS, and return the connection, from which nobody reads any more; the client has none.

        Raises:
            aiosmtplib.SMTPResponseException: The server refuses.
        """
        response = await self.execute_command(b"STARTTLS")
        if response.code != _READY:
            raise aiosmtplib.SMTPResponseException(response.code, response.message)
        if not isinstance(self.transport, asyncio.Transport) or self.transport.is_closing():
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        # Another descriptor of the same connection: the transport closes its own.
        theirs: socket.socket = self.transport.get_extra_info("socket")
        ours = socket.socket(fileno=os.dup(theirs.fileno()))
        ours.setblocking(False)  # noqa: FBT003 - the standard library's signature.
        self.close()
        return ours

    async def go_on(self, sock: socket.socket, secured: handshakes.Secured) -> None:
        """Take the connection back once it is under TLS. aiosmtplib's own `starttls` makes the handshake in the loop.

        The protocol is a new one, so that nothing that came in clear is read after TLS (RFC 3207 section 4.2).
        """
        loop = asyncio.get_running_loop()
        self.transport, self.protocol = await loop.create_connection(
            lambda: smtp_protocol.SMTPProtocol(loop=loop),
            sock=sock,
            ssl=secured.for_asyncio,
            server_hostname=self.hostname,
        )


def judge_reply(phase: classify.Phase, code: int, message: str, found: credentials.Credentials) -> classify.Failure:
    """Return what aiosmtplib's response to a step means; it quotes none of the credentials."""
    try:
        reply = read_reply(code, message)
    except replies.ReplyError:
        return classify.classify_fault(phase, classify.Fault.PROTOCOL_ERROR)
    return classify.classify_reply(phase, reply, secrets=found.known)


def read_reply(code: int, message: str) -> replies.Reply:
    """Return aiosmtplib's response as the reply that it was, within our own bounds (R10).

    Raises:
        replies.ReplyError: It is none, or larger than it may be.
    """
    *others, last = message.encode("utf-8", "surrogateescape").split(b"\n")
    prefix = str(code).encode()
    parser = replies.ReplyParser()
    read = parser.receive(
        b"".join([*(prefix + b"-" + line + b"\r\n" for line in others), prefix + b" " + last + b"\r\n"])
    )
    if parser.is_broken:
        raise replies.ReplyError("the server sent a reply that is too large")
    return read[0]

"""An SMTP server that records everything and misbehaves by script.

    async with smtpd.Server(smtpd.Options(tls=smtpd.Tls.STARTTLS, context=leaf.server_context())) as server:
        server.script.on("RCPT TO:<nobody@example.org>", "550 5.1.1 No such user")
        ...
        assert server.messages[0].rcpt_to == ("somebody@example.org",)

It is our own rather than a library's because tests need what a well-behaved server never does: a connection
lost after the final dot, replies a byte at a time, a greeting that is not SMTP, an error that quotes a password.
`Process` (or `python -m kit.smtpd --help`) runs it as a process of its own.
"""

from kit.smtpd.options import Options, Tls
from kit.smtpd.process import Process
from kit.smtpd.records import AuthAttempt, Direction, Line, Message, Recorder, Transcript
from kit.smtpd.script import BODY, DOT, GREETING, Behaviour, Drop, Script
from kit.smtpd.server import Server, Starter

__all__ = [
    "BODY",
    "DOT",
    "GREETING",
    "AuthAttempt",
    "Behaviour",
    "Direction",
    "Drop",
    "Line",
    "Message",
    "Options",
    "Process",
    "Recorder",
    "Script",
    "Server",
    "Starter",
    "Tls",
    "Transcript",
]

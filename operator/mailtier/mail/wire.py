"""What a mail transaction writes: commands with the parameters a server offers, and dot-stuffed data."""

import dataclasses
import ipaddress
from collections.abc import Collection, Mapping
from typing import Final

from mailtier.api import text as texts
from mailtier.api import vocabulary

DATA: Final = b"DATA\r\n"
RSET: Final = b"RSET\r\n"
QUIT: Final = b"QUIT\r\n"
DOT: Final = b".\r\n"
"""The end of a message, and of an empty one all there is (RFC 5321 section 4.1.1.4)."""

_CRLF: Final = b"\r\n"


def client_name(name: str, local_address: str) -> str:
    """Return what follows EHLO: the name that somebody chose, or the client's address as a literal.

    A pod has no name that a server could look up, and servers refuse one without a domain (504). A literal is what
    RFC 5321 section 4.1.4 has for such a client; it passes Postfix's reject_invalid_, reject_non_fqdn_ and
    reject_unknown_helo_hostname, the last of which a name below svc.cluster.local does not.

    Args:
        name: A domain name or an IP address; empty where nobody chose one.
        local_address: The connection's own end.
    """
    try:
        # Without the zone of a link-local address, which means nothing to the other end.
        address = ipaddress.ip_address((name or local_address).partition("%")[0])
    except ValueError:
        return name
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"  # noqa: PLR2004 - RFC 5321 section 4.1.3.


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """What the server's EHLO reply offers, as far as a transaction makes use of it.

    Attributes:
        pipelining: Commands may be sent in groups (RFC 2920).
        size: MAIL may carry the message's size (RFC 1870).
        size_limit_bytes: The largest message the server takes; None where it does not say.
        eight_bit_mime: Lines may hold bytes above 127 (RFC 6152).
        smtputf8: Addresses may hold other characters than ASCII (RFC 6531).
        dsn: MAIL may say what a bounce returns (RFC 3461).
    """

    pipelining: bool = False
    size: bool = False
    size_limit_bytes: int | None = None
    eight_bit_mime: bool = False
    smtputf8: bool = False
    dsn: bool = False

    @classmethod
    def from_ehlo(
        cls, keywords: Mapping[str, str], *, ignored: Collection[vocabulary.EhloKeyword] = ()
    ) -> "Extensions":
        """Return what EHLO keywords offer.

        Args:
            keywords: Each keyword, in any case, to its parameters as one string.
            ignored: Those to be taken as not offered.
        """
        offered = {keyword.upper(): parameters.strip() for keyword, parameters in keywords.items()}
        offered = {keyword: parameters for keyword, parameters in offered.items() if keyword not in ignored}
        limit = offered.get("SIZE", "")
        # RFC 1870 section 4 allows twenty digits; 0 says that there is no fixed limit.
        is_known = limit.isascii() and limit.isdigit() and len(limit) <= 20 and int(limit) > 0  # noqa: PLR2004
        return cls(
            pipelining="PIPELINING" in offered,
            size="SIZE" in offered,
            size_limit_bytes=int(limit) if is_known else None,
            eight_bit_mime="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            dsn="DSN" in offered,
        )


def check_address(address: str) -> None:
    """Return when the envelope address can stand between angle brackets.

    Raises:
        ValueError: It would end the command early or begin another one (R5). It is a defect of the caller:
            what users write was parsed by `api.addresses` before.
    """
    # Nearly every one is printable ASCII, of which nothing is forbidden.
    is_plain = address.isascii() and address.isprintable()
    if "<" in address or ">" in address or " " in address or not (is_plain or texts.find_forbidden(address) is None):
        raise ValueError("an envelope address holds a character that would change the command")


def check_message(message: bytes) -> None:
    r"""Return when the message can be sent as it is.

    Raises:
        ValueError: Its line endings are not all CRLF, or the last line has none. A bare CR or LF is what SMTP
            smuggling is made of (CVE-2023-51764): servers disagree on whether `\n.\r\n` ends the data.
    """
    if not has_whole_ends(message) or not message.endswith(_CRLF):
        raise ValueError("a message has CRLF at the end of every line, and no other CR or LF")


def has_whole_ends(data: bytes) -> bool:
    """Return whether CR and LF stand together wherever they stand."""
    return data.count(b"\r") == data.count(b"\n") == data.count(_CRLF)


def mail(mail_from: str, *, size_bytes: int, is_eight_bit: bool, is_utf8: bool, offered: Extensions) -> bytes:
    """Return the MAIL command, with each parameter that is of use only where it is offered.

    A bounce is to return headers alone: it goes to a mailbox that others may read, and a message may hold a reset link.
    ENVID is left out, since those headers have the Message-ID; and so is NOTIFY at RCPT, since without it a failure is
    told, as somebody who reads that mailbox wants it.

    Source:
        RFC 5321 section 4.1.1.2, RFC 1870 section 5, RFC 6152 section 2, RFC 6531 section 3.4, RFC 3461 section 4.3.
    """
    command = f"MAIL FROM:<{mail_from}>"
    if offered.size:
        command += f" SIZE={size_bytes}"
    if is_eight_bit and offered.eight_bit_mime:
        command += " BODY=8BITMIME"
    if is_utf8 and offered.smtputf8:
        command += " SMTPUTF8"
    if offered.dsn:
        command += " RET=HDRS"
    return command.encode() + b"\r\n"


def rcpt(rcpt_to: str) -> bytes:
    """Return the RCPT command (RFC 5321 section 4.1.1.3)."""
    return f"RCPT TO:<{rcpt_to}>\r\n".encode()


def body(message: bytes) -> bytes:
    """Return the message as it follows a 354, before the final dot: leading dots doubled (RFC 5321 section 4.5.2)."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed

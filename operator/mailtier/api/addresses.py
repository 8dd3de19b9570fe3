"""Mail addresses: a conservative subset of RFC 5321's Mailbox, parsed once and passed on as a value.

What is refused, and why: quoted local parts (`"a b"@example.com`) and address literals (`a@[192.0.2.1]`) are
legal but unused by people, and are where parsers disagree with each other; comments, groups, display names and
source routes are not part of a Mailbox at all. A domain of one label (`root@mailhost`) is legal and accepted.
"""

import dataclasses
import re
import unicodedata
from typing import Final

import idna

from mailtier.api import text as texts

# RFC 5321 section 4.5.3.1.1; section 4.5.3.1.3 allows a path of 256 with its angle brackets.
MAXIMUM_LOCAL_LENGTH: Final = 64
MAXIMUM_LENGTH: Final = 254
# RFC 1035 section 2.3.4 allows 255 octets, two of which are the first label's length and the root label.
MAXIMUM_DOMAIN_LENGTH: Final = 253

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

# In the syntax that RE2 and Python share: the apiserver tests the same patterns, in ASCII alone.
LOCAL_PATTERN: Final = rf"{_ATOM}(\.{_ATOM})*"
DOMAIN_PATTERN: Final = rf"{_LABEL}(\.{_LABEL})*"
PATTERN: Final = rf"{LOCAL_PATTERN}@{DOMAIN_PATTERN}"

_LOCAL: Final = re.compile(LOCAL_PATTERN)
_DOMAIN: Final = re.compile(DOMAIN_PATTERN)
_MAILBOX: Final = re.compile(PATTERN)


class AddressError(ValueError):
    """The text is not a mail address that can be used; the sentence says why and does not repeat it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mailbox.

    Attributes:
        local: The part before the last `@`, as it was written (its case may matter to its server).
        domain: Lower case, internationalized labels as people read them (U-labels).
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def wire_domain(self) -> str:
        """The domain in ASCII, internationalized labels as A-labels (RFC 5890)."""
        return self.domain if self.domain.isascii() else idna.encode(self.domain).decode("ascii")

    @property
    def wire(self) -> str:
        """The address as it stands in an envelope; ASCII unless its local part is not."""
        return f"{self.local}@{self.wire_domain}"

    @property
    def key(self) -> str:
        """What two addresses of the same mailbox have in common, for lists and look-ups: case is ignored.

        RFC 5321 leaves the case of a local part to its server; none that tells `Bob` from `bob` has been seen.
        """
        return self.wire.lower()


def is_mailbox(value: str) -> bool:
    """Return whether the apiserver takes the text as an address: ASCII alone, A-labels in the domain."""
    if _MAILBOX.fullmatch(value) is None:
        return False
    # The length of the whole is the schema's maxLength. A last label of digits reads as an IP address.
    return value.index("@") <= MAXIMUM_LOCAL_LENGTH and re.search("[.@][0-9]+$", value) is None


def parse(text: str) -> Mailbox:
    """Return the address that `text` is.

    Args:
        text: An addr-spec alone: no display name, no angle brackets, no surrounding blanks.

    Raises:
        AddressError: It is none, or none of the kind this project accepts.

    Source:
        RFC 5321 section 4.1.2 (Mailbox, Dot-string), RFC 6531 section 3.3, RFC 5891.
    """
    forbidden = texts.find_forbidden(text)
    if forbidden is not None:
        raise AddressError(f"the address contains {forbidden}, which no address may")
    local, at, domain = text.rpartition("@")
    if not at:
        raise AddressError("the address has no @; write it as name@example.com")
    address = Mailbox(local=_parse_local(local), domain=parse_domain(domain))
    if len(address.wire.encode()) > MAXIMUM_LENGTH:
        raise AddressError(f"the address is longer than {MAXIMUM_LENGTH} bytes (RFC 5321)")
    return address


def parse_domain(text: str) -> str:
    """Return the domain in lower case with U-labels.

    Args:
        text: A host or domain name, with U-labels or A-labels, without a trailing dot.

    Raises:
        AddressError: It is not a domain name that mail can be addressed to.

    Source:
        RFC 5321 section 4.1.2 (Domain), RFC 5891, UTS #46 (case and width are mapped first).
    """
    if not text:
        raise AddressError("the address has nothing after its @; write it as name@example.com")
    lowered = text.lower()
    if _DOMAIN.fullmatch(lowered) and "xn--" not in lowered:
        domain = wire = lowered
    else:
        domain, wire = _internationalized(text)
    if len(wire) > MAXIMUM_DOMAIN_LENGTH:
        raise AddressError(f"the domain is longer than {MAXIMUM_DOMAIN_LENGTH} bytes (RFC 1035)")
    if wire.rpartition(".")[2].isdigit():
        raise AddressError("the domain ends in a number; IP addresses are not accepted, use a name")
    return domain


def _internationalized(text: str) -> tuple[str, str]:
    try:
        wire = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
        domain = idna.decode(wire)
    except (idna.IDNAError, UnicodeError):
        raise AddressError(
            "the domain is not a valid name: its labels are letters, digits and inner hyphens, "
            "at most 63 characters each (RFC 5321, RFC 5891)"
        ) from None
    if not _DOMAIN.fullmatch(wire):
        raise AddressError("the domain has an empty label, or ends in a dot")
    return domain, wire


def _parse_local(local: str) -> str:
    if local.startswith('"'):
        raise AddressError("quoted local parts are not accepted, though RFC 5321 allows them")
    if local.isascii():
        if not _LOCAL.fullmatch(local):
            raise AddressError(
                "the part before the @ must be letters, digits and !#$%&'*+/=?^_`{|}~- "
                "with single dots between them (RFC 5321 Dot-string)"
            )
    else:
        local = unicodedata.normalize("NFC", local)  # RFC 6532 section 3.1.
        shape = "".join("x" if ord(char) > 0x7F and _may_stand_in_local(char) else char for char in local)  # noqa: PLR2004 - the end of ASCII.
        if not shape.isascii() or not _LOCAL.fullmatch(shape):
            raise AddressError("the part before the @ has a blank, a format character or a misplaced sign")
    if len(local.encode()) > MAXIMUM_LOCAL_LENGTH:
        raise AddressError(f"the part before the @ is longer than {MAXIMUM_LOCAL_LENGTH} bytes (RFC 5321)")
    return local


def _may_stand_in_local(char: str) -> bool:
    # Separators (Z) and the "other" categories (C: controls, format, unassigned) look like nothing or like
    # something else; a mailbox that needs them has not been seen.
    return unicodedata.category(char)[0] not in "ZC"

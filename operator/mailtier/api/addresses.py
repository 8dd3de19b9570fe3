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
MAXIMUM_LABEL_LENGTH: Final = 63

# Without % and !, which RFC 5321 allows: relays read another address out of `a%b.example@c.example` and
# `b.example!a@c.example` (Postfix's allow_percent_hack and swap_bangpath, on by default), so that a policy would judge
# one domain, and the mail go to the other.
_ATOM: Final = r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# A letter, a digit or, beyond ASCII, anything: whether it is a U-label only Python can tell.
_WIDE: Final = r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]"
_WIDE_LABEL: Final = rf"{_WIDE}([^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]{{0,61}}{_WIDE})?"

# In the syntax that RE2 and Python share: the apiserver tests the same patterns.
LOCAL_PATTERN: Final = rf"{_ATOM}(\.{_ATOM})*"
DOMAIN_PATTERN: Final = rf"{_WIDE_LABEL}(\.{_WIDE_LABEL})*"
PATTERN: Final = rf"{LOCAL_PATTERN}@{DOMAIN_PATTERN}"

PERCENT: Final = (
    r"[%!].*@",
    "has % or ! before its @, by which relays read another address out of it; use a plain one",
)
FAULTS: Final = (
    (r"[\r\n]", "has a line break, as YAML's | leaves one at the end; write it on the line of its field"),
    (r"\t", "has a tab; write one address alone, without a display name"),
    (texts.CONTROLS, "has a control character, or one that turns the direction of text, which no address has"),
    (texts.UNSEEN, "has a character that nobody sees, such as a zero-width space, which no address has"),
    (f"[{texts.BLANKS}]", "has a blank beyond ASCII, such as a no-break space; type it anew"),
    (r"^[^@]*$", "has no @; write it as name@example.com"),
    (r"[<>]", "has < or >; write the address alone, without a display name"),
    (r" ", "has a blank; write one address alone, without a display name"),
    (r'^".*@', "is quoted before its @, which is not accepted though RFC 5321 allows it"),
    (r"\\", "has a backslash, which is not accepted; write one address alone"),
    (
        r'[(),;:"]|\[|\]',
        'has one of ( ) , ; : [ ] "; write one address alone, without a comment, group, list or IP address',
    ),
    (r"@.*@", "has two @; write one address alone"),
    PERCENT,
    (r"^@", "has nothing before its @; write a name there"),
    (r"@$", "has nothing after its @; write it as name@example.com"),
    (
        rf"^[^@]{{{MAXIMUM_LOCAL_LENGTH + 1}}}",
        f"has more than {MAXIMUM_LOCAL_LENGTH} characters before its @ (RFC 5321)",
    ),
    (r"\.$", "ends in a dot; remove it"),
    (r"@.*_", "has an underscore after its @, which no domain of mail has"),
    (
        r"@.*[!-,/:-@\[-`{-~]",
        "has a sign after its @ that no domain has; write letters, digits and hyphens, with dots between the parts",
    ),
    (r"\.\.|^\.|\.@|@\.", "has a dot where a part begins or ends; single dots stand between parts"),
    (r"@-|@.*-\.|@.*\.-|@.*-$", "has a hyphen where a part of its domain begins or ends"),
    (
        rf"[.@][^.@]{{{MAXIMUM_LABEL_LENGTH + 1}}}[^@]*$",
        f"has a part of more than {MAXIMUM_LABEL_LENGTH} characters in its domain (RFC 1035)",
    ),
    (r"[.@][0-9]+$", "ends in a number; IP addresses are not accepted: use a name"),
    (
        r"^[^@]*[^\x00-\x7f]",
        "has a character beyond ASCII before its @, which needs SMTPUTF8 on every server of the way",
    ),
)
"""What is often wrong with an address: what is found in it, and what is so and to be done."""

# What nearly every address is, with nothing to say against it; for all others the long way tells why not.
_PLAIN: Final = re.compile(rf"({LOCAL_PATTERN})@((?:{_LABEL}\.)*(?![0-9]+$){_LABEL})")

_LOCAL: Final = re.compile(LOCAL_PATTERN)
_DOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_TOLERATED: Final = FAULTS[-1]
_MAILBOX: Final = re.compile(PATTERN)
_DIGITS: Final = re.compile("[.@][0-9]+$")


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
        return texts.lower_ascii(self.wire)


def is_mailbox(value: str) -> bool:
    """Return whether the apiserver takes the text as an address: an ASCII local part, and a domain of any letters."""
    if _MAILBOX.fullmatch(value) is None or texts.find_forbidden(value) or texts.find_unseen(value):
        return False
    # The length of the whole is the schema's maxLength. A last label of digits reads as an IP address.
    return value.index("@") <= MAXIMUM_LOCAL_LENGTH and _DIGITS.search(value) is None


def in_ascii(value: str) -> str:
    """Return an address, or what stands for a part of one before an @, with its domain as A-labels.

    What is no valid name stays as it is: `parse` says of it why. Everything that compares addresses has ASCII so.
    """
    if value.isascii():
        return value
    local, at, domain = value.rpartition("@")
    try:
        return f"{local}{at}{Mailbox(local=local, domain=parse_domain(domain)).wire_domain}"
    except AddressError:
        return value


def problem(value: str) -> str | None:
    """Return why a text is no address that can be used; None where it is one."""
    try:
        parse(value)
    except AddressError as error:
        return str(error)
    return None


def parse(text: str) -> Mailbox:
    """Return the address that `text` is.

    Args:
        text: An addr-spec alone: no display name, no angle brackets, no surrounding blanks.

    Raises:
        AddressError: It is none, or none of the kind this project accepts.

    Source:
        RFC 5321 section 4.1.2 (Mailbox, Dot-string), RFC 6531 section 3.3, RFC 5891.
    """
    plain = _parse_plain(text)
    return _parse_any(text) if plain is None else plain


def _parse_plain(text: str) -> Mailbox | None:
    match = _PLAIN.fullmatch(text)
    if match is None or len(text) > MAXIMUM_LENGTH:
        return None
    local, _, domain = text.partition("@")
    lowered = domain.lower()
    if len(local) > MAXIMUM_LOCAL_LENGTH or "xn--" in lowered:
        return None
    return Mailbox(local=local, domain=lowered)


def _parse_any(text: str) -> Mailbox:
    forbidden = texts.find_forbidden(text)
    if forbidden is not None:
        raise AddressError(f"the address contains {forbidden}, which no address may")
    for found, said in FAULTS:
        if (found, said) != _TOLERATED and re.search(found, text) is not None:
            raise AddressError(f"the address {said}")
    local, _, domain = text.rpartition("@")
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
    lowered = texts.lower_ascii(text)
    if _DOMAIN.fullmatch(lowered) and "xn--" not in lowered:
        domain = wire = lowered
    else:
        domain, wire = _internationalized(text)
    if len(wire) > MAXIMUM_DOMAIN_LENGTH:
        raise AddressError(f"the domain is longer than {MAXIMUM_DOMAIN_LENGTH} bytes (RFC 1035)")
    if wire.rpartition(".")[2].isdigit():
        raise AddressError("the domain ends in a number; IP addresses are not accepted: use a name")
    return domain


def _internationalized(text: str) -> tuple[str, str]:
    try:
        wire = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
        domain = idna.decode(wire)
    except (idna.IDNAError, UnicodeError):
        raise AddressError(
            "the domain is not a valid name, and cannot be converted to ASCII: its labels are letters, digits and "
            "inner hyphens, at most 63 characters each (RFC 5321, RFC 5891)"
        ) from None
    if not _DOMAIN.fullmatch(wire):
        raise AddressError("the domain has an empty label, or ends in a dot")
    return domain, wire


def _parse_local(local: str) -> str:
    if local.isascii():
        if not _LOCAL.fullmatch(local):
            raise AddressError(
                "the part before the @ must be letters, digits and #$&'*+/=?^_`{|}~- "
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

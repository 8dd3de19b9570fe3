"""Bounded scalar types that several kinds share: host names, addresses, durations, free text."""

import datetime as dt
import functools
import ipaddress
import re
from typing import Annotated, Final

import pydantic

from mailtier.api import addresses, schema, text

_DNS_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME: Final = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*\.?"
_NUMERIC_NAME: Final = r"(.*\.)?([0-9]+|0[xX][0-9A-Fa-f]*)\.?"
_DURATION: Final = r"([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?"
_DURATION_LENGTH: Final = 21


def whole(pattern: str, message: str) -> schema.Rule:
    """Return the rule that the whole value matches a pattern.

    Args:
        pattern: In the syntax that RE2 and Python share.
        message: What is allowed, without a full stop.
    """
    return schema.Rule(cel=schema.cel_matches(pattern), holds=re.compile(pattern).fullmatch, message=message)


def is_ip(value: str) -> bool:
    """Return whether the apiserver's `isIP` takes the text: no zone, no leading zero, no IPv4-mapped form."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped is None and address.scope_id is None
    return True


def is_cidr(value: str) -> bool:
    """Return whether the text is a network without host bits."""
    address, _, prefix = value.partition("/")
    if not is_ip(address) or re.fullmatch("0|[1-9][0-9]{0,2}", prefix) is None:
        return False
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


def _is_name(value: str) -> bool:
    # A last label that reads as a number makes resolvers take the name for an address: 127.1, 0x7f000001.
    return re.fullmatch(_DNS_NAME, value) is not None and re.fullmatch(_NUMERIC_NAME, value) is None


def parse_duration(value: str) -> dt.timedelta:
    """Return the length of a duration written as Kubernetes does, such as `90s` or `1h30m`.

    Raises:
        ValueError: The text is not such a duration.
    """
    found = re.fullmatch(_DURATION, value)
    if not value or found is None:
        raise ValueError(f"{value!r} is not a duration such as 90s, 5m or 1h30m")
    hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in found.groups())
    return dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(value: dt.timedelta) -> str:
    """Return a duration in whole seconds as `1h30m`; `parse_duration` reads it back."""
    total = int(value.total_seconds())
    parts = ((total // 3600, "h"), (total % 3600 // 60, "m"), (total % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _between(low: str, high: str) -> schema.Checked:
    """Return the rules of a duration within two bounds, both included."""
    shortest, longest = parse_duration(low), parse_duration(high)
    is_duration = schema.Rule(
        cel=f"self != '' && {schema.cel_matches(_DURATION)}",
        holds=lambda value: value != "" and re.fullmatch(_DURATION, value) is not None,
        message="must be a duration such as 90s, 5m or 1h30m",
    )
    in_range = schema.Rule(
        # What cannot be parsed is the first rule's finding; here it must not become an evaluation error.
        cel=f"self == '' || !{schema.cel_matches(_DURATION)} || "
        f"(duration(self) >= duration('{low}') && duration(self) <= duration('{high}'))",
        holds=lambda value: shortest <= parse_duration(value) <= longest,
        message=f"must be between {low} and {high}",
    )
    return schema.Checked((is_duration, in_range))


SessionTimeout = Annotated[str, pydantic.Field(max_length=_DURATION_LENGTH), _between("1s", "30s")]
EnvelopeTimeout = Annotated[str, pydantic.Field(max_length=_DURATION_LENGTH), _between("1s", "60s")]
MessageTimeout = Annotated[str, pydantic.Field(max_length=_DURATION_LENGTH), _between("1s", "10m")]
MaxAge = Annotated[str, pydantic.Field(max_length=_DURATION_LENGTH), _between("1m", "168h")]

_HOST: Final = schema.Rule(
    cel=f"isIP(self) || ({schema.cel_matches(_DNS_NAME)} && !{schema.cel_matches(_NUMERIC_NAME)})",
    holds=lambda value: is_ip(value) or _is_name(value),
    message="must be a DNS name such as smtp.example.com (an international one as its A-label, xn--...) or an"
    " IP address in its usual form, IPv6 without brackets; no scheme, port or path",
)
_SERVER_NAME: Final = schema.Rule(
    cel=f"{schema.cel_matches(_DNS_NAME)} && !{schema.cel_matches(_NUMERIC_NAME)}",
    holds=_is_name,
    message="must be a DNS name such as mail.example.com",
)
Host = Annotated[str, pydantic.Field(min_length=1, max_length=253), schema.Checked((_HOST,))]
ServerName = Annotated[str, pydantic.Field(min_length=1, max_length=253), schema.Checked((_SERVER_NAME,))]
# Without `strict` a quoted "yes" or 1 would be taken for true, which the apiserver refuses.
Flag = Annotated[bool, pydantic.Field(strict=True)]
Port = Annotated[int, pydantic.Field(ge=1, le=65535, strict=True)]

_PORT_TEXT: Final = (
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"  # 1 to 65535.
)
_TOKEN_URL_PATTERN: Final = re.compile(
    rf"https://{_DNS_NAME}(:{_PORT_TEXT})?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?(\?[A-Za-z0-9._~%!$&'()*+,;=:@/?-]*)?"
)
_NUMERIC_SERVER: Final = re.compile(r"https://([^/:?]*\.)?([0-9]+|0[xX][0-9A-Fa-f]*)\.?([:/?].*)?")
_TOKEN_URL: Final = schema.Rule(
    cel=f"{schema.cel_matches(_TOKEN_URL_PATTERN.pattern)} && !{schema.cel_matches(_NUMERIC_SERVER.pattern)}",
    holds=lambda value: _TOKEN_URL_PATTERN.fullmatch(value) is not None and _NUMERIC_SERVER.fullmatch(value) is None,
    message="must be an https address of a server by its name, such as https://login.example.com/oauth2/token;"
    " without a user, an IP address or a fragment",
)
TokenUrl = Annotated[str, pydantic.Field(min_length=9, max_length=512), schema.Checked((_TOKEN_URL,))]

_ADDRESS: Final = schema.Rule(
    cel=f"{schema.cel_matches(addresses.PATTERN)} && self.indexOf('@') <= {addresses.MAXIMUM_LOCAL_LENGTH} "
    f"&& !self.matches('[.@][0-9]+$') && !self.matches('{text.CEL_FORBIDDEN}') && !self.matches('{text.CEL_UNSEEN}')",
    holds=addresses.is_mailbox,
    message="must be one plain e-mail address such as no-reply@example.com, without a display name, comment or group",
    faults=tuple((found, f"must be one plain e-mail address: this one {said}") for found, said in addresses.FAULTS),
    where=text.locate,
)
Address = Annotated[
    str,
    pydantic.Field(min_length=3, max_length=addresses.MAXIMUM_LENGTH),
    schema.Checked((_ADDRESS,)),
    pydantic.AfterValidator(addresses.in_ascii),
]

_FROM_PATTERN: Final = rf"({addresses.LOCAL_PATTERN}|\{{namespace\}})?@{addresses.DOMAIN_PATTERN}"
_FROM_ENTRY: Final = schema.Rule(
    # A brace or a star may stand in a local part, but here it is a pattern that was meant and would match nobody.
    cel=f"{schema.cel_matches(_FROM_PATTERN)} && (self.startsWith('{{namespace}}@') || !self.contains('{{')) && "
    f"!self.contains('*') && !self.matches('{text.CEL_FORBIDDEN}') && !self.matches('{text.CEL_UNSEEN}')",
    holds=lambda entry: (
        re.fullmatch(_FROM_PATTERN, entry) is not None
        and text.find_forbidden(entry) is None
        and text.find_unseen(entry) is None
        and (entry.startswith("{namespace}@") or "{" not in entry)
        and "*" not in entry
    ),
    message="must be an address (alerts@example.com), a whole domain (@example.com) or one address for each"
    " namespace ({namespace}@example.com)",
    faults=((addresses.PERCENT[0], f"must be an address or a domain: this one {addresses.PERCENT[1]}"),),
    where=text.locate,
)
FromEntry = Annotated[
    str,
    pydantic.Field(min_length=2, max_length=addresses.MAXIMUM_LENGTH),
    schema.Checked((_FROM_ENTRY,)),
    pydantic.AfterValidator(addresses.in_ascii),
]

ONE_LINE: Final = schema.Rule(
    cel=f"!self.matches('{text.CEL_FORBIDDEN}') && !self.matches('{text.CEL_UNSEEN}')",
    holds=lambda value: text.find_forbidden(value) is None and text.find_unseen(value) is None,
    message="must be one line without control characters or bidirectional formatting, and without characters that"
    " nobody sees",
    where=text.locate,
)
"""One line that may go into a header or a command (R5)."""
_BODY: Final = schema.Rule(
    cel=f"!self.matches('{text.CEL_FORBIDDEN_MULTILINE}')",
    holds=lambda value: text.find_forbidden(value, multiline=True) is None,
    message="must be text without control characters (line breaks and tabs are fine) or bidirectional formatting; take"
    " escape sequences out of it, such as those of colours",
    where=functools.partial(text.locate, multiline=True),
)
Line = Annotated[str, pydantic.Field(min_length=1, max_length=256), schema.Checked((ONE_LINE,))]
_NAME: Final = schema.Rule(
    cel=f"self.matches('[^ {text.CEL_BLANKS}]')",
    holds=re.compile(f"[^ {text.BLANKS}]").search,
    message="must hold more than blanks; write a name, or leave it out",
)
DisplayName = Annotated[str, pydantic.Field(min_length=1, max_length=256), schema.Checked((ONE_LINE, _NAME))]
Username = Annotated[str, pydantic.Field(min_length=1, max_length=256), schema.Checked((ONE_LINE,))]
Body = Annotated[str, pydantic.Field(max_length=65536), schema.Checked((_BODY,))]
Datum = Annotated[str, pydantic.Field(max_length=4096), schema.Checked((_BODY,))]

_GLOB: Final = whole(
    rf"\*|(\*\.)?{_DNS_LABEL}(\.{_DNS_LABEL})*",
    "must be a DNS name, *.example.com for all names below one, or * for every name",
)
HostGlob = Annotated[str, pydantic.Field(min_length=1, max_length=253), schema.Checked((_GLOB,))]

_CIDR: Final = schema.Rule(
    # The apiserver's isCIDR takes host bits, which nearly always are a slip of the pen.
    cel="isCIDR(self) && cidr(self) == cidr(self).masked()",
    holds=is_cidr,
    message="must be a network without host bits, such as 10.0.0.0/8 or 2001:db8::/32",
)
Cidr = Annotated[str, pydantic.Field(min_length=3, max_length=43), schema.Checked((_CIDR,))]

_OBJECT_NAME: Final = whole(
    "[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
    "must be the name of an object: lower-case letters, digits, '-' and '.'",
)
_OBJECT_KEY: Final = whole("[A-Za-z0-9._-]+", "must be a key of the object: letters, digits, '.', '_' and '-'")
LABEL_PATTERN: Final = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_LABEL: Final = whole(LABEL_PATTERN, "must be a DNS label of at most 50 characters: lower-case letters, digits and '-'")
ObjectName = Annotated[str, pydantic.Field(min_length=1, max_length=253), schema.Checked((_OBJECT_NAME,))]
ObjectKey = Annotated[str, pydantic.Field(min_length=1, max_length=253), schema.Checked((_OBJECT_KEY,))]
OrganizationName = Annotated[str, pydantic.Field(min_length=1, max_length=50), schema.Checked((_LABEL,))]

_DATUM_KEY: Final = re.compile("[A-Za-z_][A-Za-z0-9_]{0,62}")
_DATA_KEYS: Final = schema.Rule(
    cel=f"self.all(key, {schema.cel_matches(_DATUM_KEY.pattern, 'key')})",
    holds=lambda data: all(_DATUM_KEY.fullmatch(key) for key in data),
    message="every name must be one that templates can use: at most 63 letters, digits and '_', no digit first",
)
Data = Annotated[dict[str, Datum], pydantic.Field(max_length=64), schema.Checked((_DATA_KEYS,))]

_QUANTITY_UNITS: Final = {"": 1, "k": 1000, "Ki": 1024, "M": 1000**2, "Mi": 1024**2, "G": 1000**3, "Gi": 1024**3}
_QUANTITY: Final = re.compile(r"([1-9][0-9]{0,12})(k|Ki|M|Mi|G|Gi)?")
_MAXIMUM_BYTES: Final = 1024**4


def parse_bytes(value: str) -> int:
    """Return the number of bytes of a quantity written as Kubernetes does, such as `64Mi`.

    Raises:
        ValueError: The text is not such a quantity.
    """
    found = _QUANTITY.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a quantity such as 64Mi")
    return int(found.group(1)) * _QUANTITY_UNITS[found.group(2) or ""]


_IS_BYTES: Final = schema.Rule(
    cel=f"{schema.cel_matches(_QUANTITY.pattern)} && quantity(self).compareTo(quantity('{_MAXIMUM_BYTES}')) <= 0",
    holds=lambda value: _QUANTITY.fullmatch(value) is not None and parse_bytes(value) <= _MAXIMUM_BYTES,
    message="must be a number of bytes such as 67108864, 500k or 64Mi, at most 1024Gi",
)
Bytes = Annotated[str, pydantic.Field(min_length=1, max_length=13), schema.Checked((_IS_BYTES,))]

# Syntax: kubernetes.io/docs/concepts/overview/working-with-objects/labels.
_LABEL_NAME: Final = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_PREFIX: Final = rf"{LABEL_PATTERN}(\.{LABEL_PATTERN})*"
_LABEL_KEY: Final = re.compile(rf"({_LABEL_PREFIX}/)?{_LABEL_NAME}")
_LABEL_KEY_LENGTH: Final = 253 + 1 + 63
_LABEL_KEYS: Final = schema.Rule(
    cel=f"self.all(key, size(key) <= {_LABEL_KEY_LENGTH} && {schema.cel_matches(_LABEL_KEY.pattern, 'key')})",
    holds=lambda labels: all(len(key) <= _LABEL_KEY_LENGTH and _LABEL_KEY.fullmatch(key) for key in labels),
    message="every key must be a label's, such as team or example.com/team",
)
_LABEL_VALUE: Final = whole(
    rf"({_LABEL_NAME})?", "must be a label's value: at most 63 letters, digits, '-', '_' and '.'"
)
Labels = Annotated[
    dict[str, Annotated[str, pydantic.Field(max_length=63), schema.Checked((_LABEL_VALUE,))]],
    pydantic.Field(min_length=1, max_length=16),
    schema.Checked((_LABEL_KEYS,)),
]

"""What may become the target of a link in a message."""

import re
from typing import Final

# Enough for any link that works in practice; browsers and gateways cut longer ones.
MAXIMUM_LENGTH: Final = 2048
# The server is a name in ASCII or an IPv6 address, and nothing stands before it. In `https://corp.example@evil.example/`
# people read the user, and browsers go to the server; a backslash is a slash to browsers and none to others (WHATWG
# URL, "special URLs"); a percent sign in a name is decoded by some; letters of other scripts look like those of ASCII.
_SERVER: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::[0-9]{1,5})?"
_UNSEEN: Final = (
    "\u0085\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060-\u206f\u3000\ufeff\U000e0000-\U000e007f"
)
_REST: Final = rf"[^<>\"\\^`{{|}}\x00-\x20\x7f{_UNSEEN}]*"
PATTERN: Final = rf"[Hh][Tt][Tt][Pp][Ss]?://{_SERVER}(?:[/?#]{_REST})?"
"""In the syntax that RE2 and Python share; RE2 takes other letters for those of ASCII where case is ignored."""

_LINK: Final = re.compile(PATTERN)


def is_weblink(value: object) -> bool:
    """Return whether a value may become the target of a link: http or https, to the server that one reads in it."""
    return isinstance(value, str) and len(value) <= MAXIMUM_LENGTH and _LINK.fullmatch(value) is not None

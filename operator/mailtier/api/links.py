"""What may become the target of a link in a message."""

import re
from typing import Final

# Enough for any link that works in practice; browsers and gateways cut longer ones.
_MAXIMUM_LENGTH: Final = 2048
_LINK: Final = re.compile(r"https?://[A-Za-z0-9\[][^\s<>\"\\^`{|}\x00-\x20\x7f]*", re.IGNORECASE)


def is_weblink(value: object) -> bool:
    """Return whether a value may become the target of a link: http or https, and nothing that ends it early."""
    return isinstance(value, str) and len(value) <= _MAXIMUM_LENGTH and _LINK.fullmatch(value) is not None

"""The one canonical form of a JSON document, by which two programs and two releases tell contents apart."""

import hashlib
import json
from typing import Any, Final

_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False)


def encode(document: Any) -> str:
    """Return the canonical JSON: sorted keys, no blanks, characters as themselves."""
    return _ENCODER.encode(document)


def digest(document: Any) -> str:
    """Return the hexadecimal SHA-256 of the canonical JSON in UTF-8."""
    return hashlib.sha256(encode(document).encode()).hexdigest()
